"""A sync that dies inside dlt's load job of one table: run as a program, it kills itself.

The jobs of the other tables come to their end first, as far as they are let.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlt.destinations.impl.duckdb.duck import DuckDbCopyJob
from dlt.destinations.insert_job_client import InsertValuesLoadJob

from pipelines import settings
from pipelines.sync import sync

if TYPE_CHECKING:
    from collections.abc import Callable

JOBS = (DuckDbCopyJob, InsertValuesLoadJob)
_LOOKS = 60
_PAUSE = 0.05


def dying(
    load: Callable[[Any], None], table: str, die: Callable[[], None]
) -> Callable[[Any], None]:
    """Return what to put in place of `load`, the `run` of a load job."""

    deaths = iter([die])

    def run(job: Any) -> None:  # noqa: ANN401 - dlt's own
        path = Path(job._file_path)  # noqa: SLF001 - it has no other name
        if path.name.startswith(f"{table}."):
            _until_alone(path, table)
            next(deaths, lambda: None)()  # a table may have several files
        load(job)

    return run


def _until_alone(path: Path, table: str) -> None:
    """Wait a while for the jobs of the other tables."""
    alone = 0
    for _ in range(_LOOKS):
        folders = (path.parent.parent / name for name in ("new_jobs", "started_jobs"))
        names = [found.name for folder in folders for found in folder.iterdir()]
        others = [name for name in names if not name.startswith(f"{table}.")]
        alone = 0 if others else alone + 1
        if alone > 2:
            return
        time.sleep(_PAUSE)


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    for kind in JOBS:
        kind.run = dying(kind.run, sys.argv[1], _kill)  # type: ignore[method-assign,assignment]
    sync(settings.load(), models=False)
