"""The lakehouse as dlt's destination: its `filesystem`, whose tables are written by our merges."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from dlt.common.destination import DestinationCapabilitiesContext
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
        delta.write(lake, table, pa.concat_tables(files))
        delta.tidy(lake, table.name)


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
        """Write a state whole or not at all: half a one could be read by nobody."""
        aside = f"{filepath}.{os.getpid()}"
        self.fs_client.write_text(aside, json.dumps(data), encoding="utf-8")
        os.replace(aside, filepath)  # noqa: PTH105 - dlt's paths are texts


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
