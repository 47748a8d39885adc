"""Transcripts: the messages of conversations that changed, and of no others."""

from __future__ import annotations

import signal
from datetime import timedelta
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
import truth
from project import bot

from pipelines import cli, run, tables, transcripts
from pipelines.errors import ConfigurationError, Stopped
from pipelines.simulator import Faults, Knobs
from pipelines.sync import build_models
from pipelines.verify import verify

if TYPE_CHECKING:
    from conftest import MakeWorld, Simulate
    from project import Project, Row

    from pipelines.simulator import Simulator, World
    from pipelines.simulator.wire import Request

ON: dict[str, object] = {"messages": True}
FEW = {"bots": {"support": 12}, "chatbots": {"website": 9}}
WAYS = [
    Knobs(total=total, past_end=past_end, message_order=order, **more)  # type: ignore[arg-type]
    for total, past_end, order in product(
        ("window", "page"), ("empty", "error"), ("oldest_first", "newest_first")
    )
    for more in (
        {"okchat_messages": "all"},
        {"okchat_messages": "pages"},
        {"okchat_messages": "pages", "okchat_page_cap": 11, "gptbots_page_cap": 11},
    )
]


def asked(upstream: Simulator) -> list[str]:
    """The conversations whose messages were asked for, request by request."""
    return [
        logged.params.get("conversation_id") or logged.path.split("/")[-2]
        for logged in upstream.log
        if logged.path.endswith("/messages")
    ]


def message(source: str, conversation: str, sent: Row) -> Row:
    """The row of `chat.messages`; shares no code with what reads it."""
    if source == "gptbots":
        parts = sent["content"][0]["branch_content"]
        pictures = [part for part in parts if part["type"] != "text"]
        own = {
            "message_id": sent["message_id"],
            "parent_message_id": sent["parent_message_id"],
            "sender_type": sent["role"],
            "content": parts[0]["text"],
            "attachments": pictures or None,
            "created_at": truth.of_milliseconds(sent["create_time"]),
        }
    else:
        same = ("sender_type", "content", "model", "provider", "tokens_used")
        own = {
            "message_id": sent["id"],
            "attachments": sent["attachments"] or None,
            "created_at": truth.of_iso(sent["created_at"]),
            **{name: sent[name] for name in same},
        }
    empty = dict.fromkeys(("parent_message_id", "model", "provider", "tokens_used", "extra"))
    return {"source": source, "conversation_id": conversation, **empty, **own}


def wanted(world: World) -> dict[tuple[str, str, str], Row]:
    found = {}
    for api, key in (("gptbots", "conversation_id"), ("okchat", "id")):
        for row in world.truth(api):  # type: ignore[arg-type]
            for sent in world.messages(str(row[key])):
                made = message(api, str(row[key]), sent)
                found[api, made["conversation_id"], made["message_id"]] = made
    return found


def stored(project: Project) -> dict[tuple[str, str, str], Row]:
    found = {}
    for row in project.rows("from chat.messages"):
        kept = {k: v for k, v in row.items() if not k.startswith("_dlt")}
        assert kept.pop("observed_at")
        assert kept.pop("bot")
        for name in ("attachments", "extra"):
            kept[name] = truth.parsed(kept[name])
        key = row["source"], row["conversation_id"], row["message_id"]
        assert key not in found
        found[key] = kept
    return found


def assert_all(project: Project, world: World) -> None:
    """All messages of all conversations are stored, and all transcripts known to be whole."""
    found, right = stored(project), wanted(world)
    assert found.keys() == right.keys()
    for key, row in right.items():
        assert found[key] == row
    told = project.rows("from chat.transcripts where not complete")
    assert told == []
    assert project.count("transcripts") == project.count("conversations")


def due(project: Project) -> dict[str, int | None]:
    return {b.bot: b.transcripts_due for b in project.sync().bots.values()}


@pytest.mark.parametrize("knobs", WAYS[::5])
def test_all_messages_are_stored_whatever_the_api_means(
    project: Project, make_world: MakeWorld, simulate: Simulate, knobs: Knobs
) -> None:
    world = make_world(**FEW)
    project.configure(simulate(world, knobs), gptbots=ON, okchat=ON)
    outcome = project.sync()
    assert outcome.complete
    assert_all(project, world)
    read = {name.bot: of.transcripts for name, of in outcome.bots.items()}
    assert read == {"support": 12, "website": 9}


@pytest.mark.long
@pytest.mark.parametrize("knobs", WAYS)
def test_and_in_every_way(
    project: Project, make_world: MakeWorld, simulate: Simulate, knobs: Knobs
) -> None:
    world = make_world(bots={"support": 60}, chatbots={"website": 60})
    faults = Faults(server_error=0.05, cut_json=0.05, reset=0.05, only="messages")
    project.configure(simulate(world, knobs, faults), gptbots=ON, okchat=ON)
    assert project.sync().complete
    assert_all(project, world)


def test_switched_off_nothing_is_asked_and_nothing_told(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    upstream = simulate(make_world(**FEW))
    project.configure(upstream)
    outcome = project.sync()
    assert asked(upstream) == []
    assert project.count("messages") == project.count("transcripts") == 0
    assert {of.transcripts_due for of in outcome.bots.values()} == {None}


def test_only_changed_conversations_are_asked_for(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(**FEW)
    upstream = simulate(world)
    project.configure(upstream, gptbots=ON, okchat=ON)
    project.sync()
    upstream.clear_log()
    before = project.rows("from chat.transcripts order by all")
    assert project.sync().complete
    assert asked(upstream) == []
    assert project.rows("from chat.transcripts order by all") == before

    world.advance(timedelta(seconds=1), activity=False)
    one, other = (
        str(world.truth("gptbots")[3]["conversation_id"]),
        str(world.truth("okchat")[2]["id"]),
    )
    world.chat(one)
    world.chat(other)
    settled = str(world.truth("gptbots")[1]["conversation_id"])
    world.settle(settled)
    assert project.sync().complete
    assert set(asked(upstream)) == {one, other}
    assert_all(project, world)


def test_an_edited_message_is_replaced_when_its_conversation_goes_on(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(chatbots={"website": 3})
    project.configure(simulate(world), okchat=ON)
    project.sync()
    identity = str(world.truth("okchat")[0]["id"])
    unchanged = project.rows("from chat.messages where conversation_id != ? order by all", identity)
    world.reword(identity, 1, content="another word", model="m")
    world.advance(timedelta(seconds=1), activity=False)
    world.chat(identity)
    project.sync()
    assert_all(project, world)
    others = project.rows("from chat.messages where conversation_id != ? order by all", identity)
    assert others == unchanged
    edited = "select content from chat.messages where content = 'another word' and model = 'm'"
    assert len(project.rows(edited)) == 1


def test_the_newest_come_first_under_the_cap_and_the_rest_is_told(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 12})
    upstream = simulate(world)
    project.configure(upstream, gptbots={**ON, "messages_per_run": 5})
    newest = [str(row["conversation_id"]) for row in world.truth("gptbots")]
    for identity in newest:
        world.edit(identity, message_count=4)
    for left in (7, 2, 0):
        upstream.clear_log()
        outcome = project.sync()
        assert outcome.complete
        assert bot(outcome, "support").transcripts_due == left
        assert sorted(asked(upstream)) == sorted(newest[:5])
        newest = newest[5:]
    assert_all(project, world)


def test_pages_count_under_the_cap_and_what_is_begun_is_ended(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 4})
    newest = [str(row["conversation_id"]) for row in world.truth("gptbots")]
    world.edit(newest[0], message_count=99)
    upstream = simulate(world, Knobs(gptbots_page_cap=20))
    project.configure(upstream, gptbots={**ON, "messages_per_run": 4})
    assert bot(project.sync(), "support").transcripts_due == 3
    assert asked(upstream) == newest[:1] * 5


def test_what_a_kill_left_is_read_by_the_next_sync(
    project: Project, make_world: MakeWorld, simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(bots={"support": 30})
    upstream = simulate(world)
    project.configure(upstream, gptbots=ON)
    monkeypatch.setattr(transcripts, "CHUNK_SECONDS", 0.0)

    def kill(_: Request) -> None:
        if len(asked(upstream)) == 20:
            upstream.on_request = None
            signal.raise_signal(signal.SIGINT)

    upstream.on_request = kill
    with pytest.raises((KeyboardInterrupt, Stopped)):
        project.sync()
    held = project.count("transcripts")
    assert 0 < held < 30
    upstream.clear_log()
    assert project.sync().complete
    assert len(set(asked(upstream))) == 30 - held
    assert_all(project, world)


def test_killed_between_messages_and_their_transcripts_they_are_read_again(
    project: Project, make_world: MakeWorld, simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(bots={"support": 5})
    project.configure(simulate(world), gptbots=ON)

    def die(*_: object) -> None:
        raise Stopped(15)

    with monkeypatch.context() as patched:
        patched.setattr(run.Run, "write", die)
        with pytest.raises(Stopped):
            project.sync()
    assert project.sync().complete
    assert_all(project, world)


def goes_on(world: World, upstream: Simulator, identity: str, times: int) -> None:
    """Let a conversation go on before each of so many pages of it but the first."""
    left = iter(range(times))

    def hook(request: Request) -> None:
        number = int(request.params.get("page", "1"))
        if request.path.endswith("/messages") and number > 1 and next(left, None) is not None:
            world.advance(timedelta(milliseconds=1), activity=False)
            world.chat(identity)

    upstream.on_request = hook


@pytest.mark.parametrize("order", ["oldest_first", "newest_first"])
def test_a_conversation_that_goes_on_while_it_is_read_loses_nothing(
    project: Project,
    make_world: MakeWorld,
    simulate: Simulate,
    order: Any,  # noqa: ANN401 - of the knob's own type
) -> None:
    world = make_world(bots={"support": 1})
    identity = str(world.truth("gptbots")[0]["conversation_id"])
    world.edit(identity, message_count=95)
    upstream = simulate(world, Knobs(message_order=order, gptbots_page_cap=20))
    project.configure(upstream, gptbots=ON)
    goes_on(world, upstream, identity, 3)
    assert bot(project.sync(), "support").transcripts == 1
    assert {key[2] for key in stored(project)} == {key[2] for key in wanted(world)}
    assert due(project) == {"support": 0}
    assert_all(project, world)


def test_one_that_never_holds_still_stays_due(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 1})
    identity = str(world.truth("gptbots")[0]["conversation_id"])
    world.edit(identity, message_count=95)
    upstream = simulate(world, Knobs(gptbots_page_cap=20))
    project.configure(upstream, gptbots=ON)
    goes_on(world, upstream, identity, 1_000)
    outcome = project.sync()
    assert outcome.complete
    assert (bot(outcome, "support").transcripts, bot(outcome, "support").transcripts_due) == (0, 1)
    assert project.count("messages") >= 95
    assert project.count("transcripts") == 0


def test_a_conversation_that_is_gone_is_no_error_and_stops_no_other(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(**FEW)
    upstream = simulate(world, Knobs(error_status=400))
    project.configure(upstream, gptbots=ON, okchat=ON)
    gone = [str(world.truth("gptbots")[4]["conversation_id"]), str(world.truth("okchat")[4]["id"])]

    def go(request: Request) -> None:
        if request.path.endswith("/messages"):
            for identity in gone:
                world.delete(identity)

    upstream.on_request = go
    outcome = project.sync()
    assert outcome.complete
    told = project.rows("select conversation_id, complete from chat.transcripts where not complete")
    assert {row["conversation_id"] for row in told} == set(gone)
    assert project.marked() == set()
    upstream.clear_log()
    assert project.sync().complete
    assert asked(upstream) == []
    assert project.marked() == set(gone)


def test_a_refusal_is_told_once_and_not_asked_for_again(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 6})
    upstream = simulate(world)  # a 200 that says that there is none: not known what that means
    project.configure(upstream, gptbots=ON)
    identity = str(world.truth("gptbots")[5]["conversation_id"])

    def go(request: Request) -> None:
        (world.delete if request.path.endswith("/messages") else world.restore)(identity)

    upstream.on_request = go
    outcome = project.sync()
    (failure,) = bot(outcome, "support").failures
    assert failure.startswith("messages: the API answers with code 40400")
    assert not outcome.complete
    upstream.clear_log()
    assert project.sync().complete
    assert asked(upstream) == []


def test_where_no_conversation_is_found_it_is_not_they_that_are_gone(
    project: Project, make_world: MakeWorld, simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines.gptbots import messages  # noqa: PLC0415 - to be patched

    upstream = simulate(make_world(**FEW))
    project.configure(upstream, gptbots=ON, okchat=ON)
    monkeypatch.setattr(messages, "PATH", "/v2/nothing/messages")
    outcome = project.sync()
    (failure,) = bot(outcome, "support").failures
    assert "not found (HTTP 404)" in failure
    assert bot(outcome, "website").transcripts == 9
    assert bot(outcome, "support").transcripts_due == 12
    assert project.rows("from chat.transcripts where source = 'gptbots'") == []
    assert project.count("conversations") == 21


def test_one_bots_failure_stops_no_other(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 5, "sales": 5}, chatbots={"website": 5})
    upstream = simulate(world)
    project.configure(upstream, gptbots=ON, okchat=ON)

    def choose(request: Request) -> None:
        broken = request.bot == "sales" and request.path.endswith("/messages")
        upstream.faults = Faults(server_error=1.0 if broken else 0.0)

    upstream.on_request = choose
    outcome = project.sync(patience=0.5)
    read = {of.bot: (of.transcripts, of.transcripts_due) for of in outcome.bots.values()}
    assert read == {"support": (5, 0), "sales": (0, 5), "website": (5, 0)}
    assert bot(outcome, "sales").error is None
    assert all(f.startswith("messages: the server failed") for f in bot(outcome, "sales").failures)
    upstream.on_request, upstream.faults = None, Faults()
    assert project.sync().complete
    assert_all(project, world)


def test_a_message_that_cant_be_read_is_put_aside(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 2})
    identity = str(world.truth("gptbots")[0]["conversation_id"])
    world.reword(identity, 2, create_time="soon")
    world.reword(identity, 1, colour="blue", content=None)
    project.configure(simulate(world), gptbots=ON)
    outcome = project.sync()
    assert (bot(outcome, "support").rejected, outcome.complete) == (1, True)
    (row,) = project.rows("from chat.rejected_rows")
    assert row["reason"].startswith("create_time is no instant")
    (odd,) = project.rows("from chat.messages where extra is not null")
    assert (odd["extra"], odd["content"]) == ('{"colour":"blue"}', None)
    assert bot(project.sync(), "support").transcripts_due == 0


def test_the_budget_holds_for_messages_too(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 15})
    upstream = simulate(world, Knobs(requests_per_minute=30, retry_after="seconds"))
    project.configure(upstream, gptbots={**ON, "requests_per_minute": 30})
    assert project.sync().complete
    assert 429 not in [logged.status for logged in upstream.log]


def messages_of(world: World, identity: object) -> list[dict[str, Any]]:
    return world.messages(str(identity))


def test_marts_tell_what_the_messages_say(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(**FEW)
    unread = str(world.truth("gptbots")[-1]["conversation_id"])
    project.configure(simulate(world), gptbots={**ON, "messages_per_run": 11}, okchat=ON)
    for identity in (str(row["conversation_id"]) for row in world.truth("gptbots")):
        world.edit(identity, message_count=4)
    project.sync()
    build_models(project.settings())
    rows = {row["conversation_id"]: row for row in project.rows("from marts.conversations")}
    nothing = ("user_messages", "bot_messages", "tokens", "first_response_seconds")
    assert [rows[unread][name] for name in (*nothing, "last_message_content")] == [None] * 5
    for row in world.truth("gptbots")[:-1]:
        found, said = rows[row["conversation_id"]], messages_of(world, row["conversation_id"])
        # An edit moves no clock, so some messages bear the same instant: the id tells them apart.
        last = max(said, key=lambda message: (message["create_time"], message["message_id"]))
        assert found["last_message_content"] == last["content"][0]["branch_content"][0]["text"]
        assert found["last_message_sender_type"] == last["role"]
        assert (found["user_messages"], found["bot_messages"], found["tokens"]) == (2, 2, None)
        assert found["first_response_seconds"] == 20  # as far as the simulator lets them lie apart
    for row in world.truth("okchat"):
        found, said = rows[row["id"]], messages_of(world, row["id"])
        assert found["tokens"] == (sum(m["tokens_used"] or 0 for m in said) or None)
        assert found["bot_messages"] == sum(m["sender_type"] == "bot" for m in said)
    (bots,) = project.rows("from marts.bot_summary where source = 'gptbots'")
    assert (bots["transcripts"], bots["median_first_response_seconds"]) == (11, 20)


def test_the_summary_and_status_tell_what_is_due_where_it_is_on(
    project: Project,
    make_world: MakeWorld,
    simulate: Simulate,
    capsys: pytest.CaptureFixture[str],
) -> None:
    project.configure(simulate(make_world(**FEW)), okchat={**ON, "messages_per_run": 1})

    def told(*command: str) -> str:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("sys.argv", ["convoy", *command])
            with pytest.raises(SystemExit) as ended:
                cli.main()
        assert not ended.value.code
        return capsys.readouterr().out

    assert ", 1 transcripts, " in (said := told("sync", "--no-models"))
    assert ", 8 transcripts still due, " in said
    assert "okchat website: 1 transcripts read, 8 due\n" in (said := told("status"))
    assert "gptbots support: " not in said
    assert "okchat website: 8 transcripts due\n" in told("verify")
    project.configure(simulate(make_world(**FEW)))
    assert "transcripts" not in told("status") + told("verify")


def test_a_warehouse_of_an_earlier_version_gets_the_tables(
    project: Project, make_world: MakeWorld, simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(**FEW)
    project.configure(simulate(world))
    with monkeypatch.context() as earlier:
        earlier.setattr(tables, "ALL", (*tables.CORE, *tables.BOOKS))
        project.sync()
    project.configure(simulate(world), gptbots=ON, okchat=ON)
    with pytest.raises(ConfigurationError, match="earlier version of Convoy; run `convoy sync`"):
        verify(project.settings(), patience=20.0)
    assert project.sync().complete
    assert_all(project, world)
