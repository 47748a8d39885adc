"""A project that syncs from a simulated upstream, and everything that may befall the two."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from dlt.common.configuration.container import Container
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
from project import Project

from machine import deaths
from machine.expected import Quiet
from machine.marts import Marts
from machine.stored import Stored, assert_goes_on, stored
from machine.tally import tally
from pipelines import settings
from pipelines import sync as syncing
from pipelines.backfill import backfill
from pipelines.errors import ConvoyError
from pipelines.jobs import BotName
from pipelines.settings import duration
from pipelines.simulator import Faults, Simulator, World
from pipelines.verify import verify
from pipelines.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from machine.marts import Compiled
    from pipelines.outcome import Outcome
    from pipelines.settings import Settings
    from pipelines.simulator.account import Account

QUIET = Faults()
_HISTORY = timedelta(days=2)
_BEHIND = timedelta(seconds=90)
_FARTHEST_BEHIND = timedelta(minutes=3)
_LAG = timedelta(seconds=1)


@dataclass(frozen=True)
class Plan:
    """How one run begins.

    The world's present lies a little behind the real one, as a server's may; that of an `old`
    world 60 days. In an old one time goes in hours, but its rows move where a real server's
    can't (into windows that ended long ago), so nothing happens there while it is read.
    """

    seed: int = 0
    is_old: bool = False
    lookback: str = "1h"
    page_size: int = 100
    chunk_rows: int | None = None
    bots: tuple[int, ...] = (60, 5)
    chatbots: tuple[int, ...] = (30,)


class Play:
    """One world, its simulator, one project; `configured` are the names it reads."""

    def __init__(
        self, plan: Plan, models: Compiled, make: Callable[[Path], Project] = Project
    ) -> None:
        self.plan, self._compiled, self._marts = plan, models, Marts(models)
        behind = timedelta(days=60) if plan.is_old else _BEHIND
        now = datetime.now(UTC) - behind
        bots = {f"bot{n}": rows for n, rows in enumerate(plan.bots)}
        chatbots = {f"chatbot{n}": rows for n, rows in enumerate(plan.chatbots)}
        self.world = World.seeded(
            plan.seed, bots=bots, chatbots=chatbots, start=now - _HISTORY, now=now
        )
        self.configured = {*bots, *chatbots}
        self.deleted: list[str] = []
        self.lookback = duration(plan.lookback)
        self.seen = Stored()
        self.kills = 0
        self._patched = pytest.MonkeyPatch()
        self._home = Path(tempfile.mkdtemp(prefix="machine-"))
        self.upstream = Simulator(self.world).__enter__()
        self._settle_in(make)

    def _settle_in(self, make: Callable[[Path], Project]) -> None:
        folder = self._home / "project"
        (folder / ".dlt").mkdir(parents=True)
        self.project = make(folder)
        self._patched.chdir(folder)
        self._patched.setenv("HOME", str(self._home))
        self._patched.setenv("XDG_DATA_HOME", str(self._home / "data"))
        if rows := self.plan.chunk_rows:
            self._patched.setattr("pipelines.run.CHUNK_ROWS", rows)
            self._patched.setattr("pipelines.spool.PACKAGE_ROWS", 3 * rows)
            self._patched.setattr("pipelines.run.SPOOLED_ROWS", 1)
            self._patched.setattr("pipelines.reader.READY_ROWS", rows)
            self._patched.setattr("pipelines.jobs.WINDOW_ROWS", rows)
            self._patched.setattr("pipelines.jobs._SMALLEST_WINDOW", rows)
            self._patched.setattr("pipelines.okchat.scan.PIECE_ROWS", rows)
        self.configure()

    def close(self) -> None:
        """Leave nothing behind."""
        self.upstream.__exit__(None, None, None)
        self._patched.undo()
        shutil.rmtree(self._home, ignore_errors=True)

    # What is there.

    def accounts(self, api: str | None = None, *, is_open: bool = True) -> list[Account]:
        """Return the accounts, of one API if named; only those that answer unless told."""
        found = self.world.accounts.values()
        return [a for a in found if api in (None, a.api) and (a.is_open or not is_open)]

    def size(self) -> int:
        """Return how many conversations there are."""
        return sum(len(account.timeline.rows()) for account in self.world.accounts.values())

    def reach(self, account: Account) -> datetime:
        """Return the instant from which on the next sync reads the account again, at least."""
        newest = [datetime.fromtimestamp(0, UTC)]
        if account.api == "okchat":
            return newest[0]
        newest += [instant(row.moment) for row in account.timeline.rows()]
        if stored_newest := self.seen.newest(account.name):
            newest.append(stored_newest)
        return max(newest) - self.lookback

    # What befalls the upstream.

    def advance(self, step: timedelta, *, activity: bool) -> None:
        """Let time go on, though never up to the real present."""
        room = datetime.now(UTC) - _LAG - self.world.now
        self.world.advance(min(step, max(room, timedelta(0))), activity=activity)

    def _keep_up(self) -> None:
        """A young world must not fall so far behind that its present looks settled."""
        behind = datetime.now(UTC) - self.world.now
        if not self.plan.is_old and behind > _FARTHEST_BEHIND:
            self.advance(behind - _BEHIND, activity=False)

    def turn(self, knob: str, value: object) -> None:
        """Turn a knob; the configuration follows where it must."""
        self.upstream.knobs = replace(self.upstream.knobs, **{knob: value})  # type: ignore[arg-type]
        self.configure()

    # What befalls the project.

    def configure(self) -> None:
        """Write the configuration as it should be now."""
        knobs = self.upstream.knobs
        self.project.configure(
            self.upstream,
            bots=self.configured,
            gptbots={"lookback": f"{self.lookback.total_seconds():.0f}s"},
            okchat={
                "page_size": self.plan.page_size,
                "page_param": knobs.page_param,
                "limit_param": knobs.limit_param,
            },
        )

    def chosen(self, sources: Collection[str]) -> list[Account]:
        """Return the configured accounts that a sync of these sources is about."""
        accounts = self.accounts(is_open=False)
        return [
            a for a in accounts if a.name in self.configured and (not sources or a.api in sources)
        ]

    def settings(self) -> Settings:
        """Read the configuration as a new process would."""
        Container()[PluggableRunContext].reload_providers()
        return settings.load()

    def sync(
        self,
        sources: Collection[str] = (),
        *,
        patience: float = 20.0,
        yes: bool = False,
        tell: Any = lambda _: None,  # noqa: ANN401 - of sync's own type
    ) -> Outcome:
        """Sync, and look at what became of the warehouse, whatever happened."""
        self._keep_up()
        tally["syncs"] += 1
        try:
            outcome = syncing.sync(
                self.settings(),
                sources=list(sources),
                models=False,
                patience=patience,
                tell=tell,
                yes=yes,
            )
        finally:
            self.look()
        self._assert_every_credit_once({of.bot for of in outcome.bots.values() if of.loaded})
        return outcome

    def look(self) -> None:
        """Read the warehouse: it must go on from what was seen there last."""
        now = stored(self.project.at)
        assert_goes_on(self.seen, now)
        # Only a load that died may leave rows whose load never ended.
        assert now.orphans <= self.kills
        self.seen = now

    def die(self, place: str, count: int) -> None:
        """Sync and pull the plug somewhere in between, if it comes to that."""
        plug = deaths.Plug(count)
        self.kills += 1
        try:
            with pytest.MonkeyPatch.context() as patched:
                tell = deaths.die_at(place, plug, self.upstream, patched)
                self.sync(patience=0.5, tell=tell)
        except (ConvoyError, deaths.Killed):
            assert plug.pulled
        finally:
            self.upstream.on_request = None
        tally["kills" if plug.pulled else "syncs that outlived their kill"] += 1

    def die_as_process(self, table: str, count: int) -> None:
        """Let another process sync and be killed."""
        self._keep_up()
        self.kills += 1
        if table:
            died = deaths.kill_process_in_table(self.project.dying, table)
        else:
            died = deaths.kill_process_at_request(count, self.upstream)
        self.project.await_alone()
        tally["kills of a process" if died else "syncs that outlived their kill"] += 1
        self.look()

    def lose(self, what: str) -> bool:
        """Lose a part of the project, or everything since its backup; tell if that could be."""
        match what:
            case "work folder":
                shutil.rmtree(self.project.folder / ".convoy", ignore_errors=True)
            case "home":
                shutil.rmtree(self._home / "data", ignore_errors=True)
                shutil.rmtree(self._home / ".dlt", ignore_errors=True)
            case "back up" if self.project.back_up():
                pass
            case "go back" if self.project.go_back():
                self._marts = Marts(self._compiled)  # the marts went back with it
                self.seen = stored(self.project.at)
            case _:
                return False
        return True

    # What must be true.

    def quiesce(self, sources: Collection[str] = (), *, again: bool = False) -> None:
        """Let all be quiet, sync once, and compare with the truth; perhaps sync once more."""
        tally["quiescences"] += 1
        self.upstream.faults, self.upstream.on_request = QUIET, None
        self.upstream.knobs = replace(self.upstream.knobs, chaos=0.0)
        before = self.seen
        outcome = self.sync(sources, yes=True)
        states = not self.upstream.knobs.omit_state
        quiet = Quiet(self.world, states, before, self.seen)
        chosen = self.chosen(sources)
        emptied = {a.name for a in chosen if quiet.lost_all(a)}
        read = {a.name for a in chosen if a.is_open}
        self._assert_told(outcome, chosen, emptied)
        quiet.assert_right(read)
        if again:
            self._assert_nothing_new(self.sync(sources, yes=True), chosen)
        if not sources and not emptied and read == self.configured:
            assert verify(self.settings()).agrees

    def _assert_told(
        self, outcome: Outcome, chosen: Iterable[Account], emptied: Collection[str]
    ) -> None:
        for account in chosen:
            of = outcome.bots[BotName(account.api, account.name)]
            fails = not account.is_open or account.name in emptied
            assert (of.error is not None) == fails, (account.name, of)
            assert fails or (of.done and of.loaded and of.certified), of
        assert outcome.complete == all(of.error is None for of in outcome.bots.values())

    def _assert_every_credit_once(self, read: Collection[str]) -> None:
        """The marts, built on top after each sync, are what they would be if built from nothing."""
        if not self.seen.conversations:
            return
        tally["marts"] += 1
        booked = self._marts.credits(self.project.at)
        for key, row in self.seen.conversations.items():
            if row["bot"] in read:
                assert booked.get(key, 0) == (row["cost_credit"] or 0), key

    def _assert_nothing_new(self, outcome: Outcome, chosen: Iterable[Account]) -> None:
        assert (outcome.rows_loaded, outcome.changes) == (0, 0)
        for account in chosen:
            if account.is_open and account.api == "gptbots":
                of = outcome.bots[BotName(account.api, account.name)]
                fits = len(account.timeline.rows()) < 100
                assert of.requests <= 2 or not fits or self.upstream.knobs.gptbots_page_cap, of

    def backfill(self, since: datetime, until: datetime, bots: Collection[str]) -> None:
        """Read a stretch of the past again."""
        tally["backfills"] += 1
        try:
            assert backfill(self.settings(), since, until, bots=bots).complete
        finally:
            self.look()

    def lose_a_row(self, row: int) -> bool:
        """Take a row out of the warehouse behind its back; verify must tell, and mend it."""
        rows = self.seen.conversations.items()
        keys = sorted(
            key for key, of in rows if of["bot"] in self.configured and not of["deleted_at"]
        )
        # One that is not there upstream either belongs to a bot that has lost all.
        if not keys or any(self.world.find(i) is None for _, i in keys):
            return False
        tally["repairs"] += 1
        lost = keys[row % len(keys)]
        with connect(self.project.at) as connection:
            taken = "delete from chat.conversations where source = $1 and conversation_id = $2"
            connection.execute(taken, list(lost))
        assert not verify(self.settings()).agrees
        verify(self.settings(), repair=True, yes=True)
        self.look()
        assert verify(self.settings()).agrees
        return True


def instant(milliseconds: int) -> datetime:
    """Return the instant of a GPTBots row's moment."""
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds)
