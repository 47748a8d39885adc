"""Dagster as a user has it: the recipe's packages in an environment beside ours, its commands."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock

ROOT = Path(__file__).parent.parent
RECIPE = ROOT / "docs" / "dagster"


def environment(folder: Path) -> Path:
    """Return an environment with the recipe's packages over ours; made if it isn't there.

    What we have it takes from ours; pip installs only what is not there, or not as required.
    """
    wanted = (RECIPE / "requirements.txt").read_text(encoding="utf-8")
    ours = sysconfig.get_path("purelib")
    where, done = folder / "venv", folder / "installed.txt"
    with filelock.FileLock(folder / "lock"):
        if not done.exists() or done.read_text(encoding="utf-8") != wanted + ours:
            venv.create(where, with_pip=True, clear=True)
            (packages(where) / "ours.pth").write_text(ours + "\n", encoding="utf-8")
            install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            python, asked = str(where / "bin" / "python"), str(RECIPE / "requirements.txt")
            command = [python, *install, "-r", asked]
            subprocess.run(command, check=True, env=_without_path())  # noqa: S603 - its own pip
            done.write_text(wanted + ours, encoding="utf-8")
    return where


def packages(where: Path) -> Path:
    """Return where an environment keeps its packages."""
    return next(where.glob("lib/python*/site-packages"))


@dataclass
class Dagster:
    """The recipe, copied into a project's directory."""

    where: Path
    project: Path
    home: Path

    def prepare(self) -> None:
        """Copy the recipe's files to where its page says."""
        self.home.mkdir()
        shutil.copy(RECIPE / "dagster.yaml", self.home)
        shutil.copy(RECIPE / "definitions.py", self.project)

    def run(self, *arguments: str) -> tuple[int, str]:
        """Run one of Dagster's commands; return its exit code and what it said."""
        done = self._python("-m", "dagster", *arguments)
        return done.returncode, done.stdout + done.stderr

    def ran(self, *arguments: str) -> dict[str, Any]:
        """Run a command that makes a run; return what became of it."""
        return self._became(*self.run(*arguments, "-f", "definitions.py"))

    def again(self) -> dict[str, Any]:
        """Re-execute the newest run from its failure; return what became of that."""
        done = self._python(str(ROOT / "tests" / "dagster_again.py"))
        return self._became(done.returncode, done.stdout + done.stderr)

    def _became(self, code: int, said: str) -> dict[str, Any]:
        seen = self._python(str(ROOT / "tests" / "dagster_events.py"))
        assert seen.returncode == 0, said + seen.stderr
        found: dict[str, Any] = json.loads(seen.stdout)
        assert (code == 0) == (found["status"] == "SUCCESS"), said
        return found | {"said": said}

    def _python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        tools = [self.where / "bin", sysconfig.get_path("scripts"), os.environ["PATH"]]
        known = {
            **os.environ,
            "PATH": os.pathsep.join(map(str, tools)),
            "PYTHONPATH": str(ROOT),
            "DAGSTER_HOME": str(self.home),
        }
        command = [str(self.where / "bin" / "python"), *arguments]
        return subprocess.run(  # noqa: S603 - of an environment of ours
            command, cwd=self.project, env=known, capture_output=True, text=True, check=False
        )


def _without_path() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
