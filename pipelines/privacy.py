"""What is stored of what people wrote and of who they are: kept, dropped, hashed or masked.

All that was read goes through a `Veil` before it is compared, logged or written. What is free in
form may hold anything, so it is dropped unless all is kept.
"""

import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Self, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from pipelines import values
from pipelines.chunk import Chunk
from pipelines.interpret import Interpreted, Rejected
from pipelines.reading import Reading
from pipelines.settings import Privacy
from pipelines.settings_values import DROP, HASH, KEEP, MASK

TEXTS = ("subject", "content", "voice_path")
USER_IDS = ("user_id", "sns_user_id")
FREE_FORM = ("metadata", "extra", "message_extra", "attachments")

_IDS = ("conversation_id", "id", "message_id")
_FINGERPRINT = "withheld"
# What a reason says before the value that it is about.
_REASONS = re.compile(
    r"(?:[a-z_]+ )?(?:is missing|is no (?:id|whole number|instant|day|number)"
    r"|does not fit DECIMAL\(28, 10\)|is neither true nor false|holds what is no JSON"
    r"|was not asked for)|the row is no object|another row of the same key says something else"
    r"|a bot without an id that can be read"
)
_FIELD = re.compile(r"[a-z_]+(?= )")
_DIGIT, _SIGN = r"\p{Nd}", r"[^0[:space:][:punct:]]"

Rows = TypeVar("Rows", Interpreted, Reading)


@dataclass(frozen=True)
class Veil:
    """Lays itself over rows; `texts` and `user_ids` are treatments, `salt` the key of hashes."""

    texts: str = KEEP
    user_ids: str = KEEP
    salt: bytes = b""

    @classmethod
    def of(cls, configured: Privacy) -> Self:
        """Return what does as is configured."""
        salt = configured.salt.get_secret_value().encode() if configured.salt else b""
        return cls(configured.texts, configured.user_ids, salt)

    @property
    def keeps_all(self) -> bool:
        """Whether nothing is changed."""
        return self.texts == self.user_ids == KEEP

    def chunk(self, chunk: Chunk) -> Chunk:
        """Return readings as they may be stored."""
        return Chunk(chunk.source, [(bot, self(reading)) for bot, reading in chunk.readings])

    def __call__(self, rows: Rows) -> Rows:
        """Return rows as they may be stored."""
        if self.keeps_all:
            return rows
        rejected = list(dict.fromkeys(map(self._rejected, rows.rejected)))
        return replace(rows, table=self.table(rows.table), rejected=rejected)

    def table(self, rows: pa.Table) -> pa.Table:
        """Return a table of any schema as it may be stored."""
        treated = {
            **dict.fromkeys(TEXTS, self.texts),
            **dict.fromkeys(USER_IDS, self.user_ids),
            **dict.fromkeys(FREE_FORM, KEEP if self.keeps_all else DROP),
        }
        for place, column in enumerate(rows.schema):
            treat = self._treatments[treated.get(column.name, KEEP)]
            if treat is not None:
                rows = rows.set_column(place, column, treat(rows[column.name]))
        return rows

    @property
    def _treatments(self) -> Mapping[str, Callable[[pa.ChunkedArray], pa.ChunkedArray] | None]:
        return {KEEP: None, DROP: _dropped, HASH: self._hashed, MASK: _masked}

    def _hashed(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        """Hash each value; blank ones stay, they stand for none."""
        coded = column.combine_chunks().dictionary_encode()
        coded = coded.combine_chunks() if isinstance(coded, pa.ChunkedArray) else coded
        known = [v if not v.strip() else self.hash(v) for v in coded.dictionary.to_pylist()]
        return pa.chunked_array([pa.array(known, pa.string()).take(coded.indices)], pa.string())

    def hash(self, value: str) -> str:
        """Return a value's keyed hash."""
        return hmac.digest(self.salt, value.encode(), "sha256").hex()

    def _rejected(self, row: Rejected) -> Rejected:
        """Keep the ids of a row, and which field could not be read; not what stood there."""
        known = _REASONS.match(row.reason)
        field = _FIELD.match(row.reason)
        reason = known[0] if known else f"{field[0] if field else 'the row'} can't be read"
        kept = _ids_in(row.raw) or {_FINGERPRINT: self.hash(row.raw)}
        return Rejected(reason, values.raw_json(kept))


def _dropped(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pa.chunked_array([pa.nulls(len(column), column.type)], column.type)


def _masked(column: pa.ChunkedArray) -> pa.ChunkedArray:
    digits = pc.replace_substring_regex(column, pattern=_DIGIT, replacement="0")
    return pc.replace_substring_regex(digits, pattern=_SIGN, replacement="x")


def _ids_in(raw: str) -> dict[str, str]:
    """Return the ids of a rejected row, as far as they can be read."""
    try:
        row = json.loads(raw)
    except ValueError:
        return {}
    found = {}
    for name in _IDS if isinstance(row, Mapping) else ():
        if isinstance(row.get(name), str | int) and str(row[name]).strip():
            found[name] = str(row[name])
    return found
