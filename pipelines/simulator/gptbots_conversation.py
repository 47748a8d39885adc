"""A GPTBots conversation: counters that move while it goes on."""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from pipelines.simulator.conversation import Conversation, plain


@dataclass(slots=True, eq=False)
class GptbotsConversation(Conversation):
    """A conversation as GPTBots lists it; `recent_chat_time` in milliseconds."""

    PLAIN: ClassVar[dict[str, type]] = {
        "user_id": str,
        "recent_chat_time": int,
        "subject": str,
        "conversation_type": str,
        "message_count": int,
        "cost_credit": Decimal,
    }

    user_id: str
    recent_chat_time: int
    subject: str
    conversation_type: str
    message_count: int
    cost_credit: Decimal

    @property
    def moment(self) -> int:
        """The time of the last chat, in milliseconds."""
        return self.recent_chat_time

    @property
    def activity(self) -> int:
        """The time of the last chat, in microseconds."""
        return self.recent_chat_time * 1000

    @property
    def said(self) -> int:
        """What the counter says."""
        return self.message_count

    def moves_to(self, now: int) -> None:
        """Put the last chat at an instant."""
        self.recent_chat_time = now // 1000
        self.forget("recent_chat_time")

    def grow(self, messages: int, cost: Decimal) -> None:
        """Add to the counters."""
        self.message_count += messages
        self.cost_credit = plain(self.cost_credit + cost)
        self.forget("message_count", "cost_credit")

    def put(self, name: str, value: object) -> None:
        """Set one field; a cost may be given as any number."""
        if name == "cost_credit" and type(value) in (int, float):
            value = Decimal(str(value))
        Conversation.put(self, name, value)

    def fields(self) -> dict[str, object]:
        """Return the fields in the order of the published sample."""
        return {
            "conversation_id": self.conversation_id,
            "user_id": self.user_id,
            "recent_chat_time": self.recent_chat_time,
            "subject": self.subject,
            "conversation_type": self.conversation_type,
            "message_count": self.message_count,
            "cost_credit": self.cost_credit,
            "bot_id": self.home.id,
        }
