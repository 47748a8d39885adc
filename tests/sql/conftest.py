"""What the tests of the models start from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sql.warehouse import Warehouse

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One place for all: dbt parses the project anew for each path of a warehouse."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture
def warehouse(folder: Path) -> Warehouse:
    """Every table of `chat`, with nothing in it."""
    path = folder / "warehouse.duckdb"
    path.unlink(missing_ok=True)
    return Warehouse(path)


@pytest.fixture
def work(folder: Path) -> Path:
    return folder / "work"
