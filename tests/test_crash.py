"""Syncs that end before their time, as processes, and what the next one makes of it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from project import Project, assert_equal_to_truth

from pipelines.simulator import Faults, Knobs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from conftest import MakeWorld, Simulate

    from pipelines.simulator import Simulator, World

TESTS = Path(__file__).parent
LONG = pytest.mark.long
MODULE = ("-m", "pipelines")
SIGNALS = [signal.SIGTERM, signal.SIGINT]
STOPPED = "convoy: stopped; the next sync goes on from here\n"


def start(
    project: Project, *program: str, variables: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start a sync, of Convoy itself or of a program that changes something in it first."""
    paths = f"{TESTS.parent}{os.pathsep}{TESTS}"
    return subprocess.Popen(  # noqa: S603 - Python, and a program of our own
        [sys.executable, *(program or MODULE), "sync", "--no-models"],
        cwd=project.folder,
        env={**os.environ, "PYTHONPATH": paths, **(variables or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_hear_ctrl_c,  # noqa: PLW1509 - no thread of ours holds a lock meanwhile
    )


def _hear_ctrl_c() -> None:
    """Undo what a shell does to programs in its background: they, and theirs, ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def end(process: subprocess.Popen[str], seconds: float = 120) -> tuple[int, str, str]:
    """Wait for its end; one that does not come to it fails the test, and ends."""
    try:
        out, said = process.communicate(timeout=seconds)
    finally:
        process.kill()
    return process.returncode, out, said


def until(process: subprocess.Popen[str], true: Callable[[], bool]) -> None:
    while not true():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world(bots={"support": 900}, chatbots={"web": 150})


@pytest.fixture
def upstream(world: World, simulate: Simulate) -> Simulator:
    return simulate(world)


def assert_made_good(project: Project, upstream: Simulator) -> None:
    """The next sync, upstream and configuration in order again, leaves nothing to wish for."""
    upstream.faults, upstream.knobs = Faults(), Knobs()
    project.configure(upstream)
    assert project.sync().complete
    assert_equal_to_truth(project, upstream.world)
    assert project.sync().rows_loaded == 0


# Stopped.


def slow(project: Project, upstream: Simulator) -> int:
    """Be read, an answer every now and then."""
    upstream.knobs = Knobs(latency=0.3)
    project.configure(upstream)
    return 4


def silent(project: Project, upstream: Simulator) -> int:
    """Keep every request waiting for its answer."""
    upstream.faults = Faults(slow=1.0, slow_seconds=100.0)
    project.configure(upstream)
    return 2


def few(project: Project, upstream: Simulator) -> int:
    """Allow one request a minute."""
    project.configure(
        upstream, gptbots={"requests_per_minute": 1}, okchat={"requests_per_minute": 1}
    )
    return 2


def failing(project: Project, upstream: Simulator) -> int:
    """Fail each request, so that most of the time is spent in pauses."""
    upstream.faults = Faults(server_error=1.0)
    project.configure(upstream)
    return 8


def closed(project: Project, upstream: Simulator) -> int:
    """Ask for a minute of silence."""
    upstream.faults = Faults(rate_limited_seconds=1.0, retry_after=60)
    project.configure(upstream)
    return 2


LONGER = [
    *((behave, signum) for behave in (few, failing, closed) for signum in SIGNALS),
    (slow, signal.SIGINT),
    (silent, signal.SIGTERM),
]


@pytest.mark.parametrize(
    ("behave", "signum"),
    [
        (slow, signal.SIGTERM),
        (silent, signal.SIGINT),
        *(pytest.param(behave, signum, marks=LONG) for behave, signum in LONGER),
    ],
)
def test_a_sync_that_is_stopped_ends_soon_and_quietly(
    project: Project,
    upstream: Simulator,
    behave: Callable[[Project, Simulator], int],
    signum: signal.Signals,
) -> None:
    requests = behave(project, upstream)
    process = start(project)
    until(process, lambda: len(upstream.log) >= requests)
    process.send_signal(signum)
    assert end(process, 5) == (128 + signum, "", STOPPED)
    assert_made_good(project, upstream)


SIGNALLED = """
import os, sys
from dying import JOBS, dying
from pipelines import cli
table, signum = sys.argv.pop(1), int(sys.argv.pop(1))
for kind in JOBS:
    kind.run = dying(kind.run, table, lambda: os.kill(os.getpid(), signum))
cli.main()
"""


@pytest.mark.parametrize(
    ("table", "signum"),
    [
        ("conversations", signal.SIGTERM),
        pytest.param("conversations", signal.SIGINT, marks=LONG),
        pytest.param("_dlt_pipeline_state", signal.SIGTERM, marks=LONG),
    ],
)
def test_a_sync_that_is_stopped_while_it_loads_ends_soon_and_quietly(
    project: Project, upstream: Simulator, table: str, signum: signal.Signals
) -> None:
    project.configure(upstream)
    process = start(project, "-c", SIGNALLED, table, str(int(signum)))
    assert end(process) == (128 + signum, "", STOPPED)
    assert_made_good(project, upstream)


@pytest.mark.parametrize("after", [pytest.param(1, marks=LONG), 5, pytest.param(12, marks=LONG)])
def test_a_sync_that_is_killed_while_it_reads_is_made_good(
    project: Project, upstream: Simulator, after: int
) -> None:
    upstream.knobs = Knobs(latency=0.05)
    project.configure(upstream)
    process = start(project)
    until(process, lambda: len(upstream.log) >= after)
    process.kill()
    assert end(process)[0] == -signal.SIGKILL
    assert_made_good(project, upstream)


# Two at once.


def test_the_second_of_two_syncs_ends_with_75_and_changes_nothing(
    project: Project, upstream: Simulator
) -> None:
    upstream.knobs = Knobs(latency=0.5)
    project.configure(upstream)
    first = start(project)
    until(first, lambda: len(upstream.log) >= 2)
    before = files(project)
    code, out, said = end(start(project))
    assert first.poll() is None, "the first was too quick to be met"
    assert (code, out) == (75, "")
    assert said.startswith("convoy: another sync holds ")
    assert said.count("\n") == 1
    assert files(project) >= before
    upstream.knobs = Knobs()
    assert end(first)[0] == 0
    assert_made_good(project, upstream)


def files(project: Project) -> set[Path]:
    return set(project.folder.rglob("*"))


# What lies about.


def package(work: Path) -> None:
    """A package that was written by half."""
    folder = work / "dlt" / "convoy" / "load" / "normalized" / "1700000000.5" / "started_jobs"
    folder.mkdir(parents=True)
    (folder / "conversations.0123456789.0.parquet").write_bytes(b"PAR1 and no more")
    (folder.parent / "schema.json").write_text("{")


def state(work: Path) -> None:
    """A state that nobody can read."""
    folder = work / "dlt" / "convoy"
    folder.mkdir(parents=True)
    (folder / "state.json").write_bytes(b"\x00" * 100)


def file_for_folder(work: Path) -> None:
    work.mkdir(parents=True)
    for name in ("dlt", "budget"):
        (work / name).write_text("mine")


def lock(work: Path) -> None:
    """A lock that a dead process left, whoever has that number now."""
    work.mkdir(parents=True)
    (work / "lock").write_text(str(os.getpid()))


def link(work: Path) -> None:
    """A link that leads nowhere."""
    work.mkdir(parents=True)
    (work / "dlt").symlink_to(work / "nowhere")


@LONG
@pytest.mark.parametrize("leave", [package, state, file_for_folder, lock, link])
@pytest.mark.parametrize("is_first", [True, False], ids=["first", "later"])
def test_what_lies_in_the_work_folder_hinders_nobody(
    project: Project, upstream: Simulator, leave: Callable[[Path], None], *, is_first: bool
) -> None:
    project.configure(upstream)
    work = project.folder / ".convoy" / "warehouse.duckdb"
    if not is_first:
        assert project.sync().complete
        shutil.rmtree(work)
        upstream.world.begin("support")
    leave(work)
    assert end(start(project))[0] == 0
    assert_made_good(project, upstream)


@pytest.mark.parametrize(
    "name", [".convoy", ".convoy/warehouse.duckdb", ".convoy/warehouse.duckdb/lock/x"]
)
def test_what_stands_where_the_work_folder_should_be_is_named(
    project: Project, upstream: Simulator, name: str
) -> None:
    project.configure(upstream)
    path = project.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")
    code, out, said = end(start(project))
    assert (code, out, said.count("\n")) == (1, "", 1)
    assert ".convoy" in said
    shutil.rmtree(project.folder / ".convoy", ignore_errors=True)
    (project.folder / ".convoy").unlink(missing_ok=True)
    assert project.sync().complete


@pytest.mark.parametrize(
    ("variable", "home"),
    [
        ("HOME", "/proc"),
        *(
            pytest.param(variable, home, marks=LONG)
            for variable in ("HOME", "XDG_DATA_HOME")
            for home in ("/nonexistent", "/proc", "/dev/null", "")
        ),
    ],
)
def test_no_home_is_needed(
    project: Project,
    upstream: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    home: str,
) -> None:
    project.configure(upstream)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    code, _, said = end(start(project, variables={variable: home}))
    assert (code, said) == (0, "")
    assert_equal_to_truth(project, upstream.world)


# A full disk.


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project on a disk of its own."""
    folder = tmp_path / "disk"
    (folder / ".dlt").mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)  # noqa: S603 - of our own
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a disk can be made by root alone, on Linux")
    try:
        (folder / ".dlt").mkdir()
        with monkeypatch.context() as patched:
            patched.chdir(folder)
            yield Project(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)  # noqa: S603, S607 - likewise


def fill(project: Project, left: int) -> Path:
    """Leave only so many KiB."""
    filler, disk = project.folder / "filler", os.statvfs(project.folder)
    filler.write_bytes(bytes(disk.f_bavail * disk.f_frsize - left * 1024))
    return filler


@pytest.mark.parametrize(
    ("is_first", "left"),
    [
        (True, 0),  # dlt's own folders can't be made
        pytest.param(True, 40, marks=LONG),  # a package can't be written
        (True, 400),  # the rows can't be
        *(pytest.param(True, left, marks=LONG) for left in (1300, 2800, 4500)),
        pytest.param(True, 6000, marks=LONG),  # only the last checkpoint can't be
        *(pytest.param(False, left, marks=LONG) for left in (0, 100, 400)),
        pytest.param(False, 1000, marks=LONG),  # as 6000
    ],
)
def test_a_full_disk_is_named_and_made_good_with_room(
    small_disk: Project, make_world: MakeWorld, simulate: Simulate, left: int, *, is_first: bool
) -> None:
    world = make_world(bots={"support": 3000}, chatbots={"web": 300})
    upstream = simulate(world)
    small_disk.configure(upstream)
    if not is_first:
        assert small_disk.sync().complete
        world.add_bot("later", 3000)
        small_disk.configure(upstream)
    filler = fill(small_disk, left)
    code, _, said = end(start(small_disk))
    what = f"the disk that holds {small_disk.warehouse} is full; make room and sync again"
    assert (code, said) == (1, f"convoy: {what}\n")
    filler.unlink()
    assert_made_good(small_disk, upstream)
