"""Cursors are read out of the warehouse as dlt would read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlt.common.versioned_state import decompress_state

from pipelines.cursor import cursors_in, stored_cursors
from pipelines.warehouse import connect

if TYPE_CHECKING:
    from conftest import MakeWorld, Simulate
    from project import Project


def test_stored_cursors_are_what_dlt_finds(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    project.configure(simulate(make_world(bots={"a": 3, "b.c": 1}, chatbots={"web": 2})))
    assert project.sync().complete
    with connect(project.warehouse) as connection:
        found = stored_cursors(connection)
    (state,) = project.rows(
        "select state from chat._dlt_pipeline_state order by version desc limit 1"
    )
    assert found == cursors_in(decompress_state(state["state"]))
    assert found.keys() == {("gptbots", "a"), ("gptbots", "b.c"), ("okchat", "web")}
