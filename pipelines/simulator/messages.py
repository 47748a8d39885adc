"""The messages that both APIs list of a conversation, in the order that a knob says."""

from pipelines.simulator.account import Account
from pipelines.simulator.knobs import Knobs
from pipelines.simulator.transcript import Message, transcript
from pipelines.simulator.world import World


def said_in(world: World, account: Account, identity: str, knobs: Knobs) -> list[Message] | None:
    """Return all messages, None where the conversation is gone and that is an error."""
    row = world.find(identity)
    if row is None or row.home is not account:
        return None if knobs.gone_messages == "error" else []
    said = transcript(row)
    return said if knobs.message_order == "oldest_first" else said[::-1]


def page_of(messages: list[Message], number: int, size: int) -> list[Message]:
    """Return one page."""
    return messages[(number - 1) * size : number * size]
