"""What is handed out: the wheel, the lock, and no word to anybody's servers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import MakeWorld, Simulate
    from project import Project

ROOT = Path(__file__).parent.parent


def python(*arguments: str, at: Path, package: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, with the package from a folder and nothing of this process."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("RUNTIME__")}
    return subprocess.run(  # noqa: S603 - our own commands
        [sys.executable, *arguments],
        cwd=at,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**inherited, "PYTHONPATH": str(package)},
    )


@pytest.mark.long
def test_the_wheel_alone_runs_the_demo_with_the_models_inside(tmp_path: Path) -> None:
    built = python("-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path), at=ROOT)
    assert built.returncode == 0, built.stderr
    wheel = next(tmp_path.glob("*.whl"))
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
        packed.extractall(tmp_path / "site")
    tops = {name.split("/")[0] for name in names}
    assert tops == {"pipelines", f"convoy_etl-{wheel.name.split('-')[1]}.dist-info"}
    assert not [name for name in names if "secrets" in name or "target/" in name]

    done = python("-m", "pipelines", "demo", at=tmp_path, package=tmp_path / "site")

    assert done.returncode == 0, done.stderr
    code = "from pipelines import models; print(models.project_dir())"
    project = python("-c", code, at=tmp_path, package=tmp_path / "site").stdout.strip()
    assert project == str(tmp_path / "site" / "pipelines" / "_sql")


def test_a_sync_leaves_pandas_alone(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    project.configure(simulate(make_world(bots={"support": 5}, chatbots={"website": 5})))
    done = python("-X", "importtime", "-m", "pipelines", "sync", at=project.folder)
    assert done.returncode == 0, done.stderr
    imported = re.findall(r"\| +([\w.]+)$", done.stderr, re.MULTILINE)
    assert "dlt.common" in imported
    assert [name for name in imported if name.startswith(("pandas.", "pyspark."))] == []


def test_the_lock_holds_versions_and_hashes_and_no_addresses() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")

    assert "://" not in lock
    assert not re.search(r"^\s*--(index|extra|find|trusted)", lock, re.MULTILINE)
    pins = re.findall(r"^[a-z0-9][^ ]*==[^ ]+ \\$", lock, re.MULTILINE)
    assert len(pins) == len(re.findall(r"^[a-z0-9]", lock, re.MULTILINE))
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}", lock)) >= len(pins)


def test_dlt_and_dbt_report_nothing_to_anybody(tmp_path: Path) -> None:
    code = """
import threading
import pipelines, dlt
pipeline = dlt.pipeline("quiet", destination="duckdb", pipelines_dir="work")
pipeline.run([{"a": 1}], table_name="t")
print([t.name for t in threading.enumerate() if "tracker" in t.name])
"""
    assert python("-c", code, at=tmp_path).stdout.splitlines()[-1:] == ["[]"]
    flags = (ROOT / "sql" / "dbt_project.yml").read_text(encoding="utf-8")
    assert re.search(r"send_anonymous_usage_stats:\s*false", flags, re.IGNORECASE)


def test_help_comes_without_the_heavy_libraries(tmp_path: Path) -> None:
    code = """
import sys, pipelines.cli
print([name for name in ("dlt", "dbt", "duckdb", "pyarrow") if name in sys.modules])
"""
    assert python("-c", code, at=tmp_path).stdout.strip() == "[]"
