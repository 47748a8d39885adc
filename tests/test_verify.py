"""Comparing all history, naming what differs, mending it; reading a range again."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import duckdb
import pytest
from project import Project, assert_equal_to_truth, bot, ids

from pipelines.backfill import backfill
from pipelines.errors import ConfigurationError
from pipelines.jobs import BotName
from pipelines.simulator import Knobs
from pipelines.verify import Verified, verify

if TYPE_CHECKING:
    from conftest import MakeWorld, Simulate

    from pipelines.outcome import Outcome
    from pipelines.simulator import World

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
SUPPORT = BotName("gptbots", "support")
WEB = BotName("okchat", "web")


def verified(project: Project, *, repair: bool = False) -> Verified:
    return verify(project.settings(), repair=repair, patience=20.0)


def backfilled(project: Project, since: datetime, until: datetime, *names: str) -> Outcome:
    return backfill(project.settings(), since, until, bots=names, patience=20.0)


def lose(project: Project, *ids: str) -> None:
    """Take conversations out of the warehouse, as if they had never been loaded."""
    with duckdb.connect(str(project.warehouse)) as connection:
        for table in ("conversations", "last_messages", "conversation_changes"):
            sql = f"delete from chat.{table} where conversation_id in (select unnest(?))"
            connection.execute(sql, [list(ids)])


def spoilt(project: Project, world: World) -> dict[BotName, dict[str, set[str]]]:
    """Let old conversations of both APIs be missing, stale and gone."""
    support, web = ids(world, "support"), ids(world, "web")
    lose(project, support[200], web[20])
    with duckdb.connect(str(project.warehouse)) as connection:
        # As if a newer reading had been lost.
        connection.execute(
            "update chat.conversations set last_activity_at = last_activity_at - interval 9 day,"
            " recent_chat_time = recent_chat_time - interval 9 day,"
            " updated_at = updated_at - interval 9 day where conversation_id in (?, ?)",
            [support[150], web[25]],
        )
    for conversation_id in (support[100], web[30]):
        world.delete(conversation_id)
    return {
        SUPPORT: {"missing": {support[200]}, "stale": {support[150]}, "deleted": {support[100]}},
        WEB: {"missing": {web[20]}, "stale": {web[25]}, "deleted": {web[30]}},
    }


def named(found: Verified) -> dict[BotName, dict[str, set[str]]]:
    return {
        name: {"missing": d.missing, "stale": d.stale, "deleted": d.deleted}
        for name, d in found.differences.items()
    }


@pytest.mark.parametrize("knobs", [Knobs(), Knobs(total="page", order="unordered")], ids=repr)
def test_what_differs_is_named_and_nothing_is_written(
    project: Project, make_world: MakeWorld, simulate: Simulate, knobs: Knobs
) -> None:
    world = make_world(bots={"support": 300}, chatbots={"web": 60})
    project.configure(simulate(world, knobs))
    project.sync()
    wanted = spoilt(project, world)
    before = hashlib.sha256(project.warehouse.read_bytes()).digest()
    found = verified(project)
    assert named(found) == wanted
    assert not found.agrees
    assert hashlib.sha256(project.warehouse.read_bytes()).digest() == before


def test_what_differs_is_mended_and_then_agrees(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 300}, chatbots={"web": 60})
    project.configure(simulate(world))
    cursors = {name: of.cursor for name, of in project.sync().bots.items()}
    wanted = spoilt(project, world)
    found = verified(project, repair=True)
    assert named(found) == wanted
    assert found.agrees
    again = verified(project)
    assert again.agrees
    assert not any(again.differences.values())
    outcome = project.sync()
    assert (outcome.rows_loaded, outcome.changes) == (0, 0)
    assert {name: of.cursor for name, of in outcome.bots.items()} == cursors


def test_an_ordinary_sync_fills_an_old_gap(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 300}, chatbots={"web": 60})
    project.configure(simulate(world))
    project.sync()
    lose(project, ids(world, "support")[200], ids(world, "web")[30])
    outcome = project.sync()
    assert (outcome.complete, outcome.rows_loaded) == (True, 2)
    assert bot(outcome, "support").history == "agrees"
    assert_equal_to_truth(project, world)


def test_a_start_date_that_is_moved_back_is_filled_and_one_moved_on_takes_nothing(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 300})
    upstream = simulate(world)
    middle = world.truth("gptbots", "support")[150]["recent_chat_time"]
    later = datetime.fromtimestamp(int(str(middle)) / 1000, UTC)
    project.configure(upstream, gptbots={"start_date": later.isoformat()})
    assert project.sync().complete
    assert project.count("conversations") == 151
    project.configure(upstream)
    assert project.sync().complete
    assert_equal_to_truth(project, world)
    project.configure(upstream, gptbots={"start_date": later.isoformat()})
    outcome = project.sync()
    assert (outcome.complete, bot(outcome, "support").deleted) == (True, 0)
    assert_equal_to_truth(project, world)


def test_rows_that_cannot_be_read_are_counted_once_and_no_gap(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 300})
    bad = ids(world, "support")[200:203]
    for conversation_id in bad:
        world.edit(conversation_id, message_count="many")
    upstream = simulate(world)
    project.configure(upstream)
    for _ in range(2):
        outcome = project.sync()
        assert outcome.complete
        assert bot(outcome, "support").history == "agrees"
    assert bot(outcome, "support").requests <= 2
    gone = ids(world, "support")[100]
    world.delete(gone)
    assert project.sync().complete
    rows = project.rows("from chat.conversations where deleted_at is not null")
    assert [row["conversation_id"] for row in rows] == [gone]
    world.edit(bad[1], message_count=4)
    assert verified(project).differences[SUPPORT].missing == {bad[1]}
    assert verified(project, repair=True).agrees
    assert bot(project.sync(), "support").requests <= 2


def test_a_backfill_loads_what_settled_too_late_and_moves_no_cursor(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 300, "sales": 20}, chatbots={"web": 20})
    project.configure(simulate(world))
    cursors = {name: of.cursor for name, of in project.sync().bots.items()}
    rows = world.truth("gptbots", "support")
    old, older = (str(rows[i]["conversation_id"]) for i in (100, 200))
    for conversation_id in (old, older):
        world.settle(conversation_id, Decimal("0.25"))
    assert project.sync().rows_loaded == 0
    border = datetime.fromtimestamp(int(str(rows[150]["recent_chat_time"])) / 1000, UTC)
    outcome = backfilled(project, border, datetime.now(UTC), "support")
    assert (outcome.complete, outcome.rows_loaded, len(outcome.bots)) == (True, 1, 1)
    outcome = backfilled(project, EPOCH, datetime.now(UTC))
    assert (outcome.rows_loaded, outcome.changes, len(outcome.bots)) == (1, 1, 3)
    assert_equal_to_truth(project, world)
    assert {name: of.cursor for name, of in project.sync().bots.items()} == cursors


def test_a_backfill_of_a_bot_that_was_never_synced_leaves_its_first_sync_whole(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 300}, chatbots={"web": 30})
    project.configure(simulate(world))
    newest = datetime.now(UTC) - timedelta(days=3)
    backfilled(project, newest, datetime.now(UTC))
    assert 0 < project.count("conversations") < 330
    outcome = project.sync()
    assert outcome.complete
    assert_equal_to_truth(project, world)


def test_a_backfill_never_puts_an_older_version_over_a_newer_one(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    """The warehouse knows a version that upstream, as restored from a backup, does not."""
    world = make_world(bots={"support": 30}, chatbots={"web": 30})
    project.configure(simulate(world))
    support, web = ids(world, "support")[20], ids(world, "web")[20]
    before = {row["conversation_id"]: row for row in world.truth("gptbots", "support")}[support]
    world.advance(timedelta(seconds=1), activity=False)
    project.sync()
    with duckdb.connect(str(project.warehouse)) as connection:
        connection.execute(
            "update chat.conversations set last_activity_at = now(), subject = 'newer'"
            " where conversation_id in (?, ?)",
            [support, web],
        )
    backfilled(project, EPOCH, datetime.now(UTC))
    newer = project.rows("from chat.conversations where subject = 'newer'")
    assert {row["conversation_id"] for row in newer} == {support, web}
    assert before["subject"] != "newer"


def test_an_empty_range_and_an_unknown_bot_are_faults(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    project.configure(simulate(make_world(bots={"support": 3})))
    with pytest.raises(ConfigurationError, match="must lie before"):
        backfilled(project, datetime.now(UTC), EPOCH)
    with pytest.raises(ConfigurationError, match=r"no bot named shop .*: support"):
        backfilled(project, EPOCH, datetime.now(UTC), "shop")


# Clocks.


def test_a_clock_that_was_set_back_keeps_the_ledger_in_order(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    """What was observed before seems to lie in the future."""
    world = make_world(bots={"support": 0})
    conversation_id = world.begin("support", cost_credit=Decimal("0.59"))
    project.configure(simulate(world))
    project.sync()
    with duckdb.connect(str(project.warehouse)) as connection:
        for table in ("conversations", "conversation_changes"):
            connection.execute(f"update chat.{table} set observed_at = now() + interval 2 day")
    for cost, changes in ((Decimal("0.24"), 1), (Decimal("-0.02"), 1), (Decimal(0), 0)):
        world.settle(conversation_id, cost)
        assert project.sync().changes == changes
    world.begin("support", cost_credit=Decimal(7))
    project.sync()
    rows = project.rows("from chat.conversation_changes order by observed_at")
    assert [row["cost_credit"] for row in rows] == [
        Decimal("0.59"), Decimal("0.83"), Decimal("0.81"), Decimal(7),
    ]  # fmt: skip
    assert_equal_to_truth(project, world)
