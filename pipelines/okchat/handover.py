"""What a reading of OKChat hands over: its rows in pieces, its certificate, the ids it saw."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.interpret import Interpreted, rejected_id
from pipelines.reading import Certificate, Reading, distinct
from pipelines.tables import TEXT


def certificate(
    kind: str, rows: Interpreted, requests: int, evidence: str, started_at: datetime
) -> Certificate:
    """Return the certificate of a reading that ends now: there is no window and no count."""
    return Certificate(
        kind=kind,
        window_start=None,
        window_end=None,
        total_before=None,
        total_after=None,
        distinct_rows=distinct(rows),
        requests=requests,
        certified=True,
        evidence=evidence,
        started_at=started_at,
        finished_at=datetime.now(UTC),
    )


def pieces(whole: Reading, size: int) -> Iterator[Reading]:
    """Cut a reading up, least recently updated first; the last piece bears all but rows."""
    table = whole.table.sort_by("last_activity_at")
    cut = [table.slice(i, size) for i in range(0, len(table), size)] or [table]
    for piece in cut[:-1]:
        yield Reading(piece, [], None)
    yield replace(whole, table=cut[-1])


def ids(rows: Interpreted) -> pa.Array:
    """Return the distinct ids, those of rejected rows too, as far as they can be read."""
    found = (rejected_id(row, "id") for row in rows.rejected)
    rejected = pa.array([i for i in found if i], TEXT)
    readable = rows.table["conversation_id"].combine_chunks()
    return pc.unique(pa.concat_arrays([readable, rejected]))
