"""One sync a database, from whichever machine: an advisory lock that its session holds."""

from collections.abc import Iterator
from contextlib import contextmanager

from pipelines.connection import Connection
from pipelines.errors import WarehouseBusy
from pipelines.postgres.connection import connect
from pipelines.postgres.server import Server

_KEY = "hashtextextended('convoy: the dataset chat', 0)"


@contextmanager
def held(server: Server) -> Iterator[None]:
    """Hold the database against other syncs; the server lets go of what a dead one held.

    Raises:
        WarehouseBusy: another sync holds it.
    """
    with connect(server) as connection:
        if not connection.execute(f"select pg_try_advisory_lock({_KEY})").fetchall()[0][0]:
            raise WarehouseBusy(f"another sync holds {server}; wait for it to end")
        yield


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
_HELD = f"""
    select exists (
        select from pg_locks
        where
            locktype = 'advisory' and objsubid = 1 and granted
            and database = (select oid from pg_database where datname = current_database())
            and (classid::bigint << 32) | objid::bigint = {_KEY}
    )
"""
