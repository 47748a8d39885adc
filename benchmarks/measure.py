"""One process timed as a whole, with all that it starts; Linux only, for it reads /proc."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PROC = Path("/proc")
EVERY = 0.05  # seconds between two looks at memory and threads
SELDOM = 4  # looks between two that also search for new processes and count connections
SAID = "said.txt"
_ESTABLISHED = "01"


@dataclass(frozen=True)
class Usage:
    """What a process and its children took.

    Attributes:
        wall: seconds from its start to its end.
        cpu: seconds of user and system, of it and of every child that was waited for.
        memory: MB; the most that the proportional set sizes of all added up to at one moment.
        threads: the most at one moment.
        connections: the most that were open to the upstream at one moment.
        status: the exit code.
    """

    wall: float
    cpu: float
    memory: float
    threads: int
    connections: int
    status: int


def timed(command: Sequence[str], folder: Path, port: int) -> Usage:
    """Run a command in a folder, which gets what it prints as `said.txt`."""
    os.sync()  # else it pays for what the one before it wrote
    with (folder / SAID).open("wb") as said:
        started = time.monotonic()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "DBT_LOG_FORMAT_FILE": "json"},
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        with watched(Peak(process.pid, port)) as peak:
            _, status, used = waited(process)
            wall = time.monotonic() - started
    cpu = used.ru_utime + used.ru_stime
    code = os.waitstatus_to_exitcode(status)
    return Usage(wall, cpu, peak.memory, peak.threads, peak.connections, code)


def waited(process: subprocess.Popen[bytes]) -> tuple[int, int, os.struct_rusage]:  # type: ignore[name-defined]
    """Wait for a process; if something else ends the waiting, end it and its children."""
    try:
        return os.wait4(process.pid, 0)
    except BaseException:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        raise
    finally:
        process.returncode = 0  # it was waited for here


class Peak(Thread):
    """Looks at a process and its children again and again and keeps the most."""

    def __init__(self, root: int, port: int) -> None:
        super().__init__(daemon=True)
        self._root = root
        self._port = port
        self.ended = Event()
        self.memory = 0.0
        self.threads = 0
        self.connections = 0

    def run(self) -> None:
        """Look until told that it has ended."""
        for look in count():
            if look % SELDOM == 0:
                processes = tree(self._root)
                self.connections = max(self.connections, connections(self._port))
            self.memory = max(self.memory, sum(map(memory, processes)))
            self.threads = max(self.threads, sum(map(threads, processes)))
            if self.ended.wait(EVERY):
                return


@contextmanager
def watched(peak: Peak) -> Iterator[Peak]:
    """Watch within the block."""
    peak.start()
    try:
        yield peak
    finally:
        peak.ended.set()
        peak.join()


def tree(root: int) -> list[int]:
    """Return a process and all that descend from it."""
    parents = dict(filter(None, map(parent, PROC.glob("[0-9]*"))))
    found = [root]
    for known in found:
        found += [child for child, its in parents.items() if its == known]
    return found


def parent(process: Path) -> tuple[int, int] | None:
    """Return the process and its parent, None if it is gone."""
    try:
        after_name = (process / "stat").read_text().rpartition(")")[2]
    except OSError:
        return None
    return int(process.name), int(after_name.split()[1])


def memory(process: int) -> float:
    """Return the proportional set size in MB: pages shared by n processes count as one nth."""
    with suppress(OSError):
        for line in (PROC / str(process) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def threads(process: int) -> int:
    """Return how many threads a process has."""
    with suppress(OSError):
        return sum(1 for _ in (PROC / str(process) / "task").iterdir())
    return 0


def connections(port: int) -> int:
    """Return how many connections are open to a port of this machine, seen from their far end."""
    return sum(
        fields[3] == _ESTABLISHED and int(fields[2].rpartition(":")[2], 16) == port
        for name in ("tcp", "tcp6")
        for line in (PROC / "net" / name).read_text().splitlines()[1:]
        if (fields := line.split())
    )
