"""A database for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from postgres.server import PostgresProject, Server


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
