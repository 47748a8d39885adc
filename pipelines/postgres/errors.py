"""What PostgreSQL's errors mean to the user, each in one sentence; no password in it."""

from urllib.parse import quote

from pipelines.errors import ConfigurationError, ConvoyError, WarehouseBusy, WarehouseFailed
from pipelines.postgres.server import Server

_MEANINGS: tuple[tuple[type[ConvoyError], tuple[str, ...], str], ...] = (
    (
        ConfigurationError,
        ("authentication failed", "no password supplied", "no pg_hba.conf entry"),
        "{server} does not let {user} in ({said}); correct destination.postgres.credentials",
    ),
    (
        ConfigurationError,
        ('FATAL:  role "', 'FATAL:  database "'),
        "{server}: {said}; correct destination.postgres.credentials, or make it on the server",
    ),
    (
        WarehouseBusy,
        ("too many", "remaining connection slots", "starting up", "shutting down"),
        "{server} takes no connection now ({said}); try again later",
    ),
    (
        WarehouseFailed,
        ("Failed to connect", "connection to server", "could not connect", "server closed the"),
        "{server} can't be reached ({said}); start it, or try again later",
    ),
    (
        WarehouseFailed,
        ("permission denied", "must be owner"),
        "{server}: {said}; grant {user} that right",
    ),
    (
        WarehouseFailed,
        ("No space left",),
        "the disk of {server} is full; make room and sync again",
    ),
)
"""What it is, the words by which that is known, how it is told."""


def translated(error: BaseException, server: Server) -> ConvoyError:
    """Say in one sentence what an error of PostgreSQL, or of a driver of it, means."""
    text = _without_password(str(error), server)
    said = _said(text) or type(error).__name__
    for kind, marks, sentence in _MEANINGS:
        if any(mark in text for mark in marks):
            return kind(sentence.format(server=server, user=server.username, said=said))
    return WarehouseFailed(f"{server}: {said}")


def _without_password(text: str, server: Server) -> str:
    secret = server.password.get_secret_value() if server.password else ""
    written = {secret, *(quote(secret, safe=safe) for safe in ("", "/", " +"))} - {""}
    for each in sorted(written, key=len, reverse=True):
        text = text.replace(each, "***")
    return text


def _said(text: str) -> str:
    """Return what the server said, of all that drivers wrap it in."""
    for mark in ("FATAL:", "ERROR:"):
        if mark in text:
            text = text.partition(mark)[2]
    return text.strip().partition("\n")[0].strip()
