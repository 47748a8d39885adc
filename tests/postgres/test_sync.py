"""Syncs into a database."""

# ruff: noqa: F401 - what is imported here is collected, with the fixtures beside it

from destinations import (
    test_changes_take_the_place_of_what_was_known,
    test_the_warehouse_becomes_what_the_apis_have,
)
