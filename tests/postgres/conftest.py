"""A server for all tests of a run, a database for each."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from postgres.server import PostgresProject, Server


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A PostgreSQL server; required where CONVOY_POSTGRES says so."""
    required = os.environ.get("CONVOY_POSTGRES") == "required"
    if not required:
        for module in ("psycopg2", "adbc_driver_postgresql"):
            pytest.importorskip(module, reason="the extra `postgres` is not installed")
    from postgres import server as own  # noqa: PLC0415 - of an extra

    if not (required or own.program("initdb")):
        pytest.skip("no PostgreSQL server; install postgresql to run this")
    with own.running() as found:
        yield found


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server) -> PostgresProject:
    """An empty project whose warehouse is an empty database."""
    from postgres.server import PostgresProject  # noqa: PLC0415 - of an extra

    folder = tmp_path / "project"
    (folder / ".dlt").mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    names = server.ask("postgres", "select count(*) as n from pg_database")
    database = f"warehouse {names[0]['n']}"
    server.ask("postgres", f'create database "{database}"')
    return PostgresProject(folder, server, database)
