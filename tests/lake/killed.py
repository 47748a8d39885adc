"""As `tests/dying.py`: a sync that kills itself before a commit, or before a file of dlt's."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from pipelines import settings, tables
from pipelines.lake import delta
from pipelines.lake.destination import _Client
from pipelines.sync import sync

if TYPE_CHECKING:
    from pipelines.lake.place import Lake

_write = delta.write
_file = _Client._write_to_json_file  # noqa: SLF001 - it has no other name


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def write(lake: Lake, table: tables.Table, rows: Any) -> None:  # noqa: ANN401 - Arrow's
    if table.name == sys.argv[1] and len(rows):
        _kill()
    _write(lake, table, rows)


def file(self: _Client, filepath: str, data: dict[str, Any]) -> None:
    if sys.argv[1] in filepath:
        _kill()
    _file(self, filepath, data)


if __name__ == "__main__":
    delta.write = write
    _Client._write_to_json_file = file  # type: ignore[method-assign]  # noqa: SLF001 - as above
    os.environ["LOAD__WORKERS"] = "1"
    sync(settings.load(), models=False)
