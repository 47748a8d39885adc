"""What a scan hands over: rows, and the certificate that says how complete they are."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.interpret import Interpreted, Rejected


@dataclass(frozen=True)
class Certificate:
    """What was asked, what the server counted, what was read; a row of `sync_windows`."""

    kind: str
    window_start: datetime | None
    window_end: datetime | None
    total_before: int | None
    total_after: int | None
    distinct_rows: int
    requests: int
    certified: bool
    evidence: str
    started_at: datetime
    finished_at: datetime


def failure(why: str, began: datetime) -> Certificate:
    """Return what is noted where a bot could not be read to its end."""
    return Certificate(
        kind="failure",
        window_start=None,
        window_end=None,
        total_before=None,
        total_after=None,
        distinct_rows=0,
        requests=0,
        certified=False,
        evidence=why,
        started_at=began,
        finished_at=datetime.now(UTC),
    )


@dataclass(frozen=True)
class Reading:
    """Rows (schema READING), the rejected ones, and their certificate.

    A long read comes in several pieces; the last of them bears the certificate.

    Attributes:
        table: what was read, schema READING.
        rejected: rows that can't be read.
        certificate: how complete it is; None for all pieces but the last.
        seen: ids of all that a window or a sweep showed, rejected rows among them, on the last
            piece; None where not all of them can be told.
        gone: ids that were asked for one by one and are not there any more.
    """

    table: pa.Table
    rejected: list[Rejected]
    certificate: Certificate | None
    seen: pa.Array | None = None
    gone: tuple[str, ...] = ()


def distinct(rows: Interpreted) -> int:
    """Count distinct conversations, those that can't be read among them."""
    readable = int(pc.count_distinct(rows.table["conversation_id"]).as_py())
    return readable + len({row.raw for row in rows.rejected})
