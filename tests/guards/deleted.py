"""Promise 6: what is deleted upstream is marked, after proof alone."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from project import bot

from guards.complete import counts_believed
from guards.guard import Guard, always, always_later, put, reword
from pipelines.gptbots.history import History
from pipelines.okchat import scan
from pipelines.okchat.lookup import Lookup

if TYPE_CHECKING:
    import pyarrow as pa
    import pytest

    from guards.guard import Steps
    from guards.scene import Scene
    from pipelines.errors import ApiError
    from pipelines.interpret import Interpreted
    from pipelines.jobs import BotName, OkchatTask
    from pipelines.live import Gone
    from pipelines.run import Run

WRONGLY = "rows are marked that are there"
SAME_ACTIVITY = "and c.last_activity_at = gone.last_activity_at"

# What is taken out.


def whatever_is_known(patched: pytest.MonkeyPatch) -> None:
    patched.setattr(
        "pipelines.reconcile._Marking.gone", lambda self, name: dict(self._run.gone[name])
    )


moved_on_marked = reword("pipelines.live._MARK", SAME_ACTIVITY, "")


def nothing_is_an_answer(patched: pytest.MonkeyPatch) -> None:
    fail = History._count

    async def count(self: History, known: int) -> None:
        patched.setattr("pipelines.gptbots.history.NothingThere", _Silent)
        try:
            await fail(self, known)
        except _Silent:
            self.counted = 0

    patched.setattr(History, "_count", count)


class _Silent(Exception):
    """Stands for an error that is not raised."""


def nothing_is_a_list(patched: pytest.MonkeyPatch) -> None:
    def seen(rows: Interpreted) -> pa.Array:
        return ids(rows) if len(rows.table) else [""]

    ids = scan.ids
    patched.setattr(scan, "ids", seen)


def not_asked_whether_alive(patched: pytest.MonkeyPatch) -> None:
    def lookup(task: OkchatTask) -> Lookup:
        return Lookup(task.api.one, always_later(None))

    patched.setattr("pipelines.reconcile._lookup", lookup)


# What happens.


def one_hides_while_its_window_is_read(scene: Scene) -> Steps:
    scene.open_synced(bots={"support": 40})
    yield
    newest = scene.ids("support")[0]
    scene.before_request(1, lambda: scene.world.delete(newest))
    scene.before_request(2, lambda: scene.world.restore(newest))
    scene.sync()
    scene.assert_marked()


def one_moves_on_to_a_later_chunk(scene: Scene) -> Steps:
    """It is not in its window any more, and turns up in the next."""
    scene.open_synced(bots={"support": 150})
    scene.configure(gptbots={"lookback": "100d"})
    scene.patched.setattr("pipelines.run.CHUNK_ROWS", 1)
    scene.patched.setattr("pipelines.reader.READY_ROWS", 1)
    yield
    unread = scene.ids("support")[130]

    def go_on() -> None:
        scene.until_now()
        scene.world.chat(unread)

    scene.before_page(2, go_on)
    scene.sync()
    scene.assert_marked()


def all_are_gone_from_a_bot(scene: Scene) -> Steps:
    scene.open_synced(bots={"support": 8})
    yield
    _delete(scene, "support", 8)
    outcome = scene.sync()
    assert not outcome.complete, "it calls itself complete"
    assert "no conversation at all" in str(bot(outcome, "support").error)
    scene.assert_marked()


def all_are_hidden_from_a_list(scene: Scene) -> Steps:
    scene.open_synced(chatbots={"web": 8})
    yield
    _delete(scene, "web", 8)
    outcome = scene.sync()
    scene.assert_marked()
    assert "no conversation at all" in str(bot(outcome, "web").error)


def many_are_gone(scene: Scene) -> Steps:
    scene.open_synced(chatbots={"web": 40})
    yield
    _delete(scene, "web", 20)
    outcome = scene.sync()
    scene.assert_marked()
    assert "20 of 40 conversations seem to be gone" in str(bot(outcome, "web").error)


def a_chatbot_goes_while_it_is_asked(scene: Scene) -> Steps:
    scene.open_synced(chatbots={"web": 8})
    yield
    hidden = scene.ids("web")[3]
    scene.world.delete(hidden)

    def end() -> None:
        scene.world.restore(hidden)
        scene.world.remove_bot("web")

    scene.once(lambda request: request.path.endswith(hidden), end)
    scene.sync()
    scene.assert_marked()


def one_comes_back(scene: Scene) -> Steps:
    scene.open_synced(bots={"support": 40}, chatbots={"web": 40})
    back = scene.ids("support")[0], scene.ids("web")[7]
    for row in back:
        scene.world.delete(row)
    scene.sync()
    scene.assert_marked(*back)
    for row in back:
        scene.world.restore(row)
    yield
    scene.sync()
    scene.assert_marked()
    scene.assert_complete()


def a_name_stands_for_another(scene: Scene, former: str, **world: dict[str, int]) -> Steps:
    """The former bot is as it was; it is only not read any more."""
    scene.open_synced(**world, configured=[former])
    yield
    _repoint(scene, former, "other")
    assert scene.sync().complete
    scene.assert_marked()


another_bot = partial(a_name_stands_for_another, former="support", bots={"support": 8, "other": 40})
another_chatbot = partial(a_name_stands_for_another, former="web", chatbots={"web": 8, "other": 40})


def _delete(scene: Scene, name: str, number: int) -> None:
    for row in scene.ids(name)[:number]:
        scene.world.delete(row)


def _repoint(scene: Scene, name: str, other: str) -> None:
    """Give a name the key, and the id if there is one, of another account."""
    was, now = scene.world.accounts[name], scene.world.accounts[other]
    secrets = scene.project.folder / ".dlt" / "secrets.toml"
    text = secrets.read_text(encoding="utf-8")
    secrets.write_text(text.replace(was.key, now.key).replace(was.id, now.id), encoding="utf-8")


GUARDS = [
    Guard(
        6, "the count must agree", counts_believed, one_hides_while_its_window_is_read, WRONGLY
    ),
    Guard(
        6, "what is known to have moved on is not gone", whatever_is_known,
        one_moves_on_to_a_later_chunk, WRONGLY, (moved_on_marked, counts_believed),
    ),
    Guard(
        6, "what has moved on is not marked", moved_on_marked,
        one_moves_on_to_a_later_chunk, WRONGLY, (whatever_is_known, counts_believed),
    ),
    Guard(
        6, "a bot without any is an error", nothing_is_an_answer, all_are_gone_from_a_bot,
        "it calls itself complete",
    ),
    Guard(
        6, "a list without any is an error", nothing_is_a_list, all_are_hidden_from_a_list, WRONGLY
    ),
    Guard(
        6, "no more than a share", put("pipelines.reconcile._Marking.allows", always(value=True)),
        many_are_gone, WRONGLY,
    ),
    Guard(
        6, "a chatbot must still be there", not_asked_whether_alive,
        a_chatbot_goes_while_it_is_asked, WRONGLY,
    ),
    Guard(
        6, "what comes back is unmarked",
        reword("pipelines.news._CONVERSATIONS", "new.deleted_at", "old.deleted_at"),
        one_comes_back, WRONGLY,
    ),
    Guard(
        6, "the rows of another bot are not this one's",
        reword("pipelines.live._ABSENT", "and (c.bot_id is null or c.bot_id = w.bot_id)", ""),
        another_bot, WRONGLY, (counts_believed,),
    ),
    Guard(
        6, "the rows of another chatbot are not this one's",
        reword("pipelines.live._UNSEEN", "and (bot_id is null or bot_id = ?)", "and ? <> ''"),
        another_chatbot, WRONGLY,
    ),
]  # fmt: skip
