"""The state machine of `tests/test_machine.py` on a database of PostgreSQL."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, ClassVar

import pytest
from hypothesis import seed
from test_machine import ASKED, Machine, _compiled, _reported, play  # noqa: F401 - fixtures too

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from project import Project

    from postgres.server import Server


class OnPostgres(Machine):
    """The same rules; each run has a database of its own."""

    server: ClassVar[Server]
    numbers: ClassVar[Iterator[int]] = count()

    def make(self, folder: Path) -> Project:
        from postgres.server import PostgresProject  # noqa: PLC0415 - of an extra

        database = f"machine {next(self.numbers)}"
        self.server.ask("postgres", f'create database "{database}"')
        return PostgresProject(folder, self.server, database)


@pytest.fixture(scope="module", autouse=True)
def _on_server(server: Server) -> None:
    OnPostgres.server = server


@pytest.mark.timeout(900)
def test_some_steps() -> None:
    play(seed(1)(OnPostgres), 40)


@pytest.mark.long
@pytest.mark.timeout(0)
def test_many_steps() -> None:
    play(OnPostgres if ASKED else seed(2)(OnPostgres), int(ASKED or 120))
