"""A warehouse of an earlier version is carried on, one of a later version is left alone."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from contextlib import chdir
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
import upgrading
from earlier import world as earlier
from earlier.kept import RELEASES, restore
from project import Project, assert_equal_to_truth, ids
from sound import assert_ledger_right, assert_sound

from pipelines import built, models, query, report, status, upgrade
from pipelines.backfill import backfill
from pipelines.cli_models import held
from pipelines.errors import ConfigurationError, ConvoyError, ModelsFailed
from pipelines.sync import build_models, sync
from pipelines.verify import verify
from pipelines.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import MakeWorld, Simulate

    from pipelines.simulator import World

NOW = len(upgrade.STEPS)
LAID_OUT = """
    select table_name, column_name, data_type
    from information_schema.columns
    where table_schema = 'chat' and not starts_with(table_name, '_dlt')
    order by all
"""
NOT_OF_THE_PAST = {
    "conversations": "* exclude observed_at",
    "platform_breakdown": "*",
    "bot_summary": "*",
}
"""Marts that show what is, and what of them does not say when it was read."""


def laid_out(project: Project) -> list[dict[str, Any]]:
    return project.rows(LAID_OUT)


def noted(project: Project) -> list[dict[str, Any]]:
    return project.rows("from chat.layout")


def write(project: Project, *statements: str) -> None:
    with connect(project.at) as connection:
        for statement in statements:
            connection.execute(statement)


def gone(project: Project, world: World) -> set[str]:
    """Return the conversations that are marked, none of which the world has."""
    marked = project.marked()
    assert not marked & {found for name in world.accounts for found in ids(world, name)}
    return marked


def hold() -> None:
    """Do what each command on models does first."""
    with held():
        pass


@pytest.fixture
def lived(simulate: Simulate, project: Project) -> World:
    """The world as the releases left it, and a project that reads it."""
    world = earlier.begun()
    earlier.go_on(world)
    project.configure(simulate(world), gptbots={"bot_names": True})
    return world


@pytest.fixture
def synced(project: Project, make_world: MakeWorld, simulate: Simulate) -> Project:
    """A project with a warehouse of this version."""
    project.configure(simulate(make_world(bots={"support": 30}, chatbots={"web": 20})))
    assert project.sync().complete
    return project


@pytest.mark.parametrize("release", RELEASES)
def test_a_kept_warehouse_is_of_the_world_that_is_simulated(
    release: str, project: Project, lived: World
) -> None:
    """Where this fails the simulator makes other worlds now: make the warehouses anew."""
    restore(release, project.warehouse)
    assert project.sync().rows_loaded == 0
    assert_equal_to_truth(project, lived, gone=gone(project, lived))


@pytest.mark.parametrize("release", RELEASES)
def test_what_an_earlier_release_made_is_loaded_into(
    release: str, project: Project, lived: World
) -> None:
    restore(release, project.warehouse)
    earlier.go_further(lived)
    assert project.sync().complete
    assert_equal_to_truth(project, lived, gone=gone(project, lived))
    assert noted(project) == [{"version": NOW}]


@pytest.mark.long
@pytest.mark.parametrize("release", RELEASES)
def test_a_sync_carries_on_what_an_earlier_release_made(
    release: str, project: Project, lived: World
) -> None:
    restore(release, project.warehouse)
    before = project.counts()
    earlier.go_further(lived)
    outcome = sync(project.settings())
    assert outcome.complete
    assert outcome.publish == "published"
    assert_equal_to_truth(project, lived, gone=gone(project, lived))
    assert_sound(project, lived)
    assert_ledger_right(project)
    assert noted(project) == [{"version": NOW}]
    assert project.count("conversation_changes") == before["conversation_changes"] + outcome.changes
    after = project.counts()
    again = sync(project.settings())
    assert (again.rows_loaded, again.models, project.counts()) == (0, "skipped", after)


@pytest.mark.long
@pytest.mark.parametrize("release", RELEASES)
def test_afterwards_the_marts_are_those_of_a_fresh_warehouse(
    release: str, project: Project, lived: World, tmp_path: Path
) -> None:
    restore(release, project.warehouse)
    earlier.go_further(lived)
    sync(project.settings())
    fresh = Project(tmp_path / "fresh")
    shutil.copytree(project.folder / ".dlt", fresh.folder / ".dlt")
    with chdir(fresh.folder):
        assert sync(fresh.settings()).complete
    for name, columns in NOT_OF_THE_PAST.items():
        asked = f"select {columns} from marts.{name} order by all"
        assert project.rows(asked) == fresh.rows(asked)
    assert [column for column in laid_out(fresh) if column not in laid_out(project)] == []


@pytest.mark.parametrize("release", RELEASES)
def test_what_only_reads_leaves_an_earlier_warehouse_as_it_is(
    release: str, project: Project, lived: World
) -> None:
    restore(release, project.warehouse)
    settings, before = project.settings(), project.warehouse.read_bytes()
    found = status.status(settings, [])
    live = sum(len(lived.truth(a.api, a.name)) for a in lived.accounts.values())
    assert sum(bot.conversations for bot in found.bots) == live
    assert query.run(project.warehouse, "from marts.conversations").num_rows == live
    with pytest.raises(ConfigurationError, match="earlier version of Convoy; run `convoy sync`"):
        verify(settings)
    assert project.warehouse.read_bytes() == before


@pytest.mark.parametrize("release", RELEASES)
def test_the_first_that_writes_carries_it_on(release: str, project: Project, lived: World) -> None:
    writers: tuple[Callable[[], object], ...] = (
        lambda: backfill(project.settings(), datetime(2025, 6, 1, tzinfo=UTC), lived.now),
        lambda: verify(project.settings(), repair=True),
        hold,
    )
    for writer in writers:
        project.warehouse.unlink(missing_ok=True)
        restore(release, project.warehouse)
        writer()
        assert noted(project) == [{"version": NOW}]


@pytest.mark.long
def test_an_earlier_publication_is_told_as_such(synced: Project) -> None:
    shown = synced.settings()
    sync(shown)
    shown.publish.chmod(0o600)
    with duckdb.connect(str(shown.publish)) as connection:
        connection.execute("alter table marts.conversations drop column subject")
    with pytest.raises(ConvoyError, match="another version of Convoy; run `convoy sync` first"):
        report.write(shown.publish, synced.folder / "report.html")


def test_a_bots_details_are_forgotten(synced: Project) -> None:
    detail = """ '{"api_key": "a-key"}' """
    row = f"values ('gptbots', 'i', 'support', 'S', now(), {detail})"
    write(
        synced,
        "drop table chat.layout",
        "alter table chat.bots add column extra json",
        f"insert into chat.bots (source, bot_id, bot, name, observed_at, extra) {row}",
        "create or replace table chat_staging.bots as from chat.bots",
    )
    assert synced.sync().complete
    for schema in ("chat", "chat_staging"):
        (kept,) = synced.rows(f"select name, extra from {schema}.bots")
        assert kept == {"name": "S", "extra": None}


def test_tables_and_columns_that_it_lacks_are_made_as_a_first_sync_would(
    synced: Project,
) -> None:
    with connect(synced.warehouse, read_only=True) as connection:
        before = connection.execute("describe chat.bills").fetchall()
    wanted = laid_out(synced)
    write(
        synced,
        "drop table chat.bills",
        "drop table chat.bots",
        "alter table chat.conversations drop column voice_path",
        "alter table chat.conversations drop column metadata",
        "alter table chat.sync_windows drop column evidence",
    )
    assert laid_out(synced) != wanted
    with connect(synced.warehouse) as connection:
        assert upgrade.is_outdated(connection)
    hold()
    assert laid_out(synced) == wanted
    with connect(synced.warehouse, read_only=True) as connection:
        assert not upgrade.is_outdated(connection)
        assert connection.execute("describe chat.bills").fetchall() == before


def test_rows_are_loaded_into_what_was_added(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 130}, chatbots={"web": 30})
    project.configure(simulate(world))
    project.sync()
    write(
        project,
        "alter table chat.conversations drop column subject",
        "alter table chat.conversations drop column metadata",
        "drop table chat.bots",
    )
    world.advance(timedelta(seconds=1), activity=False)
    for account in world.accounts.values():
        for conversation in ids(world, account.name):
            world.chat(conversation)
    project.configure(simulate(world), gptbots={"bot_names": True})
    assert project.sync().complete
    assert_equal_to_truth(project, world)
    assert [row["bot"] for row in project.rows("from chat.bots")] == ["support"]


def test_a_new_warehouse_is_of_this_version_before_it_has_tables(synced: Project) -> None:
    assert noted(synced) == [{"version": NOW}]
    path = synced.folder / "other.duckdb"
    upgrade.begin(path)
    with connect(path, read_only=True) as connection:
        assert upgrade.version(connection) == NOW
        assert not upgrade.is_outdated(connection)


def test_a_first_sync_that_dies_leaves_no_warehouse_of_an_earlier_version(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    project.configure(simulate(make_world(bots={"support": 30})))
    dying = Path(__file__).parent / "dying.py"
    died = subprocess.run([sys.executable, dying, "conversations"], check=False)  # noqa: S603 - ours
    assert died.returncode == -signal.SIGKILL
    assert noted(project) == [{"version": NOW}]


def test_a_step_that_dies_is_taken_again_and_none_twice(
    synced: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    sums = "select sum(message_count) as sum, count(message_count) as n from chat.conversations"
    (before,) = synced.rows(sums)
    died = subprocess.run([sys.executable, upgrading.__file__], check=False)  # noqa: S603 - ours
    assert died.returncode == -signal.SIGKILL
    assert noted(synced) == [{"version": NOW + 1}]
    monkeypatch.setattr(upgrade, "STEPS", (*upgrade.STEPS, upgrading.count_on, upgrading.count_on))
    hold()
    assert noted(synced) == [{"version": NOW + 2}]
    assert synced.rows(sums) == [{"sum": before["sum"] + 2 * before["n"], "n": before["n"]}]


def test_a_later_warehouse_is_refused_and_left_as_it_is(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 30}, chatbots={"web": 20})
    upstream = simulate(world)
    project.configure(upstream)
    project.sync()
    write(project, f"update chat.layout set version = {NOW + 1}")
    settings, before = project.settings(), project.warehouse.read_bytes()
    upstream.clear_log()
    refused: tuple[Callable[[], object], ...] = (
        lambda: sync(settings),
        lambda: backfill(settings, world.start, world.now),
        lambda: verify(settings),
        lambda: verify(settings, repair=True),
        hold,
        lambda: status.status(settings, []),
        lambda: upgrade.carry_on(project.warehouse),
    )
    for command in refused:
        with pytest.raises(ConfigurationError, match="of a later version of Convoy") as told:
            command()
        assert told.value.exit_code == 2
    assert (project.warehouse.read_bytes(), upstream.log) == (before, [])
    assert query.run(project.warehouse, "from chat.conversations").num_rows == 50


@pytest.fixture
def models_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The models in a folder where they may be changed."""
    folder = tmp_path / "sql"
    shutil.copytree(models.project_dir(), folder)
    monkeypatch.setattr(models, "project_dir", lambda: folder)
    return folder


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1
    file.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.long
def test_models_that_changed_are_built_in_full_once(
    synced: Project, models_of_their_own: Path
) -> None:
    settings, marts = synced.settings(), models_of_their_own / "models" / "marts"
    build_models(settings)
    change(
        marts / "credit_ledger.sql",
        "        terms.booked_under\n    from compared",
        "        terms.booked_under,\n        1 as generation\n    from compared",
    )
    change(marts / "bot_summary.sql", "from measured", "from nowhere")
    with pytest.raises(ModelsFailed, match="bot_summary"):
        build_models(settings)  # what it did not come to is left to the next
    change(marts / "bot_summary.sql", "from nowhere", "from measured")
    change(marts / "credit_ledger.sql", "1 as generation", "2 as generation")
    build_models(settings)
    of = "select distinct generation from marts.credit_ledger"
    assert synced.rows(of) == [{"generation": 2}]
    assert_ledger_right(synced)
    write(synced, "update marts.credit_ledger set generation = 0")
    build_models(settings)  # on top of what is there: nothing is new
    assert synced.rows(of) == [{"generation": 0}]


def test_changed_models_are_not_current(synced: Project, models_of_their_own: Path) -> None:
    with connect(synced.at) as connection:
        built.begin(connection)
        assert not built.by_these_models(connection)
        built.end(connection, "UTC")
        assert built.by_these_models(connection)
        built.begin(connection)
        assert built.by_these_models(connection)
        assert not built.are_current(connection, "UTC")
        built.end(connection, "UTC")
        assert built.are_current(connection, "UTC")
        described = models_of_their_own / "models" / "marts" / "credits.yml"
        described.write_text(described.read_text(encoding="utf-8") + "\n", encoding="utf-8")
        assert built.are_current(connection, "UTC")
        ledger = models_of_their_own / "models" / "marts" / "credit_ledger.sql"
        change(ledger, "compared.credits,", "compared.credits  ,")
        assert not built.are_current(connection, "UTC")
        assert not built.by_these_models(connection)
