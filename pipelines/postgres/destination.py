"""The database as dlt's destination, with two faults of dlt mended."""

from typing import Any

import pyarrow.parquet as pq
from dlt.common.configuration import configspec
from dlt.common.destination.client import LoadJob
from dlt.common.destination.typing import PreparedTableSchema
from dlt.destinations.impl.postgres.configuration import PostgresCredentials
from dlt.destinations.impl.postgres.factory import postgres
from dlt.destinations.impl.postgres.postgres import PostgresClient, PostgresParquetCopyJob

from pipelines.postgres.server import Server


def destination(server: Server) -> "Database":
    """Return what dlt loads into."""
    credentials = _Credentials()
    credentials.resolve()  # dlt has nothing to find in its files: these are of them
    credentials.host, credentials.port = server.host, server.port
    credentials.username, credentials.database = server.username, server.database
    credentials.password = server.password.get_secret_value() if server.password else ""
    credentials.query = dict(server.options)
    return Database(credentials, destination_name="postgres")


@configspec(init=False)
class _Credentials(PostgresCredentials):
    """Credentials whose address is ours: dlt's own leaves spaces in it, which libpq refuses."""

    def to_native_representation(self) -> str:
        options = {name: str(value) for name, value in self.get_query().items()}
        place = {"host": self.host, "port": self.port, "database": self.database}
        who = {"username": self.username, "password": self.password or None}
        return Server.model_validate({**place, **who, "options": tuple(options.items())}).address()


class CopyJob(PostgresParquetCopyJob):
    """Copies a file; one without rows only makes its table, and would fail in dlt's job."""

    def run(self) -> None:
        """Copy it."""
        if pq.read_metadata(self._file_path).num_rows:
            super().run()


class _Client(PostgresClient):
    def create_load_job(
        self,
        table: PreparedTableSchema,
        file_path: str,
        load_id: str,
        restore: bool = False,  # noqa: FBT001, FBT002 - dlt's
    ) -> LoadJob:
        job = super().create_load_job(table, file_path, load_id, restore)
        return CopyJob(file_path) if isinstance(job, PostgresParquetCopyJob) else job


class Database(postgres):
    """PostgreSQL, as above."""

    @property
    def client_class(self) -> type[Any]:
        """Return what loads."""
        return _Client
