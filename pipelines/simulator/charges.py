"""What conversations cost, and when: the parts that their counters of credits moved by."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from decimal import ROUND_DOWN, Decimal
from typing import NamedTuple

from pipelines.simulator.conversation import Conversation
from pipelines.simulator.gptbots_conversation import GptbotsConversation
from pipelines.simulator.moments import DAY
from pipelines.simulator.story import remembering

LONGEST = 90 * DAY
"""How far back any of it is ever asked for."""
_SMALLEST = Decimal(1).scaleb(-10)
_OTHERS = (
    ("tool_call", "moderation"),
    ("rerank", "question_tag"),
    ("database_processing", "anonymization"),
    ("asr", "tts"),
)


class Charge(NamedTuple):
    """An amount that a conversation spent at a moment."""

    row: GptbotsConversation
    moment: int
    amount: Decimal

    def kinds(self) -> dict[str, Decimal]:
        """Return what it was spent on; the parts add up exactly."""
        first, second = _OTHERS[self.row.serial % len(_OTHERS)]
        parts = {first: _part(self.amount, 10), second: _part(self.amount, 20)}
        return {"chat": self.amount - sum(parts.values()), **parts}


class _Seeded(NamedTuple):
    """How a conversation stood before anything happened to it: last chat, cost."""

    moment: int
    cost: Decimal


class Charges:
    """The charges of one bot.

    What a conversation had spent when the world was made is derived from its fields when it is
    asked for; only what happens after is noted. So a large world costs nothing until then.
    """

    def __init__(self) -> None:
        self._noted: defaultdict[int, list[Charge]] = defaultdict(list)
        self._changed: dict[Conversation, _Seeded] = {}
        self._seeded: dict[int, list[Charge]] | None = None

    def begun(self, row: Conversation, moment: int) -> None:
        """Note a conversation that began after the world was made."""
        if isinstance(row, GptbotsConversation):
            self._changed[row] = _Seeded(moment, Decimal(0))
            self._note(Charge(row, moment, row.cost_credit))

    @contextmanager
    def moving(self, row: GptbotsConversation, moment: int) -> Iterator[None]:
        """Note what a conversation's counter moves by within the block."""
        before = row.cost_credit
        if row not in self._changed:
            self._changed[row] = _seeded(row)
        try:
            yield
        finally:
            self._note(Charge(row, moment, row.cost_credit - before))

    def between(
        self, rows: Iterable[Conversation], since: int, until: int, now: int
    ) -> Iterator[Charge]:
        """Yield what was spent from one moment up to, without, another.

        `rows` are all conversations of the bot, deleted ones too.
        """
        if self._seeded is None:
            self._seeded = self._derived(rows, now - LONGEST - DAY)
        for day in range(since // DAY, (until - 1) // DAY + 1):
            for charge in (*self._seeded.get(day, ()), *self._noted.get(day, ())):
                if since <= charge.moment < until:
                    yield charge

    def began(self, row: GptbotsConversation) -> int:
        """Return when a conversation first spent anything."""
        seeded = self._changed.get(row) or _seeded(row)
        return min((c.moment for c in _parts(row, seeded)), default=seeded.moment)

    def _note(self, charge: Charge) -> None:
        if charge.amount and charge.amount.is_finite():
            self._noted[charge.moment // DAY].append(charge)

    def _derived(self, rows: Iterable[Conversation], since: int) -> dict[int, list[Charge]]:
        found: defaultdict[int, list[Charge]] = defaultdict(list)
        for row in rows:
            if isinstance(row, GptbotsConversation):
                seeded = self._changed.get(row) or _seeded(row)
                for charge in _parts(row, seeded) if seeded.moment >= since else ():
                    found[charge.moment // DAY].append(charge)
        return found


@contextmanager
def changing(row: Conversation, moment: int) -> Iterator[None]:
    """Let a conversation change within the block, its place and its account's charges with it."""
    with row.home.timeline.changing(row), remembering(row):
        if isinstance(row, GptbotsConversation):
            with row.home.charges.moving(row, moment):
                yield
        else:
            yield


def _seeded(row: GptbotsConversation) -> _Seeded:
    return _Seeded(row.recent_chat_time * 1000, row.cost_credit)


def _parts(row: GptbotsConversation, seeded: _Seeded) -> Iterator[Charge]:
    """Spread what was spent before the world was made: some came back on a later day."""
    earlier = _part(seeded.cost, 3) if row.serial % 5 == 0 else Decimal(0)
    if earlier:
        yield Charge(row, seeded.moment - (1 + row.serial // 5 % 3) * DAY, earlier)
    if seeded.cost:
        yield Charge(row, seeded.moment, seeded.cost - earlier)


def _part(amount: Decimal, of: int) -> Decimal:
    return (amount / of).quantize(_SMALLEST, ROUND_DOWN)
