"""Whole syncs, from the APIs' answers to the rows of the warehouse."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import sys
import zlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import msgspec
import pytest
from dlt.destinations.exceptions import DatabaseTerminalException
from dying import JOBS, dying
from project import Project, assert_equal_to_truth, bot
from upstream import EVERY_WAY, chatting

from pipelines import run as running
from pipelines.errors import ConvoyError, WarehouseBusy, WarehouseFailed
from pipelines.loader import Loader
from pipelines.lock import locked
from pipelines.simulator import ABSENT, Faults, Knobs, World

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import MakeWorld, Simulate

    from pipelines.simulator import Request

MINUTE = timedelta(minutes=1)


def test_all_bots_of_both_apis_are_loaded(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(
        bots={"support": 450, "sales": 30, "idle": 0}, chatbots={"web": 130, "new": 0}
    )
    project.configure(simulate(world))
    outcome = project.sync()
    assert outcome.complete
    assert outcome.rows_loaded == 610
    assert_equal_to_truth(project, world)


def test_a_sync_with_nothing_new_asks_little_and_loads_nothing(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 450, "idle": 0}, chatbots={"web": 130})
    upstream = simulate(world)
    project.configure(upstream)
    project.sync()
    before = project.counts()
    upstream.clear_log()
    outcome = project.sync()
    assert (outcome.complete, outcome.rows_loaded, outcome.changes) == (True, 0, 0)
    assert bot(outcome, "support").requests <= 2
    assert bot(outcome, "idle").requests <= 2
    assert outcome.requests == len(upstream.log)
    assert project.counts() == before


def test_what_changes_is_loaded_and_observed(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 120}, chatbots={"web": 40})
    project.configure(simulate(world))
    project.sync()
    world.advance(MINUTE / 2, activity=False)
    moved = [world.truth("gptbots")[-1]["conversation_id"], world.truth("okchat")[-1]["id"]]
    for conversation_id in moved:
        world.chat(str(conversation_id))
    begun = [world.begin("support"), world.begin("web")]
    outcome = project.sync()
    assert (outcome.rows_loaded, outcome.changes) == (4, 4)
    assert_equal_to_truth(project, world)
    observed = "select count(*) as n from chat.conversation_changes where conversation_id = ?"
    assert [project.rows(observed, i)[0]["n"] for i in [*moved, *begun]] == [2, 2, 1, 1]


def test_a_late_settlement_within_the_lookback_is_a_change(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 20})
    latest = world.begin("support", cost_credit=Decimal("0.1"))
    project.configure(simulate(world))
    project.sync()
    world.settle(latest, Decimal("0.0000000001"))
    outcome = project.sync()
    assert (outcome.rows_loaded, outcome.changes) == (1, 1)
    query = "select cost_credit from chat.conversations where conversation_id = ?"
    assert project.rows(query, latest) == [{"cost_credit": Decimal("0.1000000001")}]
    assert_equal_to_truth(project, world)


def test_without_a_lookback_the_newest_conversation_is_still_read_again(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 20})
    latest = world.begin("support")
    project.configure(simulate(world), gptbots={"lookback": "0"})
    project.sync()
    world.settle(latest, Decimal("0.25"))
    project.sync()
    assert_equal_to_truth(project, world)


# The published samples, to the last digit.


@pytest.fixture
def samples(project: Project, simulate: Simulate) -> Project:
    project.configure(simulate(World.samples()))
    assert project.sync().complete
    return project


def at(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC)


def test_the_published_gptbots_page_is_loaded_exactly(samples: Project) -> None:
    rows = samples.rows(
        "select conversation_id, user_id, recent_chat_time, last_activity_at, subject, channel,"
        " message_count, cost_credit, bot_id, bot, extra"
        " from chat.conversations where source = 'gptbots' order by recent_chat_time"
    )
    older, newer = at("2023-08-28 03:54:22.160"), at("2023-09-13 02:42:32.383")
    same = {"channel": "API", "bot_id": "64b902a84f1ff25d1c60c10b", "bot": "support", "extra": None}
    assert rows == [
        {
            "conversation_id": "64ec1508c9c1ed5605e6ff28",
            "user_id": "33",
            "recent_chat_time": older,
            "last_activity_at": older,
            "subject": "Hello!",
            "message_count": 20,
            "cost_credit": Decimal("0.5900000000"),
            **same,
        },
        {
            "conversation_id": "AaACmo05Yrqb6bOSTbsg",
            "user_id": "3",
            "recent_chat_time": newer,
            "last_activity_at": newer,
            "subject": "2+3=?",
            "message_count": 2,
            "cost_credit": Decimal("0.0100000000"),
            **same,
        },
    ]


def test_the_published_okchat_conversations_are_loaded_exactly(samples: Project) -> None:
    rows = samples.rows(
        "select conversation_id[:8] as id, channel, created_at, updated_at, sns_user_id,"
        " voice_path, metadata from chat.conversations where source = 'okchat'"
        " order by created_at desc"
    )
    anonymous, voice = '{"anonymous":true}', '{"type":"voice_chat"}'
    wanted = [
        ("dcda7e8a", "navertalktalk", "2025-03-07 04:56:09.200005", "2025-03-07 05:22:28.209148",
         "icdghyH6SYeJw3ROn9mBnQ", None, anonymous),
        ("ed712d96", "whatsapp", "2025-03-07 04:07:44.813178", "2025-03-07 04:53:03.972374",
         "489235447595858", None, anonymous),
        ("eb7a6c37", "instagram", "2025-03-07 03:49:53.756919", "2025-03-07 03:59:23.465365",
         "1459433351416106", None, anonymous),
        ("0c1a8eca", "facebook-messenger", "2025-03-06 10:46:18.360536",
         "2025-03-06 10:46:42.182706", "8418351301605909", None, anonymous),
        ("a037c34d", "web", "2025-03-06 02:30:18.377841", "2025-03-06 02:30:18.452290",
         "cec8d472-bdaf-4407-af7c-a62ec0c9ee06", None, anonymous),
        ("e59e2971", "voice", "2025-03-05 11:12:17.101138", "2025-03-05 11:12:18.961956",
         None, "conversation-voice_assistant_room_9570.ogg", voice),
        ("d7d055ba", "web", "2025-03-05 07:24:46.364129", "2025-03-07 03:22:59.522124",
         "7741e133-905d-4df6-84ce-d993d474b803", None, anonymous),
        ("f081d259", "web", "2025-03-05 04:25:58.001608", "2025-03-06 07:11:47.450727",
         "3079d695-9d0d-48a1-85e7-d4b58fcaf7d2", None, anonymous),
        ("f894a0d1", "line", "2025-03-04 09:17:00.022677", "2025-03-06 08:25:43.101814",
         "U373c7c38f171b392ca2076e9b48fc43d", None, anonymous),
        ("347485ad", "voice", "2025-03-04 02:30:36.098658", "2025-03-04 02:30:37.581999",
         None, "conversation-voice_assistant_room_3745.ogg", voice),
    ]  # fmt: skip
    assert [tuple(row.values()) for row in rows] == [
        (name, channel, at(created), at(updated), *rest)
        for name, channel, created, updated, *rest in wanted
    ]
    same = samples.rows(
        "select distinct bot_id, bot, state, active, is_human_mode, migrated_data, user_id, extra,"
        " last_activity_at = updated_at as follows from chat.conversations where source = 'okchat'"
    )
    assert same == [
        {
            "bot_id": "5afe16ed-5fd2-4552-a993-903bc9c32bb6",
            "bot": "website",
            "state": "in_progress",
            "active": True,
            "is_human_mode": False,
            "migrated_data": False,
            "user_id": None,
            "extra": None,
            "follows": True,
        }
    ]


def test_the_published_last_messages_are_loaded_exactly(samples: Project) -> None:
    rows = samples.rows(
        "select conversation_id[:8] as id, message_id, sender_type, content, updated_at, extra,"
        " removed from chat.last_messages order by updated_at"
    )
    guide = (
        "A short guide to sitting still:\n\n1. **Pick a quiet room**: close the door.\n"
        "2. **Sit upright**: both feet on the floor.\n"
        "3. **Breathe**: count to ten, then start again.\n\nAsk me if you want more."
    )
    wanted = [
        ("a037c34d", None, None, "Where should I go in Bangkok?", "2025-03-06 02:30:18.452290"),
        ("f081d259", None, None, "what is in this picture", "2025-03-06 07:11:47.450727"),
        ("f894a0d1", "6d9c2f04-55aa-4f99-9406-079b9b535a72", "bot",
         "The sun stands low between two towers.", "2025-03-06 08:25:43.101814"),
        ("0c1a8eca", "ebf041c9-aae7-44a4-9fd6-c6e8dc4f9124", "bot",
         "A skyline at dusk, mirrored in the water below it.", "2025-03-06 10:46:42.182706"),
        ("d7d055ba", None, None, "what do these pictures show", "2025-03-07 03:22:59.522124"),
        ("eb7a6c37", "f13d3681-7f6e-40ba-b9ec-da28bb6eb342", "bot",
         "A calm sunset; nothing else is in the picture.", "2025-03-07 03:59:23.465365"),
        ("ed712d96", "c8956c02-b6a1-4b5f-ab2f-04256bfbec49", "bot",
         "I don't know that building. Tell me the city and I can look again.",
         "2025-03-07 04:53:03.972374"),
        ("dcda7e8a", "4004e76a-4f6f-4d25-94bc-e0a8aca8a091", "bot", guide,
         "2025-03-07 05:22:28.209148"),
    ]  # fmt: skip
    assert [tuple(row.values()) for row in rows] == [
        (*known, at(updated), None, None) for *known, updated in wanted
    ]


def test_the_newer_envelope_of_the_samples_is_loaded_too(
    project: Project, simulate: Simulate
) -> None:
    world = World.samples("data")
    project.configure(simulate(world))
    assert project.sync().complete
    assert project.count("conversations") == 2 + 3
    assert_equal_to_truth(project, world)


def test_a_row_updated_after_the_cursor_but_created_before_it_arrives(
    project: Project, simulate: Simulate
) -> None:
    """The seventh row of the sample, created below the fourth, updated after it."""
    world = World.samples()
    seventh = "d7d055ba-1083-4bef-b040-df2b16bcb00f"
    updated = str(next(r for r in world.truth("okchat") if r["id"] == seventh)["updated_at"])
    world.edit(seventh, updated_at="2025-03-05T07:24:46.364129+00:00", last_message=None)
    for row in world.truth("okchat")[:3]:
        world.delete(str(row["id"]))
    project.configure(simulate(world))
    cursor = bot(project.sync(), "website").cursor
    world.edit(seventh, updated_at=updated, last_message="what do these pictures show")
    outcome = project.sync()
    assert cursor is not None
    assert at("2025-03-05 07:24:46.364129") < cursor < at("2025-03-07 03:22:59.522124")
    assert bot(outcome, "website").rows_loaded == 1
    assert_equal_to_truth(project, world)


# Bots side by side.


def test_a_bot_added_later_gets_its_whole_history(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 120, "later": 150}, chatbots={"web": 20, "later-too": 30})
    upstream = simulate(world)
    project.configure(upstream, bots=["support", "web"])
    project.sync()
    assert_equal_to_truth(project, world, "support", "web")
    project.configure(upstream)
    outcome = project.sync()
    assert bot(outcome, "support").rows_loaded == 0
    assert_equal_to_truth(project, world)


def test_names_of_bots_may_hold_anything(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"a.b": 5, "b": 5, "[c]'": 5}, chatbots={"x/y": 5, "api_key": 5})
    project.configure(simulate(world))
    project.sync()
    outcome = project.sync()
    assert (outcome.complete, outcome.rows_loaded) == (True, 0)
    assert all(of.cursor is not None for of in outcome.bots.values())
    assert_equal_to_truth(project, world)


def test_only_the_chosen_source_is_read(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 5}, chatbots={"web": 5})
    upstream = simulate(world)
    project.configure(upstream)
    assert project.sync(sources=["okchat"]).complete
    assert {logged.bot for logged in upstream.log} == {"web"}
    assert_equal_to_truth(project, world, "web")


def revoke(world: World, name: str) -> None:
    world.revoke(name)


def remove(world: World, name: str) -> None:
    world.remove_bot(name)


@pytest.mark.parametrize("error_status", [200, 400])
@pytest.mark.parametrize("fails", [revoke, remove])
def test_bots_that_are_refused_leave_the_others_complete(
    project: Project,
    make_world: MakeWorld,
    simulate: Simulate,
    fails: Callable[[World, str], None],
    error_status: Any,  # noqa: ANN401 - of the knob's own type
) -> None:
    world = make_world(bots={"support": 120, "sales": 30}, chatbots={"web": 20, "shop": 30})
    for name in ("sales", "shop"):
        fails(world, name)
    project.configure(simulate(world, Knobs(error_status=error_status)))
    outcome = project.sync()
    assert not outcome.complete
    failed = {key.bot: str(of.error) for key, of in outcome.bots.items() if of.error}
    assert failed.keys() == {"sales", "shop"}
    assert all(name in error for name, error in failed.items())
    assert_equal_to_truth(project, world, "support", "web")


def test_why_a_bot_was_not_read_stands_beside_its_certificates(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 3, "sales": 3})
    project.configure(simulate(world))
    assert project.sync().complete
    world.revoke("sales")
    failed = str(bot(project.sync(), "sales").error)
    latest = project.rows("""
        select bot, certified, kind, evidence from chat.sync_windows
        qualify row_number() over (partition by bot order by finished_at desc) = 1 order by bot
    """)
    assert latest[0] == {"bot": "sales", "certified": False, "kind": "failure", "evidence": failed}
    assert latest[1]["certified"]
    assert "key-sales" not in failed


def test_an_api_that_is_down_leaves_the_other_complete(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 120}, chatbots={"web": 20})
    upstream = simulate(world, faults=Faults(server_error=1.0, only="/v1/"))
    project.configure(upstream)
    outcome = project.sync(patience=0.5)
    assert not outcome.complete
    assert "support" in str(bot(outcome, "support").error)
    assert_equal_to_truth(project, world, "web")
    upstream.faults = Faults()
    assert project.sync().complete
    assert_equal_to_truth(project, world)


def test_a_server_down_for_one_bot_leaves_the_others_complete(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 30}, chatbots={"web": 20, "shop": 30})
    project.configure(
        simulate(world, faults=Faults(server_error=1.0, only=world.chatbot_ids["shop"]))
    )
    outcome = project.sync(patience=0.5)
    assert [key.bot for key, of in outcome.bots.items() if of.error] == ["shop"]
    assert_equal_to_truth(project, world, "support", "web")


def test_passing_faults_cost_nothing_but_requests(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 1200}, chatbots={"web": 60})
    faults = Faults(
        rate_limited=0.05, server_error=0.05, reset=0.05, truncated=0.05, cut_json=0.05,
        not_json=0.05, empty_body=0.05, slow=0.05, slow_seconds=0.01,
    )  # fmt: skip
    upstream = simulate(world, faults=faults)
    project.configure(upstream, okchat={"page_size": 7})
    assert project.sync().complete
    assert sum(logged.fault is not None for logged in upstream.log) > 3
    assert_equal_to_truth(project, world)


# Shapes of rows.


def test_a_last_message_that_disappears_loses_its_row(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(chatbots={"web": 5})
    gone, stays = world.begin("web", last_message="hello"), world.begin("web", last_message="hi")
    project.configure(simulate(world))
    project.sync()
    query = "select conversation_id from chat.last_messages where conversation_id in (?, ?)"
    assert len(project.rows(query, gone, stays)) == 2
    world.edit(gone, last_message=None)
    project.sync()
    assert project.rows(query, gone, stays) == [{"conversation_id": stays}]
    assert_equal_to_truth(project, world)
    assert project.sync().rows_loaded == 0


def test_a_last_message_that_appears_and_changes_shape_is_followed(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(chatbots={"web": 5})
    row = world.begin("web", last_message=None)
    project.configure(simulate(world))
    for message in (None, "text", {"id": "7", "sender_type": "bot", "content": "object"}, "text"):
        world.edit(row, last_message=message)
        project.sync()
        assert_equal_to_truth(project, world)


UNKNOWN = {
    "sentiment": {"score": Decimal("0.12345678901234567890"), "tags": ["a", None, True]},
    "huge": 10**30,
    "tiny": Decimal("1E-400"),
    "text": "émoji 🙂, nul \x00, quote ' and \" and \\",
}


def test_unknown_fields_are_kept_in_extra(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 3}, chatbots={"web": 3})
    world.begin("support", **UNKNOWN)
    message = {"id": "1", "sender_type": "bot", "content": "hi", "attachments": [UNKNOWN]}
    world.begin("web", last_message=message, **UNKNOWN)
    project.configure(simulate(world))
    outcome = project.sync()
    assert (outcome.complete, project.count("rejected_rows")) == (True, 0)
    assert_equal_to_truth(project, world)
    assert project.sync().rows_loaded == 0


def test_texts_of_any_kind_survive(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 0})
    for subject in (
        "",
        " ",
        "null",
        "a\tb\r\nc",
        "nul \x00 inside",
        "🙂" * 5000,
        "'; drop --",
        None,
    ):
        world.begin("support", subject=subject)
    project.configure(simulate(world))
    assert project.sync().complete
    assert_equal_to_truth(project, world)
    assert project.sync().rows_loaded == 0


SECRET = "tok_never_in_the_warehouse"
BAD: list[tuple[str, dict[str, object], str]] = [
    ("support", {"recent_chat_time": "yesterday"}, "recent_chat_time is no instant: 'yesterday'"),
    ("support", {"recent_chat_time": None}, "recent_chat_time is missing"),
    ("support", {"message_count": 1.5}, "message_count is no whole number: Decimal('1.5')"),
    ("support", {"cost_credit": "free"}, "cost_credit is no number: 'free'"),
    ("web", {"updated_at": ABSENT}, "updated_at is missing"),
    ("web", {"active": "yes"}, "active is neither true nor false: 'yes'"),
    ("web", {"active": {"session_token": SECRET}}, "active is neither true nor false: {}"),
]


def test_bad_rows_are_kept_aside_once_with_their_reasons(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 3}, chatbots={"web": 3})
    sent, wanted = {}, set()
    for name, fields, reason in BAD:
        bad = world.begin(name)
        secrets = {"session_token": SECRET, "nested": [{"session_token": SECRET, "x": 1}]}
        world.edit(bad, **secrets, **fields)
        sent[bad] = next(r for r in world.truth(world.accounts[name].api) if bad in r.values())
        wanted.add((name, reason))
    project.configure(simulate(world))
    for _ in range(2):
        outcome = project.sync()
        assert (bot(outcome, "support").rejected, bot(outcome, "web").rejected) == (4, 3)
    rows = project.rows("select bot, reason, raw from chat.rejected_rows")
    assert len(rows) == len(BAD)
    assert {(row["bot"], row["reason"]) for row in rows} == wanted
    for row in rows:
        raw = json.loads(row["raw"])
        fields = sent[raw.get("conversation_id") or raw["id"]]
        assert raw.keys() == fields.keys() - {"session_token"}
        assert raw["nested"] == [{"x": 1}]
        assert SECRET not in json.dumps(row)
    stored = {r["conversation_id"] for r in project.rows("from chat.conversations")}
    assert len(stored) == 6
    assert not stored & sent.keys()


def test_no_session_token_is_anywhere_in_the_file(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 20}, chatbots={"web": 60})
    world.begin("web", session_token="tok_odd", last_message={"session_token": "tok_in"})
    world.begin("web", metadata={"deep": [{"session_token": "tok_deep"}]}, active="bad")
    world.begin("web", metadata={"deep": [{"session_token": "tok_deeper"}], "kept": 1})
    assert sum(bool(row["session_token"]) for row in world.truth("okchat")) > 5
    project.configure(simulate(world))
    project.sync()
    columns = project.rows(
        "select table_schema as s, table_name as t, column_name as c"
        " from information_schema.columns where not starts_with(table_schema, 'pg_')"
        " and table_schema <> 'information_schema'"
    )
    assert {"conversations", "rejected_rows", "_dlt_pipeline_state"} <= {c["t"] for c in columns}
    for column in columns:
        query = f"select {column['c']}::varchar as v from {column['s']}.{column['t']}"
        for row in project.rows(query):
            stored = row["v"] or ""
            if column["t"] == "_dlt_pipeline_state" and column["c"] == "state":
                stored = zlib.decompress(base64.b64decode(stored)).decode()
                assert "last_value" in stored
            assert not re.search("tok_|session_token|key-", stored), column
    assert project.rows("from chat.conversations where metadata::varchar like '%kept%'")


def test_a_server_whose_clock_is_ahead_hides_nothing(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 3})
    ahead = int((datetime.now(UTC) + timedelta(hours=20)).timestamp() * 1000)
    world.edit(world.begin("support"), recent_chat_time=ahead)
    project.configure(simulate(world))
    project.sync()
    world.advance(MINUTE / 2, activity=False)
    world.begin("support")
    project.sync()
    assert_equal_to_truth(project, world)


SURROGATE = b'"a\\ud800b"'
DEEP = b"[" * 500 + b"]" * 500
BROKEN = [
    ("support", "subject", SURROGATE),
    ("support", "subject", b'{"a":' + SURROGATE + b"}"),
    ("web", "last_message", SURROGATE),
    ("web", "last_message", b'{"id":"1","content":' + SURROGATE + b"}"),
    ("web", "metadata", b'{"a":' + SURROGATE + b"}"),
    ("web", "metadata", b"{" + SURROGATE + b":1}"),
    *(
        (name, field, value)
        for name, field in (("support", "cost_credit"), ("support", "tags"), ("web", "metadata"))
        for value in (b"NaN", b"Infinity", b"9" * 5000, b"1e99999999999999999999")
    ),
]


@pytest.mark.parametrize(("name", "field", "value"), BROKEN, ids=lambda of: str(of)[:30])
def test_a_value_that_nobody_can_read_costs_its_row_alone(  # noqa: PLR0913, PLR0917 - fixtures
    project: Project,
    make_world: MakeWorld,
    simulate: Simulate,
    name: str,
    field: str,
    value: bytes,
) -> None:
    world = make_world(bots={"support": 120, "sales": 5}, chatbots={"web": 20, "shop": 5})
    bad = world.begin(name)
    world.edit(bad, **{field: msgspec.Raw(value)})
    project.configure(simulate(world))
    for _ in range(2):
        outcome = project.sync(patience=1.0)
        assert {of.error for of in outcome.bots.values()} == {None}
        assert outcome.complete
        assert bot(outcome, name).rejected == 1
        assert project.rows("select bot from chat.rejected_rows") == [{"bot": name}]
    world.delete(bad)
    assert_equal_to_truth(project, world)


@pytest.mark.parametrize(
    ("name", "field", "at"),
    [("support", "tags", "recent_chat_time"), ("web", "metadata", "updated_at")],
)
def test_a_bad_row_that_is_nested_deeply_is_listed_too(  # noqa: PLR0913, PLR0917 - fixtures
    project: Project,
    make_world: MakeWorld,
    simulate: Simulate,
    name: str,
    field: str,
    at: str,
) -> None:
    world = make_world(bots={"support": 5}, chatbots={"web": 5})
    bad = world.begin(name)
    world.edit(bad, **{field: msgspec.Raw(DEEP)})
    world.edit(bad, **{at: "yesterday"})
    project.configure(simulate(world))
    for _ in range(2):
        outcome = project.sync()
        assert (outcome.complete, bot(outcome, name).rejected) == (True, 1)
        (row,) = project.rows("select bot, reason, raw from chat.rejected_rows")
        assert row["bot"] == name
        assert row["raw"] is not None
    world.delete(bad)
    assert_equal_to_truth(project, world)


@pytest.mark.parametrize(
    "spelt", ["sessionToken", "Session_Token", "SESSION-TOKEN", "SESSIONTOKEN"]
)
def test_no_session_token_however_it_is_spelt_is_in_any_table(
    project: Project, make_world: MakeWorld, simulate: Simulate, spelt: str
) -> None:
    world = make_world(bots={"support": 0}, chatbots={"web": 0})
    hidden: dict[str, Any] = {spelt: "tok_1", "kept": [{"x": 1, spelt: {"y": "tok_2"}}]}
    world.begin("support", **hidden)
    world.begin("support", message_count=hidden, **hidden)
    world.begin("web", last_message={"content": "c", **hidden}, **hidden)
    world.begin("web", last_message={"content": hidden}, metadata=hidden, state=hidden)
    world.begin("web", active=hidden, last_message=[hidden])
    project.configure(simulate(world))
    outcome = project.sync()
    assert (outcome.rows_loaded, project.count("rejected_rows")) == (3, 2)
    for table in ("conversations", "last_messages", "rejected_rows"):
        stored = str(project.rows(f"from chat.{table}"))
        assert "kept" in stored
        assert "tok_" not in stored
        assert spelt not in stored


# Ways to page.


@pytest.mark.parametrize(
    ("envelope", "omit_state", "cap"),
    [("bare", False, 7), ("data", True, None), ("data", False, 1)],
)
def test_okchat_is_complete_in_every_form(  # noqa: PLR0913, PLR0917 - fixtures
    project: Project,
    make_world: MakeWorld,
    simulate: Simulate,
    envelope: Any,  # noqa: ANN401 - of the knob's own type
    cap: int | None,
    omit_state: bool,  # noqa: FBT001 - a knob
) -> None:
    world = make_world(chatbots={"web": 60})
    project.configure(
        simulate(world, Knobs(envelope=envelope, omit_state=omit_state, okchat_page_cap=cap))
    )
    assert project.sync().complete
    if omit_state:
        for row in world.truth("okchat"):
            world.edit(str(row["id"]), state=ABSENT)
    assert_equal_to_truth(project, world)


def test_paging_parameters_of_other_names_are_configured(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(chatbots={"web": 60})
    upstream = simulate(world, Knobs(page_param="p", limit_param="per_page"))
    project.configure(upstream, okchat={"page_param": "p", "limit_param": "per_page"})
    assert project.sync().complete
    assert {logged.rows for logged in upstream.log} == {60, 1, 0}
    assert_equal_to_truth(project, world)


@pytest.mark.parametrize("ignored", [{"page_param": "p", "limit_param": "l"}, {"page_param": "p"}])
def test_a_server_that_ignores_the_paging_is_named_and_not_called_complete(
    project: Project, make_world: MakeWorld, simulate: Simulate, ignored: dict[str, str]
) -> None:
    world = make_world(bots={"support": 5}, chatbots={"web": 120})
    project.configure(simulate(world, Knobs(**ignored)))  # type: ignore[arg-type]
    outcome = project.sync()
    assert not outcome.complete
    assert "page_param" in str(bot(outcome, "web").error)
    assert_equal_to_truth(project, world, "support")


def test_a_page_size_that_is_ignored_costs_only_requests(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(chatbots={"web": 45})
    project.configure(simulate(world, Knobs(limit_param="per_page")))
    assert project.sync().complete
    assert_equal_to_truth(project, world)


@pytest.mark.parametrize("total", ["window", "page"])
def test_a_server_that_caps_its_pages_is_complete_whatever_its_total_counts(
    project: Project,
    make_world: MakeWorld,
    simulate: Simulate,
    total: Any,  # noqa: ANN401 - of the knob's own type
) -> None:
    world = make_world(bots={"support": 400})
    project.configure(simulate(world, Knobs(gptbots_page_cap=50, total=total)))
    assert project.sync().complete
    assert_equal_to_truth(project, world)


def before_page(number: int, act: Callable[[], None]) -> Callable[[Request], None]:
    """Return a hook that acts once, before that page of a GPTBots list is answered."""
    left = [act]

    def hook(request: Request) -> None:
        if request.path.startswith("/v1/") and request.params.get("page") == str(number) and left:
            left.pop()()

    return hook


@pytest.mark.parametrize("apart", [timedelta(seconds=15), timedelta(minutes=40)], ids=str)
def test_one_that_begins_hides_none_when_another_is_deleted_meanwhile(
    project: Project, simulate: Simulate, apart: timedelta
) -> None:
    """The count before and after is the same, yet a row went from an unread page to a read one."""
    now = datetime.now(UTC) - timedelta(days=20)
    world = World(1, start=now - timedelta(days=60), now=now)
    world.add_bot("support")
    world.begin("support")
    upstream = simulate(world)
    project.configure(upstream, gptbots={"lookback": "2h"})
    assert project.sync().complete
    ids: list[str] = []
    for _ in range(350):
        world.advance(apart, activity=False)
        ids.insert(0, world.begin("support"))

    def swap() -> None:
        world.delete(ids[310])  # on page 4, read already
        world.advance(timedelta(seconds=1), activity=False)
        world.begin("support")  # sends ids[199] from page 2 to page 3, read already

    upstream.on_request = before_page(2, swap)
    project.sync()
    upstream.on_request = None
    assert project.sync().complete
    live = {row["conversation_id"] for row in world.truth("gptbots")}
    stored = {row["conversation_id"] for row in project.rows("from chat.conversations")}
    assert ids[310] not in live
    assert not live - stored


@pytest.mark.parametrize("order", ["newest_first", "oldest_first"])
@pytest.mark.parametrize("leaves", ["by being deleted", "by going on"])
def test_one_that_leaves_a_page_and_a_row_hides_nothing(
    project: Project,
    simulate: Simulate,
    leaves: str,
    order: Any,  # noqa: ANN401 - of the knob's own type
) -> None:
    """The second page looks empty then, and the first like the whole window."""
    now = datetime.now(UTC) - timedelta(days=2)
    world = World(1, start=now - timedelta(days=1), now=now)
    world.add_bot("support")
    ids = []
    for _ in range(101):
        world.advance(timedelta(seconds=1), activity=False)
        ids.append(world.begin("support"))

    def leave() -> None:
        if leaves == "by being deleted":
            world.delete(ids[50])
        else:
            world.advance(timedelta(days=1), activity=False)
            world.chat(ids[50])

    upstream = simulate(world, Knobs(total="page", order=order))
    upstream.on_request = before_page(2, leave)
    project.configure(upstream, gptbots={"lookback": "0"})
    project.sync()
    live = {row["conversation_id"] for row in world.truth("gptbots")}
    stored = {row["conversation_id"] for row in project.rows("from chat.conversations")}
    assert not live - stored


FEW = EVERY_WAY[:: len(EVERY_WAY) // 2]


@pytest.mark.parametrize("knobs", FEW, ids=repr)
def test_gptbots_is_complete_however_it_pages_and_drifts(
    project: Project, make_world: MakeWorld, simulate: Simulate, knobs: Knobs
) -> None:
    """Ties, and chats while it is read; all combinations are tried below, marked long."""
    world = make_world(bots={"support": 330})
    world.tie("support", 130)
    upstream = simulate(world, knobs)
    upstream.on_request = chatting(world, "support")
    project.configure(upstream)
    project.sync()
    upstream.on_request = None
    assert project.sync().complete
    assert_equal_to_truth(project, world)


# Ends in the middle.


def small_chunks(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """Commit about every so many rows, out of windows and pieces of that size."""
    monkeypatch.setattr(running, "CHUNK_ROWS", rows)
    monkeypatch.setattr("pipelines.spool.PACKAGE_ROWS", rows)
    monkeypatch.setattr("pipelines.reader.READY_ROWS", rows)
    monkeypatch.setattr("pipelines.jobs.WINDOW_ROWS", rows)
    monkeypatch.setattr("pipelines.jobs._SMALLEST_WINDOW", rows)
    monkeypatch.setattr("pipelines.okchat.scan.PIECE_ROWS", rows)


def test_a_run_that_dies_between_chunks_resumes_at_its_cursor(
    project: Project,
    make_world: MakeWorld,
    simulate: Simulate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = make_world(bots={"support": 2000})
    upstream = simulate(world)
    project.configure(upstream)
    with monkeypatch.context() as patched:
        small_chunks(patched, 200)
        patched.setattr(Loader, "load", _dying(Loader.load, 4))
        with pytest.raises(WarehouseFailed, match="pulled the plug"):
            project.sync()
    stored = project.count("conversations")
    assert 200 < stored < 2000
    reached = project.rows("select max(last_activity_at) as t from chat.conversations")[0]["t"]
    upstream.clear_log()
    outcome = project.sync()
    assert outcome.complete
    pages = [logged for logged in upstream.log if logged.params["page_size"] == "100"]
    start = min(int(logged.params["start_time"]) for logged in pages)
    assert start >= (reached - timedelta(hours=1)).timestamp() * 1000 - 1
    assert_equal_to_truth(project, world)
    # Every conversation was observed once: nothing was read anew, or it was no news.
    assert project.count("conversation_changes") == 2000


def _dying(load: Callable[..., None], call: int) -> Callable[..., None]:
    calls = iter(range(1, 1000))

    def dying(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed on
        if next(calls) == call:
            raise WarehouseFailed("pulled the plug")
        load(*args, **kwargs)

    return dying


def test_many_chunks_of_all_bots_are_as_good_as_one(
    project: Project,
    make_world: MakeWorld,
    simulate: Simulate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small_chunks(monkeypatch, 300)
    world = make_world(bots={"a": 400, "b": 200}, chatbots={"web": 400})
    project.configure(simulate(world))
    assert project.sync().complete
    assert len(project.rows("from chat._dlt_loads")) >= 3
    assert_equal_to_truth(project, world)
    assert project.sync().rows_loaded == 0


def test_lost_local_state_changes_nothing(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 120}, chatbots={"web": 20})
    upstream = simulate(world)
    project.configure(upstream)
    project.sync()
    for path in sorted(project.folder.rglob(".convoy/**/*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    upstream.clear_log()
    outcome = project.sync()
    assert (outcome.complete, outcome.rows_loaded) == (True, 0)
    assert bot(outcome, "support").requests <= 2


def test_a_lost_warehouse_is_filled_again(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 120}, chatbots={"web": 20})
    project.configure(simulate(world))
    project.sync()
    project.warehouse.unlink()
    assert project.sync().complete
    assert_equal_to_truth(project, world)


def test_two_syncs_at_once_are_one_too_many(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    from pipelines import settings  # noqa: PLC0415 - read in the project's directory

    project.configure(simulate(make_world(bots={"support": 5})))
    project.sync()
    with locked(settings.load()), pytest.raises(WarehouseBusy, match="another sync"):
        project.sync()
    assert project.sync().complete


VICTIMS = [
    "conversations", "conversation_changes", "last_messages", "sync_windows", "_dlt_pipeline_state",
]  # fmt: skip


def kill(project: Project, table: str, _: pytest.MonkeyPatch) -> None:
    """Let a process of its own sync and be killed inside the load job of a table."""
    tests = Path(__file__).parent
    died = subprocess.run(  # noqa: S603 - a program of our own
        [sys.executable, str(tests / "dying.py"), table],
        cwd=project.folder,
        env={**os.environ, "PYTHONPATH": str(tests.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL, died.stderr


def fail(project: Project, table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sync and fail inside the load job of a table."""
    broke = []

    def break_() -> None:
        broke.append(table)
        raise DatabaseTerminalException(RuntimeError("pulled the plug"))

    with monkeypatch.context() as patched:
        for job in JOBS:
            patched.setattr(job, "run", dying(job.run, table, break_))
        with pytest.raises(ConvoyError):
            project.sync()
    assert broke


@pytest.mark.parametrize("dies", [kill, fail])
@pytest.mark.parametrize("table", VICTIMS)
def test_a_load_that_dies_inside_one_table_is_made_good_by_the_next_sync(  # noqa: PLR0913, PLR0917 - fixtures
    project: Project,
    make_world: MakeWorld,
    simulate: Simulate,
    monkeypatch: pytest.MonkeyPatch,
    table: str,
    dies: Callable[[Project, str, pytest.MonkeyPatch], None],
) -> None:
    world = make_world(bots={"support": 60}, chatbots={"web": 20})
    upstream = simulate(world)
    project.configure(upstream)
    assert project.sync().complete
    world.advance(MINUTE / 2, activity=False)
    # News of one source alone, so that it is its load that dies.
    if table == "last_messages":
        world.chat(str(world.truth("okchat", "web")[0]["id"]))
        world.add_chatbot("later", 300)
    else:
        for row in world.truth("gptbots", "support")[::10]:
            world.chat(str(row["conversation_id"]))
        world.add_bot("later", 300)
    project.configure(upstream)
    dies(project, table, monkeypatch)
    assert project.sync().complete
    assert_equal_to_truth(project, world)
    assert project.rows(UNLIKE_THEIR_LEDGER) == []
    outcome = project.sync()
    assert (outcome.complete, outcome.rows_loaded, outcome.changes) == (True, 0, 0)
    asked = {key.bot: of.requests for key, of in outcome.bots.items() if key.source == "gptbots"}
    assert max(asked.values()) <= 2, asked


UNLIKE_THEIR_LEDGER = """
    select source, conversation_id, cost_credit, newest.cost
    from chat.conversations
    left join (
        select source, conversation_id, max_by(cost_credit, observed_at) as cost, count(*) as n
        from chat.conversation_changes
        group by all
    ) as newest using (source, conversation_id)
    where newest.n is null or newest.cost is distinct from cost_credit
"""


def test_a_lost_state_costs_one_sync_that_reads_all_again(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 450, "sales": 30}, chatbots={"web": 20})
    project.configure(simulate(world))
    cursors = {key: of.cursor for key, of in project.sync().bots.items()}
    assert None not in cursors.values()
    with duckdb.connect(str(project.warehouse)) as connection:
        connection.execute("delete from chat._dlt_pipeline_state")
    first = project.sync()
    assert (first.complete, first.changes) == (True, 0)
    assert bot(first, "support").requests > 2
    second = project.sync()
    assert (second.complete, second.rows_loaded) == (True, 0)
    assert all(bot(second, name).requests <= 2 for name in ("support", "sales"))
    assert {key: of.cursor for key, of in second.bots.items()} == cursors
    assert_equal_to_truth(project, world)


# Large: `make test-long`.


@pytest.mark.long
def test_much_is_read_with_few_requests(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    bots = {f"bot{n}": 20_000 for n in range(5)}
    world = make_world(bots=bots, chatbots={"web": 15_000, "shop": 5_000})
    upstream = simulate(world)
    project.configure(upstream)
    assert project.sync().complete
    for name, rows in bots.items():
        asked = [logged for logged in upstream.log if logged.bot == name]
        assert len(asked) <= 1.1 * rows / 100
    assert_equal_to_truth(project, world)
    before = project.counts()
    outcome = project.sync()
    assert (outcome.complete, outcome.rows_loaded, outcome.changes) == (True, 0, 0)
    assert all(bot(outcome, name).requests <= 2 for name in bots)
    assert project.counts() == before


@pytest.mark.long
@pytest.mark.parametrize("knobs", EVERY_WAY, ids=repr)
def test_the_warehouse_is_complete_with_every_combination(
    project: Project, make_world: MakeWorld, simulate: Simulate, knobs: Knobs
) -> None:
    test_gptbots_is_complete_however_it_pages_and_drifts(project, make_world, simulate, knobs)
