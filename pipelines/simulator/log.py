"""What was asked and answered."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Logged:
    """One request to either API; a request that was reset has status 0.

    Attributes:
        at: Seconds of the monotonic clock.
        wall: The real time, not the world's.
        bot: Name of the bot or chatbot, None where the key fits none.
        code: GPTBots' error code.
        fault: The fault that befell it.
        rows: Rows in the answer, 0 where a fault spoiled it.
    """

    at: float
    wall: datetime
    method: str
    path: str
    params: dict[str, str]
    bot: str | None
    status: int
    code: int | None
    fault: str | None
    rows: int
