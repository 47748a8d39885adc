"""As `tests/dying.py`: a sync that kills itself in the load job of one table, in PostgreSQL."""

from __future__ import annotations

import os
import signal
import sys

from dlt.destinations.insert_job_client import InsertValuesLoadJob
from dying import dying

from pipelines import settings
from pipelines.postgres.destination import CopyJob
from pipelines.sync import sync


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    for kind in (CopyJob, InsertValuesLoadJob):
        kind.run = dying(kind.run, sys.argv[1], _kill)  # type: ignore[method-assign,assignment]
    sync(settings.load(), models=False)
