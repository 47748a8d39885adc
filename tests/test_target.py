"""What `--output` may be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from pipelines import settings, target
from pipelines.errors import ConfigurationError

if TYPE_CHECKING:
    from project import Project

REFUSED = [
    (".", "is a folder"),
    ("", "is a folder"),
    ("published", "is a folder"),
    ("warehouse.duckdb", "is the warehouse"),
    ("warehouse.duckdb.wal", "is the warehouse"),
    ("there/../warehouse.duckdb", "is the warehouse"),
    ("link.html", "is the warehouse"),
    ("published/convoy.duckdb", "is the published file"),
    ("published/convoy_marts/report.html", "lies in"),
    (".dlt/secrets.toml", "lies in .dlt"),
    (".dlt/new/report.html", "lies in .dlt"),
    (".convoy/warehouse.duckdb/lock", "lies in"),
    (".convoy/report.html", "lies in"),
    ("other.db", "is a DuckDB file"),
    ("twin.html", "is a DuckDB file"),
    ("notes.txt/report.html", "which is a file"),
    ("notes.txt/there/report.html", "which is a file"),
    ("round", "can't be reached"),
    ("/dev/null", "is no ordinary file"),
]


@pytest.fixture
def folder(project: Project) -> Project:
    """A project with a warehouse and more that is not to be replaced."""
    for path in (project.warehouse, project.folder / "other.db"):
        duckdb.connect(str(path)).close()
    (project.folder / "link.html").symlink_to("warehouse.duckdb")
    (project.folder / "round").symlink_to("round")
    (project.folder / "twin.html").hardlink_to(project.warehouse)
    (project.folder / "published").mkdir()
    (project.folder / "notes.txt").write_text("mine")
    return project


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("to", "fault"), REFUSED)
def test_what_is_kept_is_not_written_over(to: str, fault: str) -> None:
    with pytest.raises(ConfigurationError, match=fault) as refused:
        target.check(Path(to), settings.load(need_bots=False))
    assert "\n" not in str(refused.value)
    assert refused.value.exit_code == 2


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("to", ["notes.txt", "new.html", "a/new/folder/new.html", ".dlt.html"])
def test_what_is_new_or_a_users_file_is_written(to: str) -> None:
    target.check(Path(to), settings.load(need_bots=False))


def test_a_warehouse_that_is_not_there_yet_keeps_its_place(project: Project) -> None:
    with pytest.raises(ConfigurationError, match="is the warehouse"):
        target.check(project.warehouse, settings.load(need_bots=False))
