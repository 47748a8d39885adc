from __future__ import annotations

import errno
import json
import signal
import subprocess
import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from project import assert_equal_to_truth

from lake.lakehouse import environment
from pipelines import query, status, tables, upgrade
from pipelines.lake import delta, place, steps, write
from pipelines.warehouse import translated

if TYPE_CHECKING:
    from conftest import MakeWorld, Simulate

    from lake.lakehouse import LakeProject
    from pipelines.simulator import World

# No file may become larger than that once a state is to be written: as on a full disk. By default
# the system kills who tries; Python has it fail.
_SHORT = """
import resource, signal, sys
from pipelines import settings
from pipelines.lake.destination import _Client
from pipelines.sync import sync

write = _Client._write_to_json_file

def short(self, filepath, data):
    if "_dlt_pipeline_state" in filepath:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (60, resource.RLIM_INFINITY))
    try:
        write(self, filepath, data)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

if sys.argv[1] == "killed":
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
_Client._write_to_json_file = short
sync(settings.load(), models=False)
"""
_BUSY = """
import sys
from pipelines.__main__ import main
from pipelines.lake import delta

def late(lake, table, rows):
    print("tried", file=sys.stderr)
    raise delta.library().exceptions.CommitFailedError("another one was quicker")

delta.PATIENCE = 0
delta._merge = late
sys.argv = ["convoy", "sync", "--no-models"]
main()
"""
_BEGIN = """
import sys, time
from pipelines import upgrade
from pipelines.lake import delta, place

delta.library()
time.sleep(float(sys.argv[2]) - time.time())
upgrade.begin(place.read(sys.argv[1]))
"""


def run(project: LakeProject, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", program, *arguments],
        cwd=project.folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def world(make_world: MakeWorld, simulate: Simulate, project: LakeProject) -> World:
    """A world that is loaded."""
    made = make_world(bots={"support": 30}, chatbots={"website": 20})
    project.configure(simulate(made))
    assert project.sync().complete
    return made


def begin_everywhere(world: World) -> None:
    world.advance(timedelta(seconds=1), activity=False)
    for name in world.accounts:
        world.begin(name)


@pytest.mark.skipif(sys.platform == "win32", reason="knows no such limits")
@pytest.mark.parametrize("how", ["killed", "full"])
def test_half_a_state_stops_no_later_sync(how: str, world: World, project: LakeProject) -> None:
    begin_everywhere(world)
    done = run(project, _SHORT, how)
    if how == "killed":
        assert done.returncode == -signal.SIGXFSZ, done.stderr
    else:
        assert done.returncode == 1, done.stderr
        assert not list(project.lake.dataset.rglob(".tmp-*"))
    assert project.sync().complete
    assert_equal_to_truth(project, world)


@pytest.mark.parametrize("folder", ["_dlt_pipeline_state", "_dlt_version"])
def test_what_a_broken_disk_left_of_a_state_is_passed_over(
    folder: str, world: World, project: LakeProject
) -> None:
    for name in world.accounts:  # two states, of which the older one counts then
        world.begin(name)
    assert project.sync().complete
    newest = max((project.lake.dataset / folder).iterdir())
    newest.write_text(newest.read_text(encoding="utf-8")[:40], encoding="utf-8")
    begin_everywhere(world)
    for command in (("status",), ("sync", "--no-models")):
        done = project.run(*command)
        assert done.returncode == 0, done.stderr
    assert_equal_to_truth(project, world)


def test_workers_that_begin_together_make_one_lakehouse(project: LakeProject) -> None:
    for turn in range(3):
        folder, at = f"lake{turn}", str(time.time() + 3)
        workers = [
            subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-c", _BEGIN, folder, at],
                cwd=project.folder,
                env=environment(),
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(3)
        ]
        assert [worker.communicate()[1] for worker in workers] == ["", "", ""]
        made = place.read(str(project.folder / folder))
        assert all(delta.opened(made, table.name) for table in tables.ALL)


def name_folder(project: LakeProject, folder: str) -> None:
    file = project.folder / ".dlt" / "config.toml"
    text = file.read_text(encoding="utf-8").replace('"lake"', f"'''{folder}'''")
    file.write_text(text, encoding="utf-8")


def test_a_path_may_have_unusual_signs(
    make_world: MakeWorld, simulate: Simulate, project: LakeProject
) -> None:
    world = make_world(bots={"support": 3}, chatbots={"website": 2})
    project.configure(simulate(world))
    name_folder(project, "my läke's {a,b} ü")
    project.lake = project.settings().warehouse  # type: ignore[assignment]
    for _ in range(2):
        assert project.sync().complete
        assert_equal_to_truth(project, world)
        begin_everywhere(world)
    rows = query.run(project.lake, "select count(*) as n from conversations").to_pylist()
    assert rows == [{"n": 7}]


@pytest.mark.parametrize("folder", ["lake[1]", "la*ke", "lake%20x", "la\\ke"])
def test_a_path_that_would_be_misread_is_refused(
    folder: str, world: World, project: LakeProject
) -> None:
    name_folder(project, folder)
    before = sorted(project.folder.rglob("*"))
    done = project.run("sync")
    assert done.returncode == 2
    assert "choose a path without any of" in done.stderr
    assert sorted(project.folder.rglob("*")) == before
    assert world.accounts


def test_no_output_is_written_over_a_linked_lakehouse(world: World, project: LakeProject) -> None:
    real = project.folder / "real"
    project.lake.folder.rename(real)
    project.lake.folder.symlink_to(real)
    file = next(real.rglob("*.parquet"))
    before = file.read_bytes()
    for output in (file, project.lake.folder / file.relative_to(real)):
        done = project.run("query", "select 1 as x", "--format", "parquet", "--output", str(output))
        assert done.returncode == 2
        assert "lies in the warehouse" in done.stderr
    assert file.read_bytes() == before
    assert world.accounts


def merged(project: LakeProject, table: tables.Table, *rows: dict[str, object]) -> None:
    for row in rows:
        delta.write(project.lake, table, pa.Table.from_pylist([row], table.schema))


def test_no_older_message_or_removal_replaces_a_newer_one(
    world: World, project: LakeProject
) -> None:
    (row,) = project.rows("from chat.last_messages order by conversation_id limit 1")
    before, after = (row["updated_at"] + timedelta(seconds=n) for n in (-1, 1))
    newer = row | {"updated_at": after, "content": "newer"}
    older = row | {"updated_at": before, "content": "older"}
    merged(project, tables.LAST_MESSAGES, newer, older, older | {"removed": True})
    found = "select content from chat.last_messages where conversation_id = ?"
    assert project.rows(found, row["conversation_id"]) == [{"content": "newer"}]
    merged(project, tables.LAST_MESSAGES, newer | {"removed": True})
    assert project.rows(found, row["conversation_id"]) == []
    assert world.accounts


def test_what_was_read_before_it_was_gone_does_not_come_back(
    world: World, project: LakeProject
) -> None:
    (row,) = project.rows("from chat.conversations order by conversation_id limit 1")
    at = row["observed_at"] + timedelta(hours=1)
    older = row | {"last_activity_at": row["last_activity_at"] - timedelta(days=1)}
    gone = {row["conversation_id"]: row["last_activity_at"]}
    assert write.mark_deleted(project.lake, row["source"], gone, at) == 1
    merged(project, tables.CONVERSATIONS, row, older)
    assert project.marked() == gone.keys()
    merged(project, tables.CONVERSATIONS, older | {"observed_at": at + timedelta(seconds=1)})
    assert project.marked() == set()
    assert world.accounts


def test_a_write_that_others_forestall_is_given_up_once(world: World, project: LakeProject) -> None:
    for name in world.accounts:
        world.begin(name)
    done = run(project, _BUSY)
    assert done.returncode == 75, done.stderr
    assert "others write to" in done.stderr
    assert done.stderr.count("tried") <= len(tables.READ)  # dlt has written two tables at once
    assert project.sync().complete
    assert_equal_to_truth(project, world)


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("lake/chat/conversations/part.parquet", "the disk that holds "),
        (None, "the disk that holds "),
        ("work/dlt/rows.parquet", "work/dlt/rows.parquet: No space left"),
    ],
)
def test_a_full_disk_is_named(file: str | None, told: str, project: LakeProject) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", file and str(project.folder / file))
    assert told in str(translated(full, project.lake))


def test_status_tells_of_any_worker_that_was_interrupted(
    world: World, project: LakeProject
) -> None:
    def interrupted() -> bool:
        return status.status(project.settings(), []).interrupted

    assert not interrupted()
    left = (
        project.settings().work.parent / "2_of_4/dlt/convoy_2_of_4/load/normalized/1/rows.parquet"
    )
    left.parent.mkdir(parents=True)
    left.touch()
    assert interrupted()
    assert world.accounts


@pytest.mark.parametrize("command", [("verify",), ("backfill", "--from", "2020-01-01")])
def test_a_shard_is_all_that_a_command_reads(
    command: tuple[str, ...], world: World, project: LakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranges = () if command[0] == "verify" else ("--to", f"{world.now:%Y-%m-%d}", "--no-models")
    read = []
    for shard in ("1/2", "2/2"):
        monkeypatch.setenv("CONVOY_SHARD", shard)
        done = project.run(*command, *ranges, "--json")
        assert done.returncode == 0, done.stderr
        read.append([bot["bot"] for bot in json.loads(done.stdout)["bots"]])
    assert sorted(bot for bots in read for bot in bots) == ["support", "website"]
    monkeypatch.setenv("CONVOY_SHARD", "3/2")
    assert project.run(*command, *ranges).returncode == 2


def test_each_step_to_a_later_version_says_what_it_does_to_a_lakehouse() -> None:
    assert len(steps.STEPS) == len(upgrade.STEPS)


def test_a_lakehouse_of_an_earlier_version_goes_through_each_step_once(
    world: World, project: LakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    monkeypatch.setattr(upgrade, "STEPS", (*upgrade.STEPS, lambda _: None, lambda _: None))
    later = (lambda lake: done.append(f"2 {lake}"), lambda lake: done.append(f"3 {lake}"))
    monkeypatch.setattr(steps, "STEPS", (*steps.STEPS, *later))
    for _ in range(2):
        assert project.sync().complete
    assert done == [f"2 {project.lake}", f"3 {project.lake}"]
    assert project.rows("select max(version) as n from chat.layout") == [{"n": 3}]
    assert world.accounts
