"""Promise 1: complete. GPTBots, by windows of time."""

from __future__ import annotations

import sys
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from guards.guard import Guard, always_later, around, put
from pipelines.simulator import Knobs

if TYPE_CHECKING:
    from collections.abc import Callable

    from guards.guard import Steps
    from guards.scene import Scene
    from pipelines.gptbots.scan import Scan

MISSING, STALE = "rows are missing", "rows are stale"
LARGE = 150
"""Conversations of a bot that is not read whole each time, for want of more than a page."""

# What is taken out.

counts_believed = put("pipelines.gptbots.history.History.agrees", always_later(value=True))
windows_believed = put("pipelines.gptbots.scan.Scan._evidence", always_later("believed"))


async def forward(self: Scan, attempt: Any) -> None:  # noqa: ANN401 - the scan's own
    for number in range(1, await self._last_page(attempt) + 1):
        attempt.add(await self.server.page(attempt.window, number))


def with_all_others(start_ahead: Callable[..., None]) -> Callable[..., None]:
    def start(self: Scan, waiting: object) -> None:
        settled, self.server.settled = self.server.settled, sys.maxsize
        start_ahead(self, waiting)
        self.server.settled = settled

    return start


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
    """What is late, if it is asked for at once, is read by then: four answers have come."""
    scene.open(bots={"support": 450}, knobs=Knobs(latency=0.05))
    yield
    unread = scene.ids("support")[150]

    def go_on() -> None:
        scene.until_now()
        scene.world.chat(unread)

    scene.before_page(2, go_on)
    assert scene.sync().complete
    scene.assert_none_missing()


def one_settles_late(scene: Scene) -> Steps:
    scene.open_synced(bots={"support": LARGE})
    yield
    scene.configure(gptbots={"lookback": "30d"})
    scene.world.settle(scene.ids("support")[9], Decimal("0.0000000001"))
    scene.sync()
    scene.assert_complete()


def one_turns_up_in_the_past(scene: Scene) -> Steps:
    scene.open_synced(bots={"support": LARGE})
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


GUARDS = [
    Guard(
        1, "the last page is read first",
        put("pipelines.gptbots.scan.Scan._read_back", forward), one_goes_on_while_pages_are_read,
        MISSING, (windows_believed, counts_believed),
    ),
    Guard(
        1, "what may still change is read last",
        around("pipelines.gptbots.scan.Scan._start_ahead", with_all_others),
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
]  # fmt: skip
