"""Carries a warehouse of an earlier version on: step by step, then by what it still lacks.

How the dataset is laid out has a number, which is kept beside it. A step leads from one number to
the next, in one transaction with the number itself: a run that is killed takes up where it
stopped. What is only new (a table, a column that may be null) needs no step: it is made of
`tables.py`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipelines import tables
from pipelines.connection import Connection
from pipelines.errors import ConfigurationError
from pipelines.lake.place import Lake
from pipelines.settings import Place
from pipelines.warehouse import columns, connect, lacking, make_schema, writing

Step = Callable[[Connection], None]


def _forget_what_describes_bots(connection: Connection) -> None:
    """Of a bot its name is kept; once it was all that its API told, which may name its key."""
    for schema in (tables.DATASET, f"{tables.DATASET}_staging"):  # where dlt prepares its merges
        if "extra" in columns(connection, f"{schema}.bots"):
            connection.execute(f"update {schema}.bots set extra = null")


STEPS: tuple[Step, ...] = (_forget_what_describes_bots,)
"""What leads from each version to the next; none is ever taken out or changed.

Each has its like for a lakehouse, in `lake/steps.py`.
"""


def refuse_newer(connection: Connection, place: Place) -> None:
    """Let only a warehouse pass that this version of Convoy knows how to read.

    Raises:
        ConfigurationError: a later one has made or upgraded it.
    """
    if version(connection) > len(STEPS):
        message = (
            f"{place} is the warehouse of a later version of Convoy; install that one, "
            "or configure another warehouse"
        )
        raise ConfigurationError(message)


def version(connection: Connection) -> int:
    """Return how a warehouse is laid out; 0 where none was noted, as before there were numbers."""
    if not columns(connection, _WHERE):
        return 0
    found = connection.execute(f"select max(version) from {_WHERE}").fetchone()
    return (found and found[0]) or 0


def is_outdated(connection: Connection) -> bool:
    """Tell whether an earlier version made a warehouse and none carried it on since."""
    missing = lacking(connection)
    if any(table in missing for table in tables.CORE):
        return False  # never loaded
    return version(connection) < len(STEPS) or bool(missing or _missing(connection))


def carry_on(place: Place) -> None:
    """Bring a warehouse of an earlier version up to this one; the caller holds its lock.

    Raises:
        ConfigurationError: it is of a later version.
        WarehouseBusy, WarehouseFailed: it can't be written; what is done is kept, the rest as it
            was.
    """
    if isinstance(place, Lake):
        _carry_on_lake(place)
        return
    with connect(place) as connection:
        refuse_newer(connection, place)
        for number, step in enumerate(STEPS[version(connection) :], version(connection) + 1):
            with _transaction(connection):
                step(connection)
                _note(connection, number)
        with _transaction(connection):
            _complete(connection)


def _carry_on_lake(lake: Lake) -> None:
    """Likewise; a step that was killed before its number was noted is done again."""
    from pipelines.lake import steps, write  # noqa: PLC0415 - of an extra

    with connect(lake) as connection:
        refuse_newer(connection, lake)
        done = version(connection)
    with writing(lake):
        for number, step in enumerate(steps.STEPS[done:], done + 1):
            step(lake)
            write.note_version(lake, number)
    _make(lake)


def begin(place: Place) -> None:
    """Note of a warehouse that is about to be made that it is laid out as of now.

    Before its tables are there: with them and without a number it would count as the oldest.
    """
    if isinstance(place, Lake):
        _make(place)
        return
    with connect(place) as connection, _transaction(connection):
        _note(connection, len(STEPS))


def _make(lake: Lake) -> None:
    from pipelines.lake import write  # noqa: PLC0415 - of an extra

    with writing(lake):
        write.begin(lake, len(STEPS))


def _note(connection: Connection, number: int) -> None:
    make_schema(connection, tables.DATASET)
    connection.execute(f"create table if not exists {_WHERE} (version integer not null)")
    connection.execute(f"delete from {_WHERE}")
    connection.execute(f"insert into {_WHERE} values ($1)", [number])


def _complete(connection: Connection) -> None:
    """Make the tables and columns that are not there, as dlt would."""
    for table in lacking(connection):
        defined = (_defined(*column) for column in table.columns.items())
        connection.execute(f"create table {tables.DATASET}.{table.name} ({', '.join(defined)})")
    for table, name in _missing(connection):
        # Rows are there already that have nothing in it.
        kind = _kind(table.columns[name])
        connection.execute(f'alter table {tables.DATASET}.{table.name} add column "{name}" {kind}')


def _missing(connection: Connection) -> list[tuple[tables.Table, str]]:
    """Return the columns that tables which are there do not have."""
    return [
        (table, name)
        for table in tables.ALL
        if (there := columns(connection, f"{tables.DATASET}.{table.name}"))
        for name in table.columns
        if name not in there
    ]


def _defined(name: str, column: tables.Column) -> str:
    return f'"{name}" {_kind(column)}{"" if column.nullable else " not null"}'


def _kind(column: tables.Column) -> str:
    if column.json:
        return "json"
    return _KINDS[column.type]


@contextmanager
def _transaction(connection: Connection) -> Iterator[None]:
    """Do all of it or nothing: what is not committed goes with the connection."""
    connection.begin()
    yield
    connection.commit()


_WHERE = f"{tables.DATASET}.layout"
_KINDS = {
    tables.INSTANT: "timestamp with time zone",
    tables.CREDIT: "decimal(28, 10)",
    tables.TEXT: "varchar",
    tables.COUNT: "bigint",
    tables.DAY: "date",
    tables.FLAG: "boolean",
}
