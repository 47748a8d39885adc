"""Everything that may happen, in any order, and after it one sync that makes all right.

    CONVOY_MACHINE_STEPS=50000 python -m pytest tests/test_machine.py -m long

runs so many steps; `--hypothesis-seed=N` chooses which. A failure prints its steps, as few as
it takes, and what reproduces it; CONVOY_MACHINE_LOG names a file for the steps of every failure
as it happens, and for the count of what was done.
"""

from __future__ import annotations

import functools
import os
import sys
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, reject, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from hypothesis.strategies._internal.featureflags import FeatureFlags
from machine import marts
from machine.bots import BEFALLS
from machine.deaths import PLACES
from machine.play import Plan, Play, instant
from machine.tally import failed, log, report, tally
from project import Project

from pipelines.simulator import Faults
from pipelines.simulator.faults import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pipelines.simulator.account import Account
    from pipelines.simulator.conversation import Conversation

ASKED = os.environ.get("CONVOY_MACHINE_STEPS")
STEPS_A_RUN = 40
LARGEST = 400
"""Conversations of a world, about."""
pick = st.integers(0, 999)
"""One of several, whatever there is: a remainder is taken."""
sources = st.sampled_from([(), (), ("gptbots",), ("okchat",)])
KNOBS: dict[str, tuple[Any, ...]] = {
    "order": ("newest_first", "oldest_first", "unordered"),
    "total": ("window", "page"),
    "past_end": ("empty", "error"),
    "start_inclusive": (True, False),
    "end_inclusive": (True, False),
    "error_status": (200, 400),
    "gptbots_page_cap": (None, 50, 7),
    "envelope": ("bare", "data"),
    "okchat_order": ("created_desc", "updated_desc"),
    "okchat_page_cap": (None, 50, 7),
    "omit_state": (False, True),
    "page_param": ("page", "p"),
    "limit_param": ("limit", "per_page"),
}
turns = st.sampled_from([(name, value) for name, values in KNOBS.items() for value in values])
plans = st.builds(
    Plan,
    seed=st.integers(0, 3),  # each costs half a second, once
    is_old=st.booleans(),
    lookback=st.sampled_from(["1h", "0", "10s", "1d"]),
    page_size=st.sampled_from([100, 7]),
    chunk_rows=st.sampled_from([None, None, 60]),
    bots=st.sampled_from([(20, 5), (0,), (120, 0), (30,), ()]),
    chatbots=st.sampled_from([(15,), (0, 40), ()]),
)


def step(**drawn: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a rule that is counted, and told when something fails."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def run(self: Machine, **values: object) -> None:
            given = ", ".join(f"{name}={value!r}" for name, value in values.items())
            called = f"{function.__name__}({given})"
            if self.steps[-2:] == [called, called]:
                reject()  # Hypothesis begins with the simplest run there is: one step for ever
            self.steps.append(called)
            tally["steps"] += 1
            tally[f"· {function.__name__}"] += 1
            try:
                function(self, **values)
            except Exception as error:
                failed(error, [self.play.plan, *self.steps])
                raise

        made: Callable[..., None] = rule(**drawn)(run)  # type: ignore[call-overload]
        return made

    return decorate


class Machine(RuleBasedStateMachine):
    """Rules that change the upstream, the project, or sync; see `Play` for what must hold."""

    models: ClassVar[marts.Compiled]

    def __init__(self) -> None:
        super().__init__()
        # Hypothesis would leave out most rules of most runs, which then do the same all along.
        self._rules_strategy.enabled_rules_strategy = st.just(FeatureFlags())
        self.steps: list[str] = []
        self.play: Play

    def make(self, folder: Path) -> Project:
        """Make the project of a run."""
        return Project(folder)

    @initialize(plan=plans)
    def begin_run(self, plan: Plan) -> None:
        """Start with a world and an empty project."""
        tally["runs"] += 1
        if plan.is_old and plan.lookback in ("0", "10s"):
            # A settlement up to half an hour late would not be seen, by design.
            plan = replace(plan, lookback="1h")
        if not plan.bots and not plan.chatbots:
            plan = replace(plan, bots=(10,))
        self.play = Play(plan, self.models, self.make)

    def teardown(self) -> None:
        """Let every run end in quiet, unless it has failed."""
        if not hasattr(self, "play"):
            return
        try:
            if sys.exc_info()[1] is None and self.play.configured:
                self.play.quiesce()
        except Exception as error:
            failed(error, [self.play.plan, *self.steps, "quiesce"])
            raise
        finally:
            self.play.close()
            log(report())

    # The upstream.

    @step(account=pick, times=st.integers(1, 3))
    def begin(self, account: int, times: int) -> None:
        if self.has_room() and (home := self.one(self.play.accounts(), account)):
            for _ in range(times):
                self.play.world.begin(home.name)

    @step(account=pick, row=pick)
    def chat(self, account: int, row: int) -> None:
        if found := self.row(account, row):
            self.play.world.chat(found.conversation_id)

    @step(account=pick, row=pick, cost=st.sampled_from(["0.0000000001", "0.25", "3", "-0.5"]))
    def settle_late(self, account: int, row: int, cost: str) -> None:
        if found := self.row(account, row, api="gptbots", within_reach=True):
            self.play.world.settle(found.conversation_id, Decimal(cost))

    @step(account=pick, row=pick, text=st.sampled_from(["a", "b", None]))
    def edit(self, account: int, row: int, text: str | None) -> None:
        if found := self.row(account, row, within_reach=True):
            field = "subject" if found.home.api == "gptbots" else "last_message"
            self.play.world.edit(found.conversation_id, **{field: text})

    @step(account=pick, n=st.sampled_from([2, 5, 130]))
    def tie(self, account: int, n: int) -> None:
        if self.has_room() and (home := self.one(self.play.accounts(), account)):
            self.play.world.tie(home.name, n)

    @step(account=pick, row=pick, n=st.sampled_from([1, 1, 2, 30]))
    def delete(self, account: int, row: int, n: int) -> None:
        for k in range(n):
            if found := self.row(account, row + k):
                self.play.world.delete(found.conversation_id)
                self.play.deleted.append(found.conversation_id)

    @precondition(lambda self: self.play.deleted)
    @step(row=pick)
    def restore(self, row: int) -> None:
        gone = self.play.deleted
        found = self.play.world._rows[gone[row % len(gone)]]  # noqa: SLF001 - deleted ones are nowhere else
        gone.remove(found.conversation_id)
        self.play.world.restore(found.conversation_id)

    @step(turned=turns)
    def turn_knob(self, turned: tuple[str, Any]) -> None:
        self.play.turn(*turned)

    @step(chance=st.sampled_from([0.05, 0.2, 0.5]))
    def let_chaos_in(self, chance: float) -> None:
        if not self.play.plan.is_old:
            self.play.upstream.knobs = replace(self.play.upstream.knobs, chaos=chance)

    @step(
        chances=st.dictionaries(st.sampled_from(KINDS), st.sampled_from([0.02, 0.1]), max_size=3),
        script=st.lists(st.sampled_from(["none", "none", *KINDS]), max_size=5),
        dice=st.integers(0, 9),
    )
    def let_faults_in(self, chances: dict[str, float], script: list[str], dice: int) -> None:
        options: dict[str, Any] = {**chances, "slow_seconds": 0.01, "seed": dice}
        self.play.upstream.faults = Faults(script=list(script), **options)

    @step(part=st.sampled_from([0.001, 0.05, 0.3, 1.0]), activity=st.booleans())
    def advance(self, part: float, activity: bool) -> None:  # noqa: FBT001 - drawn
        unit = timedelta(days=1) if self.play.plan.is_old else timedelta(seconds=10)
        lives = activity and self.has_room() and self.play.lookback >= timedelta(hours=1)
        self.play.advance(part * unit, activity=lives)

    # Bots.

    @step(what=st.sampled_from(sorted(BEFALLS)), account=pick, rows=st.sampled_from([0, 3, 120]))
    def change_bots(self, what: str, account: int, rows: int) -> None:
        if not BEFALLS[what](self.play, account, rows):
            self.idle()

    # The project.

    @step(chosen=sources, patience=st.sampled_from([0.0, 0.5, 2.0]))
    def sync(self, chosen: tuple[str, ...], patience: float) -> None:
        if not self.play.chosen(chosen):
            return self.idle()
        self.play.sync(chosen, patience=patience)
        return None

    @step(place=st.sampled_from(PLACES), count=st.integers(1, 40))
    def sync_and_die(self, place: str, count: int) -> None:
        within = {"request": 10, "statement": 40}.get(place, 2)
        self.play.die(place, 1 + count % within)

    @step(
        rarely=st.integers(0, 7),
        table=st.sampled_from(["", "", "conversations", "conversation_changes", "last_messages"]),
        count=st.integers(1, 8),
    )
    def die_as_process(self, rarely: int, table: str, count: int) -> None:
        if rarely:  # it takes seconds
            return self.idle()
        return self.play.die_as_process(table, count)

    @step(what=st.sampled_from(["work folder", "home", "back up", "go back"]))
    def lose(self, what: str) -> None:
        if not self.play.lose(what):
            self.idle()

    @step(chosen=sources, again=st.sampled_from([False, False, False, True]))
    def be_quiet_and_compare(self, chosen: tuple[str, ...], again: bool) -> None:  # noqa: FBT001 - drawn
        if not self.play.chosen(chosen):
            return self.idle()
        return self.play.quiesce(chosen, again=again)

    @step(account=pick, row=pick)
    def settle_too_late_and_backfill(self, account: int, row: int) -> None:
        self.play.quiesce()
        found = self.row(account, row, api="gptbots")
        if not found or found.home.name not in self.play.configured:
            return self.idle()
        self.play.world.settle(found.conversation_id, Decimal("0.125"))
        at, around = instant(found.moment), timedelta(seconds=1)
        self.play.backfill(at - around, at + around, [found.home.name])
        return self.play.quiesce()

    @step(row=pick)
    def lose_a_row_and_repair(self, row: int) -> None:
        self.play.quiesce()
        refused = {account.name for account in self.play.chosen(()) if not account.is_open}
        if refused or not self.play.lose_a_row(row):
            return self.idle()
        return self.play.quiesce()

    # What rules choose from.

    def idle(self) -> None:
        tally["idle steps"] += 1

    def has_room(self) -> bool:
        return self.play.size() < LARGEST

    def one(self, accounts: list[Account], n: int) -> Account | None:
        if accounts:
            return accounts[n % len(accounts)]
        self.idle()
        return None

    def row(
        self, account: int, n: int, *, api: str | None = None, within_reach: bool = False
    ) -> Conversation | None:
        """Choose a conversation of an open account, newest first."""
        home = self.one(self.play.accounts(api), account)
        rows = home.timeline.rows()[::-1] if home else []
        found = rows[n % len(rows)] if rows else None
        if found and (not within_reach or self.is_within_reach(found)):
            return found
        self.idle()
        return None

    def is_within_reach(self, row: Conversation) -> bool:
        is_okchat = row.home.api == "okchat"
        return is_okchat or instant(row.moment) >= self.play.reach(row.home)


@pytest.fixture(scope="module", autouse=True)
def _compiled(tmp_path_factory: pytest.TempPathFactory) -> None:
    Machine.models = marts.compiled(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module", autouse=True)
def _reported(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        sys.stderr.write(report() + "\n")


def play(machine: type[Machine], steps: int) -> None:
    """Run about so many steps."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=max(1, steps // STEPS_A_RUN),
            stateful_step_count=STEPS_A_RUN,
            deadline=None,
            print_blob=True,
            report_multiple_bugs=False,
            # To shrink takes minutes; in CI the steps as they are say enough.
            phases=[Phase.generate, *([Phase.shrink] if ASKED else [])],
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.timeout(900)
def test_some_steps() -> None:
    play(seed(1)(Machine), 60)


@pytest.mark.long
@pytest.mark.timeout(0)
def test_many_steps() -> None:
    play(Machine if ASKED else seed(2)(Machine), int(ASKED or 280))
