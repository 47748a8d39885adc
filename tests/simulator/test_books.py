"""GPTBots' bill and conversation credits: they add up to the conversations, and are forgotten."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from pipelines.simulator import Simulator, World

if TYPE_CHECKING:
    from .client import Client

BILL = "/v1/account/bill/page"
CREDITS = "/v1/account/agent/conversation/credits"
DAY = timedelta(days=1)
NOT_KINDS = {"date", "total", "conversation_id", "conversation_create_time"}
DOCUMENTS = ("knowledge_doc_storage", "knowledge_doc_indexing")
Row = dict[str, Any]


@pytest.fixture
def world() -> World:
    """A world that is younger than anything is forgotten."""
    now = datetime(2026, 1, 20, 12, tzinfo=UTC)
    return World.seeded(7, bots={"support": 250, "sales": 20}, now=now, start=now - 20 * DAY)


def millis(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def read(client: Client, path: str, bot: str = "support", **asked: Any) -> Row:  # noqa: ANN401 - passed on
    params = {"start_time": 0, "end_time": 10**13, "page": 1, "page_size": 100, **asked}
    headers = {"Authorization": f"Bearer {client.sim.world.keys[bot]}"}
    found: Row = client.ask(f"{path}?{urlencode(params)}", headers).json
    return found


def rows(client: Client, path: str, bot: str = "support", **asked: Any) -> list[Row]:  # noqa: ANN401 - passed on
    found: list[Row] = []
    for page in range(1, 100):
        listed = read(client, path, bot, page=page, **asked)["list"]
        if not listed:
            break
        found += listed
    return found


def billed(found: list[Row]) -> Decimal:
    """What conversations are billed for."""
    return sum((row["total"] - sum(row[kind] for kind in DOCUMENTS) for row in found), Decimal(0))


def counted(world: World, *names: str) -> Decimal:
    return sum(
        (Decimal(str(r["cost_credit"])) for n in names for r in world.truth("gptbots", n)),
        Decimal(0),
    )


def on(day: datetime) -> Row:
    """The window of a day."""
    start = day.replace(hour=0, minute=0, second=0, microsecond=0)
    return {"start_time": millis(start), "end_time": millis(start + DAY) - 1}


@pytest.mark.parametrize(
    ("whose", "names"), [("account", ("support", "sales")), ("bot", ("support",))]
)
def test_both_add_up_to_the_counters(
    client: Client,
    sim: Simulator,
    whose: Any,  # noqa: ANN401 - of the knob's own type
    names: tuple[str, ...],
) -> None:
    sim.knobs = replace(sim.knobs, bill=whose)
    world = sim.world
    for _ in range(3):
        bills, items = rows(client, BILL), rows(client, CREDITS)
        assert billed(bills) == counted(world, *names)
        assert sum(row["total"] for row in items) == counted(world, *names)
        for row in (*bills, *items):
            assert sum(row[kind] for kind in row.keys() - NOT_KINDS) == row["total"]
        world.advance(timedelta(hours=30))
        latest = str(world.truth("gptbots", "support")[0]["conversation_id"])
        world.settle(latest, Decimal("0.0000000001"))
        world.edit(latest, cost_credit=Decimal("0.3"))
        world.begin("support", cost_credit=Decimal("1.5"))
        world.tie("sales", 2)
    assert any(row[kind] for row in items for kind in ("tts", "moderation", "anonymization"))
    everyone = rows(client, BILL, "sales") == rows(client, BILL)
    assert everyone == (whose == "account")


def test_each_amount_is_booked_when_it_happened(client: Client, world: World) -> None:
    latest = str(world.truth("gptbots", "support")[0]["conversation_id"])
    before = {row["date"]: row for row in rows(client, BILL)}
    for amount in ("0.5", "0.25"):
        world.advance(DAY, activity=False)
        world.settle(latest, Decimal(amount))
        (item,) = rows(client, CREDITS, **on(world.now))
        assert (item["conversation_id"], item["total"]) == (latest, Decimal(amount))
    after = {row["date"]: row for row in rows(client, BILL)}
    moved = [billed([after[f"2026-01-{day}"]]) for day in (20, 21, 22)]
    assert moved == [billed([before["2026-01-20"]]), Decimal("0.5"), Decimal("0.25")]
    assert {day: after[day] for day in before.keys() & after.keys()} == {
        day: row for day, row in before.items() if day in after
    }


def test_what_happens_while_time_goes_on_is_booked_day_by_day(client: Client, world: World) -> None:
    for row in world.truth("gptbots"):
        world.delete(str(row["conversation_id"]))
    world.advance(4 * DAY)
    days = [row for row in rows(client, BILL) if row["date"] > "2026-01-20"]
    assert len(days) == 4
    assert all(billed([row]) > 0 for row in days)
    begun = rows(client, CREDITS, start_time=millis(world.now - 4 * DAY) + 1)
    assert sum(row["total"] for row in begun) == counted(world, "support", "sales")
    created = [row["conversation_create_time"] for row in begun]
    assert millis(world.now - 4 * DAY) < min(created) <= max(created) <= millis(world.now)


def test_what_a_deleted_conversation_spent_stays_billed(client: Client, world: World) -> None:
    bills, items = rows(client, BILL), rows(client, CREDITS)
    world.delete(str(items[3]["conversation_id"]))
    assert (rows(client, BILL), rows(client, CREDITS)) == (bills, items)


def test_what_was_deleted_before_anything_was_asked_stays_billed(
    client: Client, world: World
) -> None:
    before = counted(world, "support", "sales")
    first, *_, last = (str(row["conversation_id"]) for row in world.truth("gptbots"))
    world.delete(first)
    world.delete(last)
    world.restore(last)
    assert counted(world, "support", "sales") < before
    assert billed(rows(client, BILL)) == before


def test_what_was_spent_before_a_chat_is_billed_when_it_was_spent(
    client: Client, world: World
) -> None:
    latest = str(world.truth("gptbots", "support")[0]["conversation_id"])
    spent = counted(world, "support", "sales")
    world.advance(DAY, activity=False)
    world.chat(latest)
    today, *before = rows(client, BILL)
    assert billed(before) == spent
    assert billed([today]) == counted(world, "support", "sales") - spent > 0


def test_older_than_thirty_and_ninety_days_is_not_served(client: Client, world: World) -> None:
    world.advance(14 * DAY, activity=False)
    oldest = world.now - 29 * DAY
    assert rows(client, CREDITS, **on(oldest))
    assert not rows(client, CREDITS, **on(oldest - DAY))
    world.advance(70 * DAY, activity=False)
    dates = [row["date"] for row in rows(client, BILL)]
    assert len(dates) == 90
    assert (dates[0], dates[-1]) == (
        f"{world.now:%Y-%m-%d}",
        f"{world.now - 89 * DAY:%Y-%m-%d}",
    )


def test_pages_and_their_knobs(client: Client, sim: Simulator) -> None:
    found = read(client, CREDITS, page=2, page_size=30)
    assert (len(found["list"]), found["page"], found["page_size"]) == (30, 2, 30)
    assert found["total"] == len(rows(client, CREDITS)) > 200
    sim.knobs = replace(sim.knobs, total="page", past_end="error", gptbots_page_cap=20)
    assert read(client, CREDITS)["total"] == 20
    assert read(client, CREDITS, page=99)["code"] == 40005
    assert read(client, CREDITS, page_size=101)["code"] == 40000
    assert read(client, BILL, start_time=2, end_time=1)["code"] == 40000
    sim.knobs = replace(sim.knobs, books="refused")
    assert read(client, BILL)["code"] == 40300


@pytest.mark.parametrize(
    ("knob", "wanted"),
    [("iso", "2026-01-20"), ("compact", "20260120"), ("epoch_ms", 1_768_867_200_000)],
)
def test_the_date_of_a_bill_has_three_shapes(
    client: Client,
    sim: Simulator,
    knob: Any,  # noqa: ANN401 - of the knob's own type
    wanted: object,
) -> None:
    sim.knobs = replace(sim.knobs, bill_date=knob)
    assert rows(client, BILL)[0]["date"] == wanted


def test_credits_may_be_listed_by_the_beginning_of_their_conversation(
    client: Client, sim: Simulator, world: World
) -> None:
    sim.knobs = replace(sim.knobs, credits_of="begun")
    latest = str(world.truth("gptbots", "support")[0]["conversation_id"])
    (before,) = (row for row in rows(client, CREDITS) if row["conversation_id"] == latest)
    began = datetime.fromtimestamp(before["conversation_create_time"] / 1000, UTC)
    world.advance(DAY, activity=False)
    world.settle(latest, Decimal("0.5"))
    assert not rows(client, CREDITS, **on(world.now))
    (after,) = (r for r in rows(client, CREDITS, **on(began)) if r["conversation_id"] == latest)
    assert after["total"] == before["total"] + Decimal("0.5")


def test_pages_that_do_not_fit_together(client: Client, sim: Simulator) -> None:
    def shown() -> list[list[Row]]:
        return [read(client, CREDITS, page=n, page_size=50)["list"] for n in (1, 2, 3)]

    steady = shown()
    for order in ("oldest_first", "unordered"):
        sim.knobs = replace(sim.knobs, order=order)
        pages = shown()
        assert pages[0] not in (steady[0], pages[1])
        assert len({row["conversation_id"] for page in pages for row in page}) == 150
    sim.knobs = replace(sim.knobs, books_paging="ignored")
    assert shown() == [read(client, CREDITS, page_size=50)["list"]] * 3
    sim.knobs = replace(sim.knobs, books_paging="shifting")
    assert len({row["conversation_id"] for page in shown() for row in page}) < 150
