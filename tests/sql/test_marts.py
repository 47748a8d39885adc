from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from pipelines import models
from sql.warehouse import Warehouse, at

OF_NO_TRANSCRIPT = "select * exclude (transcripts, median_first_response_seconds)"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Three GPTBots conversations of one bot, one of them deleted, and two of OKChat."""
    folder = tmp_path_factory.mktemp("filled")
    warehouse = Warehouse(folder / "warehouse.duckdb")
    fill_gptbots(warehouse)
    fill_okchat(warehouse)
    models.build(warehouse.path, folder / "work", tests=True)
    return warehouse


def fill_gptbots(warehouse: Warehouse) -> None:
    for name, credit, channel, day in (
        ("g1", "1.5", "WIDGET", 3),
        ("g2", "4.5", "WHATSAPP_META", 2),
        ("g3", "9", "WIDGET", 1),
    ):
        gone = {"deleted_at": at(9)} if name == "g3" else {}
        when = {"last_activity_at": at(day, 12), "channel": channel}
        warehouse.conversation(
            "gptbots", name, credit, user_id="u1", message_count=2, **when, **gone
        )
        warehouse.change("gptbots", name, credit, at(day, 12), channel=channel)
    warehouse.change("gptbots", "g1", "1", at(1, 12), channel="WIDGET")


def fill_okchat(warehouse: Warehouse) -> None:
    for name, channel, more in (
        ("o1", "whatsapp", {"user_id": "x", "sns_user_id": "y", "is_human_mode": True}),
        ("o2", "teleport", {"sns_user_id": "y", "is_human_mode": False}),
    ):
        when = {"created_at": at(1), "last_activity_at": at(4), "channel": channel}
        warehouse.conversation("okchat", name, None, **when, **more)
        warehouse.change("okchat", name, None, at(4), channel=channel)
    message = {"message_id": "m1", "sender_type": "user", "content": "hello"}
    warehouse.add("last_messages", source="okchat", conversation_id="o1", **message)


def test_live_conversations_know_their_platform_user_and_last_message(filled: Warehouse) -> None:
    found = filled.rows("""
        select conversation_id, platform, bot, end_user_id, last_message_content
        from marts.conversations order by 1
    """)
    assert found == [
        ("g1", "web", "gptbots-name", "u1", None),
        ("g2", "whatsapp", "gptbots-name", "u1", None),
        ("o1", "whatsapp", "okchat-name", "x", "hello"),
        ("o2", "teleport", "okchat-name", "y", None),
    ]


def test_daily_spend_is_the_ledger_by_day(filled: Warehouse) -> None:
    assert filled.rows("from marts.credit_spend_daily order by spent_on, platform") == [
        (date(2026, 3, 1), "gptbots", "gptbots-bot", "web", Decimal(10), 2),
        (date(2026, 3, 2), "gptbots", "gptbots-bot", "whatsapp", Decimal("4.5"), 1),
        (date(2026, 3, 3), "gptbots", "gptbots-bot", "web", Decimal("0.5"), 1),
    ]


def test_platforms_share_the_whole_of_both_sources(filled: Warehouse) -> None:
    assert filled.rows(
        f"{OF_NO_TRANSCRIPT} from marts.platform_breakdown order by source, platform"
    ) == [
        ("gptbots", "web", 1, 1, 2, Decimal("1.5"), 0.25, 0.25, 0, at(3, 12), None, 1, 1.5, 0.75),
        (
            "gptbots",
            "whatsapp",
            1,
            1,
            2,
            Decimal("4.5"),
            0.25,
            0.75,
            0,
            at(2, 12),
            None,
            1,
            4.5,
            2.25,
        ),
        ("okchat", "teleport", 1, 1, None, Decimal(0), 0.25, 0, 0, at(4), 0, 0, None, None),
        ("okchat", "whatsapp", 1, 1, None, Decimal(0), 0.25, 0, 1, at(4), 1, 0, None, None),
    ]


def test_bots_are_summed_up_by_the_same_measures(filled: Warehouse) -> None:
    bot, chatbot = (
        ("gptbots", "gptbots-bot", "gptbots-name"),
        ("okchat", "okchat-bot", "okchat-name"),
    )
    assert filled.rows(f"{OF_NO_TRANSCRIPT} from marts.bot_summary order by source") == [
        (*bot, 2, 1, 4, Decimal(6), 0.5, 1, 0, at(3, 12), None, 1, 3, 1.5, "gptbots-name"),
        (*chatbot, 2, 2, None, Decimal(0), 0.5, 0, 1, at(4), 0.5, 0, None, None, "okchat-name"),
    ]


def test_days_count_the_active_and_the_new(filled: Warehouse) -> None:
    found = filled.rows("""
        select
            activity_on, source, platform, active_conversations, new_conversations,
            active_users, new_users, messages
        from marts.platform_daily order by activity_on, source, platform
    """)
    assert found == [
        (date(2026, 3, 1), "gptbots", "web", 2, 2, 1, 1, None),
        (date(2026, 3, 1), "okchat", "teleport", 1, 1, 1, 1, None),
        (date(2026, 3, 1), "okchat", "whatsapp", 1, 1, 1, 1, None),
        (date(2026, 3, 2), "gptbots", "whatsapp", 1, 1, 1, 0, None),
        (date(2026, 3, 3), "gptbots", "web", 1, 0, 1, 0, None),
        (date(2026, 3, 4), "okchat", "teleport", 1, 0, 1, 0, None),
        (date(2026, 3, 4), "okchat", "whatsapp", 1, 0, 1, 0, None),
    ]


def test_freshness_needs_no_build(filled: Warehouse) -> None:
    filled.run("""
        delete from chat.sync_windows;
        insert into chat.sync_windows (source, bot, bot_id, kind, certified, finished_at) values
            ('gptbots', 'gptbots-name', 'gptbots-bot', 'history', true, now() - interval 90 second),
            ('gptbots', 'gptbots-name', 'gptbots-bot', 'failure', false, now()),
            ('gptbots', 'quiet', null, 'history', true, now() - interval 1 day)
    """)
    found = filled.rows("""
        select source, bot_id, bot, newest_activity_at, lag_seconds // 30
        from marts.freshness order by source, bot
    """)
    assert found == [
        ("gptbots", "gptbots-bot", "gptbots-name", at(3, 12), 3),
        ("gptbots", None, "quiet", None, 2880),
        ("okchat", "okchat-bot", "okchat-name", at(4), None),
    ]
