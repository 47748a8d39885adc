"""GPTBots' API: conversations by window and page, messages, its own books, two small endpoints."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from pipelines.simulator.account import Account
from pipelines.simulator.books import bill, book_page, conversation_credits
from pipelines.simulator.conversation import Conversation, to_json
from pipelines.simulator.knobs import Knobs
from pipelines.simulator.messages import page_of, said_in
from pipelines.simulator.paging import newest_first, oldest_first, scattered
from pipelines.simulator.timeline import Timeline
from pipelines.simulator.wire import Answer, Request
from pipelines.simulator.world import World

INVALID, BEYOND_END, UNAUTHORIZED, DELETED, TOO_MANY = 40000, 40005, 40127, 20059, 40008
NOT_IN_PLAN, NO_CONVERSATION = 40300, 40400
_STATUS = {
    INVALID: 400, BEYOND_END: 400, UNAUTHORIZED: 401, DELETED: 404, TOO_MANY: 429, NOT_IN_PLAN: 403,
    NO_CONVERSATION: 404,
}  # fmt: skip
_LARGEST_PAGE = 100
_LARGEST_NUMBER = 10**15


@dataclass(frozen=True, slots=True)
class Asked:
    """The parameters of a list; milliseconds, from `since` up to and without `until`."""

    since: int
    until: int
    page: int
    size: int
    kind: str
    user: str | None


def account_of(world: World, request: Request) -> Account | None:
    """Return the bot that the key of the request belongs to."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return world.opened_by("gptbots", key) if scheme.lower() == "bearer" else None


def answer(world: World, account: Account | None, request: Request, knobs: Knobs) -> Answer:
    """Answer a request to `/v1/…` or `/v2/…`."""
    if request.path not in PATHS:
        return Answer(HTTPStatus.NOT_FOUND, to_json({"message": f"no path {request.path}"}))
    if account is None or account.revoked:
        return refusal(UNAUTHORIZED, "authentication failed", knobs)
    if account.removed:
        return refusal(DELETED, "the bot has been deleted", knobs)
    return _ANSWERS.get(request.path, _detail)(world, account, request, knobs)


def _detail(_world: World, account: Account, _request: Request, knobs: Knobs) -> Answer:
    told: dict[str, object] = {"bot_id": account.id, "name": account.name, "key": account.key}
    if knobs.bot_detail == "null_id":
        told["bot_id"] = None
    return Answer(HTTPStatus.OK, to_json(told))


def refusal(code: int, message: str, knobs: Knobs) -> Answer:
    """Return an error in GPTBots' shape, in a 200 or not as the knob says."""
    status = 200 if int(knobs.error_status) == HTTPStatus.OK else _STATUS[code]
    return Answer(status, to_json({"code": code, "message": message}), code)


_LIST = "/v1/bot/conversation/page"
_MESSAGES = "/v2/messages"
_BOOKS = {
    "/v1/account/bill/page": bill,
    "/v1/account/agent/conversation/credits": conversation_credits,
}
PATHS = (_LIST, _MESSAGES, *_BOOKS, "/v1/api-key/verify", "/v1/bot/detail")


def _page(_world: World, account: Account, request: Request, knobs: Knobs) -> Answer:
    try:
        asked = _asked(request.params, knobs)
    except ValueError as error:
        return refusal(INVALID, f"invalid parameter: {error}", knobs)
    rows, span = _window(account.timeline, asked, knobs)
    cut = oldest_first if knobs.order == "oldest_first" else newest_first
    page = cut(rows, span, asked.page, asked.size)
    if not page and asked.page > 1 and knobs.past_end == "error":
        return refusal(BEYOND_END, "page is beyond the actual number of pages", knobs)
    total = span[1] - span[0] if knobs.total == "window" else len(page)
    listed = b",".join([row.body or row.render() for row in page])
    body = b'{"list":[%b],"total":%d}' % (listed, total)
    return Answer(HTTPStatus.OK, body, rows=len(page))


def _book(world: World, account: Account, request: Request, knobs: Knobs) -> Answer:
    if knobs.books == "refused":
        return refusal(NOT_IN_PLAN, "not part of this plan", knobs)
    try:
        size = _number(request.params, "page_size", 1, _LARGEST_PAGE)
        number = _number(request.params, "page", 1)
        start = _number(request.params, "start_time", 0)
        end = _number(request.params, "end_time", start)
    except ValueError as error:
        return refusal(INVALID, f"invalid parameter: {error}", knobs)
    rows = _BOOKS[request.path](world, account, (start, end), knobs)
    given = min(size, knobs.gptbots_page_cap or size)
    page = book_page(rows, number, given, knobs)
    if not page and number > 1 and knobs.past_end == "error":
        return refusal(BEYOND_END, "page is beyond the actual number of pages", knobs)
    total = len(rows) if knobs.total == "window" else len(page)
    body = {"list": page, "total": total, "page": number, "page_size": size}
    return Answer(HTTPStatus.OK, to_json(body), rows=len(page))


def _messages(world: World, account: Account, request: Request, knobs: Knobs) -> Answer:
    try:
        size = _number(request.params, "page_size", 1, _LARGEST_PAGE)
        number = _number(request.params, "page", 1)
    except ValueError as error:
        return refusal(INVALID, f"invalid parameter: {error}", knobs)
    sent = said_in(world, account, request.params.get("conversation_id", ""), knobs)
    if sent is None:
        return refusal(NO_CONVERSATION, "conversation not found", knobs)
    page = page_of(sent, number, min(size, knobs.gptbots_page_cap or size))
    if not page and number > 1 and knobs.past_end == "error":
        return refusal(BEYOND_END, "page is beyond the actual number of pages", knobs)
    total = len(sent) if knobs.total == "window" else len(page)
    body = {"conversation_content": page, "total": total}
    return Answer(HTTPStatus.OK, to_json(body), rows=len(page))


_ANSWERS: dict[str, Callable[[World, Account, Request, Knobs], Answer]] = {
    _LIST: _page,
    _MESSAGES: _messages,
    **dict.fromkeys(_BOOKS, _book),
}


def _asked(params: Mapping[str, str], knobs: Knobs) -> Asked:
    size = _number(params, "page_size", 1, _LARGEST_PAGE)
    start = _number(params, "start_time", 0)
    end = _number(params, "end_time", start)
    kind = params.get("conversation_type", "")
    if not kind:
        msg = "conversation_type is required"
        raise ValueError(msg)
    return Asked(
        since=start if knobs.start_inclusive else start + 1,
        until=end + 1 if knobs.end_inclusive else end,
        page=_number(params, "page", 1),
        size=min(size, knobs.gptbots_page_cap or size),
        kind=kind,
        user=params.get("user_id") or None,
    )


def _number(params: Mapping[str, str], name: str, least: int, most: int = _LARGEST_NUMBER) -> int:
    text = params.get(name, "")
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        msg = f"{name} must be a whole number from {least} to {most}"
        raise ValueError(msg)
    return int(text)


def _window(
    timeline: Timeline, asked: Asked, knobs: Knobs
) -> tuple[list[Conversation], tuple[int, int]]:
    """Return rows, oldest first, and the positions of the window in them."""
    shuffles = knobs.order == "unordered"
    first, last = timeline.between(asked.since, asked.until)
    if asked.kind == "ALL" and asked.user is None and not shuffles:
        return timeline.rows(), (first, max(first, last))

    def chosen(rows: list[Conversation]) -> list[Conversation]:
        found = [row for row in rows[first:last] if _matches(row, asked)]
        return sorted(found, key=scattered) if shuffles else found

    name = (asked.since, asked.until, asked.kind, asked.user, shuffles)
    rows = timeline.view(name, chosen)
    return rows, (0, len(rows))


def _matches(row: Conversation, asked: Asked) -> bool:
    sent = row.as_sent()
    fits = asked.kind in ("ALL", sent.get("conversation_type"))
    return fits and asked.user in (None, sent.get("user_id"))
