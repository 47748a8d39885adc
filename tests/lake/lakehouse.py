"""A directory that a user syncs into a lakehouse from."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from project import Project

from pipelines.lake.place import Lake
from pipelines.warehouse import connect

if TYPE_CHECKING:
    from pipelines.simulator import Simulator, World

TESTS = Path(__file__).parent.parent
Row = dict[str, Any]
_PLACE = """
[destination]
name = "filesystem"
[destination.filesystem]
bucket_url = "lake"
"""


class LakeProject(Project):
    """The working directory; its warehouse are Delta tables in the folder `lake`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.lake = Lake(folder=folder / "lake")

    def configure(self, upstream: Simulator, **of: Any) -> None:  # noqa: ANN401 - as its parent
        super().configure(upstream, **of)
        file = self.folder / ".dlt" / "config.toml"
        text = file.read_text(encoding="utf-8")
        file.write_text(f"{text}\n{_PLACE}", encoding="utf-8")

    def rows(self, query: str, *parameters: object) -> list[Row]:
        with connect(self.lake, read_only=True) as connection:
            found = connection.execute(query, list(parameters)).to_arrow_table()
        rows: list[Row] = found.to_pylist()
        return rows

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "pipelines", *arguments]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command as a user does."""
        return subprocess.Popen(  # noqa: S603 - our own command
            self.command(*arguments),
            cwd=self.folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        with self.start(*arguments) as process:
            out, err = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def environment() -> dict[str, str]:
    """Return what a process of its own finds our code by."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS), *sys.path])}


def begin_everywhere(world: World) -> None:
    """Let a conversation begin with each bot, a second later."""
    world.advance(timedelta(seconds=1), activity=False)
    for name in world.accounts:
        world.begin(name)
