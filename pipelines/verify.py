"""Compares the APIs with the warehouse, over all history; names what differs, or mends it."""

import time
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field

from pipelines import http, live
from pipelines.chunk import Chunk
from pipelines.jobs import BotName, chosen
from pipelines.lock import locked
from pipelines.news import News
from pipelines.outcome import Outcome
from pipelines.reconcile import reconcile
from pipelines.run import Run, Tell
from pipelines.settings import Settings
from pipelines.sync import Loading, full_jobs
from pipelines.transcripts import count_due


@dataclass
class Difference:
    """Conversations of one bot that differ, by id.

    Attributes:
        missing: the API has them, the warehouse does not, or as deleted.
        stale: the warehouse has an older or another version.
        deleted: the warehouse has them, the API does not any more.
    """

    missing: set[str] = field(default_factory=set)
    stale: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.missing or self.stale or self.deleted)


@dataclass(frozen=True)
class Verified:
    """What a comparison found, bot by bot; `repaired` tells that it was mended."""

    outcome: Outcome
    differences: Mapping[BotName, Difference]
    repaired: bool

    @property
    def agrees(self) -> bool:
        """Whether the warehouse is now what the APIs have, as far as can be told."""
        told = all(
            bot.error is None and bot.certified and bot.history != "moving"
            for bot in self.outcome.bots.values()
        )
        return told and (self.repaired or not any(self.differences.values()))

    def as_json(self) -> dict[str, object]:
        """Return the document that `--json` prints."""
        bots = [
            {
                **(told := asdict(self.outcome.bots[name])),
                "marked": told["deleted"],
                **{kind: sorted(ids) for kind, ids in asdict(difference).items()},
            }
            for name, difference in self.differences.items()
        ]
        return {
            "agrees": self.agrees,
            "repaired": self.repaired,
            "requests": self.outcome.requests,
            "seconds": round(self.outcome.seconds, 3),
            "bots": bots,
        }


def verify(  # noqa: PLR0913 - what it may be told, all by name
    settings: Settings,
    *,
    repair: bool = False,
    yes: bool = False,
    sources: Collection[str] = (),
    bots: Collection[BotName] = (),
    tell: Tell = lambda _: None,
    patience: float = http.PATIENCE,
) -> Verified:
    """Compare everything since the start date: GPTBots by counts, OKChat row by row.

    Args:
        settings: what is configured.
        repair: load and mark what differs; without it nothing is written.
        yes: mark what is gone upstream, however much it is.
        sources: compare only these; empty means all.
        bots: compare only these; empty means all of the sources.
        tell: called with the outcome as it grows.
        patience: seconds after which a failing request is given up.

    Raises:
        ConfigurationError, WarehouseBusy, WarehouseFailed: as `sync`.
    """
    started = time.monotonic()
    names = chosen(settings, sources, bots)
    with (
        locked(settings, writes=repair) as held,
        Run(settings, names, tell, patience, held) as run,
    ):
        keeper = Findings(run, Loading(run, moving=False) if repair else None)
        run.read(full_jobs(run), keeper)
        reconcile(run, keeper, yes=yes or not repair, thorough=True)
        count_due(run, run.tasks.keys())
        run.finish(write=repair)
    run.outcome.seconds = time.monotonic() - started
    return Verified(run.outcome, {name: keeper.found[name] for name in names}, repair)


class Findings:
    """Notes what is found, and hands it on where it is to be mended."""

    def __init__(self, run: Run, loading: Loading | None) -> None:
        self._run = run
        self._loading = loading
        self.found: defaultdict[BotName, Difference] = defaultdict(Difference)

    def take(self, chunk: Chunk, fresh: News) -> None:
        """Note what is missing and what is stale."""
        for column in (fresh.conversations, fresh.last_messages):
            self._note(chunk, column["conversation_id"].to_pylist())
        if self._loading:
            self._loading.take(chunk, fresh)
        else:
            self._run.count(chunk, fresh)

    def _note(self, chunk: Chunk, ids: list[str]) -> None:
        read = chunk.read
        of = dict(zip(read["conversation_id"].to_pylist(), read["bot"].to_pylist(), strict=True))
        stored = self._run.stored.known(chunk.source, read)
        lives = {
            row["conversation_id"]
            for row in stored.conversations.select(["conversation_id", "deleted_at"]).to_pylist()
            if row["deleted_at"] is None
        }
        for found in ids:
            difference = self.found[BotName(chunk.source, of[found])]
            if found in lives:
                difference.stale.add(found)
            else:
                difference.missing.add(found)

    def mark(self, name: BotName, gone: live.Gone) -> None:
        """Note what is gone."""
        self.found[name].deleted |= gone.keys()
        if self._loading:
            self._loading.mark(name, gone)

    def waiting(self, name: BotName) -> int:
        """Return how many are missing and were not loaded."""
        return 0 if self._loading else len(self.found[name].missing)

    def stale(self, name: BotName) -> Collection[str]:
        """Return what a newer version was seen of and not loaded."""
        return () if self._loading else self.found[name].stale
