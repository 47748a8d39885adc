"""The messages of a conversation as its API sends them: derived from it, the same each time.

Every text bears a mark of its own, so that it can be told wherever it turns up.
"""

from collections.abc import Iterator
from itertools import pairwise

from pipelines.simulator.conversation import ABSENT, Conversation
from pipelines.simulator.gptbots_conversation import GptbotsConversation
from pipelines.simulator.moments import SECOND, iso
from pipelines.simulator.okchat_conversation import OkchatConversation
from pipelines.simulator.seeds import as_uuid, hexed
from pipelines.simulator.story import Story
from pipelines.simulator.texts import line

_PAUSE, _ANSWER = 20 * SECOND, 3 * SECOND
_PICTURED = 5
"""Each so many messages, one bears a picture."""
_GREETED = 7
"""Each so many conversations, one begins with the bot."""
Message = dict[str, object]


def transcript(row: Conversation) -> list[Message]:
    """Return what was said, oldest first."""
    as_sent = _as_gptbots if isinstance(row, GptbotsConversation) else _as_okchat
    story = row.story or Story([(row.activity, row.said)])
    moments = [_moment(story, number) for number in range(1, max(0, row.said) + 1)]
    sent = [as_sent(row, story, number, at) for number, at in enumerate(moments, 1)]
    for number, forced in story.reworded.items():
        if number <= len(sent):
            sent[number - 1] = _forced(sent[number - 1], forced)
    return sent


def _forced(sent: Message, fields: Message) -> Message:
    return {name: value for name, value in {**sent, **fields}.items() if value is not ABSENT}


def _moment(story: Story, number: int) -> int:
    """Return when a message was written: before what it belongs to was seen to be over."""
    (first, so_many), *_ = story.grown
    if number <= so_many:
        return first - (so_many - number) * _PAUSE
    for (before, _), (moment, until) in pairwise(story.grown):
        if number <= until:
            return max(before, moment - (until - number) * _ANSWER)
    return story.grown[-1][0]


def _is_users(row: Conversation, number: int) -> bool:
    return number % 2 == int(row.serial % _GREETED != 0)


def mark(row: Conversation, number: int) -> str:
    """Return what tells the text of a message from all others."""
    return "said" + hexed("said", row.conversation_id, number, size=8)


def _text(row: Conversation, number: int) -> str:
    return f"{line(row.serial + number)} {mark(row, number)}"


def _as_gptbots(row: Conversation, _: Story, number: int, at: int) -> Message:
    first = [{"type": "text", "text": _text(row, number)}]
    if number % _PICTURED == 0:
        name = f"{mark(row, number)}.png"
        first.append({"type": "image", "image": [{"name": name}]})  # type: ignore[dict-item]
    before = _said_id(row, number - 1) if number > 1 else None
    return {
        "message_id": _said_id(row, number),
        "parent_message_id": before,
        "create_time": at // 1000,
        "role": "user" if _is_users(row, number) else "assistant",
        "content": [{"branch_content": first}],
    }


def _said_id(row: Conversation, number: int) -> str:
    return hexed("message", row.conversation_id, number, size=12)


def _as_okchat(row: Conversation, story: Story, number: int, at: int) -> Message:
    assert isinstance(row, OkchatConversation)  # noqa: S101 - for the type checker
    last = row.last_said if number == row.said else story.lasts.get(number)
    text, sender = last or (None, None)
    sender = sender or ("user" if _is_users(row, number) else "bot")
    is_bots = sender == "bot"
    return {
        "id": _message_id(row, number),
        "session_id": row.conversation_id,
        "sender_type": sender,
        "content": _text(row, number) if text is None else text,
        "attachments": list(_attachments(row, number)),
        "created_at": iso(at, row.offset),
        "model": "gpt-4o-mini" if is_bots else None,
        "provider": "openai" if is_bots else None,
        "tokens_used": 40 + row.serial % 900 + number if is_bots else None,
    }


def _message_id(row: OkchatConversation, number: int) -> str:
    """Return the id; once a message is the last one, the list of conversations says the same."""
    turn = number - (row.said - row.turns)
    parts = (turn,) if turn >= 0 else ("before", number)
    return as_uuid(hexed("message", row.conversation_id, *parts))


def _attachments(row: Conversation, number: int) -> Iterator[dict[str, object]]:
    if number % _PICTURED == 0:
        yield {"type": "image", "name": f"{mark(row, number)}.png"}
