"""GPTBots' own books, loaded beside the conversations."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pytest
from project import assert_equal_to_truth, bot

from pipelines import books, cli, tables
from pipelines.gptbots.books import interpret_rows
from pipelines.lock import locked
from pipelines.simulator import Faults, Knobs, gptbots
from pipelines.simulator.books import bill, conversation_credits
from pipelines.status import status
from pipelines.sync import build_models

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import MakeWorld, Simulate
    from project import Project

    from pipelines.simulator import Simulator, World

ALL_ON = {"bill": True, "conversation_credits": True, "bot_names": True}
EVER = (0, 10**14)
DAY = timedelta(days=1)


@pytest.fixture
def switched_on(project: Project, monkeypatch: pytest.MonkeyPatch) -> Callable[[Simulator], None]:
    """Configure all that is optional; days are counted back from the world's present."""

    def switch(upstream: Simulator) -> None:
        project.configure(upstream, gptbots=ALL_ON, okchat={"bot_names": True})
        monkeypatch.setattr(books, "present", lambda: upstream.world.now)

    return switch


def bills(project: Project, name: str) -> dict[str, Any]:
    rows = project.rows("from chat.bills where bot = ? order by billed_on", name)
    kinds = [n for n, c in tables.BILLS.columns.items() if c.type == tables.CREDIT]
    return {f"{row['billed_on']}": {kind: row[kind] for kind in kinds} for row in rows}


def billed(world: World, name: str, knobs: Knobs) -> dict[str, Any]:
    rows = bill(world, world.accounts[name], EVER, knobs)
    return {str(row.pop("date")): row for row in rows}


def credited(project: Project) -> dict[str, Decimal]:
    found = project.rows(
        "select conversation_id, sum(total) as total from chat.conversation_credits group by 1"
    )
    return {row["conversation_id"]: row["total"] for row in found}


def spent(world: World, *names: str) -> dict[str, Decimal]:
    return {
        str(row["conversation_id"]): Decimal(str(row["total"]))
        for name in names
        for row in conversation_credits(world, world.accounts[name], EVER, Knobs(bill="bot"))
    }


@pytest.mark.parametrize("whose", ["account", "bot"])
def test_the_books_are_loaded_as_they_are_served(
    project: Project,
    make_world: MakeWorld,
    simulate: Simulate,
    whose: Any,  # noqa: ANN401 - of the knob's own type
    switched_on: Callable[[Simulator], None],
) -> None:
    world = make_world(bots={"support": 450, "sales": 30}, chatbots={"web": 40})
    knobs = Knobs(bill=whose)
    switched_on(simulate(world, knobs))
    assert project.sync().complete
    for name in ("support", "sales"):
        assert bills(project, name) == billed(world, name, knobs)
    assert credited(project) == spent(world, "support", "sales")
    names = project.rows("select source, bot_id, bot, name from chat.bots order by bot")
    assert [(row["bot"], row["name"]) for row in names] == [
        ("sales", "sales"),
        ("support", "support"),
        ("web", "web"),
    ]
    assert {row["bot_id"] for row in names} == {a.id for a in world.accounts.values()}
    assert_equal_to_truth(project, world)


def asked(upstream: Simulator, what: str) -> int:
    return sum(what in logged.path for logged in upstream.log)


@pytest.mark.parametrize(
    "knobs",
    [
        Knobs(bill_date="compact", past_end="error", gptbots_page_cap=20),
        Knobs(bill_date="epoch_ms", total="page", gptbots_page_cap=20),
        Knobs(total="page", past_end="error", error_status=400),
    ],
    ids=["capped", "capped, total of the page", "total of the page"],
)
def test_however_the_books_are_paged_and_dated(
    project: Project,
    make_world: MakeWorld,
    simulate: Simulate,
    knobs: Knobs,
    switched_on: Callable[[Simulator], None],
) -> None:
    world = make_world(bots={"support": 900})
    world.tie("support", 130)
    switched_on(simulate(world, knobs))
    assert project.sync().complete
    assert [*bills(project, "support").values()] == [*billed(world, "support", knobs).values()][
        ::-1
    ]
    assert credited(project) == spent(world, "support")


def test_a_second_sync_reads_only_what_may_still_settle(
    project: Project,
    make_world: MakeWorld,
    simulate: Simulate,
    switched_on: Callable[[Simulator], None],
) -> None:
    upstream = simulate(make_world(bots={"support": 450}, chatbots={"web": 20}))
    switched_on(upstream)
    project.sync()
    assert asked(upstream, "credits") >= 30
    before = project.rows("select 'b', * from chat.bills union all by name from chat.bots")
    upstream.clear_log()
    outcome = project.sync()
    assert outcome.complete
    assert (asked(upstream, "credits"), asked(upstream, "bill"), asked(upstream, "detail")) == (
        4,
        1,
        1,
    )
    assert project.rows("select 'b', * from chat.bills union all by name from chat.bots") == before


def test_what_upstream_forgets_stays_and_what_still_grows_is_replaced(
    project: Project,
    make_world: MakeWorld,
    simulate: Simulate,
    switched_on: Callable[[Simulator], None],
) -> None:
    world = make_world(bots={"support": 450})
    row = world.truth("gptbots")[0]
    switched_on(simulate(world))
    project.sync()
    first, spent_first = bills(project, "support"), spent(world, "support")
    for step in (2 * DAY, 29 * DAY, 60 * DAY):
        world.advance(step, activity=False)
        world.settle(str(row["conversation_id"]), Decimal("0.25"))
        assert project.sync().complete
    found, served = bills(project, "support"), billed(world, "support", Knobs())
    assert not first.keys() & served.keys()
    days = sorted(found)
    assert len(days) == len(set(days)) == 90 + 91
    assert {day: found[day] for day in served} == served
    assert {day: found[day] for day in days[:89]} == {day: first[day] for day in days[:89]}
    spent_first[str(row["conversation_id"])] += Decimal("0.75")
    assert credited(project) == spent_first


def test_a_day_that_was_read_before_it_settled_is_read_again_after(
    project: Project,
    make_world: MakeWorld,
    simulate: Simulate,
    switched_on: Callable[[Simulator], None],
) -> None:
    upstream = simulate(make_world(bots={"support": 100}))
    world = upstream.world
    switched_on(upstream)
    for _ in range(2):
        project.sync()
        world.advance(10 * DAY, activity=False)
    held = project.rows(
        "select window_start from chat.sync_windows where kind = 'credits' order by 1"
    )
    days = [row["window_start"].date() for row in held]
    assert len(days) == len(set(days)) == 26 + 10
    assert days[-1] == world.now.date() - 14 * DAY


@pytest.mark.parametrize(
    "refused", [Knobs(books="refused"), Knobs(books="refused", error_status=400)]
)
def test_books_that_are_refused_fail_nothing_else(
    project: Project,
    make_world: MakeWorld,
    simulate: Simulate,
    refused: Knobs,
    switched_on: Callable[[Simulator], None],
) -> None:
    world = make_world(bots={"support": 120}, chatbots={"web": 20})
    upstream = simulate(world, refused)
    switched_on(upstream)
    outcome = project.sync()
    assert not outcome.complete
    support = bot(outcome, "support")
    assert support.error is None
    assert support.certified
    assert [failure.split(":")[0] for failure in support.failures] == [
        "bill",
        "conversation_credits",
    ]
    assert asked(upstream, "credits") == 1
    assert bot(outcome, "web").failures == []
    assert_equal_to_truth(project, world)
    assert project.count("bots") == 2
    upstream.knobs = Knobs()
    assert project.sync().complete
    assert credited(project) == spent(world, "support")


def test_a_resource_that_stays_limited_is_given_up_alone(
    project: Project,
    make_world: MakeWorld,
    simulate: Simulate,
    switched_on: Callable[[Simulator], None],
) -> None:
    world = make_world(bots={"support": 120})
    upstream = simulate(world)
    upstream.faults = Faults(rate_limited=1.0, only="/bill/")
    switched_on(upstream)
    outcome = project.sync(patience=0.5)
    (failure,) = bot(outcome, "support").failures
    assert failure.startswith("bill: too many requests")
    assert credited(project) == spent(world, "support")
    assert_equal_to_truth(project, world)


def test_a_warehouse_of_an_earlier_version_gets_the_tables_and_reads_nothing_again(
    project: Project,
    make_world: MakeWorld,
    simulate: Simulate,
    monkeypatch: pytest.MonkeyPatch,
    switched_on: Callable[[Simulator], None],
) -> None:
    world = make_world(bots={"support": 450}, chatbots={"web": 40})
    upstream = simulate(world)
    project.configure(upstream)
    with monkeypatch.context() as earlier:
        earlier.setattr(tables, "ALL", tables.CORE)
        project.sync()
    with pytest.raises(duckdb.CatalogException):
        project.count("bills")
    assert status(project.settings(), ()).bots
    before = project.counts()
    upstream.clear_log()
    outcome = project.sync()
    assert (outcome.complete, outcome.rows_loaded) == (True, 0)
    assert bot(outcome, "support").requests <= 2
    assert project.counts() == before
    assert [project.count(table.name) for table in tables.BOOKS] == [0, 0, 0]
    switched_on(upstream)
    assert project.sync().complete
    assert credited(project) == spent(world, "support")
    assert project.counts() == before


def test_the_models_of_a_warehouse_of_an_earlier_version_can_be_built_before_a_sync(
    project: Project, make_world: MakeWorld, simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.configure(simulate(make_world(bots={"support": 5})))
    with monkeypatch.context() as earlier:
        earlier.setattr(tables, "ALL", tables.CORE)
        project.sync()
    with locked(project.settings()):
        build_models(project.settings())
    assert project.rows("select bot, name from marts.dim_bots") == [
        {"bot": "support", "name": "support"}
    ]


def test_of_a_row_that_came_twice_the_later_counts() -> None:
    def page(total: str, at: datetime) -> pa.Table:
        rows = [{"conversation_id": "a", "total": total}]
        same = {"bot": "support", "credited_on": date(2026, 3, 1), "observed_at": at}
        return interpret_rows(tables.CONVERSATION_CREDITS, rows, same).table

    first = datetime(2026, 3, 1, tzinfo=UTC)
    for later, wanted in ((first + DAY, "2"), (first - DAY, "1")):
        read = pa.concat_tables([page("1", first), page("2", later)])
        found = books.newest(tables.CONVERSATION_CREDITS, read)
        assert found["total"].to_pylist() == [Decimal(wanted)]


def test_a_row_that_cannot_be_read_is_kept_aside(
    project: Project, make_world: MakeWorld, simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    today = datetime.now(UTC).date()

    def served(*_: object) -> list[dict[str, object]]:
        return [
            {"date": f"{today}", "total": "1.5", "chat": 1.5, "video": 2},
            {"date": f"{today}", "total": "1.5", "chat": 1.25, "video": 2},
            {"date": "soon", "total": 1},
            {"date": f"{today - DAY}"},
            {"date": 1772323200, "total": 1},
        ]

    monkeypatch.setitem(gptbots._BOOKS, "/v1/account/bill/page", served)  # noqa: SLF001 - the simulator's own table
    project.configure(simulate(make_world(bots={"support": 5})), gptbots={"bill": True})
    outcome = project.sync()
    assert (outcome.complete, bot(outcome, "support").rejected) == (True, 4)
    rows = project.rows("select billed_on, total, chat, extra from chat.bills")
    assert rows == [
        {
            "billed_on": today,
            "total": Decimal("1.5"),
            "chat": Decimal("1.5"),
            "extra": '{"video":2}',
        }
    ]
    reasons = project.rows("select reason from chat.rejected_rows order by reason")
    assert [row["reason"] for row in reasons] == [
        "another row of the same key says something else",
        "date is no day: 'soon'",
        "date was not asked for: 1970-01-21",
        "total is missing",
    ]


def test_a_failure_is_told_and_ends_with_1(
    project: Project, make_world: MakeWorld, simulate: Simulate, capsys: pytest.CaptureFixture[str]
) -> None:
    upstream = simulate(make_world(bots={"support": 5}), Knobs(books="refused"))
    project.configure(upstream, gptbots={"bill": True})
    project.settings()
    with pytest.raises(SystemExit) as ended:
        cli.app(["sync", "--no-models"])
    assert ended.value.code == 1
    said = capsys.readouterr().out
    assert "certified, all history counted" in said
    assert "FAILED: bill: the API answers with code 40300 (bot support" in said


def test_the_days_held_do_not_stand_for_a_sync_of_conversations(
    project: Project,
    make_world: MakeWorld,
    simulate: Simulate,
    switched_on: Callable[[Simulator], None],
) -> None:
    switched_on(simulate(make_world(bots={"support": 5})))
    project.sync()
    found = status(project.settings(), [("gptbots", "support")])
    assert found.bots[0].evidence
    assert "day" not in found.bots[0].evidence


@pytest.mark.parametrize(
    "knobs",
    [
        Knobs(books_paging="ignored"),
        Knobs(books_paging="ignored", total="page"),
        Knobs(books_paging="shifting"),
        Knobs(books_paging="shifting", total="page"),
    ],
)
def test_a_day_that_is_not_read_whole_is_told_and_read_again(
    project: Project,
    make_world: MakeWorld,
    simulate: Simulate,
    knobs: Knobs,
    switched_on: Callable[[Simulator], None],
) -> None:
    world = make_world(bots={"support": 20})
    world.tie("support", 130)
    full = world.now.date()
    world.advance(5 * DAY, activity=False)
    upstream = simulate(world, knobs)
    switched_on(upstream)
    failures = bot(project.sync(), "support").failures
    (failure,) = (told for told in failures if told.startswith("conversation_credits: "))
    assert failure.startswith("conversation_credits: the API sends ")
    assert failure.endswith(f"/v1/account/agent/conversation/credits, from {full})")
    days = {one.params["start_time"] for one in upstream.log if "credits" in one.path}
    assert len(days) == 30
    upstream.knobs = Knobs(order="unordered")
    assert project.sync().complete
    assert credited(project) == spent(world, "support")
