"""An OKChat conversation: no counters, a last message in three shapes, a secret token."""

from dataclasses import dataclass
from typing import ClassVar

from pipelines.simulator.conversation import ABSENT, Conversation
from pipelines.simulator.moments import iso, parsed
from pipelines.simulator.seeds import as_uuid, hexed
from pipelines.simulator.story import Spoken


@dataclass(slots=True, eq=False)
class OkchatConversation(Conversation):
    """A conversation as OKChat lists it; instants in microseconds.

    What can be derived from the id (token, message id, voice path) is derived when it is sent,
    so that a million of them fit in memory.
    """

    PLAIN: ClassVar[dict[str, type]] = {
        "platform": str,
        "state": str,
        "active": bool,
        "is_human_mode": bool,
        "migrated_data": bool,
        "sns_user_id": str,
    }

    created: int
    updated: int
    offset: int  # hours east of UTC that the instants are written with
    platform: str
    state: str
    active: bool
    is_human_mode: bool
    migrated_data: bool
    sns_user_id: str | None
    user_id: str | None
    has_token: bool
    metadata: object  # ABSENT where the API leaves it out
    text: str | None  # of the last message
    sender: str | None  # None where the last message is a plain string
    turns: int

    @property
    def moment(self) -> int:
        """The creation, in microseconds."""
        return self.created

    @property
    def activity(self) -> int:
        """The last update, in microseconds."""
        return self.updated

    @property
    def said(self) -> int:
        """How many messages there are: some from the beginning, then one a turn."""
        return 2 + 2 * (self.serial % 6) + self.turns

    @property
    def last_said(self) -> Spoken | None:
        """The last message, None where there is none to tell."""
        return None if self.text is None else (self.text, self.sender)

    def moves_to(self, now: int) -> None:
        """Put the last update at an instant."""
        self.updated = now
        self.forget("updated_at")

    def says(self, text: str | None, sender: str | None) -> None:
        """Replace the last message."""
        self.text, self.sender = text, sender
        self.turns += 1
        self.forget("last_message")

    def put(self, name: str, value: object) -> None:
        """Set one field; an instant that can be read also moves the conversation."""
        Conversation.put(self, name, value)
        moment = parsed(value) if name in ("created_at", "updated_at") else None
        if moment is not None:
            setattr(self, name.removesuffix("_at"), moment)

    def fields(self) -> dict[str, object]:
        """Return the fields in the order of the published sample."""
        sent = {
            "active": self.active,
            "chatbot_id": self.home.id,
            "created_at": iso(self.created, self.offset),
            "id": self.conversation_id,
            "is_human_mode": self.is_human_mode,
            "last_message": self._last_message(),
            "metadata": self.metadata,
            "migrated_data": self.migrated_data,
            "platform": self.platform,
            "session_token": self._secret() if self.has_token else None,
            "sns_user_id": self.sns_user_id,
            "state": self.state,
            "updated_at": iso(self.updated, self.offset),
            "user_id": self.user_id,
            "voice_path": self._voice_path(),
        }
        if self.metadata is ABSENT:
            del sent["metadata"]
        return sent

    def _last_message(self) -> object:
        if self.text is None or self.sender is None:
            return self.text
        message = as_uuid(hexed("message", self.conversation_id, self.turns))
        return {"content": self.text, "id": message, "sender_type": self.sender}

    def _secret(self) -> str:
        return "tok_" + hexed("token", self.conversation_id, size=20)

    def _voice_path(self) -> str | None:
        if self.platform != "voice":
            return None
        return f"conversation-voice_assistant_room_{self.serial % 10_000}.ogg"
