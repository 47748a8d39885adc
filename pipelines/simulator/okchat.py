"""OKChat's API: the list of conversations, one conversation, its messages, the chatbots."""

from collections.abc import Mapping
from http import HTTPStatus

from pipelines.simulator.account import Account
from pipelines.simulator.conversation import Conversation, to_json
from pipelines.simulator.knobs import Knobs
from pipelines.simulator.messages import page_of, said_in
from pipelines.simulator.okchat_conversation import OkchatConversation
from pipelines.simulator.paging import newest_first
from pipelines.simulator.timeline import Timeline
from pipelines.simulator.wire import Answer, Request
from pipelines.simulator.world import World

ROOT = "/api/external/"
_USUAL_SIZE = 10


def account_of(world: World, request: Request) -> Account | None:
    """Return the chatbot that the key of the request belongs to."""
    return world.opened_by("okchat", request.headers.get("x-api-key", ""))


def answer(world: World, account: Account | None, request: Request, knobs: Knobs) -> Answer:
    """Answer a request to `/api/external/…`; a key opens its own chatbot and no other."""
    if account is None or account.revoked:
        return refusal(HTTPStatus.UNAUTHORIZED, "invalid api key")
    match request.path.removeprefix(ROOT).split("/"):
        case ["chatbots"]:
            return _chatbots(account, request, knobs)
        case ["chatbot", identity, "conversations", *rest] if _is_known(rest):
            if identity != account.id or account.removed:
                known = not account.removed and identity in world.chatbot_ids.values()
                status = HTTPStatus.UNAUTHORIZED if known else HTTPStatus.NOT_FOUND
                return refusal(status, "no such chatbot for this key")
            if not rest:
                return _list(account, request, knobs)
            ask = _one if len(rest) == 1 else _messages
            return ask(world, account, rest[0], request, knobs)
    return refusal(HTTPStatus.NOT_FOUND, f"no path {request.path}")


def _is_known(rest: list[str]) -> bool:
    return len(rest) <= 1 or (len(rest) == 2 and rest[1] == "messages")


def refusal(status: int, message: str) -> Answer:
    """Return an error; OKChat's shape isn't documented, this is a usual one."""
    return Answer(status, to_json({"error": message}))


def _chatbots(account: Account, request: Request, knobs: Knobs) -> Answer:
    listed = [{"id": f"other {n}", "name": f"{n}"} for n in range(knobs.chatbots_before)]
    listed += [] if account.removed else [{"id": account.id, "name": account.name}]
    if knobs.chatbots_before:
        page = int(request.params.get(knobs.page_param, "1"))
        listed = listed[page - 1 : page]
    return Answer(HTTPStatus.OK, to_json({"chatbots": listed}), rows=len(listed))


def _one(world: World, account: Account, identity: str, _request: Request, knobs: Knobs) -> Answer:
    row = world.find(identity)
    if row is None or row.home is not account:
        return refusal(HTTPStatus.NOT_FOUND, "conversation not found")
    sent = _stateless(row) if knobs.omit_state else row.render()
    return Answer(HTTPStatus.OK, b'{"session":%b}' % sent, rows=1)


def _messages(
    world: World, account: Account, identity: str, request: Request, knobs: Knobs
) -> Answer:
    try:
        number = _number(request.params, knobs.page_param, 1)
        size = _number(request.params, knobs.limit_param, _USUAL_SIZE)
    except ValueError as error:
        return refusal(HTTPStatus.BAD_REQUEST, str(error))
    sent = said_in(world, account, identity, knobs)
    if sent is None:
        return refusal(HTTPStatus.NOT_FOUND, "conversation not found")
    if knobs.okchat_messages == "pages":
        sent = page_of(sent, number, min(size, knobs.okchat_page_cap or size))
    return Answer(HTTPStatus.OK, to_json({"data": sent}), rows=len(sent))


def _list(account: Account, request: Request, knobs: Knobs) -> Answer:
    try:
        page = _number(request.params, knobs.page_param, 1)
        size = _number(request.params, knobs.limit_param, _USUAL_SIZE)
    except ValueError as error:
        return refusal(HTTPStatus.BAD_REQUEST, str(error))
    size = min(size, knobs.okchat_page_cap or size)
    rows = _ordered(account.timeline, request.params.get(knobs.state_param), knobs)
    found = newest_first(rows, (0, len(rows)), page, size)
    if knobs.omit_state:
        sent = [_stateless(row) for row in found]
    else:
        sent = [row.body or row.render() for row in found]
    body = b"[%b]" % b",".join(sent)
    if (account.envelope or knobs.envelope) == "data":
        body = b'{"data":%b}' % body
    return Answer(HTTPStatus.OK, body, rows=len(found))


def _number(params: Mapping[str, str], name: str, usual: int) -> int:
    text = params.get(name, str(usual))
    if not (text.isascii() and text.isdigit() and int(text)):
        msg = f"{name} must be a whole number from 1"
        raise ValueError(msg)
    return int(text)


def _ordered(timeline: Timeline, state: str | None, knobs: Knobs) -> list[Conversation]:
    by_update = knobs.okchat_order == "updated_desc"
    if state is None and not by_update:
        return timeline.rows()

    def chosen(rows: list[Conversation]) -> list[Conversation]:
        found = [row for row in rows if state in (None, row.as_sent().get("state"))]
        return sorted(found, key=_updated) if by_update else found

    return timeline.view((state, by_update), chosen)


def _updated(row: Conversation) -> tuple[int, int]:
    return (row.updated if isinstance(row, OkchatConversation) else 0), row.serial


def _stateless(row: Conversation) -> bytes:
    return to_json({name: value for name, value in row.as_sent().items() if name != "state"})
