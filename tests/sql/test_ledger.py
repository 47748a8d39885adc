from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from pipelines import models
from pipelines.errors import ModelsFailed
from sql.warehouse import Warehouse, at

if TYPE_CHECKING:
    from pathlib import Path

LEDGER = """
    select conversation_id, credits, allocation, spent_from, spent_until, spent_on
    from marts.credit_ledger order by conversation_id, observed_at
"""


def all_marts(warehouse: Warehouse) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of each table, in an order of their own."""
    names = warehouse.rows("select table_name from duckdb_tables() where schema_name = 'marts'")
    return {name: warehouse.rows(f"from marts.{name} order by all") for (name,) in names}


def test_a_counter_is_booked_from_first_sight_to_correction(
    warehouse: Warehouse, work: Path
) -> None:
    for credit, seen in (("1.5", at(1)), ("1.5", at(2)), ("4", at(3)), ("3.9999999999", at(4))):
        warehouse.change("gptbots", "a", credit, seen)
    warehouse.conversation("gptbots", "a", "3.9999999999")
    models.build(warehouse.path, work, tests=True)
    assert warehouse.rows(LEDGER) == [
        ("a", Decimal("1.5"), "first_seen", None, at(1), date(2026, 3, 1)),
        ("a", Decimal("2.5"), "observed", at(2), at(3), date(2026, 3, 3)),
        ("a", Decimal("-0.0000000001"), "correction", at(3), at(4), date(2026, 3, 4)),
    ]


def test_built_in_steps_equals_built_at_once(warehouse: Warehouse, work: Path) -> None:
    warehouse.change("gptbots", "aba", "5", at(1))
    warehouse.change("gptbots", "idle", "1", at(1))
    warehouse.change("gptbots", "free", "0", at(1))
    warehouse.change("okchat", "uncounted", None, at(1))
    models.build(warehouse.path, work)
    warehouse.change("gptbots", "aba", "7", at(2))
    warehouse.change("gptbots", "idle", "1", at(2))
    models.build(warehouse.path, work)
    warehouse.change("gptbots", "aba", "5", at(3))
    warehouse.change("gptbots", "free", "0.0000000001", at(3))
    warehouse.change("okchat", "uncounted", None, at(3))
    models.build(warehouse.path, work)
    amounts = "select credits from marts.credit_ledger where conversation_id = 'aba' order by all"
    assert warehouse.rows(amounts) == [(-2,), (2,), (5,)]
    in_steps = all_marts(warehouse)
    assert len(in_steps) > 5
    models.build(warehouse.path, work, full_refresh=True)
    assert all_marts(warehouse) == in_steps


def test_only_conversations_with_later_changes_are_booked_again(
    warehouse: Warehouse, work: Path
) -> None:
    for name in ("quiet", "busy"):
        warehouse.change("gptbots", name, "1", at(2))
    models.build(warehouse.path, work)
    warehouse.run("update marts.credit_ledger set bot_id = 'as booked'")
    warehouse.change("gptbots", "busy", "3", at(2, 0, 0, 1))
    warehouse.change("gptbots", "new", "10", at(3))
    models.build(warehouse.path, work)
    booked = "select conversation_id, bot_id, sum(credits) from marts.credit_ledger group by all"
    assert set(warehouse.rows(booked)) == {
        ("quiet", "as booked", 1),
        ("busy", "gptbots-bot", 3),
        ("new", "gptbots-bot", 10),
    }


def test_a_history_thrown_away_and_read_again_is_booked_again(
    warehouse: Warehouse, work: Path
) -> None:
    warehouse.change("gptbots", "a", "1", at(1))
    models.build(warehouse.path, work)
    warehouse.run("delete from chat.conversation_changes")
    warehouse.change("gptbots", "a", "3", at(2))
    models.build(warehouse.path, work)
    assert [row[1:3] for row in warehouse.rows(LEDGER)] == [(Decimal(3), "first_seen")]


def test_the_ledger_follows_a_platform_that_got_another_name(
    warehouse: Warehouse, work: Path
) -> None:
    warehouse.change("gptbots", "a", "1", at(1), channel="WIDGET")
    models.build(warehouse.path, work)
    warehouse.run("update marts.credit_ledger set platform = 'as it was', booked_under = 'then'")
    models.build(warehouse.path, work)
    assert warehouse.rows("select platform from marts.credit_ledger") == [("web",)]


def test_the_ledger_follows_a_change_of_the_time_zone(warehouse: Warehouse, work: Path) -> None:
    warehouse.change("gptbots", "a", "1", at(1, 15))
    models.build(warehouse.path, work)
    models.build(warehouse.path, work, zone="Asia/Tokyo")
    assert warehouse.rows("select spent_on, time_zone from marts.credit_ledger") == [
        (date(2026, 3, 2), "Asia/Tokyo")
    ]


def test_a_deleted_conversation_keeps_its_credits(warehouse: Warehouse, work: Path) -> None:
    warehouse.change("gptbots", "a", "2.5", at(1))
    warehouse.conversation("gptbots", "a", "2.5", deleted_at=at(2))
    models.build(warehouse.path, work, tests=True)
    assert warehouse.rows("select sum(credits) from marts.credit_ledger") == [(Decimal("2.5"),)]
    assert warehouse.rows("select count(*) from marts.conversations") == [(0,)]


def test_credits_stay_exact_where_binary_fractions_would_not(
    warehouse: Warehouse, work: Path
) -> None:
    big = "123456789012345678.0000000001"
    warehouse.change("gptbots", "big", big, at(1))
    for number in range(3):
        warehouse.change("gptbots", f"tenth {number}", "0.1", at(1))
    models.build(warehouse.path, work)
    assert warehouse.rows("select credits from marts.credit_spend_daily") == [
        (Decimal(big) + Decimal("0.3"),)
    ]
    kinds = warehouse.rows("select typeof(any_value(credits)) from marts.credit_ledger")
    assert kinds == [("DECIMAL(28,10)",)]


def test_a_credit_that_was_not_booked_is_told(warehouse: Warehouse, work: Path) -> None:
    warehouse.conversation("gptbots", "a", "0.0000000001")
    with pytest.raises(ModelsFailed, match="every_credit_once"):
        models.build(warehouse.path, work, tests=True)
