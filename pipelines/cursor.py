"""Where a bot's incremental reading stands, and where that is kept: in dlt's state."""

import json
import zlib
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.connection import Connection

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
FIELDS = {"gptbots": "recent_chat_time", "okchat": "updated_at"}
"""The column that a source's cursor follows."""
PIPELINE = "convoy"

_PREFIX = "bot "
# A state counts only once the whole package that brought it is loaded: dlt writes table by
# table, and one that died in between may have left the state without its rows.
_STATE = """
    select distinct on (s.pipeline_name) s.state
    from chat._dlt_pipeline_state as s
    join chat._dlt_loads as l on l.load_id = s._dlt_load_id
    where l.status = 0
    order by s.pipeline_name, l.load_id desc
"""


@dataclass(frozen=True)
class Cursor:
    """`last` is the newest activity loaded, None before the first load."""

    initial: datetime
    lookback: timedelta
    last: datetime | None = None

    @property
    def start(self) -> datetime:
        """From where to read: the lookback behind the cursor, or the beginning."""
        return self.initial if self.last is None else max(self.initial, self.last - self.lookback)

    def is_before(self, at: datetime) -> bool:
        """Tell whether rows of that instant would move it."""
        return at >= self.initial if self.last is None else at > self.last


def split(rows: pa.Table, cursor: Cursor) -> tuple[pa.Table, pa.Table]:
    """Take out the newest row that moves a cursor, if one does.

    Of the others dlt would drop what it deems seen. One that is dated later than it was received
    does not move it: a cursor ahead of time would hide what happens until then.
    """
    activity = rows["last_activity_at"]
    past = pc.if_else(pc.less_equal(activity, rows["observed_at"]), activity, None)
    newest = pc.max(past)
    if not newest.is_valid or not cursor.is_before(newest.as_py()):
        return rows.slice(0, 0), rows
    place = pc.index(past, newest).as_py()
    return rows.slice(place, 1), pa.concat_tables([rows.slice(0, place), rows.slice(place + 1)])


def resource_name(bot: str) -> str:
    """Return the name of the dlt resource that keeps a bot's cursor."""
    return _PREFIX + bot


def cursors_in(state: object) -> dict[tuple[str, str], datetime]:
    """Return the cursor of each (source, bot) out of a pipeline's state."""
    found: dict[tuple[str, str], datetime] = {}
    for source, field in FIELDS.items():
        resources = _at(state, "sources", source, "resources")
        for name in resources if isinstance(resources, Mapping) else ():
            last = _at(resources, name, "incremental", field, "last_value")
            if (at := _instant(last)) is not None:
                found[source, name.removeprefix(_PREFIX)] = at
    return found


def stored_cursors(connection: Connection) -> dict[tuple[str, str], datetime]:
    """Return the cursors that a warehouse holds.

    Each worker has a state of its own, and a bot may have had others before: none of their cursors
    is ahead of its rows, so the furthest counts.
    """
    found: dict[tuple[str, str], datetime] = {}
    for (state,) in connection.execute(_STATE).fetchall():
        found = furthest(found, cursors_in(unpacked(state)))
    return found


def furthest(
    ours: Mapping[tuple[str, str], datetime], others: Mapping[tuple[str, str], datetime]
) -> dict[tuple[str, str], datetime]:
    """Return the later of each cursor."""
    return {
        **ours,
        **{name: max(at, ours.get(name, at)) for name, at in others.items()},
    }


def unpacked(state: str) -> object:
    """Return a state as dlt stores it; its instants are still text, a mark before each."""
    # Not by dlt's own function, which costs more to import than the rest of an idle sync takes.
    return json.loads(zlib.decompress(b64decode(state, validate=True)))


def _instant(value: object) -> datetime | None:
    if isinstance(value, str) and value:
        return datetime.fromisoformat(value[1:])
    return value if isinstance(value, datetime) else None


def _at(value: object, *path: str) -> object:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
