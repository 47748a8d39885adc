"""Promises 4 and 5: the cursor last, and killed anywhere."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from machine import deaths

from guards.guard import Guard, always, around, put, reword
from guards.windows import LARGE, MISSING, counts_believed
from pipelines.backfill import backfill
from pipelines.errors import ApiError, ConvoyError
from pipelines.sync import Loading

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from datetime import datetime

    import pyarrow as pa

    from guards.guard import Steps
    from guards.scene import Scene
    from pipelines.cursor import Cursor
    from pipelines.gptbots.history import History
    from pipelines.jobs import BotName
    from pipelines.reading import Reading

    Moves = Callable[[pa.Table, Cursor], tuple[pa.Table, pa.Table]]

AHEAD = timedelta(hours=20)
_LAST_STATE = """
    select distinct on (pipeline_name) state
    from chat._dlt_pipeline_state
    order by pipeline_name, _dlt_load_id desc
"""

# What is taken out.


async def cursor_alone(self: History, start: datetime, _: object) -> AsyncIterator[Reading]:
    """Read from the cursor on, though it would cost no more to read all."""
    async for reading in self._scan.read(start, self._now):
        yield reading


def ahead_of_time(moves: Moves) -> Moves:
    def any_moves(rows: pa.Table, cursor: Cursor) -> tuple[pa.Table, pa.Table]:
        place, field = rows.schema.get_field_index("observed_at"), rows.schema.field("observed_at")
        return moves(rows.set_column(place, field, rows["last_activity_at"]), cursor)

    return any_moves


def where_the_others_are(tasks: Callable[..., object]) -> Callable[..., object]:
    def started(settings: object, at: Mapping[BotName, datetime | None], wire: object) -> object:
        newest = max(filter(None, at.values()), default=None)
        return tasks(settings, {name: last or newest for name, last in at.items()}, wire)

    return started


class Unknown(Exception):
    """An error that nobody raises."""


# What happens.


def fail_in(scene: Scene, table: str) -> None:
    """Sync and fail in the load job of a table, when the others have come to their end."""
    plug = deaths.Plug(1)
    with pytest.MonkeyPatch.context() as patched:
        deaths.die_at(table, plug, scene.upstream, patched)
        with pytest.raises(ConvoyError):
            scene.sync()
    assert plug.pulled


def a_load_fails_when_its_state_is_written(scene: Scene) -> Steps:
    scene.open_synced(bots={"support": LARGE})
    for _ in range(3):
        scene.wait(timedelta(hours=2))
        scene.world.begin("support")
    fail_in(scene, "conversations")
    yield
    scene.sync()
    scene.assert_complete()


def one_is_dated_ahead(scene: Scene) -> Steps:
    scene.open_synced(bots={"support": LARGE})
    yield
    scene.until_now()
    ahead = (scene.world.now + AHEAD).timestamp() * 1000
    scene.world.edit(scene.world.begin("support"), recent_chat_time=int(ahead))
    scene.sync()
    scene.wait()
    scene.world.begin("support")
    scene.sync()
    scene.assert_complete()


def a_bot_is_added(scene: Scene) -> Steps:
    scene.open_synced(bots={"support": 8, "other": 40}, configured=["support"])
    yield
    scene.configure()
    scene.sync()
    scene.assert_complete()


def one_bot_fails(scene: Scene) -> Steps:
    scene.open(bots={"support": 5, "sales": 5})
    scene.world.revoke("support")
    yield
    try:
        scene.sync()
    except ApiError as stopped:
        raise AssertionError("it stops the others") from stopped
    scene.assert_complete("sales")


def a_range_is_read_again(scene: Scene) -> Steps:
    scene.open_synced(bots={"support": LARGE})
    before = scene.cursors()
    scene.wait(timedelta(days=3))
    scene.world.begin("support")
    yield
    hour = timedelta(hours=1)
    assert backfill(scene.settings, scene.world.now - hour, scene.world.now + hour).rows_loaded == 1
    assert scene.cursors() == before, "a cursor has moved"


def a_process_is_killed_in_a_load(scene: Scene) -> Steps:
    """What it leaves behind would be loaded instead of what is read."""
    scene.open_synced(chatbots={"web": 25})
    scene.world.begin("web")
    assert deaths.kill_process_in_table(deaths.DYING, "conversations")
    yield
    scene.wait()
    scene.world.chat(scene.ids("web")[17])
    scene.sync()
    scene.assert_complete()


def a_load_fails_between_two_tables(scene: Scene) -> Steps:
    scene.open_synced(bots={"support": LARGE})
    scene.wait()
    scene.world.begin("support")
    fail_in(scene, "conversation_changes")
    yield
    scene.sync()
    scene.assert_complete()
    never_changed = "from chat.conversations anti join chat.conversation_changes using"
    assert not scene.project.rows(f"{never_changed} (conversation_id)"), "changes are missing"


GUARDS = [
    Guard(
        4, "an error stops its bot alone", put("pipelines.reader.ApiError", Unknown),
        one_bot_fails, "it stops the others",
    ),
    Guard(
        4, "a state counts with its package",
        put("pipelines.cursor._STATE", _LAST_STATE),
        a_load_fails_when_its_state_is_written, MISSING, (counts_believed,), is_long=True,
    ),
    Guard(
        4, "what is dated ahead moves no cursor",
        around("pipelines.source.split", ahead_of_time), one_is_dated_ahead,
        MISSING, (counts_believed, around("pipelines.spool.split", ahead_of_time)), is_long=True,
    ),
    Guard(
        4, "a new bot starts at the start date",
        around("pipelines.run.tasks", where_the_others_are), a_bot_is_added, MISSING,
        (counts_believed, put("pipelines.gptbots.history.History.read", cursor_alone)),
    ),
    Guard(
        4, "a backfill moves no cursor",
        put("pipelines.backfill.Loading", lambda run, **_: Loading(run, moving=True)),
        a_range_is_read_again, "a cursor has moved",
    ),
    Guard(
        5, "each table is compared with itself",
        reword("pipelines.news._CHANGES", "known_changes", "known"),
        a_load_fails_between_two_tables, "changes are missing",
    ),
    Guard(
        5, "what a dead sync left is thrown away", put("pipelines.loader._remove", always(None)),
        a_process_is_killed_in_a_load, "rows are stale", is_long=True,
    ),
]  # fmt: skip
