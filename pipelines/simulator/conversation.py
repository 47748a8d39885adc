"""What a conversation of either API is: its place in time, its fields, its bytes."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, ClassVar

import msgspec

if TYPE_CHECKING:
    from pipelines.simulator.account import Account
    from pipelines.simulator.story import Spoken, Story

_SERIAL_BITS = 24  # 16 million conversations in a world


class Absent(Enum):
    """The value of a field that isn't sent at all."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT
to_json = msgspec.json.Encoder(decimal_format="number").encode
from_json = msgspec.json.Decoder(float_hook=Decimal).decode


def first_key(moment: int) -> int:
    """Return the smallest key that a conversation of this moment could have."""
    return moment << _SERIAL_BITS


def plain(amount: Decimal) -> Decimal:
    """Return an amount without trailing zeros and without an exponent above zero."""
    short = amount.normalize()
    return short if int(short.as_tuple().exponent) <= 0 else short.quantize(Decimal(1))


@dataclass(slots=True, eq=False)
class Conversation(ABC):
    """A conversation, kept small; `raw` holds what edit() forced and the slots can't hold."""

    PLAIN: ClassVar[dict[str, type]]  # fields that live in a slot of their own name, with the type

    home: "Account"
    serial: int
    conversation_id: str
    deleted: bool = field(default=False, init=False)
    raw: dict[str, object] | None = field(default=None, init=False)
    body: bytes | None = field(default=None, init=False)
    story: "Story | None" = field(default=None, init=False)

    @property
    @abstractmethod
    def moment(self) -> int:
        """The instant that the API orders by, in its own unit."""

    @property
    @abstractmethod
    def activity(self) -> int:
        """The latest activity, in microseconds."""

    @property
    @abstractmethod
    def said(self) -> int:
        """How many messages there are."""

    @property
    def last_said(self) -> "Spoken | None":
        """The last message, where the list of conversations tells it."""
        return None

    @abstractmethod
    def fields(self) -> dict[str, object]:
        """Return the fields as the API names them, without what was forced."""

    @abstractmethod
    def moves_to(self, now: int) -> None:
        """Put the activity at an instant, in microseconds."""

    @property
    def key(self) -> int:
        """The place in its account's timeline, unique in the world."""
        return first_key(self.moment) + self.serial

    def put(self, name: str, value: object) -> None:
        """Set one field, in its slot if it fits there, else raw."""
        self.body = None
        if type(value) is self.PLAIN.get(name):
            setattr(self, name, value)
            self.forget(name)
        else:
            self.raw = {**(self.raw or {}), name: value}

    def forget(self, *names: str) -> None:
        """Let fields be what they are again, not what was forced."""
        self.body = None
        if self.raw:
            self.raw = {name: value for name, value in self.raw.items() if name not in names}

    def as_sent(self) -> dict[str, object]:
        """Return the fields that the API sends, with what was forced."""
        sent = self.fields()
        if not self.raw:
            return sent
        sent.update(self.raw)
        return {name: value for name, value in sent.items() if value is not ABSENT}

    def render(self) -> bytes:
        """Return the JSON of the conversation, kept until it changes."""
        if self.body is None:
            self.body = to_json(self.as_sent())
        return self.body
