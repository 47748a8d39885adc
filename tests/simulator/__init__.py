"""Tests of the simulator, a package so that its helpers can be imported."""
