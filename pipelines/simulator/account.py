"""A bot of GPTBots or a chatbot of OKChat: a name, a key, its conversations."""

from dataclasses import dataclass, field
from typing import Literal

from pipelines.simulator.charges import Charges
from pipelines.simulator.conversation import Conversation
from pipelines.simulator.seeds import as_uuid, hexed
from pipelines.simulator.timeline import Timeline

Api = Literal["gptbots", "okchat"]


@dataclass(slots=True, eq=False)
class Account:
    """One bot or chatbot; the key and the id follow from the name."""

    api: Api
    name: str
    users: list[str]
    daily: float  # conversations begun on a mean day
    id: str = ""
    envelope: Literal["bare", "data"] | None = None  # None: as the knob says
    revoked: bool = False
    removed: bool = False
    timeline: Timeline = field(default_factory=Timeline)
    deleted: set[Conversation] = field(default_factory=set)
    charges: Charges = field(default_factory=Charges)

    def __post_init__(self) -> None:
        digits = hexed(self.api, self.name)
        self.id = self.id or (digits[:24] if self.api == "gptbots" else as_uuid(digits))

    @property
    def key(self) -> str:
        """The API key that opens this account."""
        return f"key-{self.name}"

    @property
    def is_open(self) -> bool:
        """Whether the API still answers for it."""
        return not (self.revoked or self.removed)
