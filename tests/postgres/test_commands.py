from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from project import assert_equal_to_truth, ids

from pipelines import tables
from pipelines.check import check_warehouse
from pipelines.errors import ConfigurationError, WarehouseFailed
from pipelines.lock import locked
from pipelines.postgres.server import of_text
from pipelines.query import QueryFailed
from pipelines.query import run as query
from pipelines.verify import verify
from pipelines.warehouse import connect
from postgres.server import PASSWORD
from postgres.test_crash import run

if TYPE_CHECKING:
    from conftest import MakeWorld, Simulate

    from pipelines.simulator import World
    from postgres.server import PostgresProject


WRITING = (
    "delete from conversations",
    "create table marts.mine (id int)",
    "set transaction read write",
    "select 1; delete from conversations",
    "do $$ begin set transaction read write; delete from chat.conversations; end $$",
    "do $$ begin commit; delete from chat.conversations; end $$",
    "select nothing",
    "copy (select 1) to program 'true'",
    "select 1) as asked) to program 'true' --",
    "commit",
    "begin",
    "checkpoint",
    "notify somebody",
    "lock table chat.conversations in access exclusive mode",
    "with gone as (delete from chat.conversations returning 1) select * from gone",
    "",
    ";",
    "-- nothing",
)


@pytest.fixture
def world(make_world: MakeWorld, simulate: Simulate, project: PostgresProject) -> World:
    """A world that is loaded."""
    world = make_world(bots={"support": 230, "sales": 40}, chatbots={"website": 120})
    project.configure(simulate(world))
    assert project.sync().complete
    return world


def test_deleted_upstream_is_marked_and_unmarked(world: World, project: PostgresProject) -> None:
    gone = {ids(world, "support")[3], ids(world, "website")[5]}
    for conversation in gone:
        world.delete(conversation)
    assert project.sync().complete
    assert project.marked() == gone
    for conversation in gone:
        world.restore(conversation)
    assert project.sync().complete
    assert_equal_to_truth(project, world)


def test_verify_names_what_differs_and_mends_it(world: World, project: PostgresProject) -> None:
    lost, other = ids(world, "support")[7], ids(world, "website")[9]
    for table in ("conversations", "last_messages", "conversation_changes"):
        delete = f"delete from chat.{table} where conversation_id in (?, ?)"
        project.server.ask(project.database, delete.replace("?", "%s"), lost, other)
    found = verify(project.settings())
    assert not found.agrees
    assert {i for difference in found.differences.values() for i in difference.missing} == {
        lost,
        other,
    }
    assert verify(project.settings(), repair=True).agrees
    assert_equal_to_truth(project, world)


def test_status_and_lag_tell_how_it_stands(world: World, project: PostgresProject) -> None:
    told = run(project, "-m", "pipelines", "status", "--json")
    assert told.returncode == 0, told.stderr
    bots = {bot["bot"]: bot for bot in json.loads(told.stdout)["bots"]}
    counts = {name: len(ids(world, name)) for name in world.accounts}
    assert {name: bot["conversations"] for name, bot in bots.items()} == counts
    assert all(bot["certified"] and bot["evidence"] and bot["cursor"] for bot in bots.values())
    assert bots["support"]["history_agreed_at"]
    assert run(project, "-m", "pipelines", "status", "--max-lag", "1h").returncode == 0
    assert PASSWORD not in told.stdout + told.stderr


def test_a_query_can_only_read(world: World, project: PostgresProject) -> None:
    place = project.settings().warehouse
    for sql in WRITING:
        with pytest.raises(QueryFailed):
            query(place, sql)
    assert_equal_to_truth(project, world)
    total = project.rows("select sum(cost_credit) as total from chat.conversations")
    assert query(place, "select sum(cost_credit) as total from conversations").to_pylist() == total
    told = run(project, "-m", "pipelines", "publish")
    assert told.returncode == 1
    assert "needs no published file" in told.stderr
    assert check_warehouse(project.settings()).ok


def test_a_wrong_password_is_named_and_not_shown(project: PostgresProject) -> None:
    project.place(password="wrong and secret")
    place = project.settings(need_bots=False).warehouse
    with pytest.raises(ConfigurationError, match="not let convoy in") as told, connect(place):
        pass
    assert "secret" not in str(told.value)


def test_a_server_that_is_away_is_named(project: PostgresProject) -> None:
    project.place(port=1)
    place = project.settings(need_bots=False).warehouse
    with pytest.raises(WarehouseFailed, match="can't be reached") as told, connect(place):
        pass
    assert "its'own" not in str(told.value)


def test_a_password_in_the_open_is_refused(project: PostgresProject) -> None:
    project.place()
    secrets, config = (project.folder / ".dlt" / f"{n}.toml" for n in ("secrets", "config"))
    secrets.rename(config)
    with pytest.raises(ConfigurationError, match="it is a secret"):
        project.settings(need_bots=False)


def test_a_database_that_cant_hold_any_text_is_refused(project: PostgresProject) -> None:
    make = "create database narrow encoding latin1 locale 'C' template template0"
    project.server.ask("postgres", make)
    project.place(database="narrow")
    found = check_warehouse(project.settings(need_bots=False))
    assert not found.ok
    assert "has the encoding LATIN1" in found.message, found
    with (
        pytest.raises(ConfigurationError, match="make a database with encoding UTF8"),
        locked(project.settings(need_bots=False)),
    ):
        pass


@pytest.mark.parametrize(
    "table", ["chat.conversations", "marts.conversations", "staging.stg_bills"]
)
def test_somebody_else_s_tables_are_left_alone(
    table: str, make_world: MakeWorld, simulate: Simulate, project: PostgresProject
) -> None:
    project.configure(simulate(make_world(bots={"support": 3})))
    schema = table.split(".", maxsplit=1)[0]
    project.server.ask(project.database, f"create schema {schema}")
    project.server.ask(project.database, f"create table {table} (mine) as select 'precious'")
    assert f"holds {table}" in check_warehouse(project.settings()).message
    refused = run(project, "-m", "pipelines", "sync")
    assert (refused.returncode, table in refused.stderr) == (2, True), refused.stderr
    assert project.rows(f"from {table}") == [{"mine": "precious"}]
    assert not project.rows("select 1 from pg_namespace where nspname = 'chat_staging'")


def test_a_user_without_rights_is_told_before_anything_is_written(
    project: PostgresProject,
) -> None:
    password = PASSWORD.replace("'", "''")
    project.server.ask("postgres", f"create role weak login password '{password}'")
    project.server.ask(project.database, "create schema chat")
    project.place(username="weak")
    found = check_warehouse(project.settings(need_bots=False))
    assert found.message.startswith("weak may not create schemas in")
    assert found.mend == f"grant it create on database {project.database}"


def test_a_user_whose_own_the_schemas_are_needs_no_right_to_make_any(
    make_world: MakeWorld, simulate: Simulate, project: PostgresProject
) -> None:
    project.configure(simulate(make_world(bots={"support": 3})))
    password = PASSWORD.replace("'", "''")
    project.server.ask("postgres", f"create role tenant login password '{password}'")
    for schema in ("chat", "chat_staging", "staging", "intermediate", "marts"):
        project.server.ask(project.database, f"create schema {schema} authorization tenant")
    config = project.folder / ".dlt" / "config.toml"
    text = config.read_text(encoding="utf-8").replace('"convoy"', '"tenant"')
    config.write_text(text, encoding="utf-8")
    assert check_warehouse(project.settings()).ok
    assert run(project, "-m", "pipelines", "sync").returncode == 0


@pytest.mark.long
def test_who_reads_a_mart_for_long_fails_the_build_and_stops_nobody_for_good(
    make_world: MakeWorld, simulate: Simulate, project: PostgresProject
) -> None:
    world = make_world(bots={"support": 3})
    project.configure(simulate(world))
    assert run(project, "-m", "pipelines", "sync").returncode == 0
    world.advance(timedelta(minutes=3))
    world.begin("support")
    with project.server.reading(project.database, "marts.credit_spend_daily"):
        waited = run(project, "-m", "pipelines", "sync")
    assert (waited.returncode, "lock timeout" in waited.stderr) == (1, True), waited.stderr
    assert run(project, "-m", "pipelines", "sync").returncode == 0
    assert len(project.rows("from marts.conversations")) == 4


def test_a_first_sync_that_died_before_its_indexes_has_them_after_the_next(
    make_world: MakeWorld,
    simulate: Simulate,
    project: PostgresProject,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = make_world(bots={"support": 3})
    project.configure(simulate(world))
    with monkeypatch.context() as patched:
        patched.setattr("pipelines.warehouse.index", lambda _: None)
        assert project.sync().complete
    world.advance(timedelta(minutes=3))
    world.begin("support")
    assert project.sync().complete
    indexed = project.rows("select tablename from pg_indexes where indexname = tablename || '_key'")
    assert {row["tablename"] for row in indexed} == {table.name for table in tables.READ}


def test_an_address_may_hold_no_secret_behind_its_question_mark() -> None:
    with pytest.raises(ValueError, match="bears password behind its") as told:
        of_text("postgresql://weak@host/w?password=secret&sslmode=prefer")
    assert "secret" not in str(told.value)
