"""Where dbt builds the models: a target of the profile, and one command run there, in silence."""

from __future__ import annotations

import json
import logging
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from dbt.cli.main import dbtRunnerResult


@dataclass(frozen=True)
class Engine:
    """A target of the profile, and the environment variables that it is told its place by."""

    target: str
    variables: Mapping[str, str]


def run(  # noqa: PLR0913 - what dbt has to be told, by name
    engine: Engine,
    command: str,
    arguments: Sequence[str] = (),
    *,
    project: Path,
    scratch: Path,
    zone: str,
) -> dbtRunnerResult:
    """Run one dbt command, and let go of every handle whatever comes of it."""
    from dbt.cli.main import dbtRunner  # noqa: PLC0415 - costs a second, when needed only

    if engine.target == "spark":
        _without_hive()
    settings = [*_settings(project, scratch), "--target", engine.target]
    settings += ["--vars", json.dumps({"time_zone": zone})]
    with _environment(engine.variables):
        try:
            return dbtRunner().invoke([*command.split(), *settings, *arguments])
        finally:
            _release()


def _without_hive() -> None:
    """Let dbt ask a Spark Connect session for Hive, which a client without Spark refuses to."""
    from pyspark.sql import SparkSession  # noqa: PLC0415 - of an extra
    from pyspark.util import is_remote_only  # noqa: PLC0415 - likewise

    if is_remote_only():
        SparkSession.Builder.enableHiveSupport = lambda builder: builder


def _settings(project: Path, scratch: Path) -> list[str]:
    """Where dbt reads and writes, and that it keeps quiet."""
    home, scratch = str(project), scratch.resolve()  # dbt counts from its project
    places = ["--project-dir", home, "--profiles-dir", home]
    places += ["--target-path", str(scratch / "target"), "--log-path", str(scratch / "logs")]
    quiet = ["--quiet", "--no-print", "--log-level", "none", "--log-level-file", "info"]
    lean = ["--partial-parse", "--static-parser", "--no-write-json", "--no-version-check"]
    return [*places, *quiet, *lean, "--no-send-anonymous-usage-stats"]


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """The variables that dbt reads, for as long as it runs."""
    ours = {**variables, "DO_NOT_TRACK": "1", "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _release() -> None:
    """Close the database that dbt-duckdb would hold until the process ends, and dbt's log."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager  # noqa: PLC0415
    from dbt.adapters.factory import reset_adapters  # noqa: PLC0415
    from dbt_common.events.event_manager_client import cleanup_event_logger  # noqa: PLC0415

    reset_adapters()  # type: ignore[no-untyped-call]
    environment = getattr(DuckDBConnectionManager, "_ENV", None)  # env() raises where none is
    if environment is not None:
        environment.close()
    DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]
    cleanup_event_logger()
    for handler in logging.getLogger("file_log").handlers:
        handler.close()
