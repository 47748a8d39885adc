"""Whether a database can be the warehouse: its encoding, its schemas, what its user may do."""

from pipelines.connection import Connection
from pipelines.errors import ConfigurationError
from pipelines.postgres.server import Server


def assert_fit(connection: Connection, server: Server) -> None:
    """Let only a database pass that can hold any text and whose tables are ours.

    Raises:
        ConfigurationError: its encoding is not UTF8, somebody else's tables stand where ours
            would, or its user may not make schemas; nothing was written.
    """
    encoding, theirs, may_create = connection.execute(_FIT).fetchall()[0]
    if encoding != "UTF8":
        message = f"{server} has the encoding {encoding}; make a database with encoding UTF8"
        raise ConfigurationError(message)
    if theirs:
        message = (
            f"{server} holds {theirs}, which is not Convoy's and would be replaced; "
            "configure another database"
        )
        raise ConfigurationError(message)
    if not may_create:
        message = (
            f"{server.username} may not create schemas in {server}; "
            f"grant it create on database {server.database}"
        )
        raise ConfigurationError(message)


# What a load makes first is `chat.layout`, what a build makes first `staging.built`: where they are
# missing, whatever else is there is of somebody else.
_FIT = """
    with

    relations as (
        select nspname as schema, relname as name
        from pg_class
        inner join pg_namespace on pg_namespace.oid = relnamespace
        where relkind in ('r', 'v', 'm', 'f', 'p')
    )

    select
        (
            select pg_encoding_to_char(encoding) from pg_database
            where datname = current_database()
        ),
        (
            select min(schema || '.' || name)
            from relations
            where
                schema in ('chat', 'chat_staging')
                and not exists (
                    select from relations where schema = 'chat' and name in ('layout', '_dlt_loads')
                )
                or schema in ('staging', 'intermediate', 'marts')
                and not exists (
                    select from relations where schema = 'staging' and name = 'built'
                )
        ),
        has_database_privilege(current_database(), 'create')
        or 5 = (
            select count(*) from pg_namespace
            where
                nspname in ('chat', 'chat_staging', 'staging', 'intermediate', 'marts')
                and has_schema_privilege(oid, 'create')
        )
"""
