"""OKChat's messages of a conversation, and its rows of `messages`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from urllib.parse import quote

from pipelines import errors, values
from pipelines.http import Client, Reply, error_for
from pipelines.interpret import Field, Interpreted, Row, interpret
from pipelines.okchat.api import PATH
from pipelines.okchat.rows import SOURCE
from pipelines.tables import MESSAGES
from pipelines.transcript import Page


class Messages:
    """The messages of one chatbot's conversations.

    The API is not said to page them: a page is asked for as of the list of conversations, and
    whether the server knows of pages shows.
    """

    def __init__(
        self, client: Client, bot: str, chatbot_id: str, size: int, names: tuple[str, str]
    ) -> None:
        self._client = client
        self._bot = bot
        self._path = PATH.format(quote(chatbot_id, safe=""))
        self._size = size
        self._names = names

    async def page(self, conversation_id: str, number: int) -> Page:
        """Ask for a page."""
        page, limit = self._names
        path = f"{self._path}/{quote(conversation_id, safe='')}/messages"

        def read(status: int, reply: Reply, retry_after: str | None) -> Page:
            if error := error_for(status, retry_after):
                raise error
            return page_of(reply.body, self._bot, conversation_id, reply.at)

        return await self._client.get(path, {page: number, limit: self._size}, read)


def page_of(body: bytes, bot: str, conversation_id: str, at: datetime) -> Page:
    """Interpret a body, in either envelope."""
    try:
        decoded = values.decode(body)
    except ValueError:
        decoded = None
    rows = decoded.get("data") if isinstance(decoded, Mapping) else decoded
    if not isinstance(rows, list):
        raise errors.BrokenReply("the answer is no list of messages; check base_url")
    return Page(interpret_rows(rows, bot, conversation_id, at))


def interpret_rows(
    rows: Sequence[object], bot: str, conversation_id: str, at: datetime
) -> Interpreted:
    """Read messages as received; a session that is not the conversation's is kept as extra."""
    given = {"source": SOURCE, "bot": bot, "conversation_id": conversation_id, "observed_at": at}

    def extra(row: Row) -> str | None:
        is_same = row.get("session_id") in (None, conversation_id)
        return values.unknown(row, _KNOWN | {"session_id"} if is_same else _KNOWN)

    return interpret(rows, {**_FIELDS, "extra": ("", extra)}, given, MESSAGES.schema)


def _attachments(value: object) -> str | None:
    return values.json_text(value) if value else None


_FIELDS: dict[str, Field] = {
    "message_id": ("id", values.required),
    "sender_type": ("sender_type", values.text),
    "content": ("content", values.text),
    "attachments": ("attachments", _attachments),
    "created_at": ("created_at", values.instant),
    "model": ("model", values.text),
    "provider": ("provider", values.text),
    "tokens_used": ("tokens_used", values.integer),
}
_KNOWN = frozenset(key for key, _ in _FIELDS.values())
