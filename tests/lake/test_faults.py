from __future__ import annotations

import errno
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from project import assert_equal_to_truth

from lake.lakehouse import begin_everywhere, environment
from pipelines import status, tables
from pipelines.lake import delta, place
from pipelines.warehouse import translated

if TYPE_CHECKING:
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
