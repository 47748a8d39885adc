from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from sql.warehouse import Warehouse, at

from pipelines import models
from pipelines.errors import ModelsFailed, WarehouseBusy


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    warehouse.change("gptbots", "a", "1", at(1))
    warehouse.conversation("gptbots", "a", "1")
    return warehouse


def marts(path: Path) -> int:
    """How many rows the marts give, freshness among them."""
    with duckdb.connect(path, read_only=True) as connection:
        names = connection.execute(
            "select table_name from information_schema.tables where table_schema = 'marts'"
        ).fetchall()
        counts = [connection.execute(f"from marts.{name}").fetchall() for (name,) in names]
    return sum(len(rows) for rows in counts)


def opened_files() -> list[str]:
    """What this process holds open, on a system that tells."""
    held = Path("/proc/self/fd")
    return [os.path.realpath(entry) for entry in held.iterdir()] if held.is_dir() else []


def test_an_empty_warehouse_has_empty_marts(tmp_path: Path) -> None:
    empty = Warehouse(tmp_path / "warehouse.duckdb")
    built = models.build(empty.path, tmp_path / "work", tests=True)
    assert (built.models, built.warnings, marts(empty.path)) == (28, 0, 0)
    assert built.tests > 50


def test_what_only_warns_is_told_and_what_fails_is_an_error(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    models.build(warehouse.path, tmp_path)
    warehouse.add("sync_windows", source="gptbots", bot="b", kind="window", finished_at=at(2))
    tested = models.run_tests(warehouse.path, tmp_path)
    assert tested.tests > 50
    assert tested.warnings == ["sync_windows: nothing was added for a day"]

    warehouse.run("update marts.credit_ledger set credits = credits + 1")
    warehouse.run("update marts.platform_daily set new_users = new_users + 1")
    with pytest.raises(ModelsFailed, match="adds_up_to"):
        models.run_tests(warehouse.path, tmp_path)


def test_the_documentation_is_one_file(warehouse: Warehouse, tmp_path: Path) -> None:
    models.build(warehouse.path, tmp_path)
    models.document(warehouse.path, tmp_path, tmp_path / "models.html")
    page = (tmp_path / "models.html").read_text(encoding="utf-8")
    assert "What the counter moved by, exact" in page
    assert '"spent_until"' in page  # out of the catalog
    assert '"original_file_path": "models/' in page  # out of the manifest
    places = (tmp_path, Path.home(), models.project_dir().parent)
    assert [place for place in places if f"{place}/" in page] == []


def test_the_file_is_free_after_each_build(warehouse: Warehouse, tmp_path: Path) -> None:
    for _ in range(2):
        built = models.build(warehouse.path, tmp_path / "work")
        assert (built.models, built.tests) == (28, 0)
        duckdb.connect(warehouse.path).close()
        duckdb.connect(warehouse.path, read_only=True).close()
        assert not [path for path in opened_files() if path.startswith(str(tmp_path))]
        opening = f"import duckdb; duckdb.connect({str(warehouse.path)!r}).close()"
        subprocess.run([sys.executable, "-c", opening], check=True)  # noqa: S603 - our own code


def test_a_copy_under_another_name_answers_too(warehouse: Warehouse, tmp_path: Path) -> None:
    models.build(warehouse.path, tmp_path / "work")
    copy = tmp_path / "published.duckdb"
    with duckdb.connect() as connection:
        connection.execute(f"attach '{warehouse.path}' as original (read_only)")
        connection.execute(f"attach '{copy}' as target")
        connection.execute("copy from database original to target")
    assert marts(copy) == marts(warehouse.path) == 8


def test_dbt_keeps_quiet_and_leaves_nothing_behind(
    warehouse: Warehouse, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = dict(os.environ), os.getcwd(), files(models.project_dir())  # noqa: PTH109
    models.build(warehouse.path, tmp_path / "work")
    assert (dict(os.environ), os.getcwd(), files(models.project_dir())) == before  # noqa: PTH109
    assert capfd.readouterr() == ("", "")
    assert (tmp_path / "work" / "dbt" / "logs" / "dbt.log").is_file()
    assert {path.name for path in tmp_path.iterdir()} == {"warehouse.duckdb", "work"}


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


def test_a_failure_names_the_model_in_one_line(
    warehouse: Warehouse, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    warehouse.run("drop table chat.sync_windows")
    with pytest.raises(ModelsFailed, match=r"^stg_sync_windows: .*sync_windows") as failed:
        models.build(warehouse.path, tmp_path / "work")
    assert "\n" not in str(failed.value)
    assert capfd.readouterr() == ("", "")
    duckdb.connect(warehouse.path).close()


def test_a_warehouse_that_another_process_holds_is_told(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    holding = f"""
import duckdb, sys
connection = duckdb.connect({str(warehouse.path)!r})
print(flush=True)
sys.stdin.read()
"""
    command = [sys.executable, "-c", holding]
    with subprocess.Popen(  # noqa: S603 - our own code
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(ModelsFailed, match="lock"):
            models.build(warehouse.path, tmp_path / "work")
        with pytest.raises(WarehouseBusy):
            models.run_tests(warehouse.path, tmp_path / "work")
        with pytest.raises(WarehouseBusy):
            models.document(warehouse.path, tmp_path / "work", tmp_path / "models.html")
        assert other.stdin is not None
        other.stdin.close()


def test_importing_the_runner_does_not_import_dbt() -> None:
    check = "import sys, pipelines.models; sys.exit('dbt' in sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)  # noqa: S603 - our own code
