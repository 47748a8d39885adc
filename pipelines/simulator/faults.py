"""What goes wrong on the way: chances of faults, and scripts of them."""

from dataclasses import dataclass, field
from random import Random
from typing import Literal, cast, get_args

Kind = Literal[
    "rate_limited",
    "rate_limited_seconds",
    "rate_limited_date",
    "server_error",
    "reset",
    "truncated",
    "cut_json",
    "not_json",
    "slow",
    "empty_body",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
NONE = "none"  # in a script: let this one request through


@dataclass(slots=True, kw_only=True)
class Faults:
    """The probability of each kind for each request, and what to force first.

    Attributes:
        rate_limited: 429 without `Retry-After`.
        rate_limited_seconds: 429 with `Retry-After` in seconds.
        rate_limited_date: 429 with `Retry-After` as a date.
        server_error: 500, 502 or 503 with an HTML body.
        reset: The connection is reset without an answer.
        truncated: The body ends before its Content-Length, then the connection closes.
        cut_json: The HTTP is whole, the JSON is cut in the middle.
        not_json: 200 with an HTML page.
        slow: The right answer, `slow_seconds` late.
        empty_body: 200 with nothing in it.
        seed: Of the chances; setting the faults of a simulator begins it anew.
        script: Kinds to force with the next requests, in order ("none" lets one through);
            used up in place.
        only: A part of the path that a request must have for any of this.
        slow_seconds: How late a slow answer is.
        retry_after: Seconds that `Retry-After` asks for.
    """

    rate_limited: float = 0.0
    rate_limited_seconds: float = 0.0
    rate_limited_date: float = 0.0
    server_error: float = 0.0
    reset: float = 0.0
    truncated: float = 0.0
    cut_json: float = 0.0
    not_json: float = 0.0
    slow: float = 0.0
    empty_body: float = 0.0
    seed: int = 0
    script: list[str] = field(default_factory=list)
    only: str | None = None
    slow_seconds: float = 0.2
    retry_after: int = 1

    def __post_init__(self) -> None:
        for kind in self.script:
            _known(kind)
        if sum(self._chances()) > 1:
            msg = "the probabilities of the faults add to more than 1"
            raise ValueError(msg)

    def next(self, path: str, rng: Random) -> Kind | None:
        """Choose what goes wrong with a request, by script or by chance."""
        if self.only is not None and self.only not in path:
            return None
        if self.script:
            return _known(self.script.pop(0))
        chances = self._chances()
        if not any(chances):
            return None
        return rng.choices((*KINDS, None), [*chances, 1 - sum(chances)])[0]

    def _chances(self) -> list[float]:
        return [getattr(self, kind) for kind in KINDS]


def _known(kind: str) -> Kind | None:
    if kind != NONE and kind not in KINDS:
        msg = f"no fault is called {kind!r}; there are {', '.join(KINDS)} and {NONE}"
        raise ValueError(msg)
    return None if kind == NONE else cast("Kind", kind)
