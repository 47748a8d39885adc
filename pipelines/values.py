"""One upstream value into one column value, whatever shape it came in; pure.

Each function takes a decoded JSON value (numbers as int or Decimal) and raises
`ValueError` with the reason when the value can't be read without guessing.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import Any

import msgspec

CREDIT = Decimal(1).scaleb(-10)
"""The smallest step of a credit column, DECIMAL(28, 10)."""

_EXACT = Context(prec=28, rounding=ROUND_HALF_EVEN)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
LAST_MILLISECOND = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z
_INT64 = 2**63
_NEVER_STORED = "sessiontoken"  # a secret of the end user, however it is spelled
_WHOLE = re.compile(r"-?[0-9]+")
_PLAIN = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,4})?")
_COMPACT = re.compile(r"[0-9]{8}")
_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})([T ].*)?")
_DATE_AND_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[T ].+|\d{8}T.+", re.ASCII)
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")  # a backslash before may belong to it
_ENCODER = msgspec.json.Encoder(decimal_format="number", order="deterministic")
_DECODER = msgspec.json.Decoder(float_hook=Decimal)


def without_nul(body: bytes) -> bytes:
    """Put U+FFFD in the place of each NUL in JSON, for a warehouse whose texts hold none."""
    return _NUL.sub(rb"\1\\ufffd", body) if b"\\u0000" in body else body


def decode(body: bytes) -> Any:  # noqa: ANN401 - JSON is any shape
    """Decode JSON with exact decimals.

    What is no JSON but is sent all the same (lone surrogates, `NaN`, endless numbers) survives
    as something that no column takes, so that it costs its row and not its page.

    Raises:
        ValueError: the body is no JSON.
    """
    try:
        try:
            return _DECODER.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, ArithmeticError):
            return json.loads(
                body, parse_float=_decimal, parse_int=_integer, parse_constant=_NotJson
            )
    except RecursionError:
        message = "nested too deeply"
        raise ValueError(message) from None


class _NotJson:
    """What stands in a body though JSON has no such thing."""

    def __init__(self, written: str) -> None:
        self._written = written[:100]

    def __repr__(self) -> str:
        return self._written


def text(value: object) -> str | None:
    """Return text; ids that arrive as numbers become their digits."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return str(value)
    return json_text(value)


def required(value: object) -> str:
    """Return the text of an id that a row can't do without."""
    if value is None or (isinstance(value, str) and not value.strip()):
        message = "is missing"
        raise ValueError(message)
    if isinstance(value, str) or type(value) is int:
        return str(value)
    message = f"is no id: {_shown(value)}"
    raise ValueError(message)


def integer(value: object) -> int | None:
    """Return a whole number that fits 64 bits, also out of `2.0` or `"2"`."""
    if value is None or (type(value) is int and -_INT64 <= value < _INT64):
        return value
    number = _number(value)
    if number != number.to_integral_value() or not -_INT64 <= number < _INT64:
        message = f"is no whole number: {_shown(value)}"
        raise ValueError(message)
    return int(number)


def credit(value: object) -> Decimal | None:
    """Return an exact amount, rounded half to even at the tenth decimal."""
    if value is None:
        return None
    try:
        return _number(value).quantize(CREDIT, context=_EXACT)
    except InvalidOperation:
        message = f"does not fit DECIMAL(28, 10): {_shown(value)}"
        raise ValueError(message) from None


def flag(value: object) -> bool | None:
    """Return true, false or null; nothing else is guessed at."""
    if value is None or isinstance(value, bool):
        return value
    message = f"is neither true nor false: {_shown(value)}"
    raise ValueError(message)


def instant(value: object) -> int | None:
    """Return microseconds since 1970 UTC out of epoch milliseconds or ISO 8601.

    A time without an offset means UTC; fractions beyond the microsecond are cut.
    """
    if value is None:
        return None
    if isinstance(value, str) and not _WHOLE.fullmatch(value):
        return _iso(value)
    milliseconds = integer(value)
    if milliseconds is None or not 0 <= milliseconds <= LAST_MILLISECOND:
        message = f"is no instant: {value!r}"
        raise ValueError(message)
    return milliseconds * 1000


def day(value: object) -> date | None:
    """Return a day out of `2026-03-01` (a time after it is cut), `20260301` or epoch milliseconds.

    Milliseconds mean the day in UTC that they lie in.
    """
    if value is None:
        return None
    written = str(value).strip() if isinstance(value, str | int) else ""
    try:
        if _COMPACT.fullmatch(written):
            return date.fromisoformat(written)
        if found := _DATE.fullmatch(written):
            return date.fromisoformat(found[1])
        milliseconds = instant(value)
    except ValueError:
        milliseconds = None
    if milliseconds is None:
        message = f"is no day: {_shown(value)}"
        raise ValueError(message)
    return (_EPOCH + milliseconds * _MICROSECOND).date()


def json_text(value: object) -> str | None:
    """Return canonical JSON (sorted keys, exact numbers, no session token), or null."""
    try:
        return None if value is None else _ENCODER.encode(without_secrets(value)).decode()
    except TypeError:
        message = f"holds what is no JSON: {_shown(value)}"
        raise ValueError(message) from None


def raw_json(value: object) -> str:
    """Return JSON of anything that was received, without session tokens and lone surrogates."""
    try:
        raw = json.dumps(without_secrets(value), default=str, sort_keys=True, ensure_ascii=False)
        return raw.encode(errors="replace").decode()
    except RecursionError:
        return '"nested too deeply to be kept"'


def without_secrets(value: object) -> object:
    """Drop every session token, however deep it lies."""
    if isinstance(value, Mapping):
        return {k: without_secrets(v) for k, v in value.items() if not _is_secret(k)}
    if isinstance(value, list):
        return [without_secrets(v) for v in value]
    return value


def unknown(row: Mapping[str, object], known: frozenset[str]) -> str | None:
    """Return the fields that no column takes as JSON, or null when there are none."""
    found = {k: v for k, v in row.items() if k not in known and not _is_secret(k)}
    return json_text(found) if found else None


def _is_secret(key: str) -> bool:
    return len(key) < 20 and key.lower().replace("_", "").replace("-", "") == _NEVER_STORED


def _shown(value: object) -> str:
    """Write a value into a reason, which is stored: without session tokens."""
    return repr(without_secrets(value))


def _iso(value: str) -> int:
    try:
        if not _DATE_AND_TIME.fullmatch(value.strip()):  # a week, or a date alone
            raise ValueError  # noqa: TRY301 - told below
        found = datetime.fromisoformat(value.strip())
        found = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        message = f"is no instant: {value!r}"
        raise ValueError(message) from None
    return (found - _EPOCH) // _MICROSECOND


def _number(value: object) -> Decimal:
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return Decimal(value)
    message = f"is no number: {_shown(value)}"
    raise ValueError(message)


def _decimal(written: str) -> Decimal | _NotJson:
    try:
        return Decimal(written)
    except InvalidOperation:
        return _NotJson(written)


def _integer(written: str) -> int | _NotJson:
    try:
        return int(written)
    except ValueError:  # more digits than Python reads
        return _NotJson(written)
