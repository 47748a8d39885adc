"""Engines to build the models on, and what they are compared with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from project import Project

from engines.history import Stage, lived

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postgres.server import Server

    from engines.postgres import Postgres
    from engines.spark import Spark


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory) -> list[Stage]:
    """What two syncs of a world left, and DuckDB's marts of it."""
    folder = tmp_path_factory.mktemp("history")
    (folder / ".dlt").mkdir()
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        patched.setenv("XDG_DATA_HOME", str(folder / "home"))
        return lived(Project(folder), seed=20)


@pytest.fixture(scope="session")
def postgres(server: Server) -> Postgres:
    """A database that nothing was loaded into."""
    from engines.postgres import Postgres  # noqa: PLC0415 - of an extra

    return Postgres(server, "engines")


@pytest.fixture
def apache_spark(tmp_path: Path) -> Iterator[Spark]:
    """Apache Spark as a cluster, where SPARK_HOME is; fetched where CONVOY_SPARK requires it."""
    home = os.environ.get("SPARK_HOME")
    if not home and os.environ.get("CONVOY_SPARK") != "required":
        pytest.skip("no Apache Spark; set SPARK_HOME to run this")
    from engines import spark as engine  # noqa: PLC0415 - of an extra

    place = Path(home) if home else engine.fetched(tmp_path / "apache")
    with engine.standalone(tmp_path, place) as running:
        yield running
