"""Built on top of what was there, the marts are what they would be if built from nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from machine.marts import Compiled, Marts, compiled

from pipelines import models
from sql.warehouse import Warehouse, at

if TYPE_CHECKING:
    from pathlib import Path


UPDATED = "update chat.conversations set {}, observed_at = '2026-03-09 00:00:00+00' where {}"
STEPS = {
    "nothing": "select 1",
    "deleted, and not read again": """
        update chat.conversations set deleted_at = '2026-03-08 00:00:00+00'
        where conversation_id = 'a'
    """,
    "deleted by a clock that was set back": """
        update chat.conversations set deleted_at = '2026-02-08 00:00:00+00'
        where conversation_id = 'b'
    """,
    "come back": UPDATED.format("deleted_at = null", "conversation_id = 'gone'"),
    "the last of a user is another's": UPDATED.format("user_id = 'u'", "conversation_id = 'c'"),
    "a user is nobody": UPDATED.format("user_id = null", "user_id = 'u'"),
    "read again by a clock that was set back": """
        update chat.conversations set user_id = 'v', observed_at = '2026-02-01 00:00:00+00'
        where conversation_id = 'a'
    """,
    "another bot and channel": UPDATED.format(
        "bot_id = 'other', channel = 'LINE'", "conversation_id = 'a'"
    ),
    "taken out": "delete from chat.conversations where conversation_id = 'a'",
    "a counter of nobody's": "delete from chat.conversations",
    "changes without credits taken out": """
        delete from chat.conversation_changes where conversation_id = 'free'
    """,
    "new, earlier than all": """
        insert into chat.conversations
            (source, conversation_id, user_id, last_activity_at, observed_at)
        values ('gptbots', 'new', 'u', '2026-02-01 00:00:00+00', '2026-03-09 00:00:00+00');
        insert into chat.conversation_changes
            (source, conversation_id, last_activity_at, cost_credit, observed_at)
        values ('gptbots', 'new', '2026-02-01 00:00:00+00', 1, '2026-03-09 00:00:00+00')
    """,
    "corrected": """
        insert into chat.conversation_changes
            (source, conversation_id, last_activity_at, cost_credit, message_count, observed_at)
        values ('gptbots', 'a', '2026-03-02 00:00:00+00', 0.5, 1, '2026-03-10 00:00:00+00')
    """,
    "a transcript is read": """
        insert into chat.transcripts (source, conversation_id, complete, read_at)
        values ('gptbots', 'b', true, '2026-03-09 00:00:00+00')
    """,
    "a message is edited": """
        update chat.messages set content = 'other', observed_at = '2026-02-01 00:00:00+00'
        where conversation_id = 'a'
    """,
    "a message comes late, its transcript unchanged": """
        insert into chat.messages
            (source, conversation_id, message_id, sender_type, created_at, observed_at)
        values ('gptbots', 'a', 'm0', 'bot', '2026-03-01 01:00:00+00', '2026-02-01 00:00:00+00')
    """,
    "a transcript taken out": "delete from chat.transcripts",
    "history read again": """
        delete from chat.conversation_changes where conversation_id = 'a';
        insert into chat.conversation_changes
            (source, conversation_id, last_activity_at, cost_credit, observed_at)
        values ('gptbots', 'a', '2026-03-05 00:00:00+00', 3, '2026-03-11 00:00:00+00')
    """,
}


@pytest.fixture(scope="module")
def of_models(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    return compiled(tmp_path_factory.mktemp("compiled"))


@pytest.fixture
def filled(warehouse: Warehouse) -> Warehouse:
    """Two conversations of one user, two of another (one deleted), one that costs nothing."""
    for name, user, day in (("a", "u", 1), ("b", "u", 2), ("c", "v", 3), ("gone", "v", 2)):
        gone = {"deleted_at": at(4)} if name == "gone" else {}
        more = {"user_id": user, "channel": "WIDGET", "message_count": day, **gone}
        seen = {"last_activity_at": at(day), "observed_at": at(day)}
        warehouse.conversation("gptbots", name, str(day), **more, **seen)
        warehouse.change("gptbots", name, str(day), at(day), channel="WIDGET", message_count=day)
    warehouse.conversation("okchat", "free", None, last_activity_at=at(3), observed_at=at(3))
    for day in (1, 2):
        warehouse.change("okchat", "free", None, at(day))
    of_a = {"source": "gptbots", "conversation_id": "a"}
    warehouse.add("messages", **of_a, message_id="m1", sender_type="user", created_at=at(1))
    warehouse.add("transcripts", **of_a, complete=True, read_at=at(2))
    return warehouse


@pytest.mark.parametrize("step", STEPS)
def test_one_step_on_top(filled: Warehouse, of_models: Compiled, step: str) -> None:
    marts = Marts(of_models)
    marts.credits(filled.path)
    filled.run(STEPS[step])
    marts.credits(filled.path)


def test_all_steps_on_top_of_each_other(filled: Warehouse, of_models: Compiled) -> None:
    marts = Marts(of_models)
    for step in STEPS.values():
        marts.credits(filled.path)
        filled.run(step)
    marts.credits(filled.path)


def test_another_time_zone_on_top(filled: Warehouse, work: Path) -> None:
    filled.run("update chat.conversation_changes set last_activity_at = '2026-03-01 20:00:00+00'")
    days = "from marts.platform_daily order by all"
    models.build(filled.path, work)
    before = filled.rows(days)
    models.build(filled.path, work, zone="Asia/Tokyo")
    on_top = filled.rows(days)
    models.build(filled.path, work, zone="Asia/Tokyo", full_refresh=True)
    assert before != on_top == filled.rows(days)
