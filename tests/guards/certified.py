"""Promise 2: certified, or an error."""

from __future__ import annotations

import signal
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from project import bot
from typer.testing import CliRunner

from guards.guard import Guard, always, always_later, around, put
from guards.windows import MISSING, counts_believed
from pipelines import cli
from pipelines.errors import NotCertified
from pipelines.simulator import Knobs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from guards.guard import Steps
    from guards.scene import Scene
    from pipelines.gptbots.scan import Scan
    from pipelines.gptbots.windows import Window
    from pipelines.reading import Reading

    Evidence = Callable[[Scan, Any], Awaitable[str | None]]
    Windows = Callable[[Scan, Sequence[Window]], AsyncIterator[Reading]]

# What is taken out.


def page_1_alone(evidence: Evidence) -> Evidence:
    async def believing(self: Scan, attempt: Any) -> str | None:  # noqa: ANN401 - the scan's own
        same = attempt.first.ids == attempt.pages[-1].ids
        return "believed" if same else await evidence(self, attempt)

    return believing


def counts_alone(evidence: Evidence) -> Evidence:
    async def believing(self: Scan, attempt: Any) -> str | None:  # noqa: ANN401 - the scan's own
        same = attempt.first.total == attempt.pages[-1].total == len(attempt.ids)
        return "believed" if same else await evidence(self, attempt)

    return believing


def silent(windows: Windows) -> Windows:
    async def quiet(self: Scan, of: Sequence[Window]) -> AsyncIterator[Reading]:
        with suppress(NotCertified):
            async for reading in windows(self, of):
                yield reading

    return quiet


# What happens.


def one_turns_up_among_pages(scene: Scene) -> Steps:
    """It sends the last of page 2 to page 3, which has been read; page 1 stays as it was."""
    scene.open(bots={"support": 250})
    yield
    beside = scene.world.accounts["support"].timeline.rows()[-150]

    def turn_up() -> None:
        begun = scene.world.begin("support")
        scene.world.edit(begun, recent_chat_time=beside.moment)

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


EVIDENCE = "pipelines.gptbots.scan.Scan._evidence"
GUARDS = [
    Guard(
        2, "the count afterwards", around(EVIDENCE, page_1_alone), one_turns_up_among_pages,
        MISSING, (counts_believed,),
    ),
    Guard(
        2, "page 1 once more", around(EVIDENCE, counts_alone), one_begins_as_another_is_deleted,
        MISSING,
    ),
    Guard(
        2, "page 2 is asked for where pages may be capped",
        put("pipelines.gptbots.scan.Scan._nothing_follows", always_later(value=True)),
        pages_are_capped_and_counted_alone, MISSING, (counts_believed,),
    ),
    Guard(
        2, "what does not hold still is an error",
        around("pipelines.gptbots.scan.Scan.windows", silent), nothing_holds_still,
        "calls itself complete", (counts_believed,),
    ),
    Guard(
        2, "what failed ends with 1",
        put("pipelines.outcome.Outcome.complete", property(always(value=True))),
        a_key_is_rejected, "ends as if all were well",
    ),
]  # fmt: skip
