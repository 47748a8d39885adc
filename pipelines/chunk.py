"""Readings that are loaded together: reduced to news, laid out as tables."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from pipelines import tables
from pipelines.jobs import BotName
from pipelines.news import News
from pipelines.reading import Reading
from pipelines.source import Batch


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

    def batch(self, news: News) -> Batch:
        """Lay out what is to be loaded; tables without rows are left out."""
        rest = {
            tables.LAST_MESSAGES.name: news.last_messages,
            tables.CONVERSATION_CHANGES.name: news.changes,
            tables.SYNC_WINDOWS.name: self._windows(),
            tables.REJECTED_ROWS.name: self._rejected(),
        }
        return Batch(
            conversations=by_bot(news.conversations),
            rest={name: rows for name, rows in rest.items() if len(rows)},
        )

    def _windows(self) -> pa.Table:
        rows = [
            {
                **asdict(reading.certificate),
                "source": self.source,
                "bot": bot,
                "bot_id": _bot_id(reading),
            }
            for bot, reading in self.readings
            if reading.certificate
        ]
        return pa.Table.from_pylist(rows, schema=tables.SYNC_WINDOWS.schema)

    def _rejected(self) -> pa.Table:
        now = datetime.now(UTC)
        rows = {}
        for bot, reading in self.readings:
            for row in reading.rejected:
                identity = f"{self.source}\n{bot}\n{row.reason}\n{row.raw}".encode()
                digest = hashlib.blake2b(identity, digest_size=16).hexdigest()
                rows[digest] = {
                    "source": self.source,
                    "bot": bot,
                    "bot_id": _bot_id(reading),
                    "reason": row.reason,
                    "raw": row.raw,
                    "rejected_id": digest,
                    "rejected_at": now,
                }
        return pa.Table.from_pylist(list(rows.values()), schema=tables.REJECTED_ROWS.schema)


def chunks(taken: Iterable[tuple[BotName, Reading]]) -> list[Chunk]:
    """Sort readings by source."""
    found: dict[str, Chunk] = {}
    for name, reading in taken:
        found.setdefault(name.source, Chunk(name.source)).readings.append((name.bot, reading))
    return list(found.values())


def by_bot(rows: pa.Table) -> dict[str, pa.Table]:
    """Split rows by their column `bot`."""
    bots = pc.unique(rows["bot"]).to_pylist()
    if len(bots) == 1:
        return {bots[0]: rows}
    return {bot: rows.filter(pc.equal(rows["bot"], bot)) for bot in bots}


def _bot_id(reading: Reading) -> str | None:
    ids: Sequence[str | None] = pc.unique(reading.table["bot_id"]).to_pylist()
    return next((bot_id for bot_id in ids if bot_id), None)
