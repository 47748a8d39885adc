"""The lakehouse as dlt's destination: its `filesystem`, whose tables are written by our merges."""

import os
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from dlt.common.destination import DestinationCapabilitiesContext
from dlt.common.destination.exceptions import DestinationTerminalException
from dlt.common.destination.typing import PreparedTableSchema
from dlt.common.json import json
from dlt.common.schema.typing import TLoaderMergeStrategy, TTableSchema
from dlt.common.typing import DictStrAny
from dlt.destinations.impl.filesystem.factory import filesystem
from dlt.destinations.impl.filesystem.filesystem import (
    FilesystemClient,
    ReferenceFollowupJob,
)

from pipelines import tables
from pipelines.lake import delta
from pipelines.lake.connection import state_in
from pipelines.lake.place import Lake

_TABLES = {table.name: table for table in tables.ALL}


def destination(lake: Lake) -> "Lakehouse":
    """Return what dlt loads into."""
    return Lakehouse(bucket_url=lake.folder.as_uri(), destination_name="filesystem")


def _any_of_them(
    able: Sequence[TLoaderMergeStrategy],
    /,
    *,
    table_schema: TTableSchema,  # noqa: ARG001 - dlt's name
) -> Sequence[TLoaderMergeStrategy]:
    return able


class MergeJob(ReferenceFollowupJob):
    """Writes all files of one table in one commit.

    dlt's own takes no row's newest version where a key comes twice, gives up where another
    worker commits first, and appends twice where it is tried again.
    """

    def run(self) -> None:
        """Write them."""
        table = _TABLES[self.load_table_name]
        files = [pq.read_table(path, schema=table.schema) for path in self.file_paths]
        lake = Lake(folder=Path(self._job_client.bucket_path))
        try:
            delta.write(lake, table, pa.concat_tables(files))
        except delta.library().exceptions.CommitFailedError as conflict:
            # dlt would begin again, four times; it was tried long enough.
            raise DestinationTerminalException(str(conflict)) from conflict
        delta.tidy(lake, table.name)


@cache  # what was written once is never changed
def _is_whole(path: str) -> bool:
    return state_in(Path(path)) is not None


class _Client(FilesystemClient):
    def create_dataset(self) -> None:
        """Make its folder, unless another worker was quicker."""
        self.fs_client.makedirs(self.dataset_path, exist_ok=True)

    def prepare_load_table(self, table_name: str) -> PreparedTableSchema:
        table = super().prepare_load_table(table_name)
        if not self.is_dlt_table(table_name):
            table["table_format"] = "delta"
        return table

    @staticmethod
    def get_reference_followup_job_class(
        table: PreparedTableSchema,
    ) -> type[ReferenceFollowupJob] | None:
        return MergeJob if table.get("table_format") == "delta" else None

    def _write_to_json_file(self, filepath: str, data: DictStrAny) -> None:
        """Write a state whole or not at all, until then where dlt looks for none."""
        aside = Path(self.dataset_path) / f".tmp-{uuid4().hex}"
        try:
            with aside.open("w", encoding="utf-8") as stream:
                stream.write(json.dumps(data))
                stream.flush()
                os.fsync(stream.fileno())
            aside.replace(filepath)
        finally:
            aside.unlink(missing_ok=True)

    def _list_dlt_table_files(
        self, table_name: str, pipeline_name: str | None = None
    ) -> Iterator[tuple[str, list[str]]]:
        """List states and schemas; what a broken disk left of one is as if it were not there."""
        of: Any = pipeline_name  # dlt says that it is a text, and has it None by default
        for path, parts in super()._list_dlt_table_files(table_name, of):
            if _is_whole(path):
                yield path, parts


class Lakehouse(filesystem):
    """Folders of Delta tables."""

    @property
    def client_class(self) -> type[Any]:
        """Return what loads."""
        return _Client

    def _raw_capabilities(self) -> DestinationCapabilitiesContext:
        """Say what our merges can do, whatever dlt's own can."""
        able = super()._raw_capabilities()
        able.supported_merge_strategies = ["delete-insert", "insert-only"]
        able.merge_strategies_selector = _any_of_them
        return able
