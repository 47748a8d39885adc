"""Promise 6: what is deleted upstream is marked, after proof alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from project import bot

from guards.guard import Guard, always, always_later, around, put, reword
from guards.windows import LARGE, counts_believed
from pipelines.errors import NothingThere
from pipelines.okchat.lookup import Lookup

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from guards.guard import Steps
    from guards.scene import Scene
    from pipelines.gptbots.history import History
    from pipelines.interpret import Interpreted
    from pipelines.jobs import OkchatTask

WRONGLY = "rows are marked that are there"
TWO_BOTS: dict[str, Any] = {"bots": {"support": LARGE, "other": 200}}
TWO_CHATBOTS: dict[str, Any] = {"chatbots": {"web": 8, "other": 40}}

# What is taken out.


whatever_is_known = put(
    "pipelines.reconcile._Marking.gone", lambda self, name: dict(self._run.gone[name])
)
any_share_marked = put("pipelines.reconcile._Marking.allows", always(value=True))
moved_on_marked = reword(
    "pipelines.live._MARK", "and c.last_activity_at = gone.last_activity_at", ""
)


def nothing_is_an_answer(count: Callable[[History, int], Awaitable[None]]) -> object:
    async def counted(self: History, known: int) -> None:
        try:
            await count(self, known)
        except NothingThere:
            self.counted = 0

    return counted


def nothing_is_a_list(ids: Callable[[Interpreted], object]) -> Callable[[Interpreted], object]:
    return lambda rows: ids(rows) if len(rows.table) else [""]


def not_asked_whether_alive(task: OkchatTask) -> Lookup:
    return Lookup(task.api.one, always_later(None))


# What happens.


def one_hides_while_its_window_is_read(scene: Scene) -> Steps:
    scene.open_synced(bots={"support": LARGE})
    scene.configure(gptbots={"lookback": "10d"})  # with others beside it
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
    scene.open_synced(**TWO_BOTS, configured=["support"])
    yield
    _delete(scene, "support", LARGE)
    outcome = scene.sync()
    assert not outcome.complete
    error = str(bot(outcome, "support").error)
    assert "no conversation at all" in error, "it does not say what is wrong"
    scene.assert_marked()


def all_are_hidden_from_a_list(scene: Scene) -> Steps:
    scene.open_synced(**TWO_CHATBOTS, configured=["web"])
    yield
    _delete(scene, "web", 8)
    outcome = scene.sync()
    scene.assert_marked()
    assert "no conversation at all" in str(bot(outcome, "web").error)


def many_are_gone(scene: Scene) -> Steps:
    scene.open_synced(chatbots={"web": 25})
    yield
    _delete(scene, "web", 12)
    outcome = scene.sync()
    scene.assert_marked()
    assert "12 of 25 conversations seem to be gone" in str(bot(outcome, "web").error)


def a_chatbot_goes_while_it_is_asked(scene: Scene) -> Steps:
    scene.open_synced(chatbots={"web": 25})
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
    scene.open_synced(chatbots={"web": 25})
    back = scene.ids("web")[7]
    scene.world.delete(back)
    scene.sync()
    scene.assert_marked(back)
    scene.world.restore(back)
    yield
    scene.sync()
    scene.assert_marked()
    scene.assert_complete()


def another_bot(scene: Scene) -> Steps:
    """The former bot is as it was; it is only not read any more."""
    scene.open_synced(**TWO_BOTS, configured=["support"])
    yield
    _repoint(scene, "support", "other")
    assert scene.sync().complete
    scene.assert_marked()


def another_chatbot(scene: Scene) -> Steps:
    scene.open_synced(**TWO_CHATBOTS, configured=["web"])
    yield
    _repoint(scene, "web", "other")
    assert scene.sync().complete
    scene.assert_marked()


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
        one_moves_on_to_a_later_chunk, WRONGLY, (moved_on_marked, counts_believed), is_long=True,
    ),
    Guard(
        6, "what has moved on is not marked", moved_on_marked,
        one_moves_on_to_a_later_chunk, WRONGLY, (whatever_is_known, counts_believed),
    ),
    Guard(
        6, "a bot without any is an error",
        around("pipelines.gptbots.history.History._count", nothing_is_an_answer),
        all_are_gone_from_a_bot, "it does not say what is wrong",
    ),
    Guard(
        6, "a list without any is an error",
        around("pipelines.okchat.scan.ids", nothing_is_a_list), all_are_hidden_from_a_list, WRONGLY,
    ),
    Guard(
        6, "no more than a share", any_share_marked, many_are_gone, WRONGLY,
    ),
    Guard(
        6, "a chatbot must still be there",
        put("pipelines.reconcile._lookup", not_asked_whether_alive),
        a_chatbot_goes_while_it_is_asked, WRONGLY,
    ),
    Guard(
        6, "what comes back is unmarked",
        reword("pipelines.news._CONVERSATIONS", "new.deleted_at", "old.deleted_at"),
        one_comes_back, WRONGLY,
    ),
    Guard(
        6, "the rows of another bot are not this one's",
        reword("pipelines.live._ABSENT", "c.bot_id = w.bot_id or", "c.bot = w.bot or"),
        another_bot, WRONGLY, (counts_believed, any_share_marked),
    ),
    Guard(
        6, "the rows of another chatbot are not this one's",
        reword("pipelines.live._UNSEEN", "and c.bot_id = $1", "and $1 <> ''"),
        another_chatbot, WRONGLY,
    ),
]  # fmt: skip
