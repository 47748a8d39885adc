"""Both APIs as one service: budget, chaos, faults and log around the right answers."""

from collections import deque
from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING

from pipelines.simulator import gptbots, okchat
from pipelines.simulator.account import Account
from pipelines.simulator.conversation import to_json
from pipelines.simulator.faults import Faults, Kind
from pipelines.simulator.knobs import Knobs
from pipelines.simulator.limits import Budget, too_many
from pipelines.simulator.log import Logged
from pipelines.simulator.seeds import generator
from pipelines.simulator.spoiling import Reply, cut, instead, packed
from pipelines.simulator.wire import Answer, Request
from pipelines.simulator.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

_LOG = 1_000_000  # requests remembered: more than any test makes, bounded for a long demo


class Service:
    """The APIs of a world; `on_request` is called before each request is answered."""

    def __init__(
        self, world: World, knobs: Knobs | None = None, faults: Faults | None = None
    ) -> None:
        self.world = world
        self.knobs = knobs or Knobs()
        self.faults = faults or Faults()
        self.on_request: Callable[[Request], object] | None = None
        self.logged: deque[Logged] = deque(maxlen=_LOG)
        self._budget = Budget()
        self._chaos = generator(world.seed, "chaos")

    @property
    def faults(self) -> Faults:
        """What goes wrong; setting it begins its chances anew."""
        return self._faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._chance = generator(faults.seed, "faults")
        self._faults = faults

    def reply(self, request: Request) -> Reply:
        """Answer a request to either API."""
        at = monotonic()
        account = self._account(request)
        request.bot = account.name if account else None
        if self.on_request is not None:
            self.on_request(request)
        knobs = self.knobs  # only now: the hook may have turned one
        if knobs.chaos and account and self._chaos.random() < knobs.chaos:
            self.world.disturb(account.name, self._chaos)
        fault, answer = self._answer(account, request, knobs)
        self._log(at, request, fault, answer)
        reply = packed(fault, answer, keeps_alive=request.keeps_alive)
        delay = knobs.latency + (self.faults.slow_seconds if fault == "slow" else 0)
        return replace(reply, delay=delay) if delay else reply

    def _account(self, request: Request) -> Account | None:
        if request.path.startswith(okchat.ROOT):
            return okchat.account_of(self.world, request)
        return gptbots.account_of(self.world, request)

    def _answer(
        self, account: Account | None, request: Request, knobs: Knobs
    ) -> tuple[Kind | None, Answer]:
        if account and knobs.requests_per_minute is not None:
            wait = self._budget.wait(account.key, knobs.requests_per_minute)
            if wait:
                return None, too_many(request.path, wait, knobs.retry_after)
        fault = self.faults.next(request.path, self._chance)
        spoiled = instead(fault, request.path, self.faults, self._chance)
        if spoiled is not None:
            return fault, spoiled
        answer = self._right(account, request, knobs)
        return fault, cut(answer) if fault == "cut_json" else answer

    def _right(self, account: Account | None, request: Request, knobs: Knobs) -> Answer:
        if request.method != "GET":
            return Answer(405, to_json({"message": "only GET"}), headers={"Allow": "GET"})
        with self.world.lock:
            if request.path.startswith(okchat.ROOT):
                return okchat.answer(self.world, account, request, knobs)
            return gptbots.answer(self.world, account, request, knobs)

    def _log(self, at: float, request: Request, fault: Kind | None, answer: Answer) -> None:
        rows = 0 if fault in ("truncated", "cut_json") else answer.rows
        self.logged.append(
            Logged(
                at,
                datetime.now(UTC),
                request.method,
                request.path,
                request.params,
                request.bot,
                int(answer.status),
                answer.code,
                fault,
                rows,
            )
        )
