"""Promise 1: complete. OKChat, by sweeps of the whole list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guards.guard import Guard, always, put
from guards.windows import MISSING, STALE
from pipelines.okchat.walk import Walk, first_shared
from pipelines.simulator import Knobs

if TYPE_CHECKING:
    import pytest

    from guards.guard import Steps
    from guards.scene import Scene
    from pipelines.okchat.scan import Sweep

# What is taken out.

unseen_forgotten = put("pipelines.reconcile._unseen", always({}))


def plain_pages(patched: pytest.MonkeyPatch) -> None:
    """Ask for pages of one size, and believe that each goes on where the last one ended."""
    patched.setattr("pipelines.okchat.walk.first_shared", lambda *of: first_shared(*of) or 0)
    patched.setattr(
        "pipelines.okchat.walk.next_page", lambda end, largest: (end // largest + 1, largest)
    )


async def no_head(self: Sweep) -> str:
    await Walk(self._pages).go()
    return "believed"


async def first_page_alone(self: Sweep) -> str:
    """Stop where the first row is older than the cursor: here that is on page 1."""
    await Walk(self._pages, lambda _: True).go()
    return "believed"


# What happens.


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


WALK = "pipelines.okchat.scan.Sweep._walk"
GUARDS = [
    Guard(1, "pages of a sweep overlap", plain_pages, one_is_deleted_ahead_of_a_sweep, MISSING),
    Guard(
        1, "a sweep reads the head again", put(WALK, no_head), one_jumps_to_the_head_of_a_sweep,
        MISSING,
    ),
    Guard(
        1, "the whole list is read", put(WALK, first_page_alone), one_goes_on_far_down_the_list,
        STALE, (unseen_forgotten,),
    ),
    Guard(
        1, "what is not seen is asked for", unseen_forgotten, one_is_gone_from_a_list,
        "rows are not marked",
    ),
]  # fmt: skip
