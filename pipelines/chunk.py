"""Readings that are loaded together: reduced to news, laid out as tables."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from pipelines import tables
from pipelines.batch import Batch
from pipelines.cursor import Cursor
from pipelines.jobs import BotName
from pipelines.news import News, by_bot
from pipelines.reading import Reading


@dataclass
class Chunk:
    """Readings of one source, each bot's in their order."""

    source: str
    readings: list[tuple[str, Reading]] = field(default_factory=list)

    @property
    def read(self) -> pa.Table:
        """All rows read, schema READING."""
        parts = [reading.table for _, reading in self.readings]
        return pa.concat_tables([tables.READING.empty_table(), *parts])


class Audit:
    """Certificates and rejected rows of every reading, news or not, until they are loaded."""

    def __init__(self) -> None:
        self._windows: list[dict[str, object]] = []
        self._rejected: dict[str, dict[str, object]] = {}

    def add(self, chunk: Chunk) -> None:
        """Note the readings of a chunk."""
        for bot, reading in chunk.readings:
            by = {"source": chunk.source, "bot": bot, "bot_id": _bot_id(reading)}
            if reading.certificate:
                self._windows.append(asdict(reading.certificate) | by)
            for row in reading.rejected:
                digest = _digest(chunk.source, bot, row.reason, row.raw)
                self._rejected[digest] = {
                    **by,
                    "reason": row.reason,
                    "raw": row.raw,
                    "rejected_id": digest,
                    "rejected_at": datetime.now(UTC),
                }

    def take(self, source: str | None = None) -> dict[str, pa.Table]:
        """Return the tables to load, those without rows left out, and forget them.

        Of one source, whose rows come with them: a certificate never goes ahead of what it is for.
        """

        def is_taken(row: Mapping[str, object]) -> bool:
            return source in {None, row["source"]}

        windows = [row for row in self._windows if is_taken(row)]
        rejected = [row for row in self._rejected.values() if is_taken(row)]
        self._windows = [row for row in self._windows if not is_taken(row)]
        self._rejected = {key: row for key, row in self._rejected.items() if not is_taken(row)}
        return {
            table.name: pa.Table.from_pylist(rows, schema=table.schema)
            for table, rows in ((tables.SYNC_WINDOWS, windows), (tables.REJECTED_ROWS, rejected))
            if rows
        }


def batch(news: News, audit: Mapping[str, pa.Table], behind: pa.Table | None) -> Batch:
    """Lay out what is to be loaded; tables without rows are left out.

    `behind` are known rows that only move cursors (see `behind`): they are written once more.
    Without it, no row moves a cursor.
    """
    rest = {
        tables.CONVERSATIONS.name: news.conversations.slice(0, None if behind is None else 0),
        tables.LAST_MESSAGES.name: news.last_messages,
        tables.CONVERSATION_CHANGES.name: news.changes,
        **audit,
    }
    filled = {name: rows for name, rows in rest.items() if len(rows)}
    if behind is None:
        return Batch(rest=filled)
    return Batch(by_bot(pa.concat_tables([news.conversations, behind])), filled)


def behind(news: News, cursors: Mapping[str, Cursor]) -> pa.Table:
    """Return the newest rows of bots whose cursor stands before them though they are no news.

    That is so after a load that died: its rows came through, its cursors did not.
    """
    ids = news.conversations["conversation_id"]
    loaded = pc.filter(ids, pc.is_in(ids, news.newest["conversation_id"].combine_chunks()))
    others = pc.invert(pc.is_in(news.newest["conversation_id"], loaded.combine_chunks()))
    newest = news.newest.filter(others)
    late = [
        cursors[row["bot"]].is_before(row["last_activity_at"])
        for row in newest.select(["bot", "last_activity_at"]).to_pylist()
    ]
    return newest.filter(pa.array(late, pa.bool_()))


def chunks(taken: Iterable[tuple[BotName, Reading]]) -> list[Chunk]:
    """Sort readings by source."""
    found: dict[str, Chunk] = {}
    for name, reading in taken:
        found.setdefault(name.source, Chunk(name.source)).readings.append((name.bot, reading))
    return list(found.values())


def _bot_id(reading: Reading) -> str | None:
    ids: Sequence[str | None] = pc.unique(reading.table["bot_id"]).to_pylist()
    return next((bot_id for bot_id in ids if bot_id), None)


def _digest(*parts: str) -> str:
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()
