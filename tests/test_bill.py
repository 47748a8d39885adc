"""The bill against the ledger, out of whole syncs of a world that lives from day to day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from pipelines import books, models
from pipelines.simulator import Knobs, World
from pipelines.simulator.books import bill

if TYPE_CHECKING:
    from conftest import Simulate
    from project import Project

ON = {"bill": True, "conversation_credits": True}
DAYS = 5
pytestmark = pytest.mark.long
# The world's clock lies days behind the one that windows are dated by.
_AS_THE_WORLD = "update chat.sync_windows set finished_at = finished_at - interval {} minute"


def live(project: Project, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sync twice a day, before and after its afternoon; nothing happens in the night."""
    monkeypatch.setattr(books, "present", lambda: world.now)
    project.sync()
    passed = int((datetime.now(UTC) - world.now).total_seconds() // 60)
    with duckdb.connect(str(project.warehouse)) as connection:
        connection.execute(_AS_THE_WORLD.format(passed))
    as_the_world(project, world)
    for _ in range(DAYS):
        world.advance(timedelta(hours=18), activity=False)
        world.advance(timedelta(hours=6))
        assert project.sync().complete
        as_the_world(project, world)
        world.delete(str(world.truth("gptbots", "support")[0]["conversation_id"]))


def as_the_world(project: Project, world: World) -> None:
    """Date what was read of the books by the world's clock."""
    read = "update chat.bills set observed_at = ? where observed_at > ?"
    with duckdb.connect(str(project.warehouse)) as connection:
        connection.execute(read, [world.now, world.now])


def evening(days: int) -> datetime:
    return datetime.now(UTC).replace(hour=18, minute=0) - timedelta(days=days)


@pytest.mark.parametrize(
    ("whose", "accounts"),
    [("account", {"sales": "sales, support"}), ("bot", {"sales": "sales", "support": "support"})],
)
def test_bill_and_ledger_agree_to_the_last_decimal(
    project: Project,
    simulate: Simulate,
    monkeypatch: pytest.MonkeyPatch,
    whose: Any,  # noqa: ANN401 - of the knob's own type
    accounts: dict[str, str],
) -> None:
    now = evening(days=DAYS + 3)
    world = World.seeded(
        7, bots={"support": 3000, "sales": 900}, now=now, start=now - timedelta(days=60)
    )
    project.configure(simulate(world, Knobs(bill=whose)), gptbots=ON)
    live(project, world, monkeypatch)
    built = models.build(project.warehouse, project.folder / "work", tests=True)
    assert built.warnings == 0
    rows = project.rows("from marts.bill_reconciliation_daily where is_observed and is_settled")
    assert {row["account"]: row["bots"] for row in rows} == accounts
    assert len(rows) == DAYS * len(accounts)
    assert all(row["booked"] and row["unattributed"] for row in rows)
    assert [row["difference"] for row in rows] == [Decimal(0)] * len(rows)
    assert [row["itemised"] for row in rows] == [row["booked"] for row in rows]


def test_a_bill_that_is_not_explained_is_a_warning(
    project: Project, simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = evening(days=DAYS + 3)
    world = World.seeded(7, bots={"support": 900, "sales": 900}, now=now)
    project.configure(simulate(world), bots=["support"], gptbots=ON)
    live(project, world, monkeypatch)
    built = models.build(project.warehouse, project.folder / "work", tests=True)
    assert built.warnings == 1


def test_a_bot_that_is_renamed_is_billed_once(
    project: Project, simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = evening(days=12)
    world = World.seeded(7, bots={"support": 300}, now=now, start=now - timedelta(days=9))
    upstream = simulate(world)
    monkeypatch.setattr(books, "present", lambda: world.now)
    secrets = project.folder / ".dlt" / "secrets.toml"
    project.configure(upstream, gptbots=ON)
    for name in ("support", "support", "help", "help"):
        world.advance(timedelta(hours=27))
        secrets.write_text(secrets.read_text().replace('"support"', f'"{name}"'))
        project.sync()
        as_the_world(project, world)
    models.build(project.warehouse, project.folder / "work")
    rows = project.rows("from marts.bill_reconciliation_daily")
    assert {(row["account"], row["bots"]) for row in rows} == {("help", "help, support")}
    served = bill(world, world.accounts["support"], (0, 10**14), Knobs())
    assert sum(row["billed"] for row in rows) == sum(Decimal(f"{row['total']}") for row in served)
