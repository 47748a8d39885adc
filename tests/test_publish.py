"""The published file: complete, never torn, in nobody's way."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
import venv
from contextlib import chdir
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow.parquet as pq
import pytest
from project import Project

from pipelines import models, publish, sync, tables
from pipelines.errors import WarehouseFailed
from pipelines.outcome import Outcome
from pipelines.simulator import Simulator, World

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from conftest import MakeWorld, Simulate

    from pipelines.settings import Settings

READER = """
    import sys, time, duckdb

    path, last, seen, slowest = sys.argv[1], int(sys.argv[2]), set(), 0.0
    print("ready", flush=True)
    while last not in seen:
        began = time.monotonic()
        with duckdb.connect(path, read_only=True) as connection:
            found = connection.execute('''
                select min(n), max(n) from (
                    select message_count as n from chat.conversations
                    union all select message_count from marts.conversations
                )
            ''').fetchone()
        assert found[0] == found[1], f"torn: {found}"
        seen.add(found[0])
        slowest = max(slowest, time.monotonic() - began)
    print(len(seen), slowest)
"""
"""Reads until it sees a generation; each must be the same throughout the file."""


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a warehouse and its marts, nothing published."""
    project = Project(tmp_path_factory.mktemp("publish"))
    (project.folder / ".dlt").mkdir()
    world = World.seeded(7, bots={"support": 30}, chatbots={"web": 20})
    with chdir(project.folder), Simulator(world) as upstream:
        project.configure(upstream)
        assert project.sync().complete
        sync.build_models(project.settings())
    return project.folder


@pytest.fixture
def modelled(template: Path, project: Project) -> Settings:
    """A project with marts, nothing published."""
    shutil.copytree(template, project.folder, dirs_exist_ok=True)
    return project.settings()


def show(settings: Settings) -> Outcome:
    outcome = Outcome({})
    sync.show(settings, outcome, lambda _: None)
    return outcome


def ask(path: Path, sql: str) -> list[Any]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def names(path: Path) -> set[tuple[str, str]]:
    return set(ask(path, "select table_schema, table_name from information_schema.tables"))


def assert_same(settings: Settings) -> None:
    """Compare all that is published with the warehouse, row by row."""
    with duckdb.connect() as connection:
        connection.execute(f"attach '{settings.publish}' as published (read_only)")
        connection.execute(f"attach '{settings.warehouse}' as warehouse (read_only)")
        connection.execute("use warehouse")
        for schema, name in names(settings.publish) - {("marts", "freshness")}:
            of = f"{schema}.{name}" if name != "last_syncs" else "marts.freshness"
            columns = "* exclude (lag_seconds)" if name == "last_syncs" else "*"
            sides = f"from published.{schema}.{name}", f"select {columns} from warehouse.{of}"
            for one, other in (sides, sides[::-1]):
                assert connection.execute(f"({one}) except all ({other})").fetchall() == []


def test_it_holds_all_marts_and_what_was_loaded(modelled: Settings) -> None:
    made = publish.publish(modelled)

    marts = {(schema, name) for schema, name in names(modelled.warehouse) if schema == "marts"}
    wanted = marts | {("chat", table.name) for table in tables.ALL}
    assert names(made.path) == wanted | {("marts", "last_syncs")}
    assert made.tables == len(wanted)
    assert_same(modelled)


def test_a_lag_is_as_of_the_query(modelled: Settings) -> None:
    path = publish.publish(modelled).path
    lag = "select min(lag_seconds - date_diff('second', last_complete_sync_at, now())) from {}"
    assert ask(path, lag.format("marts.freshness")) == [(0,)]
    assert ask(path, "select typeof(lag_seconds) from marts.freshness limit 1") == [("BIGINT",)]


def test_it_is_published_once_for_each_change(
    modelled: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [show(modelled).publish for _ in range(2)] == ["published", "skipped"]

    again = show(modelled.model_copy(update={"time_zone": "Asia/Tokyo"}))
    assert (again.models, again.publish) == ("built", "published")

    modelled.publish.unlink()
    assert show(modelled).publish == "published"

    elsewhere = modelled.model_copy(update={"publish": modelled.publish.with_name("b.duckdb")})
    assert show(elsewhere).publish == "published"
    assert_same(elsewhere)

    monkeypatch.setattr(publish, "FRESH", 0.0)
    assert show(elsewhere).publish == "published"


def test_what_can_not_be_modelled_is_not_published(
    modelled: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    show(modelled)
    before = modelled.publish.stat()
    modelled.models_current.unlink()
    monkeypatch.setattr(models, "project_dir", lambda: modelled.work)

    outcome = show(modelled)

    assert (outcome.models, outcome.publish) == ("failed", "skipped")
    assert modelled.publish.stat() == before


def test_what_can_not_be_published_fails_the_sync_and_leaves_the_former(
    modelled: Settings,
) -> None:
    show(modelled)
    before = names(modelled.publish)
    in_the_way = modelled.publish.with_name(f".{modelled.publish.name}.new")
    in_the_way.mkdir()
    modelled.models_current.unlink()

    outcome = show(modelled)

    assert not outcome.complete
    assert "nothing was published" in str(outcome.publish_error)
    assert names(modelled.publish) == before
    in_the_way.rmdir()
    assert show(modelled).publish == "published"


def test_what_a_dead_publication_left_is_in_nobodys_way(modelled: Settings) -> None:
    aside = modelled.publish.with_name(f".{modelled.publish.name}.new")
    aside.parent.mkdir()
    for left in (aside, aside.with_name(f"{aside.name}.wal")):
        left.write_bytes(b"half a file")
    wal = modelled.publish.with_name(f"{modelled.publish.name}.wal")
    wal.write_bytes(b"of a file that is gone")

    publish.publish(modelled)

    assert_same(modelled)
    assert sorted(modelled.publish.parent.iterdir()) == [modelled.publish]


def test_a_reader_keeps_what_it_has_open(modelled: Settings) -> None:
    show(modelled)
    with duckdb.connect(str(modelled.publish), read_only=True) as reader:
        count = "select count(*) from chat.conversations"
        assert reader.execute(count).fetchone() == (50,)
        with duckdb.connect(str(modelled.warehouse)) as connection:
            connection.execute("delete from chat.conversations where source = 'okchat'")
        publish.publish(modelled)
        assert reader.execute(count).fetchone() == (50,)
    assert ask(modelled.publish, count) == [(30,)]


def test_nobody_opens_it_for_writing_by_mistake(modelled: Settings) -> None:
    assert publish.publish(modelled).path.stat().st_mode & 0o777 == 0o444


def test_marts_are_parquet_files_as_well_where_wanted(modelled: Settings) -> None:
    publish.publish(modelled)
    assert not modelled.publish_files.exists()
    wanted = modelled.model_copy(update={"publish_parquet": True})
    assert not publish.is_current(wanted)
    publish.publish(wanted)
    old = wanted.publish_files / "of_a_former_version.parquet"
    old.touch()
    publish.publish(wanted)

    files = {file.stem: file for file in wanted.publish_files.iterdir()}
    marts = {name for schema, name in names(wanted.publish) if schema == "marts"}
    assert files.keys() == marts - {"last_syncs"}
    for name, file in files.items():
        (rows,) = ask(wanted.publish, f"select count(*) from marts.{name}")
        assert pq.read_metadata(file).num_rows == rows[0]


def test_without_marts_there_is_nothing_to_publish(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    project.configure(simulate(make_world(bots={"support": 3})))
    project.sync()
    with pytest.raises(publish.NothingToPublish, match="run `convoy models` first"):
        publish.publish(project.settings())
    assert not project.settings().publish.exists()


def test_a_folder_that_can_not_be_made_is_named(modelled: Settings, tmp_path: Path) -> None:
    full = modelled.model_copy(update={"publish": tmp_path / "nowhere" / "p.duckdb"})
    (tmp_path / "nowhere").touch()  # a file where the folder should be
    with pytest.raises(WarehouseFailed, match="nothing was published"):
        publish.publish(full)


def play(settings: Settings, publications: int) -> list[float]:
    """Publish again and again while three others read; return how long their slowest look took."""
    _generation(settings, 0)
    readers = [
        subprocess.Popen(  # noqa: S603 - our own
            [
                sys.executable,
                "-c",
                textwrap.dedent(READER),
                str(settings.publish),
                str(publications),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for reader in readers:
        assert reader.stdout
        assert reader.stdout.readline() == "ready\n"
    for generation in range(1, publications + 1):
        _generation(settings, generation)
    told = [reader.communicate(timeout=60)[0].split() for reader in readers]
    assert [reader.returncode for reader in readers] == [0, 0, 0]
    assert all(int(seen) > publications / 4 for seen, _ in told)
    return [float(slowest) for _, slowest in told]


def _generation(settings: Settings, number: int) -> None:
    with duckdb.connect(str(settings.warehouse)) as connection:
        connection.begin()
        for schema in ("chat", "marts"):
            connection.execute(f"update {schema}.conversations set message_count = ?", [number])
        connection.commit()
    publish.publish(settings)


def test_readers_never_see_half_a_publication(modelled: Settings) -> None:
    play(modelled, 10)


@pytest.mark.long
def test_a_hundred_publications_and_three_readers(modelled: Settings) -> None:
    play(modelled, 100)


@pytest.mark.long
def test_an_old_client_reads_it(modelled: Settings, tmp_path: Path) -> None:
    """DuckDB 1.2.0, in an environment of its own."""
    show(modelled)
    venv.create(tmp_path / "old", with_pip=True)
    python = tmp_path / "old" / "bin" / "python"
    environment: Mapping[str, str] = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    install = [
        str(python),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--only-binary",
        ":all:",
        "duckdb==1.2.0",
        "pytz",
    ]
    subprocess.run(install, check=True, env=environment)  # noqa: S603 - our own
    script = f"""
        import duckdb
        connection = duckdb.connect({str(modelled.publish)!r}, read_only=True)
        tables = connection.execute("show all tables").fetchall()
        for _, schema, name, *_ in tables:
            connection.execute(f"select * from {{schema}}.{{name}}").fetchall()
        print(duckdb.__version__, len(tables))
    """
    done = subprocess.run(  # noqa: S603 - our own
        [str(python), "-c", textwrap.dedent(script)],
        check=True, stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    assert done.stdout.split() == ["1.2.0", str(len(names(modelled.publish)))]
