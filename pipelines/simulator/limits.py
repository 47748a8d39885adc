"""The budget of requests that a server keeps for each key, and how it says no."""

from collections import defaultdict, deque
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from math import ceil
from time import monotonic
from typing import Literal

from pipelines.simulator.conversation import to_json
from pipelines.simulator.gptbots import TOO_MANY
from pipelines.simulator.okchat import ROOT
from pipelines.simulator.wire import Answer

_WINDOW = 60.0  # seconds


class Budget:
    """Counts the answered requests of each key over the last 60 seconds."""

    def __init__(self) -> None:
        self._answered: defaultdict[str, deque[float]] = defaultdict(deque)

    def wait(self, key: str, limit: int) -> float:
        """Return 0 and count the request, or the seconds until the key may ask again."""
        now, answered = monotonic(), self._answered[key]
        while answered and answered[0] <= now - _WINDOW:
            answered.popleft()
        if len(answered) >= limit:
            return answered[0] + _WINDOW - now
        answered.append(now)
        return 0.0


def too_many(path: str, seconds: float, form: Literal["seconds", "http-date"] | None) -> Answer:
    """Return a 429 in the shape of the API that the path belongs to."""
    headers = {}
    if form == "seconds":
        headers["Retry-After"] = str(ceil(seconds))
    elif form == "http-date":
        # A date has whole seconds: one more, so that it isn't already past.
        until = datetime.now(UTC) + timedelta(seconds=ceil(seconds) + 1)
        headers["Retry-After"] = format_datetime(until, usegmt=True)
    if path.startswith(ROOT):
        return Answer(429, to_json({"error": "too many requests"}), headers=headers)
    body = to_json({"code": TOO_MANY, "message": "too many requests"})
    return Answer(429, body, TOO_MANY, headers=headers)
