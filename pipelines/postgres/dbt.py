"""What dbt is told of a PostgreSQL database: a target of its profile, and variables."""

from collections.abc import Mapping

from pipelines.postgres.server import OPTIONS, Server

TARGET = "postgres"
# Two builds of a mart are apart by a rename, which waits for those who read it, and lets others
# wait that long.
_WAIT = "-c lock_timeout=10s"


def variables(server: Server) -> Mapping[str, str]:
    """Return the environment variables that the target of the profile reads, and libpq."""
    password = server.password.get_secret_value() if server.password else ""
    return {
        "CONVOY_POSTGRES_HOST": server.host,
        "CONVOY_POSTGRES_PORT": str(server.port),
        "CONVOY_POSTGRES_USER": server.username,
        "CONVOY_POSTGRES_PASSWORD": password,
        "CONVOY_POSTGRES_DATABASE": server.database,
        **{OPTIONS[name]: value for name, value in server.options},
        "PGOPTIONS": f"{dict(server.options).get('options', '')} {_WAIT}".strip(),
    }
