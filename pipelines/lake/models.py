"""The models of a lakehouse: Spark SQL builds them out of its Delta tables, and writes such."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipelines import models, pandas_refused, tables
from pipelines.engine import Engine
from pipelines.errors import ConfigurationError, ConvoyError, ModelsFailed
from pipelines.lake.place import Lake

_PORT = 15002  # of Spark Connect, where none is named
_MISSING = "models.spark is set and pyspark is not installed; pip install 'convoy-etl[lake,spark]'"


def build(lake: Lake, remote: str, work: Path, *, zone: str = "UTC") -> models.Built:
    """Build all models on whatever listens there; the marts become tables of the lakehouse.

    Raises:
        ConfigurationError: the client of Spark is not installed.
        ModelsFailed: nothing listens, or it names each model that failed.
    """
    show(lake, remote)
    variables = {"CONVOY_SPARK_REMOTE": remote, "CONVOY_SPARK_MARTS": str(lake.folder / "marts")}
    return models.build(Engine("spark", variables), work, zone=zone)


def show(lake: Lake, remote: str) -> None:
    """Tell Spark where the tables are: in this process's session, which dbt shares.

    Many catalogs forget it when a session or the server ends, so it is told each time.
    """
    try:
        _knock(remote)
        session = _session(remote)
        for statement in _statements(lake):
            session.sql(statement).collect()
    except ConvoyError:
        raise
    except Exception as failed:  # pyspark's, gRPC's and others have no base of their own
        message = (str(failed).strip() or repr(failed)).splitlines()[0]
        raise ModelsFailed(f"{remote}: {message}") from failed


def _knock(remote: str) -> None:
    """Fail at once where nothing listens; pyspark would try for ten minutes."""
    place = urlsplit(remote)
    socket.create_connection((place.hostname, place.port or _PORT), timeout=10).close()


def _statements(lake: Lake) -> Iterator[str]:
    yield f"create schema if not exists {tables.DATASET}"
    for table in tables.ALL:
        name = f"{tables.DATASET}.{table.name}"
        place = lake.table(table.name).replace("\\", "\\\\").replace("'", "\\'")
        yield f"create table if not exists {name} using delta location '{place}'"


def _session(remote: str) -> Any:  # noqa: ANN401 - of an extra
    pandas_refused.allow()
    try:
        from pyspark.sql import SparkSession  # noqa: PLC0415 - of an extra
    except ImportError:
        raise ConfigurationError(_MISSING) from None
    return SparkSession.builder.remote(remote).getOrCreate()
