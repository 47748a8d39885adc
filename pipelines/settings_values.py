"""How single values of the configuration are written, and what they become.

Each function takes what a file or the environment gave and returns the typed value, or raises
a ValueError that says what is wrong with it and how to mend it, never what it was: the user may
have put a key in the wrong place.
"""

import re
import shlex
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import available_timezones

import pendulum
from pydantic import SecretStr

LONGEST_NAME = 100
SHORTEST_SALT = 16
KEEP, DROP, HASH, MASK = "keep", "drop", "hash", "mask"
TREATMENTS = (KEEP, DROP, HASH, MASK)
SCHEMAS = ("chat", "chat_staging", "marts", "staging", "intermediate")
"""Schemas in the warehouse; a file of that name would be taken for one of them."""

_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_DURATION = re.compile(r"(?:[0-9]{1,9}[dhms])+")
_LONGEST = timedelta(days=36_500)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ].+)?")
_URL = re.compile(r"https?://[^/?#\\]+(/[^?#\\]*)?", re.IGNORECASE)
_WEBHOOK = re.compile(r"https?://[^/?#@\\]+([/?][^#]*)?", re.IGNORECASE)
_SPARK = re.compile(r"sc://[^/?#@;\s]+/?")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+]+:")


def duration(value: object) -> timedelta:
    """Read `"90s"`, `"15m"`, `"1h30m"`, `"2d"` or `"0"`."""
    if isinstance(value, timedelta):
        return value
    text = str(value).strip()
    if text == "0":
        return timedelta()
    if not _DURATION.fullmatch(text):
        raise ValueError('is no duration; write it like "90s", "15m", "1h30m", "2d" or "0"')
    parts = [timedelta(**{_UNITS[part[-1]]: int(part[:-1])}) for part in _parts(text)]
    if sum(parts, timedelta()) > _LONGEST:
        raise ValueError("is longer than a hundred years; shorten it")
    return sum(parts, timedelta())


def _parts(text: str) -> list[str]:
    return re.findall(r"[0-9]+[dhms]", text)


def instant(value: object) -> datetime:
    """Read an instant since 1970 that is not in the future."""
    found = moment(value)
    if not datetime(1970, 1, 1, tzinfo=UTC) <= found <= datetime.now(UTC):
        raise ValueError("lies before 1970 or in the future; nothing would be loaded: correct it")
    return found


def moment(value: object) -> datetime:
    """Read a date, or a date and time with or without an offset, as UTC."""
    wrong = 'is no date; write it like "2023-01-01" or "2023-01-01T00:00:00+08:00"'
    text = str(value).strip()
    if not _DATE.fullmatch(text):
        raise ValueError(wrong)
    try:
        return datetime.fromisoformat(str(pendulum.parse(text))).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(wrong) from None


def base_url(value: object) -> str:
    """Read the address that an API's paths are put behind."""
    text = value if isinstance(value, str) else ""
    if "@" in text:
        raise ValueError("holds a user name or password; take it out, the API key is enough")
    printable = text.isprintable() and " " not in text
    if not printable or not _URL.fullmatch(text) or not _has_host(text):
        raise ValueError('is no base URL; write it like "https://api.example.com"')
    return text.rstrip("/")


def command(value: object) -> str:
    """Return a command line, as a shell would split it."""
    text = value if isinstance(value, str) else ""
    try:
        words = shlex.split(text)
    except ValueError:
        raise ValueError("has a quote that does not end; close it") from None
    if not words or "\0" in text:
        raise ValueError('is no command; write it like "/usr/local/bin/tell-the-team --urgent"')
    return text


def spark(value: object) -> str:
    """Read where Spark Connect listens."""
    text = value.strip() if isinstance(value, str) else ""
    if not _SPARK.fullmatch(text) or not _has_host(text):
        raise ValueError('is no address of Spark Connect; write it like "sc://localhost:50051"')
    return text


def webhook(value: object) -> SecretStr:
    """Read the address that notifications are posted to; whoever knows it can write there."""
    text = value.strip() if isinstance(value, str) else ""
    if not _WEBHOOK.fullmatch(text) or not _visible(text) or not _has_host(text):
        raise ValueError('is no web address; write it like "https://hooks.example.com/…"')
    return SecretStr(text)


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port or an IPv6 address that is none
        return False


def whole(most: int) -> Callable[[object], int]:
    """Return the reader of whole numbers from 1 to `most`."""

    def read(value: object) -> int:
        text = str(value).strip()
        if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= most:
            raise ValueError(f"is no whole number from 1 to {most}; write it like 100")
        return int(text)

    return read


def share(value: object) -> float:
    """Read a part of a whole, from 0 to 1."""
    text = str(value).strip()
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,9})?", text) or not 0 <= float(text) <= 1:
        raise ValueError("is no share from 0 to 1; write it like 0.25")
    return float(text)


def flag(value: object) -> bool:
    """Return a switch: TOML's own, or "true" or "false" out of the environment."""
    found = {"true": True, "false": False}.get(str(value).strip().lower())
    if found is None:
        raise ValueError("is neither true nor false; write one of them")
    return found


def treatment(value: object) -> str:
    """Return what becomes of texts or of the ids of users."""
    if value not in TREATMENTS:
        raise ValueError(f"is none of {', '.join(TREATMENTS)}; write one of them")
    return str(value)


def salt(value: SecretStr) -> SecretStr:
    """Check the secret of hashes: a short one could be guessed."""
    if len(value.get_secret_value().strip()) < SHORTEST_SALT:
        raise ValueError(f"is too short; take {SHORTEST_SALT} characters or more")
    return value


def time_zone(value: object) -> str:
    """Return a zone of the tz database by its own name."""
    name = str(value).strip()
    if name not in available_timezones():
        raise ValueError('is no time zone; write it like "UTC" or "Asia/Singapore"')
    return name


def api_key(value: SecretStr) -> SecretStr:
    """Check a key: visible ASCII characters, as it has to fit into a header."""
    key = value.get_secret_value()
    if not key.strip():
        raise ValueError("is empty; put the API key here")
    if not _visible(key):
        raise ValueError("holds blanks or characters that no API key has; copy it anew")
    return value


def chatbot_id(value: object) -> str:
    """Read the id of a chatbot; it becomes a part of a path."""
    if isinstance(value, str) and not value.strip():
        raise ValueError("is empty; put the id of the chatbot here")
    if not isinstance(value, str) or not _visible(value) or value in (".", ".."):
        raise ValueError("holds blanks or characters that no id has; copy it anew")
    return value


def parameter(value: object) -> str:
    """Read the name of a parameter of a URL."""
    if not isinstance(value, str) or not value or not _visible(value):
        raise ValueError('is no name of a parameter; write it like "page"')
    return value


def _visible(text: str) -> bool:
    return all("!" <= character <= "~" for character in text)


def bot_name(value: str) -> str:
    """Read a user's own name for a bot."""
    if not value.strip() or len(value) > LONGEST_NAME or not value.isprintable():
        raise ValueError(f"is no name for a bot; take 1 to {LONGEST_NAME} printable characters")
    return value


def destination(value: object) -> str:
    """Read which database the warehouse is.

    Raises:
        ValueError: It is none that a sync can load into.
    """
    if value not in ("duckdb", "postgres", "filesystem"):
        raise ValueError('is no destination; write "duckdb", "postgres" or "filesystem"')
    return str(value)


def database(value: object) -> Path:
    """Read the path of a DuckDB file, plain or as `duckdb:///path`, as an absolute one.

    Raises:
        ValueError: It can't be such a file, or its name would hide a schema.
    """
    text = value.removeprefix("duckdb:///") if isinstance(value, str) else ""
    if not text.strip() or not text.isprintable() or _SCHEME.match(text) or text == ":memory:":
        raise ValueError('is no path of a file; write it like "warehouse.duckdb"')
    try:
        path = Path(text).expanduser().absolute()
        special = path.exists() and not path.is_file()
    except (OSError, RuntimeError):  # a folder that is closed to us, a ~user that isn't there
        raise ValueError("can't be reached; correct the path or its permissions") from None
    if special:
        raise ValueError("is a folder, not a file; add a file name")
    if hides(path):
        raise ValueError(f"would hide the schema {hides(path)!r}; call the file otherwise")
    return path


def hides(path: Path) -> str | None:
    """Return the schema that a file would hide: DuckDB calls a file by its name up to a dot."""
    name = path.name.partition(".")[0].lower()
    return name if name in SCHEMAS else None
