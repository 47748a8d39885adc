"""What a fault makes of an answer, as the bytes that go out and what follows them."""

from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from pipelines.simulator.faults import Faults, Kind
from pipelines.simulator.limits import too_many
from pipelines.simulator.wire import Answer

_PAGE = b"<!doctype html><html><body><h1>%b</h1></body></html>"
_LIMITED: dict[Kind, Literal["seconds", "http-date"] | None] = {
    "rate_limited": None,
    "rate_limited_seconds": "seconds",
    "rate_limited_date": "http-date",
}


@dataclass(frozen=True, slots=True)
class Reply:
    """Bytes to send after a delay in seconds, and what becomes of the connection."""

    data: bytes
    then: Literal["keep", "close", "reset"] = "keep"
    delay: float = 0.0


def instead(kind: Kind | None, path: str, faults: Faults, rng: Random) -> Answer | None:
    """Return the answer that a fault gives in place of the right one, if it does."""
    if kind in _LIMITED:
        return too_many(path, faults.retry_after, _LIMITED[kind])
    match kind:
        case "server_error":
            status = rng.choice((500, 502, 503))
            return Answer(status, _PAGE % b"It broke", kind="text/html")
        case "not_json":
            return Answer(200, _PAGE % b"Maintenance", kind="text/html")
        case "empty_body":
            return Answer(200, b"")
        case "reset":
            return Answer(0, b"")
    return None


def cut(answer: Answer) -> Answer:
    """Return the answer with half its body, whole as HTTP."""
    return replace(answer, body=answer.body[: len(answer.body) // 2], rows=0)


def packed(kind: Kind | None, answer: Answer, *, keeps_alive: bool) -> Reply:
    """Return what to send for an answer, not yet delayed."""
    if kind == "reset":
        return Reply(b"", "reset")
    data = answer.encode(keeps_alive=keeps_alive)
    if kind == "truncated":
        return Reply(data[: len(data) - (len(answer.body) + 1) // 2], "close")
    return Reply(data, "keep" if keeps_alive else "close")
