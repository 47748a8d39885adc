"""New rows put aside in files, piece by piece, until they are loaded in one package.

A load costs most of a second whatever it brings, and memory for all that it brings: so a
backfill loads much at once and holds little. A file that was left behind by a run that died is
of no use to the next, which reads its rows again.
"""

import shutil
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines import tables
from pipelines.batch import Batch, File
from pipelines.cursor import Cursor, split
from pipelines.news import News, by_bot

PACKAGE_ROWS = 1_000_000
PACKAGE_SECONDS = 30.0
"""A package has so many rows, or what was put aside in so much time; a run that dies loses it."""
_NARROW = 400
"""Bytes of a row on average, where little memory is needed to load many."""
_LONGEST = 4_000
"""Bytes of the longest row then: of a few thousand in turn each may be as long."""
_FEW = 2**23
"""Bytes of certificates and rejected rows then."""


class Spool:
    """Rows of one source that the warehouse knows nothing of; a conversation stands in it once.

    Attributes:
        rows: conversations put aside, by bot.
    """

    def __init__(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self._folder = folder
        self._memory = duckdb.connect()
        self.rows: Counter[str] = Counter()
        self._newest: dict[str, pa.Table] = {}
        self._hashes: list[pa.ChunkedArray] = []
        self._writers: dict[str, pq.ParquetWriter] = {}
        self._files: dict[str, File] = {}
        self._is_narrow = True
        self._began = time.monotonic()

    def holds(self, ids: pa.ChunkedArray) -> bool:
        """Tell whether any of these conversations was put aside; seldom so though none was."""
        wanted = self._hashed(ids).combine_chunks()
        return any(pc.any(pc.is_in(held, wanted)).as_py() for held in self._hashes)

    @property
    def is_due(self) -> bool:
        """Whether it is time to load it."""
        late = time.monotonic() - self._began >= PACKAGE_SECONDS
        return late or sum(self.rows.values()) >= PACKAGE_ROWS

    def add(self, fresh: News, cursors: Mapping[str, Cursor]) -> None:
        """Put rows aside; of each bot the one that moves its cursor stays out of the files."""
        self._hashes.append(self._hashed(fresh.conversations["conversation_id"]))
        for bot, rows in by_bot(fresh.conversations).items():
            before = self._newest.get(bot, rows.slice(0, 0))
            self._newest[bot], rest = split(pa.concat_tables([before, rows]), cursors[bot])
            self._write(tables.CONVERSATIONS, rest)
            self.rows[bot] += len(rows)
        self._write(tables.LAST_MESSAGES, fresh.last_messages)
        self._write(tables.CONVERSATION_CHANGES, fresh.changes)

    def batch(self, audit: Mapping[str, pa.Table]) -> Batch:
        """Return all that was put aside, with certificates and rejected rows."""
        for writer in self._writers.values():
            writer.close()
        narrow = (
            self._is_narrow
            and all(_longest(rows) <= _LONGEST for rows in self._newest.values())
            and sum(rows.nbytes for rows in audit.values()) <= _FEW
        )
        return Batch(self._newest, audit, self._files, appends=True, narrow=narrow)

    def remove(self) -> None:
        """Remove the files, loaded or not."""
        for writer in self._writers.values():
            with suppress(OSError):  # of a full disk, which was told when it was found
                writer.close()
        self._memory.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _hashed(self, ids: pa.ChunkedArray) -> pa.ChunkedArray:
        """Return a number for each id: a fifth of the memory, and of the time to look it up."""
        self._memory.register("read", pa.table({"id": ids}))
        found = self._memory.execute("select hash(id) as hash from read").to_arrow_table()
        self._memory.unregister("read")
        return found["hash"]

    def _write(self, table: tables.Table, rows: pa.Table) -> None:
        if not len(rows):
            return
        path = self._folder / f"{table.name}.parquet"
        if table.name not in self._writers:
            # Read once, and at once: packing would not pay, nor would other dictionaries.
            plain = {"compression": "none", "use_dictionary": ["source", "bot_id", "channel"]}
            self._writers[table.name] = pq.ParquetWriter(path, table.schema, **plain)
        self._writers[table.name].write_table(rows)
        self._is_narrow &= rows.nbytes <= _NARROW * len(rows) and _longest(rows) <= _LONGEST
        before = self._files[table.name].rows if table.name in self._files else 0
        like = table.schema.empty_table()
        self._files[table.name] = File(path, before + len(rows), like)


def _longest(rows: pa.Table) -> int:
    """Return the bytes that the texts of a row have at most."""
    texts = [column for column in rows.columns if pa.types.is_string(column.type)]
    return sum(pc.max(pc.binary_length(column)).as_py() or 0 for column in texts)
