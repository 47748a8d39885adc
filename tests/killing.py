"""Starts syncs as a user does and kills them: when, and where they were."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from project import Project

    from pipelines.simulator import Simulator

PHASES = ("start", "read", "extract", "normalize", "load", "loaded", "models", "publish", "end")
"""In their order; a run with news of both sources goes through those of loading twice."""
_LASTS = {
    "start": 1.2,
    "read": 0.3,
    "extract": 0.2,
    "normalize": 0.1,
    "load": 0.4,
    "models": 2.5,
    "publish": 0.3,
}
"""Seconds, about: within them the moment of the kill is drawn."""
_LOOKS_EVERY = 0.004


class Run:
    """A `convoy sync` in a process of its own."""

    def __init__(self, project: Project, upstream: Simulator, *arguments: str) -> None:
        self._work = project.folder / ".convoy" / project.warehouse.name
        self._published = project.published
        self._upstream = upstream
        self._since = time.time()
        upstream.clear_log()
        self._log = project.folder / "sync.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", "pipelines", "sync", *arguments],
                cwd=project.folder,
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
                stdout=log,
                stderr=log,
            )

    def end(self) -> None:
        """Let it come to its end, which must be a good one."""
        assert self._process.wait() == 0, self._log.read_text(encoding="utf-8")

    def kill_in(self, phase: str, rng: Random) -> str:
        """Kill it at a random moment from the beginning of a phase on; return where it was."""
        try:
            while PHASES.index(self._phase()) < PHASES.index(phase) and self._runs:
                time.sleep(_LOOKS_EVERY)
            time.sleep(rng.uniform(0, _LASTS[phase]))
        finally:
            self._process.kill()
        return self._phase() if self._process.wait() else "end"

    @property
    def _runs(self) -> bool:
        return self._process.poll() is None

    def _phase(self) -> str:
        """Tell where it is by what it has left behind up to now."""
        left = {folder.parent.name for folder in self._packages()}
        signs = {
            "end": self._touched(self._published),
            "publish": self._touched(self._published.with_name(f".{self._published.name}.new")),
            "models": self._touched(self._work / "dbt" / "logs" / "dbt.log"),
            "load": "normalized" in left,
            "normalize": left & {"extracted", "new"},
            "extract": left - {"loaded"},
            "loaded": left,
            "read": self._upstream.log,
        }
        return next((phase for phase, seen in signs.items() if seen), "start")

    def _touched(self, path: Path) -> bool:
        try:
            return path.stat().st_mtime >= self._since
        except FileNotFoundError:
            return False

    def _packages(self) -> Iterator[Path]:
        """Find dlt's load packages of this run: their names are when they began."""
        for step in ("normalize", "load"):
            for folder in _inside(self._work / "dlt" / "convoy" / step):
                yield from (found for found in _inside(folder) if _number(found) >= self._since)


def _inside(folder: Path) -> list[Path]:
    """List a folder, which may go while it is listed."""
    with suppress(OSError):
        return list(folder.iterdir())
    return []


def _number(found: Path) -> float:
    with suppress(ValueError):
        return float(found.name)
    return 0.0
