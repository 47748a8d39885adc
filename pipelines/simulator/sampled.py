"""The published samples as conversations of two accounts."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pipelines.simulator.account import Account, Api
from pipelines.simulator.conversation import Conversation
from pipelines.simulator.gptbots_conversation import GptbotsConversation
from pipelines.simulator.moments import parsed
from pipelines.simulator.okchat_conversation import OkchatConversation
from pipelines.simulator.samples import sample

Row = Mapping[str, Any]  # a conversation as its API sends it


def sampled(envelope: Literal["bare", "data"]) -> Iterator[tuple[Account, list[Conversation]]]:
    """Yield the sample bot and the sample chatbot, each with its conversations."""
    listed = sample("gptbots_conversation_page")["list"]
    bot = _account("gptbots", "support", listed[0]["bot_id"])
    yield bot, [_gptbots(bot, n, row) for n, row in enumerate(listed)]
    if envelope == "bare":
        listed = sample("okchat_conversations")
    else:
        listed = sample("okchat_conversations_wrapped")["data"]
    chatbot = _account("okchat", "website", listed[0]["chatbot_id"])
    chatbot.envelope = envelope
    yield chatbot, [_okchat(chatbot, n, row) for n, row in enumerate(listed)]


def _account(api: Api, name: str, identity: str) -> Account:
    return Account(api, name, users=["1"], daily=0, id=identity)


def _gptbots(bot: Account, serial: int, row: Row) -> Conversation:
    made = {name: value for name, value in row.items() if name != "bot_id"}
    return GptbotsConversation(bot, serial, **made)


def _okchat(chatbot: Account, serial: int, row: Row) -> Conversation:
    made = OkchatConversation(
        chatbot,
        serial,
        row["id"],
        created=parsed(row["created_at"]) or 0,
        updated=parsed(row["updated_at"]) or 0,
        offset=0,
        platform=row["platform"],
        state=row["state"],
        active=row["active"],
        is_human_mode=row["is_human_mode"],
        migrated_data=row["migrated_data"],
        sns_user_id=row["sns_user_id"],
        user_id=row["user_id"],
        has_token=False,
        metadata=row["metadata"],
        text=None,
        sender=None,
        turns=0,
    )
    for name in ("last_message", "voice_path"):  # otherwise derived from the id
        made.put(name, row[name])
    return made
