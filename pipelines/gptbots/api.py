"""Talks to GPTBots: one page of a window, and what its answers mean."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipelines import errors, values
from pipelines.gptbots.rows import interpret_rows
from pipelines.gptbots.windows import milliseconds
from pipelines.http import Client, Reply, error_for, limited
from pipelines.interpret import Interpreted

PATH = "/v1/bot/conversation/page"
LARGEST_PAGE = 100

_RATE_LIMITED = 40008
_CODES: dict[int, tuple[type[errors.ApiError], str]] = {
    40000: (errors.BadRequest, "the API calls a parameter invalid (code 40000)"),
    40005: (errors.PageBeyondEnd, "the page is beyond the last one (code 40005)"),
    40127: (errors.KeyRejected, "the API key was rejected (code 40127); set a valid one"),
    20059: (errors.BotDeleted, "the bot was deleted upstream (code 20059); remove it"),
}


@dataclass(frozen=True)
class Page:
    """One page: its rows, how many were received, what `total` said, when it arrived."""

    rows: Interpreted
    received: int
    total: int | None
    at: datetime
    server_at: datetime | None

    @property
    def ids(self) -> frozenset[str]:
        """The conversations on it, those that can't be read among them."""
        readable: list[str] = self.rows.table["conversation_id"].to_pylist()
        return frozenset([*readable, *(row.raw for row in self.rows.rejected)])

    @property
    def times(self) -> list[int]:
        """The activity of its conversations, epoch milliseconds in the order of the list."""
        return [milliseconds(at) for at in self.rows.table["last_activity_at"].to_pylist()]


class GptbotsApi:
    """The conversation list of one bot; a key belongs to one bot."""

    def __init__(self, client: Client, bot: str) -> None:
        self._client = client
        self._bot = bot

    async def page(self, start: int, end: int, number: int, size: int = LARGEST_PAGE) -> Page:
        """Ask for page `number` (from 1) of the conversations between two epoch milliseconds.

        Whether either end is included is the server's secret. A page after the last is empty.
        """
        params: dict[str, str | int] = {
            "conversation_type": "ALL",
            "start_time": start,
            "end_time": end,
            "page": number,
            "page_size": size,
        }

        def read(status: int, reply: Reply, retry_after: str | None) -> Page:
            return read_page(status, reply, retry_after, self._bot)

        return await self._client.get(PATH, params, read)


def read_page(status: int, reply: Reply, retry_after: str | None, bot: str) -> Page:
    """Interpret an answer: a page, or the error that its code or status stands for."""
    rows, total = read_list(status, reply, retry_after)
    return Page(interpret_rows(rows, bot, reply.at), len(rows), total, reply.at, reply.server_at)


def read_list(status: int, reply: Reply, retry_after: str | None) -> tuple[list[Any], int | None]:
    """Interpret an answer: a page as received and its `total`, or the error that it stands for.

    A page after the last is empty.
    """
    try:
        body = read_body(status, reply, retry_after)
    except errors.PageBeyondEnd:
        return [], None
    if not isinstance(body, dict) or not isinstance(body.get("list"), list):
        raise errors.BrokenReply("the answer is no conversation page; check base_url")
    total = body.get("total")
    return body["list"], total if isinstance(total, int) else None


def read_body(status: int, reply: Reply, retry_after: str | None) -> object:
    """Return what an answer says, or raise the error that its code or status stands for."""
    body = _json(reply.body)
    code = body.get("code") if isinstance(body, dict) and "list" not in body else None
    if error := _error_of_code(code, status, retry_after) or error_for(status, retry_after):
        raise error
    return body


def _json(body: bytes) -> object:
    try:
        return values.decode(body)
    except ValueError:
        return None


def _error_of_code(code: object, status: int, retry_after: str | None) -> errors.ApiError | None:
    """Interpret a code, whichever status carries it; an unknown one may be a passing fault."""
    if not isinstance(code, int) or code in (0, 200):
        return None
    if code == _RATE_LIMITED:
        return limited(retry_after)
    if code in _CODES:
        kind, message = _CODES[code]
        return kind(message)
    permanent = 40000 <= code < 50000
    kind = errors.BadRequest if permanent else errors.BrokenReply
    return None if status >= 400 else kind(f"the API answers with code {code}")
