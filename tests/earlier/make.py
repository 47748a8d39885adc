"""Makes a warehouse with an earlier release, and keeps it as a fixture.

From the root of the checkout, with the release unpacked elsewhere:

    git archive v0.1.0 | tar -x -C /tmp/release
    PYTHONPATH=.:tests python tests/earlier/make.py /tmp/release tests/earlier/0.1.0

The release syncs the world of `world.py` twice and builds its models; what its warehouse holds
is written as DuckDB's `export database` does, so that no fixture depends on a storage format.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import duckdb
from project import Project

from earlier import world as earlier
from pipelines.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import Mapping

_EXPORT = "export database '{}' (format parquet, compression zstd)"


def make(release: Path, folder: Path, settings: Mapping[str, object]) -> Project:
    """Let a release sync twice in a folder; return the project that it leaves."""
    (folder / ".dlt").mkdir(parents=True)
    project = Project(folder)
    world = earlier.begun()
    with Simulator(world) as upstream:
        project.configure(upstream, gptbots=settings)
        _run(release, folder, "sync", "--no-models")
        earlier.go_on(world)
        _run(release, folder, "sync")
    return project


def _run(release: Path, folder: Path, *command: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(release)}
    call = [sys.executable, "-m", "pipelines", *command]
    subprocess.run(call, cwd=folder, env=environment, check=True)  # noqa: S603 - our own command


def keep(warehouse: Path, to: Path) -> None:
    """Write a warehouse as SQL and Parquet, all paths relative."""
    rmtree(to, ignore_errors=True)
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(_EXPORT.format(to))
    load, schema = to / "load.sql", to / "schema.sql"
    load.write_text(load.read_text(encoding="utf-8").replace(f"{to}/", ""), encoding="utf-8")
    schema.write_text(_in_order(schema.read_text(encoding="utf-8")), encoding="utf-8")


def _in_order(schema: str) -> str:
    """Put each view behind what it reads, which DuckDB does not."""
    done = []
    with duckdb.connect() as connection:
        waiting = deque(connection.extract_statements(schema))
        while waiting:
            statement = waiting.popleft()
            try:
                connection.execute(statement)
                done.append(statement.query.strip().rstrip(";") + ";\n")
            except (duckdb.CatalogException, duckdb.BinderException):
                waiting.append(statement)
    return "".join(done)


if __name__ == "__main__":
    named = {"bot_names": True} if "--names" in sys.argv else {}
    with TemporaryDirectory() as scratch:
        made = make(Path(sys.argv[1]).resolve(), Path(scratch) / "project", named)
        keep(made.warehouse, Path(sys.argv[2]))
