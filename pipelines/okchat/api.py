"""Talks to OKChat: one page of a chatbot's conversations, and what its answers mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from pipelines import errors, values
from pipelines.http import Client, Reply, error_for
from pipelines.interpret import Interpreted
from pipelines.okchat.rows import interpret_rows

PATH = "/api/external/chatbot/{}/conversations"


@dataclass(frozen=True)
class Page:
    """One page: its rows, how many were received, when it arrived."""

    rows: Interpreted
    received: int
    at: datetime


class OkchatApi:
    """The conversation list of one chatbot; `names` are the names of the two parameters."""

    def __init__(
        self, client: Client, bot: str, chatbot_id: str, size: int, names: tuple[str, str]
    ) -> None:
        self._client = client
        self._bot = bot
        self._path = PATH.format(quote(chatbot_id, safe=""))
        self._size = size
        self._names = names

    async def page(self, number: int, size: int | None = None) -> Page:
        """Ask for page `number` (from 1); the server may give fewer rows than the page size."""
        page, limit = self._names

        def read(status: int, reply: Reply, retry_after: str | None) -> Page:
            return read_page(status, reply, retry_after, self._bot)

        return await self._client.get(self._path, {page: number, limit: size or self._size}, read)


def read_page(status: int, reply: Reply, retry_after: str | None, bot: str) -> Page:
    """Interpret an answer, in either envelope: a page, or the error its status stands for."""
    if error := error_for(status, retry_after):
        raise error
    rows = _rows(reply.body)
    return Page(interpret_rows(rows, bot, reply.at), len(rows), reply.at)


def _rows(body: bytes) -> list[Any]:
    try:
        decoded = values.decode(body)
    except ValueError:
        decoded = None
    rows = decoded.get("data") if isinstance(decoded, Mapping) else decoded
    if not isinstance(rows, list):
        raise errors.BrokenReply("the answer is no list of conversations; check base_url")
    return rows
