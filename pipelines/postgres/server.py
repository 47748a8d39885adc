"""Which PostgreSQL database is the warehouse, as dlt's credentials name it."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr

FIELDS = ("host", "port", "username", "password", "database", "connect_timeout")
"""What a table of credentials may hold."""
OPTIONS = {
    "channel_binding": "PGCHANNELBINDING",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "options": "PGOPTIONS",
    "sslcert": "PGSSLCERT",
    "sslcrl": "PGSSLCRL",
    "sslkey": "PGSSLKEY",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}
"""What an address may hold behind its `?`, none of it a secret, and libpq's variables of it."""
_SCHEMES = ("postgresql", "postgres")
_WRONG = 'is no address; write it like "postgresql://user:password@host:5432/database"'


class Server(BaseModel):
    """Where the database is and who asks it; `str()` shows no password."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    host: str
    port: int = 5432
    username: str
    password: SecretStr | None = None
    database: str
    options: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"postgresql://{self.username}@{self.host}:{self.port}/{self.database}"

    def address(self, **more: str) -> str:
        """Return the address with the password, and with further options of libpq."""
        user = quote(self.username, safe="")
        if self.password:
            user += ":" + quote(self.password.get_secret_value(), safe="")
        host = f"[{self.host}]" if ":" in self.host else self.host
        options = urlencode({**dict(self.options), **more}, quote_via=quote)
        place = f"postgresql://{user}@{host}:{self.port}/{quote(self.database, safe='')}"
        return f"{place}?{options}" if options else place


def of_text(value: object) -> Mapping[str, object]:
    """Take an address apart into what a table of credentials would hold.

    Raises:
        ValueError: it is none; the message does not repeat it.
    """
    try:
        parts = urlsplit(value if isinstance(value, str) else "")
        port = parts.port
    except ValueError:
        raise ValueError(_WRONG) from None
    if parts.scheme not in _SCHEMES:
        raise ValueError(_WRONG)
    options = parse_qsl(parts.query)
    if unknown := sorted({name for name, _ in options} - OPTIONS.keys()):
        raise ValueError(f"bears {', '.join(unknown)} behind its ?; take that out")
    found = {
        "host": parts.hostname,
        "port": port,
        "username": unquote(parts.username or "") or None,
        "password": unquote(parts.password or "") or None,
        "database": unquote(parts.path.removeprefix("/")) or None,
        "options": tuple(options),
    }
    return {name: part for name, part in found.items() if part is not None}


def read(values: Mapping[str, object]) -> Server:
    """Read a table of credentials.

    Raises:
        ValueError: something is missing or wrong.
    """
    fields = dict(values)
    for name in ("host", "username", "database"):
        if not isinstance(fields.get(name), str) or not str(fields[name]).strip():
            raise ValueError(f"has no {name}; add it")
    if str(fields["host"]).startswith("/"):
        raise ValueError('names a socket as its host; write the name of a host, like "localhost"')
    timeout = fields.pop("connect_timeout", None)
    if timeout is not None:
        options = fields.get("options")
        fields["options"] = (
            *(options if isinstance(options, tuple) else ()),
            ("connect_timeout", str(_whole("connect_timeout", timeout))),
        )
    if "port" in fields:
        fields["port"] = _whole("port", fields["port"])
    return Server.model_validate(fields)


def _whole(name: str, value: object) -> int:
    if not str(value).isdecimal() or not 0 < int(str(value)) < 65536:
        raise ValueError(f"has no {name} that is a number up to 65535; correct it")
    return int(str(value))
