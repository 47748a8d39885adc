"""Delta tables: made, and written in commits that either see each other or are tried again.

A merge reads the rows that it may replace. Delta refuses its commit where another one changed
these meanwhile; it is then done anew on what is there now. So no key comes twice, whoever writes.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import duckdb
import pyarrow as pa
import tenacity

from pipelines import tables
from pipelines.errors import ConfigurationError
from pipelines.lake.place import Lake

if TYPE_CHECKING:
    from deltalake import DeltaTable

T = TypeVar("T")
FILES = 64
"""So many small files a table may have before they are put together."""
SMALL = 16 * 2**20
"""Bytes of a file from which on it is not small."""
PATIENCE = 600.0
"""Seconds after which a write that others always forestall is given up."""
_MISSING = (
    "the warehouse is a lakehouse and deltalake is not installed; pip install 'convoy-etl[lake]'"
)
_NOT_OLDER = "(target.{0} is null or source.{0} >= target.{0})"
# As `news.py` has it: one that was gone may come back as it was before, if it was seen since.
_NOT_GONE = """
    case
        when target.deleted_at is null then source.last_activity_at >= target.last_activity_at
        else source.last_activity_at > target.last_activity_at
            or source.observed_at > target.deleted_at
    end
"""


def library() -> Any:  # noqa: ANN401 - a module
    """Return deltalake, which costs too much to import where there is no lakehouse.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        import deltalake  # noqa: PLC0415 - of an extra
        import deltalake.exceptions  # noqa: PLC0415 - of an extra
    except ImportError:
        raise ConfigurationError(_MISSING) from None
    return deltalake


def opened(lake: Lake, name: str) -> "DeltaTable | None":
    """Open a table as it is now, None where there is none."""
    delta = library()
    try:
        found: DeltaTable = delta.DeltaTable(lake.table(name))
    except delta.exceptions.TableNotFoundError:
        return None
    return found


def make(lake: Lake, name: str, schema: pa.Schema) -> None:
    """Make a table, or add the columns that it lacks."""
    again(lambda: _make(lake, name, schema))


def _make(lake: Lake, name: str, schema: pa.Schema) -> None:
    table = opened(lake, name)
    if table is None:
        # Another worker may be quicker.
        library().DeltaTable.create(lake.table(name), schema, mode="ignore")
        return
    there = set(table.schema().to_arrow().names)
    if missing := [field for field in schema if field.name not in there]:
        # Rows are there already that have nothing in it.
        fields = [library().Field.from_arrow(field.with_nullable(True)) for field in missing]  # noqa: FBT003
        table.alter.add_columns(fields)


def write(lake: Lake, table: tables.Table, rows: pa.Table) -> None:
    """Write rows as their table wants it: appended, put in where the key is new, or merged.

    Raises:
        CommitFailedError: others wrote to it all the time.
    """
    if not len(rows):
        return
    if not table.key:
        again(lambda: library().write_deltalake(lake.table(table.name), rows, mode="append"))
        return
    newest = _newest(table, rows)
    again(lambda: _merge(lake, table, newest))


def _merge(lake: Lake, table: tables.Table, rows: pa.Table) -> None:
    merge = merging(lake, table.name, rows, _same(table, rows))
    removed = next((n for n, c in table.columns.items() if "hard_delete" in c.hints), None)
    no_older = _no_older(table)
    if removed:
        merge = merge.when_matched_delete(predicate=f"source.{removed} and {no_older}")
    if table.strategy != "insert-only":
        merge = merge.when_matched_update_all(predicate=no_older)
    unless = f"source.{removed} is distinct from true" if removed else None
    merge.when_not_matched_insert_all(predicate=unless).execute()


def _no_older(table: tables.Table) -> str | None:
    """Return when a row may take the place of the one that is there."""
    if table is tables.CONVERSATIONS:
        return _NOT_GONE
    return _NOT_OLDER.format(table.newest_by) if table.newest_by else None


def tidy(lake: Lake, name: str) -> None:
    """Put the many small files that commits left into few; others may do so at the same time.

    What readers have open stays there until someone vacuums the table.
    """
    table = library().DeltaTable(lake.table(name))
    sizes = pa.table(table.get_add_actions())["size_bytes"].to_pylist()
    if sum(size < SMALL for size in sizes) > FILES:
        with suppress(library().exceptions.CommitFailedError):  # the next one will
            table.optimize.compact()


def merging(lake: Lake, name: str, rows: pa.Table, same: str) -> Any:  # noqa: ANN401 - deltalake's
    """Begin a merge of rows (`source`) into a table as it is now (`target`)."""
    table = library().DeltaTable(lake.table(name))
    return table.merge(
        rows, same, source_alias="source", target_alias="target", streamed_exec=False
    )


def _same(table: tables.Table, rows: pa.Table) -> str:
    """Return when two rows have one key; files of other sources or of another time are left out."""
    same = [f"target.{name} = source.{name}" for name in table.key]
    sources = ", ".join(f"'{name}'" for name in rows["source"].unique().to_pylist())
    same.append(f"target.source in ({sources})")
    if "observed_at" in table.key:
        least = min(rows["observed_at"].to_pylist())
        same.append(f"target.observed_at >= timestamp '{least.isoformat()}'")
    return " and ".join(same)


def _newest(table: tables.Table, rows: pa.Table) -> pa.Table:
    """Return the newest row of each key; a merge would fail where one comes twice."""
    order = f"order by {table.newest_by} desc" if table.newest_by else ""
    key = ", ".join(table.key)
    with duckdb.connect() as memory:
        memory.execute("set TimeZone = 'UTC'")
        memory.register("batch", rows)
        count = memory.execute(f"select count(distinct ({key})) from batch").fetchone()
        if count and count[0] == len(rows):
            return rows
        first = f"row_number() over (partition by {key} {order}) = 1"
        found = memory.execute(f"from batch qualify {first}").to_arrow_table()
    return found.cast(rows.schema)


def again(write: Callable[[], T]) -> T:
    """Write; where another commit came between, on top of that one."""
    conflict = library().exceptions.CommitFailedError
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(conflict),
        wait=tenacity.wait_random_exponential(multiplier=0.1, max=10),
        stop=tenacity.stop_after_delay(PATIENCE),
        reraise=True,
    )(write)
