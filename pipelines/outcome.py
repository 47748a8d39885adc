"""What a sync did, bot by bot."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime

from pipelines.jobs import BotName


@dataclass
class BotOutcome:
    """What a sync did for one bot.

    `cursor` is the newest activity loaded, `certified` tells that all of its `windows` are,
    `history` whether the server counts as many conversations as are known ('agrees', or 'moving'
    while it can't be told), `deleted` how many were marked as gone upstream, `done` that reading
    has ended, `loaded` that all of it is read and in the warehouse, `failures` what was asked for
    beside the conversations and could not be read, `transcripts` how many were read to their end,
    `transcripts_due` how many are still due, None where they are switched off.
    """

    source: str
    bot: str
    rows_read: int = 0
    rows_loaded: int = 0
    rejected: int = 0
    requests: int = 0
    windows: int = 0
    certified: bool = False
    history: str | None = None
    deleted: int = 0
    cursor: datetime | None = None
    done: bool = False
    loaded: bool = False
    error: str | None = None
    failures: list[str] = field(default_factory=list)
    transcripts: int = 0
    transcripts_due: int | None = None

    @property
    def complete(self) -> bool:
        """Whether everything asked of it was read and certified."""
        return self.done and self.error is None and self.certified and not self.failures


@dataclass
class Outcome:
    """What a sync did; grows while it runs."""

    bots: Mapping[BotName, BotOutcome]
    changes: int = 0
    models: str = "skipped"
    models_error: str | None = None
    publish: str = "skipped"
    publish_error: str | None = None
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether everything asked for was read, certified, loaded, modelled and published."""
        return (self.models_error or self.publish_error) is None and all(
            bot.complete for bot in self.bots.values()
        )

    @property
    def rows_loaded(self) -> int:
        """Conversations written."""
        return sum(bot.rows_loaded for bot in self.bots.values())

    @property
    def requests(self) -> int:
        """Requests sent, retries included."""
        return sum(bot.requests for bot in self.bots.values())

    def as_json(self) -> dict[str, object]:
        """Return the document that `--json` prints."""
        return {
            "complete": self.complete,
            "rows_loaded": self.rows_loaded,
            "changes": self.changes,
            "requests": self.requests,
            "bots": [asdict(bot) for bot in self.bots.values()],
            "models": self.models,
            "models_error": self.models_error,
            "publish": self.publish,
            "publish_error": self.publish_error,
            "seconds": round(self.seconds, 3),
        }
