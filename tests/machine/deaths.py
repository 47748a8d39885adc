"""Ways for a sync to end in the middle: the plug is pulled in this process, or in another."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlt.destinations.exceptions import DatabaseTerminalException
from dlt.destinations.impl.duckdb.sql_client import DuckDbSqlClient
from dying import JOBS, dying

from pipelines.loader import Loader

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from pipelines.simulator import Request, Simulator

PLACES = (
    "request", "statement", "statement", "before load", "after load", "before note", "after note",
    "conversations", "conversation_changes", "last_messages", "sync_windows",
    "_dlt_pipeline_state", "rejected_rows",
)  # fmt: skip
"""Where a sync of this process can die; the last ones are tables, in whose load job it does."""
_TESTS = Path(__file__).parent.parent
DYING = _TESTS / "dying.py"


class Killed(BaseException):
    """Nothing of ours catches it."""


@dataclass
class Plug:
    """Pulled once, at the count-th chance; from then on it stays pulled."""

    count: int
    pulled: bool = False

    def reached(self) -> bool:
        """Count a chance down; tell whether the plug is pulled."""
        self.count -= 1
        self.pulled = self.pulled or self.count <= 0
        return self.pulled


def die_at(
    place: str, plug: Plug, upstream: Simulator, patched: pytest.MonkeyPatch
) -> Callable[[object], None]:
    """Lay the trap; return what the sync must be given to tell its progress to."""

    def tell(_: object) -> None:
        if place == "request" and plug.pulled:
            raise Killed

    def requested(_: Request) -> None:
        plug.reached()

    if place == "request":
        upstream.on_request = requested
    elif place == "statement":
        for client in _clients():
            patched.setattr(client, "execute_query", _failing(client.execute_query, plug))
    elif " " in place:
        when, _, name = place.partition(" ")
        patched.setattr(Loader, name, _killing(getattr(Loader, name), plug, when))
    else:
        for job in _jobs():
            patched.setattr(job, "run", dying(job.run, place, lambda: _fail(plug)))
    return tell


def _clients() -> list[Any]:
    """What dlt runs statements with, of each database that it can load into here."""
    if not find_spec("psycopg2"):
        return [DuckDbSqlClient]
    from dlt.destinations.impl.postgres.sql_client import Psycopg2SqlClient  # noqa: PLC0415 - of an extra

    return [DuckDbSqlClient, Psycopg2SqlClient]


def _jobs() -> list[Any]:
    """What dlt loads files with, likewise."""
    if not find_spec("psycopg2"):
        return [*JOBS]
    from pipelines.postgres.destination import CopyJob  # noqa: PLC0415 - of an extra

    return [*JOBS, CopyJob]


def _fail(plug: Plug) -> None:
    plug.pulled = True
    raise DatabaseTerminalException(RuntimeError("pulled the plug"))


def _failing(execute: Callable[..., Any], plug: Plug) -> Callable[..., Any]:
    """Once pulled no statement is run any more, so that dlt can't tidy up either."""

    def run(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - passed on
        if plug.reached():
            _fail(plug)
        return execute(*args, **kwargs)

    return run


def _killing(call: Callable[..., None], plug: Plug, when: str) -> Callable[..., None]:
    def run(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed on
        last = plug.reached()
        if not last or when == "after":
            call(*args, **kwargs)
        if last:
            raise Killed

    return run


def kill_process_at_request(count: int, upstream: Simulator) -> bool:
    """Let a process of its own sync and kill it at a request; tell whether it came to that."""
    plug, pid = Plug(count), [0]

    def requested(_: Request) -> None:
        if plug.reached() and pid[0]:
            os.kill(pid.pop(), signal.SIGKILL)
            pid.append(0)

    command = [sys.executable, "-m", "pipelines", "sync", "--no-models"]
    with subprocess.Popen(  # noqa: S603 - a program of our own
        command, env=_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as child:
        pid[0] = child.pid
        upstream.on_request = requested
        child.wait()
        upstream.on_request = None
    return child.returncode == -signal.SIGKILL


def kill_process_in_table(program: Path, table: str) -> bool:
    """Let a process of its own sync and be killed in the load job of a table."""
    died = subprocess.run(  # noqa: S603 - a program of our own
        [sys.executable, str(program), table],
        env=_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return died.returncode == -signal.SIGKILL


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(_TESTS.parent), *sys.path])}
