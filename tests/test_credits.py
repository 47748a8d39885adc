"""Credits from the API to the ledger: every one once, on its day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from pipelines.simulator import World
from pipelines.sync import sync

if TYPE_CHECKING:
    from conftest import Simulate
    from project import Project, Row

LEDGER = """
    select credits, allocation, spent_from, spent_until, spent_on
    from marts.credit_ledger order by observed_at
"""


def ledger(project: Project) -> list[Row]:
    assert sync(project.settings()).complete
    return project.rows(LEDGER)


def test_a_counter_that_settles_is_booked_on_the_day_of_its_chat(
    project: Project, simulate: Simulate
) -> None:
    """0.59, then 0.83 the next day, then 0.81 without any activity; then nothing new."""
    first = datetime.now(UTC).replace(hour=9, minute=0, second=0, microsecond=0) - timedelta(days=3)
    world = World(now=first)
    world.add_bot("support")
    project.configure(simulate(world), gptbots={"lookback": "1d"})
    chat = world.begin("support", cost_credit=Decimal("0.59"), message_count=2)
    ledger(project)
    world.advance(timedelta(days=1), activity=False)
    world.chat(chat, cost_credit=Decimal("0.83"), message_count=4)
    second = world.now
    ledger(project)
    world.advance(timedelta(hours=5), activity=False)
    world.settle(chat, Decimal("-0.02"))

    booked = ledger(project)

    assert [tuple(row.values()) for row in booked] == [
        (Decimal("0.59"), "first_seen", None, first, first.date()),
        (Decimal("0.24"), "observed", first, second, second.date()),
        (Decimal("-0.02"), "correction", second, second, second.date()),
    ]
    assert sum(row["credits"] for row in booked) == Decimal("0.81")
    (counter,) = project.rows("select cost_credit from chat.conversations")
    assert counter["cost_credit"] == Decimal("0.81")
    assert ledger(project) == booked
    assert project.rows("select messages from marts.platform_daily order by 1") == [
        {"messages": 2},
        {"messages": 2},
    ]
