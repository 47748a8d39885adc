"""Talks to OKChat: a chatbot's conversations by page or one by one, and what its answers mean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from pipelines import errors, values
from pipelines.http import Client, Reply, error_for
from pipelines.interpret import Answer, Interpreted, merge, owned
from pipelines.okchat.rows import interpret_pages

PATH = "/api/external/chatbot/{}/conversations"


Mark = tuple[str, str]
"""What tells one version of a conversation from all others: its id, its `updated_at` as sent."""


@dataclass(frozen=True)
class Page(Answer):
    """One page as received: its rows, and when it arrived."""

    bot: str
    chatbot_id: str | None = None

    @property
    def marks(self) -> list[Mark]:
        """The mark of each row, in the order received."""
        return [_mark(row) for row in self.rows]


def read_rows(pages: Sequence[Page]) -> Interpreted:
    """Read the rows of pages of one chatbot; it owns those that don't say whose they are."""
    if not pages:
        return merge([])
    rows = interpret_pages(pages, pages[0].bot)
    return owned(rows, chatbot_id) if (chatbot_id := pages[0].chatbot_id) else rows


class OkchatApi:
    """The conversation list of one chatbot; `names` are the names of the two parameters."""

    def __init__(
        self, client: Client, bot: str, chatbot_id: str, size: int, names: tuple[str, str]
    ) -> None:
        self._client = client
        self._bot = bot
        self._chatbot_id = chatbot_id
        self._path = PATH.format(quote(chatbot_id, safe=""))
        self._size = size
        self._names = names

    async def page(self, number: int, size: int | None = None) -> Page:
        """Ask for page `number` (from 1); the server may give fewer rows than the page size."""
        page, limit = self._names

        def read(status: int, reply: Reply, retry_after: str | None) -> Page:
            return read_page(status, reply, retry_after, self._bot)

        asked = {page: number, limit: size or self._size}
        return self._owned(await self._client.get(self._path, asked, read))

    async def one(self, conversation_id: str) -> Page | None:
        """Ask for one conversation: a page of one row, or None where the answer is a 404.

        A removed chatbot answers 404 too, so None says that the conversation is gone only to
        one who knows that the chatbot is still there: who has its list after this answer.
        """

        def read(status: int, reply: Reply, retry_after: str | None) -> Page | None:
            return read_one(status, reply, retry_after, self._bot)

        path = f"{self._path}/{quote(conversation_id, safe='')}"
        found = await self._client.get(path, {}, read)
        return found and self._owned(found)

    def _owned(self, page: Page) -> Page:
        return replace(page, chatbot_id=self._chatbot_id)


def read_page(status: int, reply: Reply, retry_after: str | None, bot: str) -> Page:
    """Interpret an answer, in either envelope: a page, or the error its status stands for."""
    if error := error_for(status, retry_after):
        raise error
    body = _decoded(reply.body)
    rows = body.get("data") if isinstance(body, Mapping) else body
    if not isinstance(rows, list):
        raise errors.BrokenReply("the answer is no list of conversations; check base_url")
    return page_of(rows, bot, reply.at)


def read_one(status: int, reply: Reply, retry_after: str | None, bot: str) -> Page | None:
    """Interpret an answer about one conversation: a page of one row, None for a 404."""
    if status == HTTPStatus.NOT_FOUND:
        return None
    if error := error_for(status, retry_after):
        raise error
    body = _decoded(reply.body)
    row = body.get("session") if isinstance(body, Mapping) else None
    if not isinstance(row, Mapping):
        raise errors.BrokenReply("the answer is no conversation; check base_url")
    return page_of([row], bot, reply.at)


def page_of(rows: Sequence[object], bot: str, at: datetime) -> Page:
    """Return rows as received as a page."""
    return Page(rows, at, bot)


def _mark(row: object) -> Mark:
    if isinstance(row, Mapping) and type(row.get("id")) in (str, int):
        updated = row.get("updated_at")
        return str(row["id"]), updated if isinstance(updated, str) else values.raw_json(row)
    return values.raw_json(row), ""


def _decoded(body: bytes) -> Any:  # noqa: ANN401 - JSON is any shape
    try:
        return values.decode(body)
    except ValueError:
        return None
