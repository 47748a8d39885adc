"""The world behind both APIs: bots, chatbots, their conversations, and a clock.

Everything in it follows from its seed and from what is done to it; one lock guards it all.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from random import Random
from typing import Literal, Self

from pipelines.simulator.account import Account, Api
from pipelines.simulator.beginnings import begin
from pipelines.simulator.charges import changing
from pipelines.simulator.clock import Clock
from pipelines.simulator.conversation import Conversation
from pipelines.simulator.dice import Dice, cost
from pipelines.simulator.gptbots_conversation import GptbotsConversation
from pipelines.simulator.life import Life, chat
from pipelines.simulator.moments import DAY, micros
from pipelines.simulator.population import Population
from pipelines.simulator.rhythm import moments
from pipelines.simulator.sampled import sampled
from pipelines.simulator.story import story_of

_YEAR = timedelta(days=365)
_QUIET = 10.0  # an account without history lives as if it had this many conversations behind it
_PEOPLE = 3  # conversations for each user


class World(Population):
    """Bots and chatbots with conversations; `start` and `now` bound the history of a new bot."""

    def __init__(
        self,
        seed: int = 0,
        *,
        start: datetime | None = None,
        now: datetime | None = None,
        clock: Literal["fixed", "real"] = "fixed",
    ) -> None:
        super().__init__()
        self.seed = seed
        present = now or datetime.now(UTC)
        self.start = start or present - _YEAR
        if self.start > present:
            msg = f"a world that starts at {self.start} can't be at {present}"
            raise ValueError(msg)
        self.clock = Clock(present, real=clock == "real")
        self._dice = Dice.of(seed, count())
        self._life = Life(self._dice.again(seed, "life"))
        self._lived = present

    @classmethod
    def seeded(  # noqa: PLR0913 - the parts of a world, all by name
        cls,
        seed: int = 0,
        *,
        bots: Mapping[str, int] | None = None,
        chatbots: Mapping[str, int] | None = None,
        start: datetime | None = None,
        now: datetime | None = None,
        clock: Literal["fixed", "real"] = "fixed",
    ) -> Self:
        """Make a world with so many conversations in each named bot and chatbot."""
        world = cls(seed, start=start, now=now, clock=clock)
        for name, conversations in (bots or {}).items():
            world.add_bot(name, conversations)
        for name, conversations in (chatbots or {}).items():
            world.add_chatbot(name, conversations)
        return world

    @classmethod
    def samples(cls, envelope: Literal["bare", "data"] = "bare") -> Self:
        """Make a world that serves exactly the published samples.

        Its bot is "support", its chatbot "website". Both OKChat samples hold the same
        conversations, so one world serves one of them: the bare ten or the wrapped three.
        """
        world = cls(now=datetime(2025, 3, 8, tzinfo=UTC))
        for account, rows in sampled(envelope):
            world._join(account)
            for row in rows:
                world._add(row)
        return world

    @property
    def now(self) -> datetime:
        """The present, UTC."""
        return self.clock.now

    def add_bot(self, name: str, conversations: int = 0) -> None:
        """Add a bot with a history."""
        self._open("gptbots", name, conversations)

    def add_chatbot(self, name: str, conversations: int = 0) -> None:
        """Add a chatbot with a history."""
        self._open("okchat", name, conversations)

    def remove_bot(self, name: str) -> None:
        """Delete a bot or chatbot: its API answers that it is gone."""
        with self.lock:
            self.accounts[name].removed = True

    def revoke(self, name: str) -> None:
        """Take back the key of a bot or chatbot; the conversations stay."""
        with self.lock:
            self.accounts[name].revoked = True

    def begin(self, name: str, **fields: object) -> str:
        """Begin a conversation now and return its id; `conversation_id` may be given."""
        with self.lock:
            account, now = self.accounts[name], micros(self.now)
            row = next(begin(account, [now], now, self._life.dice))
            row.conversation_id = str(fields.pop("conversation_id", row.conversation_id))
            row.moves_to(now)
            for field, value in fields.items():
                row.put(field, value)
            self._add(row)
            account.charges.begun(row, now)
            return row.conversation_id

    def chat(self, conversation_id: str, **fields: object) -> None:
        """Let a conversation go on now: counters grow, the last message changes."""
        with self.lock:
            row = self._row(conversation_id)
            chat(row, micros(self.now), self._life.dice)
            self._put(row, fields)

    def settle(self, conversation_id: str, cost: Decimal | None = None) -> None:
        """Add a cost to a GPTBots conversation without any activity; drawn if not given."""
        with self.lock:
            row = self._row(conversation_id)
            if not isinstance(row, GptbotsConversation):
                msg = f"an OKChat conversation has no cost to settle: {conversation_id}"
                raise TypeError(msg)
            amount = self._drawn_cost() if cost is None else Decimal(str(cost))
            with changing(row, micros(self.now)):
                row.grow(0, amount)

    def edit(self, conversation_id: str, **fields: object) -> None:
        """Set fields raw, without moving the clock; ABSENT takes a field out.

        What isn't of the field's type is sent as given until the conversation chats again.
        """
        with self.lock:
            self._put(self._row(conversation_id), fields)

    def reword(self, conversation_id: str, number: int, **fields: object) -> None:
        """Set fields of a message (from 1, oldest first) raw, without any activity."""
        with self.lock:
            row = self._row(conversation_id)
            story_of(row).reworded.setdefault(number, {}).update(fields)

    def delete(self, conversation_id: str) -> None:
        """Delete a conversation."""
        with self.lock:
            row = self._rows[conversation_id]
            if not row.deleted:
                row.home.timeline.drop(row)
                row.home.deleted.add(row)
            row.deleted = True

    def restore(self, conversation_id: str) -> None:
        """Bring a deleted conversation back as it was."""
        with self.lock:
            row = self._rows[conversation_id]
            if row.deleted:
                row.home.timeline.put(row)
                row.home.deleted.discard(row)
            row.deleted = False

    def tie(self, name: str, n: int) -> list[str]:
        """Begin so many conversations on the same millisecond and return their ids."""
        with self.lock:
            account, now = self.accounts[name], micros(self.now)
            rows = list(begin(account, [now] * n, now, self._life.dice))
            for row in rows:
                row.moves_to(now)
                self._add(row)
                account.charges.begun(row, now)
            return [row.conversation_id for row in rows]

    def advance(self, step: timedelta, *, activity: bool = True) -> None:
        """Let time go on, by default with everything that happens in it."""
        with self.lock:
            self.clock.move(step)
            since, until = micros(self._lived), micros(self.now)
            self._lived = self.now
            if not activity:
                self._life.forget_owed(until)
            elif since < until:
                for account in list(self.accounts.values()):
                    if account.is_open:
                        self._life.go_on(account, since, until, self._add)
                self._life.settle(until)

    def disturb(self, name: str, rng: Random) -> None:
        """Let one random thing happen to a bot: a chat, a beginning, now and then a deletion.

        A fixed clock first moves on a millisecond, so that a chat leaves a window that ended now.
        """
        with self.lock:
            if not self.clock.is_real:
                self.advance(timedelta(milliseconds=1), activity=False)
            rows = self.accounts[name].timeline.rows()
            what = rng.choices(("chat", "begin", "delete"), (6, 2, 1))[0]
            if what == "begin" or not rows:
                self.begin(name)
            elif what == "chat":
                self.chat(rng.choice(rows).conversation_id)
            else:
                self.delete(rng.choice(rows).conversation_id)

    def _open(self, api: Api, name: str, conversations: int) -> None:
        with self.lock:
            if name in self.accounts:
                msg = f"there is already a bot or chatbot named {name!r}"
                raise ValueError(msg)
            since, until = micros(self.start), micros(self.now)
            dice = self._dice.again(self.seed, api, name)
            people = range(1 + conversations // _PEOPLE)
            daily = max(_QUIET, conversations) * DAY / max(DAY, until - since)
            account = Account(api, name, [_user(dice.rng, n) for n in people], daily)
            self._join(account)
            begun = moments(dice.rng, conversations, since, until)
            for row in begin(account, begun, until, dice):
                self._add(row)

    def _put(self, row: Conversation, fields: Mapping[str, object]) -> None:
        with changing(row, micros(self.now)):
            for field, value in fields.items():
                row.put(field, value)

    def _drawn_cost(self) -> Decimal:
        return cost(self._life.dice.rng)


def _user(rng: Random, number: int) -> str:
    return rng.choice((str(number + 1), f"user-{rng.getrandbits(40):010x}"))
