"""Promises 1 and 2: complete, and certified."""

from __future__ import annotations

import signal
import sys
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from project import bot
from typer.testing import CliRunner

from guards.guard import Guard, always, always_later, put
from pipelines import cli
from pipelines.errors import NotCertified
from pipelines.gptbots.scan import Scan
from pipelines.okchat import walk
from pipelines.okchat.scan import Sweep
from pipelines.okchat.walk import Walk
from pipelines.simulator import Knobs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    import pytest

    from guards.guard import Steps
    from guards.scene import Scene
    from pipelines.gptbots.windows import Window
    from pipelines.okchat.api import Mark
    from pipelines.reading import Reading

MISSING, STALE = "rows are missing", "rows are stale"

# What is taken out.

counts_believed = put("pipelines.gptbots.history.History.agrees", always_later(value=True))
windows_believed = put("pipelines.gptbots.scan.Scan._evidence", always_later("believed"))
unseen_forgotten = put("pipelines.reconcile._unseen", always({}))


def forward(patched: pytest.MonkeyPatch) -> None:
    async def read(self: Scan, attempt: Any) -> None:  # noqa: ANN401 - the scan's own
        for number in range(1, await self._last_page(attempt) + 1):
            attempt.add(await self.server.page(attempt.window, number))

    patched.setattr(Scan, "_read_back", read)


def late_windows_with_all(patched: pytest.MonkeyPatch) -> None:
    start = Scan._start_ahead

    def at_once(self: Scan, waiting: Any) -> None:  # noqa: ANN401 - the scan's own
        settled, self.server.settled = self.server.settled, sys.maxsize
        start(self, waiting)
        self.server.settled = settled

    patched.setattr(Scan, "_start_ahead", at_once)


def plain_pages(patched: pytest.MonkeyPatch) -> None:
    def found(marks: Sequence[Mark], known: Any) -> int:  # noqa: ANN401 - a mapping
        return walk_first_shared(marks, known) or 0

    walk_first_shared = walk.first_shared
    patched.setattr(walk, "first_shared", found)
    patched.setattr(walk, "next_page", lambda end, largest: (end // largest + 1, largest))


def no_head(patched: pytest.MonkeyPatch) -> None:
    async def once(self: Sweep) -> str:
        await Walk(self._pages).go()
        return "believed"

    patched.setattr(Sweep, "_walk", once)


def first_page_alone(patched: pytest.MonkeyPatch) -> None:
    """Stop where the first row is older than the cursor: here that is on page 1."""

    async def top(self: Sweep) -> str:
        await Walk(self._pages, lambda _: True).go()
        return "believed"

    patched.setattr(Sweep, "_walk", top)


def page_1_alone_compared(patched: pytest.MonkeyPatch) -> None:
    evidence = Scan._evidence

    async def believing(self: Scan, attempt: Any) -> str | None:  # noqa: ANN401 - the scan's own
        same = attempt.first.ids == attempt.pages[-1].ids
        return "believed" if same else await evidence(self, attempt)

    patched.setattr(Scan, "_evidence", believing)


def counts_alone_compared(patched: pytest.MonkeyPatch) -> None:
    evidence = Scan._evidence

    async def believing(self: Scan, attempt: Any) -> str | None:  # noqa: ANN401 - the scan's own
        same = attempt.first.total == attempt.pages[-1].total == len(attempt.ids)
        return "believed" if same else await evidence(self, attempt)

    patched.setattr(Scan, "_evidence", believing)


def silent(patched: pytest.MonkeyPatch) -> None:
    windows = Scan.windows

    async def quiet(self: Scan, of: Sequence[Window]) -> AsyncIterator[Reading]:
        with suppress(NotCertified):
            async for reading in windows(self, of):
                yield reading

    patched.setattr(Scan, "windows", quiet)


# What happens. 250 conversations are three pages; they are read as 1, 3, 2, 1.


def one_goes_on_while_pages_are_read(scene: Scene) -> Steps:
    scene.open(bots={"support": 250})
    yield
    first = scene.ids("support")[10]

    def go_on() -> None:
        scene.until_now()
        scene.world.chat(first)

    scene.before_page(2, go_on)
    scene.sync()
    scene.assert_none_missing()


def one_goes_on_before_its_page_is_read(scene: Scene) -> Steps:
    scene.open(bots={"support": 250}, knobs=Knobs(latency=0.05))
    yield
    unread = scene.ids("support")[150]

    def go_on() -> None:
        scene.until_now()
        scene.world.chat(unread)

    scene.before_page(2, go_on)
    assert scene.sync().complete
    scene.assert_none_missing()


def one_settles_late(scene: Scene) -> Steps:
    scene.open_synced(bots={"support": 40})
    yield
    scene.configure(gptbots={"lookback": "30d"})
    scene.world.settle(scene.ids("support")[1], Decimal("0.0000000001"))
    scene.sync()
    scene.assert_complete()


def one_turns_up_in_the_past(scene: Scene) -> Steps:
    scene.open_synced(bots={"support": 40})
    yield
    long_ago = (scene.world.now - timedelta(days=40)).timestamp() * 1000
    scene.world.edit(scene.world.begin("support"), recent_chat_time=int(long_ago))
    scene.sync()
    scene.assert_complete()


def windows_exclude_their_ends(scene: Scene) -> Steps:
    scene.open(bots={"support": 350}, knobs=Knobs(start_inclusive=False, end_inclusive=False))
    scene.patched.setattr("pipelines.jobs.WINDOW_ROWS", 100)
    scene.patched.setattr("pipelines.jobs._SMALLEST_WINDOW", 100)
    yield
    scene.sync()
    scene.assert_complete()


def one_is_deleted_ahead_of_a_sweep(scene: Scene) -> Steps:
    scene.open(chatbots={"web": 25}, okchat={"page_size": 10})
    yield
    on_page_2 = scene.ids("web")[12]
    scene.before_request(3, lambda: scene.world.delete(on_page_2))
    scene.sync()
    scene.assert_none_missing()


def one_jumps_to_the_head_of_a_sweep(scene: Scene) -> Steps:
    knobs = Knobs(okchat_order="updated_desc")
    scene.open(chatbots={"web": 25}, knobs=knobs, okchat={"page_size": 10})
    yield

    def jump() -> None:
        scene.wait()
        rows = scene.world.accounts["web"].timeline
        last = min(rows.rows(), key=lambda row: row.updated)  # type: ignore[attr-defined]
        scene.world.chat(last.conversation_id)

    scene.before_request(3, jump)
    scene.sync()
    scene.assert_none_missing()


def one_goes_on_far_down_the_list(scene: Scene) -> Steps:
    scene.open_synced(chatbots={"web": 25})
    yield
    scene.configure(okchat={"page_size": 10})
    scene.wait()
    scene.world.chat(scene.ids("web")[17])
    scene.sync()
    scene.assert_complete()


def one_is_gone_from_a_list(scene: Scene) -> Steps:
    scene.open_synced(chatbots={"web": 25})
    yield
    gone = scene.ids("web")[17]
    scene.world.delete(gone)
    scene.sync()
    scene.assert_marked(gone)


def one_turns_up_among_pages(scene: Scene) -> Steps:
    """It sends the last of page 2 to page 3, which has been read; page 1 stays as it was."""
    scene.open(bots={"support": 250})
    yield
    beside = scene.world.accounts["support"].timeline.rows()[-150]

    def turn_up() -> None:
        begun = scene.world.begin("support")
        scene.world.edit(begun, recent_chat_time=beside.moment)  # type: ignore[attr-defined]

    scene.before_page(2, turn_up)
    scene.sync()
    scene.assert_none_missing()


def one_begins_as_another_is_deleted(scene: Scene) -> Steps:
    """The count stays as it was, yet the last of page 2 is on page 3, which has been read."""
    scene.open(bots={"support": 350})
    yield
    on_page_4 = scene.ids("support")[310]

    def swap() -> None:
        scene.world.delete(on_page_4)
        scene.wait()
        scene.world.begin("support")

    scene.before_page(2, swap)
    scene.sync()
    scene.assert_none_missing()


def pages_are_capped_and_counted_alone(scene: Scene) -> Steps:
    scene.open(bots={"support": 120}, knobs=Knobs(gptbots_page_cap=50, total="page"))
    yield
    scene.sync()
    scene.assert_complete()


def nothing_holds_still(scene: Scene) -> Steps:
    scene.open(bots={"support": 5})
    scene.until_now()
    tied = scene.world.tie("support", 300)
    yield

    def leave(_: object) -> None:
        scene.wait(timedelta(milliseconds=5))
        if tied:
            scene.world.chat(tied.pop())

    scene.upstream.on_request = leave
    outcome = scene.sync()
    assert not outcome.complete, "it calls itself complete"
    assert "do not hold still" in str(bot(outcome, "support").error)


def a_key_is_rejected(scene: Scene) -> Steps:
    scene.open(bots={"support": 5}, chatbots={"web": 5})
    scene.world.revoke("support")
    yield
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ended = CliRunner().invoke(cli.app, ["sync", "--no-models"])
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert ended.exit_code == 1, "it ends as if all were well"


GUARDS = [
    Guard(
        1, "the last page is read first", forward, one_goes_on_while_pages_are_read,
        MISSING, (windows_believed, counts_believed),
    ),
    Guard(
        1, "what may still change is read last", late_windows_with_all,
        one_goes_on_before_its_page_is_read, MISSING, (counts_believed,),
    ),
    Guard(
        1, "lookback", put("pipelines.cursor.Cursor.start", property(lambda self: self.last)),
        one_settles_late, STALE,
    ),
    Guard(1, "history is counted", counts_believed, one_turns_up_in_the_past, MISSING),
    Guard(
        1, "windows overlap by a millisecond",
        put("pipelines.gptbots.windows.Window.asked", property(lambda w: (w.start, w.end))),
        windows_exclude_their_ends, MISSING, (counts_believed,),
    ),
    Guard(1, "pages of a sweep overlap", plain_pages, one_is_deleted_ahead_of_a_sweep, MISSING),
    Guard(1, "a sweep reads the head again", no_head, one_jumps_to_the_head_of_a_sweep, MISSING),
    Guard(
        1, "the whole list is read", first_page_alone, one_goes_on_far_down_the_list,
        STALE, (unseen_forgotten,),
    ),
    Guard(
        1, "what is not seen is asked for", unseen_forgotten, one_is_gone_from_a_list,
        "rows are not marked",
    ),
    Guard(
        2, "the count afterwards", page_1_alone_compared, one_turns_up_among_pages,
        MISSING, (counts_believed,),
    ),
    Guard(
        2, "page 1 once more", counts_alone_compared, one_begins_as_another_is_deleted, MISSING
    ),
    Guard(
        2, "page 2 is asked for where pages may be capped",
        put("pipelines.gptbots.scan.Scan._nothing_follows", always_later(value=True)),
        pages_are_capped_and_counted_alone, MISSING, (counts_believed,),
    ),
    Guard(
        2, "what does not hold still is an error", silent, nothing_holds_still,
        "calls itself complete",
    ),
    Guard(
        2, "what failed ends with 1",
        put("pipelines.outcome.Outcome.complete", property(always(value=True))),
        a_key_is_rejected, "ends as if all were well",
    ),
]  # fmt: skip
