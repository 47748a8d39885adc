"""One sync a database, from whichever machine: an advisory lock that its session holds."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipelines.connection import Connection
from pipelines.errors import ConvoyError, WarehouseBusy, WarehouseFailed
from pipelines.postgres.connection import connect
from pipelines.postgres.fit import assert_fit
from pipelines.postgres.server import Server

_KEY = "hashtextextended('convoy: the dataset chat', 0)"


@contextmanager
def held(server: Server) -> Iterator[Callable[[], None]]:
    """Hold the database against other syncs; the server lets go of what a dead one held.

    Yields what raises WarehouseFailed once it is held no more, as the connection was lost.

    Raises:
        ConfigurationError: it can't be the warehouse.
        WarehouseBusy: another sync holds it.
    """
    with connect(server) as connection:
        assert_fit(connection, server)
        if not connection.execute(f"select pg_try_advisory_lock({_KEY})").fetchall()[0][0]:
            raise WarehouseBusy(f"another sync holds {server}; wait for it to end")

        def still() -> None:
            try:
                connection.execute("select 1")
            except ConvoyError as lost:
                message = f"{server} was lost, another sync may hold it now; sync again ({lost})"
                raise WarehouseFailed(message) from None

        yield still


def is_held(connection: Connection) -> bool:
    """Tell whether a sync holds the database."""
    return bool(connection.execute(_HELD).fetchall()[0][0])


_HELD = f"""
    select exists (
        select from pg_locks
        where
            locktype = 'advisory' and objsubid = 1 and granted
            and database = (select oid from pg_database where datname = current_database())
            and (classid::bigint << 32) | objid::bigint = {_KEY}
    )
"""
