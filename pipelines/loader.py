"""Loads with dlt: its pipeline over our work folder, quiet, offline and tidy."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines import tables, upgrade, warehouse
from pipelines.batch import Batch
from pipelines.cursor import PIPELINE, Cursor, cursors_in, stored_cursors
from pipelines.errors import ConvoyError, Stopped

if TYPE_CHECKING:
    from datetime import datetime

    import dlt
    import pyarrow as pa

_ANY_SOURCE = "gptbots"
"""Under whose name that is loaded which is no source's."""
_DEFAULTS = {
    "LOAD__DELETE_COMPLETED_JOBS": "true",  # loaded files are not kept
    "LOAD__WORKERS": "2",  # more files at once only take memory
}
_SPARING = ("set threads = 1", "set memory_limit = '128MB'")
"""How DuckDB appends files of narrow rows: two at once, each as fast as with all cores.

Row groups that are ready go to the disk, where it would keep some hundred MB of them otherwise.
"""

# Rejected rows are merged on their key, as dlt would.
_NOTE = {
    tables.SYNC_WINDOWS.name: "insert into chat.sync_windows by name from noted",
    tables.REJECTED_ROWS.name: """
        insert into chat.rejected_rows by name
        from noted anti join chat.rejected_rows using (source, rejected_id)
    """,
    tables.TRANSCRIPTS.name: """
        delete from chat.transcripts as old using noted
        where old.source = noted.source and old.conversation_id = noted.conversation_id;
        insert into chat.transcripts by name from noted
    """,
}


class Loader:
    """Loads batches into one warehouse; `cursors` says where each (source, bot) stands.

    The warehouse is the only truth: local packages and state of an earlier run are thrown
    away, cursors come out of the warehouse. What an interrupted run had not loaded is read
    again, which costs requests but can't go wrong: a stuck package, a state that is ahead of
    its rows, a warehouse restored from a backup all end the same way.
    """

    def __init__(self, path: Path, work: Path) -> None:
        self._path = path
        self._folder = work / "dlt"
        _remove(self._folder)
        self._lacking = list(tables.ALL)
        self.cursors: dict[tuple[str, str], datetime] = {}
        if path.exists():
            with warehouse.connect(path) as connection:
                upgrade.refuse_newer(connection, path)
                self._lacking = warehouse.lacking(connection)
                self.cursors = stored_cursors(connection) if self._prepared else {}

    @property
    def _prepared(self) -> bool:
        return not any(table in self._lacking for table in tables.CORE)

    @cached_property
    def _pipeline(self) -> "dlt.Pipeline":
        return _pipeline(self._path, self._folder)

    def note(self, audit: "Mapping[str, pa.Table]") -> None:
        """Write certificates, rejected rows and how far transcripts are, which come without news.

        They need no cursor, and a run of dlt would cost a sync that finds nothing new about half
        a second.

        Raises:
            WarehouseBusy: another program holds the file.
            WarehouseFailed: they can't be written.
        """
        if not audit:
            return
        if not self._prepared:
            self.load(_ANY_SOURCE, Batch(rest=audit), {})
            return
        with warehouse.connect(self._path) as connection:
            connection.begin()
            for name, rows in audit.items():
                connection.register("noted", rows)
                connection.execute(_NOTE[name])
            connection.commit()

    def load(self, name: str, batch: Batch, cursors: Mapping[str, Cursor]) -> None:
        """Load a batch of one source, rows and cursors in one package.

        Raises:
            WarehouseBusy: another program holds the file.
            WarehouseFailed: the load failed; the next run reads its rows again.
            Stopped: a signal came meanwhile.
        """
        if not self._prepared:
            upgrade.begin(self._path)
        # The first load makes all tables, also those that it brings no rows for.
        empty = {table.name: table.schema.empty_table() for table in self._lacking}
        self._run(name, replace(batch, rest={**empty, **batch.rest}), cursors)
        self._lacking = []

    def _run(self, name: str, batch: Batch, cursors: Mapping[str, Cursor]) -> None:
        from dlt.common.exceptions import SignalReceivedException  # noqa: PLC0415 - see _pipeline
        from dlt.common.runtime import signals  # noqa: PLC0415 - see _pipeline
        from dlt.pipeline.exceptions import PipelineStepFailed  # noqa: PLC0415 - see _pipeline

        from pipelines import source  # noqa: PLC0415 - see _pipeline

        try:
            # dlt puts signals off while it runs and forgets those that come too late for it.
            with signals.intercepted_signals(), self._kept_open(sparing=batch.narrow):
                self._pipeline.run(
                    source.SOURCES[name](batch, cursors), loader_file_format="parquet"
                ).raise_on_failed_jobs()
                signals.raise_if_signalled()
        except (PipelineStepFailed, SignalReceivedException, OSError) as failed:
            raise self._translated(failed) from failed
        self.cursors = cursors_in(self._pipeline.state)

    @contextmanager
    def _kept_open(self, *, sparing: bool) -> Iterator[None]:
        """Keep the file open, which dlt would open and close seven times."""
        with warehouse.connect(self._path) as connection:
            for setting in _SPARING if sparing else ():
                connection.execute(setting)
            yield

    def _translated(self, failed: BaseException) -> ConvoyError:
        """Find the cause that the user can do something about."""
        from dlt.common.exceptions import SignalReceivedException  # noqa: PLC0415 - see _pipeline

        chain = list(_chain(failed))
        for cause in chain:
            if isinstance(cause, SignalReceivedException):
                return Stopped(cause.signal_code)
        full = [cause for cause in chain if "No space left" in str(cause)]
        cause = failed
        while cause.__cause__ is not None:
            cause = cause.__cause__
        return warehouse.translated(full[-1] if full else cause, self._path)


def _chain(failed: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what it came of; what was closed in its wake may have failed as well."""
    while failed is not None:
        yield failed
        failed = failed.__cause__ or failed.__context__


def _remove(folder: Path) -> None:
    """Remove a folder, or whatever else stands in its place."""
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        folder.unlink()


def _pipeline(path: Path, folder: Path) -> "dlt.Pipeline":
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    import dlt  # noqa: PLC0415 - half a second that other commands need not spend

    return dlt.pipeline(
        PIPELINE,
        destination=dlt.destinations.duckdb(str(path)),
        dataset_name=tables.DATASET,
        pipelines_dir=str(folder),
    )
