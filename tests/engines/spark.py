"""Whatever speaks Spark Connect, and what is loaded into it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
from pyspark.sql import SparkSession

from engines.marts import Marts, rows_of
from pipelines.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_TABLES = """
    select table_name from information_schema.tables
    where table_schema = 'chat' and not starts_with(table_name, '_dlt')
"""


_PINNED = Path(__file__).with_name("spark.txt")


class Spark:
    """A session of a Spark Connect server; dbt shares it, as it runs in this process."""

    def __init__(self, remote: str) -> None:
        self.engine = Engine("spark", {"CONVOY_SPARK_REMOTE": remote})
        # xdist's workers have no main file, which pyspark would take for its own doctests.
        vars(sys.modules["__main__"]).setdefault("__file__", __file__)
        self.session = SparkSession.builder.remote(remote).getOrCreate()
        self.session.conf.set("spark.sql.session.timeZone", "UTC")

    def load(self, warehouse: Path, folder: Path) -> None:
        """Put the loaded tables of a warehouse in place of those that are there, as Parquet."""
        self.run("create schema if not exists chat")
        with duckdb.connect(str(warehouse), read_only=True) as connection:
            for (table,) in connection.execute(_TABLES).fetchall():
                place = folder / table
                place.mkdir(parents=True)
                connection.execute(f"copy chat.{table} to '{place}/rows.parquet' (format parquet)")
                self.run(f"drop table if exists chat.{table}")
                self.run(f"create table chat.{table} using parquet location '{place}'")

    def marts(self) -> Marts:
        """Return all rows of the marts."""
        found = self.run("show tables in marts").to_pylist()
        return {
            row["tableName"]: rows_of(self.run(f"select * from marts.{row['tableName']}"))
            for row in found
        }

    def run(self, sql: str) -> Any:  # noqa: ANN401 - an Arrow table, which ships no types
        """Run one statement and return what it gives, as an Arrow table."""
        return self.session.sql(sql).toArrow()


@contextmanager
def sail(home: Path) -> Iterator[Spark]:
    """Run Sail, its driver and its workers in one process."""
    port = _free_port()
    server = ["-m", "pysail", "spark", "server", "--port", str(port), "--directory", str(home)]
    with _running([sys.executable, *server], home / "sail.log", {"SAIL_MODE": "local-cluster"}):
        yield from _connected(port)


@contextmanager
def standalone(home: Path, spark: Path) -> Iterator[Spark]:
    """Run Apache Spark: a master, two workers, and the server of Spark Connect as their driver."""
    port, driver = _free_port(), _free_port()
    master = f"spark://127.0.0.1:{port}"
    deploy = "org.apache.spark.deploy"
    local = ["--host", "127.0.0.1", "--webui-port", "0"]
    with ExitStack() as cluster:

        def start(name: str, *command: str) -> None:
            cluster.enter_context(
                _running(
                    [f"{spark}/bin/{command[0]}", *command[1:]], home / f"{name}.log", _VARIABLES
                )
            )

        start("master", "spark-class", f"{deploy}.master.Master", *local, "--port", str(port))
        _listening(port)
        for number in (1, 2):
            room = ["--cores", "1", "--memory", "1g", "--work-dir", f"{home}/worker{number}"]
            start(
                f"worker{number}", "spark-class", f"{deploy}.worker.Worker", *local, *room, master
            )
        start("driver", "spark-submit", "--master", master, *_submitted(home, driver))
        yield from _connected(driver)


def fetched(folder: Path) -> Path:
    """Install Apache Spark, half a gigabyte, beside the environment: clients do without it."""
    pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
    command = [sys.executable, *pip, "--target", str(folder), "-r", str(_PINNED)]
    subprocess.run(command, check=True)  # noqa: S603 - pinned by its hash
    return folder / "pyspark"


_VARIABLES = {"SPARK_LOCAL_IP": "127.0.0.1", "SPARK_NO_DAEMONIZE": "1"}


def _submitted(home: Path, port: int) -> list[str]:
    """What the driver is told: where it listens, where tables are kept, how few of all it needs."""
    settings = {
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": port,
        "spark.driver.host": "127.0.0.1",
        "spark.executor.memory": "1g",
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.shuffle.partitions": 2,
        "spark.sql.warehouse.dir": home / "tables",
        "spark.ui.enabled": "false",
    }
    told = [part for name, value in settings.items() for part in ("--conf", f"{name}={value}")]
    return [
        *told,
        "--class",
        "org.apache.spark.sql.connect.service.SparkConnectServer",
        "spark-internal",
    ]


def _connected(port: int) -> Iterator[Spark]:
    _listening(port)
    spark = Spark(f"sc://127.0.0.1:{port}")
    try:
        yield spark
    finally:
        spark.session.stop()


@contextmanager
def _running(command: list[str], log: Path, variables: Mapping[str, str]) -> Iterator[None]:
    with (
        log.open("wb") as said,
        subprocess.Popen(  # noqa: S603 - the servers under test
            command, env={**os.environ, **variables}, cwd=log.parent, stdout=said, stderr=said
        ) as running,
    ):
        try:
            yield
        finally:
            running.terminate()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _listening(port: int) -> None:
    """Wait until someone listens; the test's own time limit ends a wait for nobody."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.1)
        else:
            return
