"""What happens while time goes on: conversations begin, go on, end, and credits settle late."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from heapq import heappop, heappush
from random import Random

from pipelines.simulator.account import Account
from pipelines.simulator.beginnings import begin
from pipelines.simulator.charges import changing
from pipelines.simulator.conversation import Conversation
from pipelines.simulator.dice import Dice, cost
from pipelines.simulator.gptbots_conversation import GptbotsConversation
from pipelines.simulator.moments import DAY, MINUTE
from pipelines.simulator.okchat_conversation import OkchatConversation
from pipelines.simulator.rhythm import busyness, moments

SETTLES_WITHIN = 30 * MINUTE  # the latest that credits move after the chat that they are for
_GOES_ON = 2.0  # later chats for each beginning
_SETTLES_LATE = 0.4
_RECENT = 200
_COMES_BACK = 0.15  # share of later chats in any conversation, however old
_ENDS = 0.2
_SENDERS = ("bot", "bot", "user", None)

Add = Callable[[Conversation], None]


def chat(row: Conversation, now: int, dice: Dice) -> None:
    """Let a conversation go on at an instant."""
    with changing(row, now):
        row.moves_to(now)
        if isinstance(row, GptbotsConversation):
            row.grow(2, cost(dice.rng))
        elif isinstance(row, OkchatConversation):
            row.says(dice.rng.choice(dice.texts), dice.rng.choice(_SENDERS))


@dataclass(slots=True)
class Life:
    """The activity of a world, with the credits that it still owes."""

    dice: Dice
    owed: list[tuple[int, int, GptbotsConversation, Decimal]] = field(default_factory=list)

    def go_on(self, account: Account, since: int, until: int, add: Add) -> None:
        """Live one account's life after one instant up to another."""
        rng, old = self.dice.rng, account.timeline.rows()
        recent = old[-_RECENT:]
        for moment, begins in self._plan(account, since, until):
            if begins:
                row = next(begin(account, [moment], moment, self.dice))
                add(row)
                account.charges.begun(row, moment)
                recent.append(row)
            elif recent:
                row = rng.choice(old) if old and rng.random() < _COMES_BACK else _late(recent, rng)
                self._chat_or_end(row, moment)
            else:
                continue
            self._owe(row, moment)

    def settle(self, until: int) -> None:
        """Move the credits that are due."""
        while self.owed and self.owed[0][0] <= until:
            due, _, row, amount = heappop(self.owed)
            with changing(row, due):
                row.grow(0, amount)

    def forget_owed(self, until: int) -> None:
        """Drop what fell due while nothing happened: settling it later would be too late."""
        while self.owed and self.owed[0][0] <= until:
            heappop(self.owed)

    def _plan(self, account: Account, since: int, until: int) -> list[tuple[int, bool]]:
        rng = self.dice.rng
        mean = account.daily * (until - since) / DAY
        if until - since < DAY:
            mean *= busyness(until)
        begun = moments(rng, _whole(mean, rng), since + 1, until)
        later = moments(rng, _whole(mean * _GOES_ON, rng), since + 1, until)
        return sorted([(at, True) for at in begun] + [(at, False) for at in later])

    def _chat_or_end(self, row: Conversation, moment: int) -> None:
        if isinstance(row, OkchatConversation) and self.dice.rng.random() < _ENDS:
            with changing(row, moment):
                row.moves_to(moment)
                row.put("state", "closed")
                row.put("active", False)  # noqa: FBT003 - the value of a field
        else:
            chat(row, moment, self.dice)

    def _owe(self, row: Conversation, moment: int) -> None:
        rng = self.dice.rng
        if isinstance(row, GptbotsConversation) and rng.random() < _SETTLES_LATE:
            due = moment + rng.randint(MINUTE, SETTLES_WITHIN)
            heappush(self.owed, (due, next(self.dice.serials), row, cost(rng)))


def _whole(mean: float, rng: Random) -> int:
    """Round up or down by chance, so that short steps add up to the same as long ones."""
    return int(mean) + (rng.random() < mean % 1)


def _late(rows: list[Conversation], rng: Random) -> Conversation:
    """Choose a conversation, the newest most often."""
    return rows[-1 - int(rng.expovariate(0.1)) % len(rows)]
