"""GPTBots' messages of a conversation: `/v2/messages`, and its rows of `messages`."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from pipelines import errors, values
from pipelines.gptbots.api import LARGEST_PAGE, read_body
from pipelines.gptbots.rows import SOURCE
from pipelines.http import Client, Reply
from pipelines.interpret import Field, Interpreted, Row, interpret
from pipelines.tables import MESSAGES
from pipelines.transcript import Page

PATH = "/v2/messages"
_LISTED = "conversation_content"


class Messages:
    """The messages of one bot's conversations."""

    def __init__(self, client: Client, bot: str) -> None:
        self._client = client
        self._bot = bot

    async def page(self, conversation_id: str, number: int) -> Page:
        """Ask for a page; one after the last is empty."""
        params: dict[str, str | int] = {
            "conversation_id": conversation_id,
            "page": number,
            "page_size": LARGEST_PAGE,
        }

        def read(status: int, reply: Reply, retry_after: str | None) -> Page:
            try:
                body = read_body(status, reply, retry_after)
            except errors.PageBeyondEnd:
                body = {_LISTED: []}
            return page_of(body, self._bot, conversation_id, reply.at)

        return await self._client.get(PATH, params, read)


def page_of(body: object, bot: str, conversation_id: str, at: datetime) -> Page:
    """Interpret what an answer says."""
    listed = body.get(_LISTED) if isinstance(body, Mapping) else None
    if not isinstance(body, Mapping) or not isinstance(listed, list):
        raise errors.BrokenReply("the answer is no list of messages; check base_url")
    total = body.get("total")
    rows = interpret_rows(listed, bot, conversation_id, at)
    return Page(rows, total if type(total) is int else None)


def interpret_rows(
    rows: Sequence[object], bot: str, conversation_id: str, at: datetime
) -> Interpreted:
    """Read messages as received."""
    given = {"source": SOURCE, "bot": bot, "conversation_id": conversation_id, "observed_at": at}
    return interpret(rows, {**_FIELDS, "extra": ("", _extra)}, given, MESSAGES.schema)


def _text(content: object) -> str | None:
    """Return the texts of all branches, a line each; a plain string is all text."""
    if not isinstance(content, list):
        return values.text(content)
    texts = [part["text"] for part in _parts(content) if _is_text(part)]
    return "\n".join(texts) if texts else None


def _others(content: object) -> str | None:
    """Return what is not only text, as JSON."""
    if not isinstance(content, list):
        return None
    others = [part for part in _parts(content) if not _is_text(part) or len(part) > 2]
    return values.json_text(others) if others else None


def _parts(content: Sequence[object]) -> Iterator[Mapping[str, str]]:
    """Yield what the branches consist of, and what else they say of themselves."""
    for branch in content:
        parts = branch.get("branch_content") if isinstance(branch, Mapping) else None
        if not isinstance(branch, Mapping) or not isinstance(parts, list):
            yield branch  # type: ignore[misc] # whatever it is, it is no text
            continue
        yield from parts
        if rest := {key: value for key, value in branch.items() if key != "branch_content"}:
            yield rest


def _is_text(part: object) -> bool:
    return (
        isinstance(part, Mapping)
        and part.get("type", "text") == "text"
        and isinstance(part.get("text"), str)
    )


_FIELDS: dict[str, Field] = {
    "message_id": ("message_id", values.required),
    "parent_message_id": ("parent_message_id", values.text),
    "sender_type": ("role", values.text),
    "content": ("content", _text),
    "attachments": ("content", _others),
    "created_at": ("create_time", values.instant),
}
_KNOWN = frozenset(key for key, _ in _FIELDS.values())


def _extra(row: Row) -> str | None:
    return values.unknown(row, _KNOWN)
