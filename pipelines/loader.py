"""Loads with dlt: its pipeline over our work folder, quiet, offline and tidy."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines import tables, upgrade, warehouse
from pipelines.batch import Batch
from pipelines.cursor import PIPELINE, Cursor, cursors_in, furthest, stored_cursors
from pipelines.errors import ConvoyError, Stopped
from pipelines.lake.place import Lake
from pipelines.lock import Held
from pipelines.settings import Place
from pipelines.shard import Shard

if TYPE_CHECKING:
    from datetime import datetime

    import dlt
    import pyarrow as pa
    from dlt.common.destination import Destination

_ANY_SOURCE = "gptbots"
"""Under whose name that is loaded which is no source's."""
_DEFAULTS = {
    "LOAD__DELETE_COMPLETED_JOBS": "true",  # loaded files are not kept
    "LOAD__WORKERS": "2",  # more files at once only take memory
}
_SPARING = ("set threads = 1", "set memory_limit = '64MB'")
"""How DuckDB appends files of narrow rows: two at once, each as fast as with all cores.

Row groups that are ready go to the disk, where it would keep some hundred MB of them otherwise.
"""


def _noted(table: tables.Table) -> str:
    """Return the statement that appends rows; those with a key that is there already are left."""
    names = ", ".join(table.columns)
    values = ", ".join(f"{n}::json" if c.json else n for n, c in table.columns.items())
    known = f"select 1 from chat.{table.name} as old where {_same_key(table)}"
    unless = f" where not exists ({known})" if table.key else ""
    return f"insert into chat.{table.name} ({names}) select {values} from noted{unless}"


def _same_key(table: tables.Table) -> str:
    return " and ".join(f"old.{name} = noted.{name}" for name in table.key)


_NOTE = {
    tables.SYNC_WINDOWS.name: [_noted(tables.SYNC_WINDOWS)],
    tables.REJECTED_ROWS.name: [_noted(tables.REJECTED_ROWS)],
    tables.TRANSCRIPTS.name: [
        f"delete from chat.transcripts as old using noted where {_same_key(tables.TRANSCRIPTS)}",
        _noted(tables.TRANSCRIPTS),
    ],
}


# Its cursors are not believed then, so the next sync reads its rows again.
_DISOWN = f"delete from {tables.DATASET}._dlt_loads where load_id = $1"


class Loader:
    """Loads batches into one warehouse; `cursors` says where each (source, bot) stands.

    The warehouse is the only truth: local packages and state of an earlier run are thrown
    away, cursors come out of the warehouse. What an interrupted run had not loaded is read
    again, which costs requests but can't go wrong: a stuck package, a state that is ahead of
    its rows, a warehouse restored from a backup all end the same way.
    """

    def __init__(self, place: Place, work: Path, held: Held, shard: Shard | None = None) -> None:
        self._place = place
        self._held = held
        self._shard = shard
        self._folder = work / "dlt"
        _remove(self._folder)
        self._lacking = list(tables.ALL)
        self.cursors: dict[tuple[str, str], datetime] = {}
        if warehouse.exists(place):
            with warehouse.connect(place) as connection:
                upgrade.refuse_newer(connection, place)
                self._lacking = warehouse.lacking(connection)
                self.cursors = stored_cursors(connection) if self._prepared else {}

    @property
    def _prepared(self) -> bool:
        return not any(table in self._lacking for table in tables.CORE)

    @cached_property
    def _pipeline(self) -> "dlt.Pipeline":
        return _pipeline(self._place, self._folder, self._shard)

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
        if isinstance(self._place, Lake):
            self._note_in_lake(self._place, audit)
            return
        with warehouse.connect(self._place) as connection:
            connection.begin()
            for name, rows in audit.items():
                connection.register("noted", rows)
                for statement in _NOTE[name]:
                    connection.execute(statement)
            connection.commit()

    def load(self, name: str, batch: Batch, cursors: Mapping[str, Cursor]) -> None:
        """Load a batch of one source, rows and cursors in one package.

        Raises:
            WarehouseBusy: another program holds the file.
            WarehouseFailed: the load failed; the next run reads its rows again.
            Stopped: a signal came meanwhile.
        """
        if not self._prepared:
            upgrade.begin(self._place)
        if isinstance(self._place, Lake):
            self._lacking = []
            self._load_lake(name, batch, cursors)
            return
        # The first load makes all tables, also those that it brings no rows for.
        empty = {table.name: table.schema.empty_table() for table in self._lacking}
        self._run(name, replace(batch, rest={**empty, **batch.rest}), cursors)
        warehouse.index(self._place)  # also where a first load was killed before
        self._lacking = []

    def _load_lake(self, name: str, batch: Batch, cursors: Mapping[str, Cursor]) -> None:
        """Load into tables that are there; certificates once all that they stand for is."""
        certificates = {n: r for n, r in batch.rest.items() if n == tables.SYNC_WINDOWS.name}
        rest = {n: r for n, r in batch.rest.items() if n not in certificates}
        others = replace(batch, rest=rest)
        if others.conversations or others.rest or others.files:
            self._run(name, others, cursors)
        self.note(certificates)

    def _note_in_lake(self, lake: Lake, audit: "Mapping[str, pa.Table]") -> None:
        from pipelines.lake import write  # noqa: PLC0415 - of an extra

        with warehouse.writing(lake):
            write.note(lake, audit)

    def _run(self, name: str, batch: Batch, cursors: Mapping[str, Cursor]) -> None:
        from dlt.common.exceptions import SignalReceivedException  # noqa: PLC0415 - see _pipeline
        from dlt.common.runtime import signals  # noqa: PLC0415 - see _pipeline
        from dlt.pipeline.exceptions import PipelineStepFailed  # noqa: PLC0415 - see _pipeline

        from pipelines import source  # noqa: PLC0415 - see _pipeline

        try:
            # dlt puts signals off while it runs and forgets those that come too late for it.
            with signals.intercepted_signals(), self._kept_open(sparing=batch.narrow):
                loaded = self._pipeline.run(
                    source.SOURCES[name](batch, cursors), loader_file_format="parquet"
                )
                loaded.raise_on_failed_jobs()
                self._assert_ours(loaded.loads_ids)
                signals.raise_if_signalled()
        except (PipelineStepFailed, SignalReceivedException, OSError) as failed:
            raise self._translated(failed) from failed
        self.cursors = furthest(self.cursors, cursors_in(self._pipeline.state))

    def _assert_ours(self, loads: "Sequence[str]") -> None:
        """Let no load count that another sync may have met: they share the place of staged rows."""
        try:
            self._held()
        except ConvoyError:
            with warehouse.connect(self._place) as connection:
                for load in loads:
                    connection.execute(_DISOWN, [load])
            raise

    @contextmanager
    def _kept_open(self, *, sparing: bool) -> Iterator[None]:
        """Keep the file open, which dlt would open and close seven times."""
        if not isinstance(self._place, Path):
            yield
            return
        with warehouse.connect(self._place) as connection:
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
        return warehouse.translated(full[-1] if full else cause, self._place)


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


def _pipeline(place: Place, folder: Path, shard: Shard | None) -> "dlt.Pipeline":
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    import dlt  # noqa: PLC0415 - half a second that other commands need not spend

    return dlt.pipeline(
        f"{PIPELINE}_{shard}" if shard and isinstance(place, Lake) else PIPELINE,
        destination=_destination(place),
        dataset_name=tables.DATASET,
        pipelines_dir=str(folder),
    )


def _destination(place: Place) -> "Destination[Any, Any]":
    import dlt  # noqa: PLC0415 - as above

    if isinstance(place, Path):
        return dlt.destinations.duckdb(str(place))
    if isinstance(place, Lake):
        from pipelines.lake import destination as lake  # noqa: PLC0415 - of an extra

        return lake.destination(place)
    from pipelines.postgres.destination import destination  # noqa: PLC0415 - of an extra

    return destination(place)
