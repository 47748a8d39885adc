"""One sync a database, from whichever machine: an advisory lock that its session holds."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipelines.connection import Connection
from pipelines.errors import ConfigurationError, ConvoyError, WarehouseBusy, WarehouseFailed
from pipelines.postgres.connection import connect
from pipelines.postgres.server import Server

_KEY = "hashtextextended('convoy: the dataset chat', 0)"


@contextmanager
def held(server: Server) -> Iterator[Callable[[], None]]:
    """Hold the database against other syncs; the server lets go of what a dead one held.

    Yields what raises WarehouseFailed once it is held no more, as the connection was lost.

    Raises:
        ConfigurationError: its encoding is not UTF8.
        WarehouseBusy: another sync holds it.
    """
    with connect(server) as connection:
        assert_utf8(connection, server)
        if not connection.execute(f"select pg_try_advisory_lock({_KEY})").fetchall()[0][0]:
            raise WarehouseBusy(f"another sync holds {server}; wait for it to end")

        def still() -> None:
            try:
                connection.execute("select 1")
            except ConvoyError as lost:
                message = f"{server} was lost, another sync may hold it now; sync again ({lost})"
                raise WarehouseFailed(message) from None

        yield still


def assert_utf8(connection: Connection, server: Server) -> None:
    """Let only a database pass that can hold any text.

    Raises:
        ConfigurationError: its encoding is another.
    """
    encoding = connection.execute(_ENCODING).fetchall()[0][0]
    if encoding != "UTF8":
        message = f"{server} has the encoding {encoding}; make a database with encoding UTF8"
        raise ConfigurationError(message)


def is_held(connection: Connection) -> bool:
    """Tell whether a sync holds the database."""
    return bool(connection.execute(_HELD).fetchall()[0][0])


def may_create(connection: Connection) -> bool:
    """Tell whether a sync could make its schemas."""
    return bool(connection.execute(_MAY_CREATE).fetchall()[0][0])


_MAY_CREATE = """
    select
        has_database_privilege(current_database(), 'create')
        or exists (select from pg_namespace where nspname = 'chat')
"""
_ENCODING = """
    select pg_encoding_to_char(encoding) from pg_database where datname = current_database()
"""
_HELD = f"""
    select exists (
        select from pg_locks
        where
            locktype = 'advisory' and objsubid = 1 and granted
            and database = (select oid from pg_database where datname = current_database())
            and (classid::bigint << 32) | objid::bigint = {_KEY}
    )
"""
