"""Syncs into a lakehouse."""

# ruff: noqa: F401 - what is imported here is collected, with the fixtures beside it

from __future__ import annotations

from typing import TYPE_CHECKING

from destinations import (
    BOTS,
    CHATBOTS,
    test_changes_take_the_place_of_what_was_known,
    test_the_warehouse_becomes_what_the_apis_have,
)
from project import assert_equal_to_truth, ids

if TYPE_CHECKING:
    from conftest import MakeWorld, Simulate

    from lake.lakehouse import LakeProject


def test_what_is_gone_upstream_is_marked_and_comes_back(
    make_world: MakeWorld, simulate: Simulate, project: LakeProject
) -> None:
    world = make_world(bots=BOTS, chatbots=CHATBOTS)
    project.configure(simulate(world))
    assert project.sync().complete
    gone = {ids(world, name)[-1] for name in world.accounts}
    for conversation_id in gone:
        world.delete(conversation_id)
    assert project.sync().complete
    assert project.marked() == gone
    assert_equal_to_truth(project, world, gone=gone)
