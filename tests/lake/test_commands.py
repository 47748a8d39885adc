from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from project import assert_equal_to_truth, ids

from pipelines import query, status, tables
from pipelines.backfill import backfill
from pipelines.errors import ConfigurationError, WarehouseBusy
from pipelines.lake import delta, place, write
from pipelines.lock import locked
from pipelines.shard import Shard
from pipelines.verify import verify

if TYPE_CHECKING:
    from conftest import MakeWorld, Simulate

    from lake.lakehouse import LakeProject
    from pipelines.simulator import World


@pytest.fixture
def world(make_world: MakeWorld, simulate: Simulate, project: LakeProject) -> World:
    """A world that is loaded."""
    made = make_world(bots={"support": 130}, chatbots={"website": 40})
    project.configure(simulate(made))
    assert project.sync().complete
    return made


def test_a_sync_says_who_builds_the_models(world: World, project: LakeProject) -> None:
    done = project.run("sync")
    assert (done.returncode, done.stderr) == (0, "")
    assert "models are built by dbt on Spark" in done.stdout
    for command in (("models",), ("publish",), ("report",)):
        done = project.run(*command)
        assert done.returncode == 1
        assert "built by dbt on Spark" in done.stderr
    assert world.accounts


def test_status_and_check_tell_of_a_lakehouse(world: World, project: LakeProject) -> None:
    found = status.status(project.settings(), [("gptbots", "support"), ("okchat", "website")])
    assert {bot.bot: bot.conversations for bot in found.bots} == {"support": 130, "website": 40}
    assert all(bot.cursor and bot.certified and bot.pending is None for bot in found.bots)
    told = project.run("status", "--json")
    assert json.loads(told.stdout)["exists"], told.stderr
    assert project.run("status", "--max-lag", "1h").returncode == 0
    checked = json.loads(project.run("check", "--json").stdout)
    assert checked["findings"][-1]["message"] == f"{project.lake} can be opened"
    assert world.accounts


def test_a_query_reads_the_lakehouse_and_nothing_else(world: World, project: LakeProject) -> None:
    place = project.settings().warehouse
    rows = query.run(place, "select count(*) as n from conversations").to_pylist()
    assert rows == [{"n": 170}]
    secret = project.folder / ".dlt" / "secrets.toml"
    for sql in (
        f"select * from read_text('{secret}')",
        f"copy (select 1) to '{project.folder}/out.csv'",
        f"copy (select 1) to '{project.lake.dataset}/conversations/out.parquet'",
        f"explain analyze copy (select 1) to '{project.lake.dataset}/out.parquet'",
        "drop view conversations",
        "insert into conversations (source) values ('x')",
        "set enable_external_access = true",
    ):
        with pytest.raises(query.QueryFailed):
            query.run(place, sql)
    assert world.accounts


def test_gaps_and_deletions_are_mended(world: World, project: LakeProject) -> None:
    missing = ids(world, "support")[100]
    conversations = delta.opened(project.lake, "conversations")
    assert conversations
    conversations.delete(f"conversation_id = '{missing}'")
    gone = ids(world, "website")[-1]
    world.delete(gone)
    found = verify(project.settings())
    assert not found.agrees
    assert project.marked() == set()
    assert verify(project.settings(), repair=True).agrees
    assert project.marked() == {gone}
    assert_equal_to_truth(project, world, gone={gone})


def test_a_backfill_takes_what_settled_late(world: World, project: LakeProject) -> None:
    settled = ids(world, "support")[-1]
    world.settle(settled)
    settings = project.settings()
    since = settings.gptbots.start_date
    assert backfill(settings, since, world.now, bots=["support"]).complete
    assert_equal_to_truth(project, world)


def test_only_one_worker_has_a_shard_of_a_folder(world: World, project: LakeProject) -> None:
    settings = project.settings()
    first, second = (settings.model_copy(update={"shard": Shard(n, 2)}) for n in (1, 2))
    with locked(first), locked(second):
        with pytest.raises(WarehouseBusy), locked(first):
            pass
        assert project.run("sync", "--shard", "1/2").returncode == 75
    assert world.accounts


def test_rows_of_one_key_become_the_newest(world: World, project: LakeProject) -> None:
    table = tables.BOTS
    one = {"source": "gptbots", "bot_id": "b", "bot": "support"}
    times = [world.now.replace(microsecond=n) for n in (3, 9, 6)]
    rows = [one | {"name": str(at.microsecond), "observed_at": at} for at in times]
    delta.write(project.lake, table, pa.Table.from_pylist(rows, table.schema))
    assert project.rows("select name from chat.bots") == [{"name": "9"}]


def test_writes_that_come_between_are_written_upon(world: World, project: LakeProject) -> None:
    def write(number: int) -> None:
        row = {"source": "gptbots", "observed_at": world.now}
        ids = [{"bot_id": f"{number} {n}"} for n in range(10)] + [{"bot_id": "of all"}]
        rows = pa.Table.from_pylist([row | one for one in ids], tables.BOTS.schema)
        delta.write(project.lake, tables.BOTS, rows)

    with ThreadPoolExecutor(8) as workers:
        list(workers.map(write, range(24)))
    assert project.rows("select count(*) as n, count(distinct bot_id) as ids from chat.bots") == [
        {"n": 241, "ids": 241}
    ]


def test_a_broken_table_is_told_in_a_sentence(world: World, project: LakeProject) -> None:
    log = project.lake.dataset / "conversations" / "_delta_log"
    (log / f"{0:020}.json").write_text("{no JSON", encoding="utf-8")
    for command in ("status", "sync"):
        done = project.run(command)
        assert done.returncode == 1
        assert done.stderr.startswith(f"convoy: {project.lake}: ")
        assert "Traceback" not in done.stderr
    assert world.accounts


def test_an_older_version_replaces_no_newer_one(world: World, project: LakeProject) -> None:
    """As a worker would try that read it before another one did."""
    (row,) = project.rows("from chat.conversations order by conversation_id limit 1")
    schema = tables.CONVERSATIONS.schema
    for step, subject in ((-1, "older"), (0, "as new"), (1, "newer"), (0, "old by now")):
        at = row["last_activity_at"] + timedelta(seconds=step)
        version = row | {"last_activity_at": at, "subject": subject}
        rows = pa.Table.from_pylist([version], schema)
        delta.write(project.lake, tables.CONVERSATIONS, rows)
    found = "select subject from chat.conversations where conversation_id = ?"
    assert project.rows(found, row["conversation_id"]) == [{"subject": "newer"}]
    assert world.accounts


def test_many_small_files_become_few(
    world: World, project: LakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    def files() -> int:
        table = delta.opened(project.lake, "sync_windows")
        assert table
        return len(table.file_uris())

    rows = pa.Table.from_pylist(
        project.rows("from chat.sync_windows limit 1"), tables.SYNC_WINDOWS.schema
    )
    count = project.count("sync_windows")
    monkeypatch.setattr(delta, "FILES", 8)
    while files() <= delta.FILES:
        delta.write(project.lake, tables.SYNC_WINDOWS, rows)
        count += 1
    with monkeypatch.context() as patched:  # all of them are large
        patched.setattr(delta, "SMALL", 0)
        delta.tidy(project.lake, "sync_windows")
    assert files() == delta.FILES + 1
    write.note(project.lake, {"sync_windows": rows})
    assert files() < 3
    assert project.count("sync_windows") == count + 1
    assert world.accounts


def test_a_column_that_is_new_is_made(world: World, project: LakeProject) -> None:
    """As a later version would: the files that are there do not have it."""
    field = pa.field("mood", pa.string())
    delta.make(project.lake, "bots", pa.schema([field]))
    delta.make(project.lake, "conversations", pa.schema([field]))
    moods = "select mood from chat.conversations union all select mood from chat.bots"
    assert {row["mood"] for row in project.rows(moods)} == {None}
    write.begin(project.lake, 1)
    assert project.sync().complete
    assert world.accounts


@pytest.mark.parametrize(
    "text", ["", " ", "s3://bucket/lake", "file://host/lake", "ftp:x", "~no.body/lake", 7]
)
def test_what_is_no_folder_is_told(text: object) -> None:
    with pytest.raises(ValueError, match='like "lake"'):
        place.read(text)


def test_the_settings_name_the_faults(project: LakeProject, world: World) -> None:
    file = project.folder / ".dlt" / "config.toml"
    file.write_text(file.read_text(encoding="utf-8").replace('"lake"', '"s3://b/lake"'))
    with pytest.raises(ConfigurationError, match=r"filesystem\.bucket_url is a bucket"):
        project.settings()
    assert world.accounts
