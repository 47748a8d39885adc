"""The parts of the machine of tests/test_machine.py."""

import pytest

pytest.register_assert_rewrite("machine.expected", "machine.play", "machine.stored")
