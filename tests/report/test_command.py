"""`convoy report` as a user types it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from project import Project

ROOT = Path(__file__).parent.parent.parent


def convoy(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "pipelines", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.fixture
def configured(project: Project, published: Path) -> Project:
    config = f'[publish]\npath = "{published}"\n'
    (project.folder / ".dlt" / "config.toml").write_text(config, encoding="utf-8")
    return project


def test_a_report_is_one_file_and_says_where_it_is(configured: Project) -> None:
    done = convoy("report", "--days", "30")
    assert (done.returncode, done.stderr) == (0, "")
    written = configured.folder / "report.html"
    assert done.stdout.startswith(f"the report is {written} (")
    assert {path.name for path in configured.folder.iterdir()} == {".dlt", "report.html"}
    assert written.stat().st_mode & 0o444 == 0o444


def test_it_goes_where_it_is_asked_to(configured: Project) -> None:
    done = convoy("report", "-o", "weekly/one.html")
    assert done.returncode == 0, done.stderr
    assert (configured.folder / "weekly" / "one.html").read_text().startswith("<!doctype html>")


def test_with_nothing_published_it_says_what_to_do(project: Project) -> None:
    done = convoy("report")
    assert (done.returncode, done.stdout) == (1, "")
    assert "run `convoy sync` or `convoy publish` first" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (project.folder / "report.html").exists()
