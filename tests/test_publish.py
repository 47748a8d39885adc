"""The published file: complete, never torn, in nobody's way."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
import venv
from contextlib import chdir
from datetime import timedelta
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
                    union all select messages from marts.platform_breakdown
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


UNLIKE = {("marts", "freshness"), ("marts", "publication")}


def assert_same(settings: Settings) -> None:
    """Compare all that is published with the warehouse, row by row."""
    with duckdb.connect() as connection:
        connection.execute(f"attach '{settings.publish}' as published (read_only)")
        connection.execute(f"attach '{settings.warehouse}' as warehouse (read_only)")
        connection.execute("use warehouse")
        for schema, name in names(settings.publish) - UNLIKE:
            of = f"{schema}.{name}" if name != "last_syncs" else "marts.freshness"
            columns = "* exclude (lag_seconds)" if name == "last_syncs" else "*"
            sides = f"from published.{schema}.{name}", f"select {columns} from warehouse.{of}"
            for one, other in (sides, sides[::-1]):
                assert connection.execute(f"({one}) except all ({other})").fetchall() == []


def test_it_holds_all_marts_and_what_was_loaded(modelled: Settings) -> None:
    made = publish.publish(modelled)

    marts = {(schema, name) for schema, name in names(modelled.warehouse) if schema == "marts"}
    wanted = marts | {("chat", table.name) for table in tables.ALL}
    assert names(made.path) == wanted | {("marts", "last_syncs"), ("marts", "publication")}
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

    monkeypatch.setattr(publish, "FRESH", timedelta())
    assert show(elsewhere).publish == "published"


def test_what_can_not_be_modelled_is_not_published(
    modelled: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    show(modelled)
    before = modelled.publish.stat()
    _generation(modelled, 7, publishing=False)
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
    _generation(modelled, 7, publishing=False)

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


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o444), (0o077, 0o400)])
def test_nobody_opens_it_for_writing_by_mistake(modelled: Settings, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        assert publish.publish(modelled).path.stat().st_mode & 0o777 == mode
    finally:
        os.umask(before)


def test_a_warehouse_that_went_back_to_a_backup_is_shown_as_it_is(modelled: Settings) -> None:
    with duckdb.connect(str(modelled.warehouse)) as connection:  # as a sync without models does
        connection.execute("delete from chat.conversations where source = 'okchat'")
    backup = modelled.warehouse.read_bytes()
    _generation(modelled, 8)
    assert show(modelled).models == "built"
    modelled.warehouse.write_bytes(backup)

    outcome = show(modelled)

    assert (outcome.models, outcome.publish) == ("built", "published")
    assert ask(modelled.publish, "select count(*) from marts.conversations") == [(30,)]


def test_a_publication_that_is_damaged_is_made_anew(modelled: Settings) -> None:
    show(modelled)
    content = modelled.publish.read_bytes()
    modelled.publish.unlink()
    modelled.publish.write_bytes(content[:100])
    assert show(modelled).publish == "published"
    assert_same(modelled)


def test_another_warehouse_has_a_publication_of_its_own(modelled: Settings, tmp_path: Path) -> None:
    show(modelled)
    other = modelled.model_copy(update={"warehouse": tmp_path / "other.duckdb"})
    shutil.copy(modelled.warehouse, other.warehouse)
    with duckdb.connect(str(other.warehouse)) as connection:
        connection.execute("update staging.built set warehouse_id = 'another'")

    outcome = show(other)

    assert not outcome.complete
    assert "is what another warehouse has published" in str(outcome.publish_error)
    assert show(modelled).publish == "skipped"


def test_a_database_of_another_kind_is_left_alone(modelled: Settings) -> None:
    modelled.publish.parent.mkdir()
    with duckdb.connect(str(modelled.publish)) as connection:
        connection.execute("create table mine as select 1")
    with pytest.raises(WarehouseFailed, match="is a database of another kind"):
        publish.publish(modelled)
    assert ask(modelled.publish, "from mine") == [(1,)]


def test_what_the_first_versions_published_is_replaced(modelled: Settings) -> None:
    publish.publish(modelled)
    modelled.publish.chmod(0o600)
    with duckdb.connect(str(modelled.publish)) as connection:
        connection.execute("drop table marts.publication")
    assert publish.published_at(modelled) is None
    publish.publish(modelled)
    assert publish.published_at(modelled)


def test_a_link_stays_a_link(modelled: Settings, tmp_path: Path) -> None:
    target = tmp_path / "served" / "b.duckdb"
    target.parent.mkdir()
    modelled.publish.parent.mkdir()
    modelled.publish.symlink_to(target)
    assert show(modelled).publish == "published"
    assert modelled.publish.is_symlink()
    assert_same(modelled.model_copy(update={"publish": target}))
    assert show(modelled).publish == "skipped"


def test_a_table_with_an_odd_name_is_published_too(modelled: Settings) -> None:
    with duckdb.connect(str(modelled.warehouse)) as connection:
        connection.execute('create table marts."my ""-report" as select 1 as one')
    wanted = modelled.model_copy(update={"publish_parquet": True})
    publish.publish(wanted)
    assert ask(wanted.publish, 'from marts."my ""-report"') == [(1,)]


def test_a_warehouse_that_is_opened_meanwhile_is_told_with_all_that_was_loaded(
    modelled: Settings,
) -> None:
    opener = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print(1, flush=True); input()"
    with subprocess.Popen(  # noqa: S603 - our own
        [sys.executable, "-c", opener, str(modelled.warehouse)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout
        process.stdout.readline()
        outcome = show(modelled)
        process.communicate(b"\n")
    assert "is open in another program" in str(outcome.models_error)
    assert not outcome.complete


def test_marts_are_parquet_files_as_well_where_wanted(modelled: Settings) -> None:
    publish.publish(modelled)
    assert not modelled.publish_files.exists()
    wanted = modelled.model_copy(update={"publish_parquet": True})
    assert not publish.is_current(wanted)
    publish.publish(wanted)

    files = {file.stem: file for file in wanted.publish_files.iterdir()}
    marts = {name for schema, name in names(wanted.publish) if schema == "marts"}
    assert files.keys() == marts
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


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_a_full_disk_is_named_and_left_as_it_was(modelled: Settings, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)], check=True)  # noqa: S603, S607 - our own
    try:
        full = modelled.model_copy(update={"publish": small / "p.duckdb"})
        with pytest.raises(WarehouseFailed, match=r"the disk that holds .* is full"):
            publish.publish(full)
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", "--lazy", str(small)], check=True)  # noqa: S603, S607 - likewise


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


def _generation(settings: Settings, number: int, *, publishing: bool = True) -> None:
    with duckdb.connect(str(settings.warehouse)) as connection:
        connection.begin()
        for touch in _TOUCH:
            connection.execute(touch, [number])
        connection.commit()
    if publishing:
        publish.publish(settings)


_TOUCH = (
    "update chat.conversations set message_count = ?, observed_at = now()",
    "update marts.platform_breakdown set messages = ?",
)


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
