"""HTTP/1.1 as bytes: requests out of a buffer, answers into one. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote

_LARGEST_HEAD = 65_536
_LARGEST_BODY = 1_048_576
_PHRASES = {int(status): status.phrase for status in HTTPStatus}


class BadRequestError(Exception):
    """Bytes that are no request that is understood here."""


@dataclass(slots=True)
class Request:
    """A request; `bot` is the name of the bot or chatbot that it is about, where known."""

    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    body: bytes
    keeps_alive: bool
    bot: str | None = None


@dataclass(slots=True)
class Answer:
    """An answer; `code` is the API's own error code, `rows` how many rows it carries."""

    status: int
    body: bytes
    code: int | None = None
    rows: int = 0
    kind: str = "application/json"
    headers: Mapping[str, str] | None = None

    def encode(self, *, keeps_alive: bool = True) -> bytes:
        """Return the bytes to send."""
        lines = [
            f"HTTP/1.1 {self.status} {_PHRASES.get(self.status, '')}",
            f"Content-Type: {self.kind}",
            f"Content-Length: {len(self.body)}",
            f"Connection: {'keep-alive' if keeps_alive else 'close'}",
        ]
        if self.headers:
            lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


def take_request(buffer: bytearray) -> Request | None:
    """Take one whole request out of the buffer; None while it isn't all there.

    Raises:
        BadRequestError: What is there can't become a request.
    """
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        if len(buffer) > _LARGEST_HEAD:
            msg = "the head is too long"
            raise BadRequestError(msg)
        return None
    line, *fields = buffer[:end].decode("latin-1").split("\r\n")
    headers = {}
    for field in fields:
        name, _, value = field.partition(":")
        headers[name.lower()] = value.strip()
    length = _length(headers)
    if len(buffer) < end + 4 + length:
        return None
    body = bytes(buffer[end + 4 : end + 4 + length])
    del buffer[: end + 4 + length]
    return _request(line, headers, body)


def _params(query: str) -> dict[str, str]:
    if "%" in query or "+" in query:
        return dict(parse_qsl(query, keep_blank_values=True))
    # Nothing is escaped in nearly every query, and parse_qsl is slow.
    parts = [part.partition("=") for part in query.split("&") if part]
    return {name: value for name, _, value in parts}


def _length(headers: Mapping[str, str]) -> int:
    text = headers.get("content-length", "0")
    if "transfer-encoding" in headers or not text.isdigit() or int(text) > _LARGEST_BODY:
        msg = "the length of the body isn't a number that is taken here"
        raise BadRequestError(msg)
    return int(text)


def _request(line: str, headers: dict[str, str], body: bytes) -> Request:
    try:
        method, target, version = line.split(" ")
    except ValueError as error:
        msg = f"no request line: {line[:80]!r}"
        raise BadRequestError(msg) from error
    path, _, query = target.partition("?")
    if "%" in path:
        path = unquote(path)
    params = _params(query)
    wish = headers.get("connection", "").lower()
    keeps_alive = wish != "close" and (version == "HTTP/1.1" or wish == "keep-alive")
    return Request(method, path, params, headers, body, keeps_alive)
