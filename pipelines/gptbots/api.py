"""Talks to GPTBots: one page of a window, and what its answers mean."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from http import HTTPStatus
from typing import Any

from pipelines import errors, values
from pipelines.gptbots.rows import interpret_pages, plain_list
from pipelines.gptbots.windows import milliseconds
from pipelines.http import Client, Reply, error_for, limited
from pipelines.interpret import Answer, Interpreted, as_received, field_of

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
class Page(Answer):
    """One page as received: its rows, when it arrived by both clocks, what `total` said.

    Its rows are read with those of its window (`interpret_pages`); what a scan must know of
    each page is looked up in the rows as they are, as long as they are plain.
    """

    bot: str
    total: int | None
    server_at: datetime | None

    @property
    def received(self) -> int:
        """How many rows it has."""
        return len(self.rows)

    @cached_property
    def alone(self) -> Interpreted:
        """Its rows, read without those of other pages."""
        return interpret_pages([self], self.bot)

    @cached_property
    def ids(self) -> frozenset[str]:
        """The conversations on it, those that can't be read among them."""
        plain = self._plain("conversation_id", str)
        if plain is not None and all(map(str.strip, plain)):
            return frozenset(plain)
        return frozenset(map(_identity, self.rows))

    @property
    def times(self) -> list[int]:
        """The activity of its conversations, epoch milliseconds in the order of the list."""
        plain = self._plain("recent_chat_time", int)
        if plain is not None and all(0 <= at <= values.LAST_MILLISECOND for at in plain):
            return plain
        return [milliseconds(at) for at in self.alone.table["last_activity_at"].to_pylist()]

    @property
    def bot_ids(self) -> set[str]:
        """What its conversations say whose they are."""
        plain = self._plain("bot_id", str)
        if plain is not None and len(found := set(plain)) == 1:
            return found - {""}
        # Of several, some may be on rows that can't be read.
        return {bot_id for bot_id in self.alone.table["bot_id"].to_pylist() if bot_id}

    def _plain(self, key: str, kind: type) -> list[Any] | None:
        """Return the field of all rows, if each has one of that type."""
        try:
            found = field_of(self.rows, key)
        except (KeyError, TypeError, IndexError, AttributeError):
            return None
        return found if set(map(type, found)) <= {kind} else None


def _identity(row: object) -> str:
    """Return the id of a conversation, or all that was received where that can't be read."""
    row = as_received(row)
    try:
        return values.required(row["conversation_id"])  # type: ignore[index] # told below
    except (KeyError, TypeError, IndexError, ValueError):
        return values.raw_json(row)


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
    plain = plain_list(reply.body) if status == HTTPStatus.OK else None
    rows, total = plain or read_list(status, reply, retry_after)
    return Page(rows, reply.at, bot, total, reply.server_at)


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
