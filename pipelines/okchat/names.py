"""What OKChat calls a chatbot: a row of `bots` out of the list of chatbots."""

from collections.abc import Mapping, Sequence

from pipelines import errors, values
from pipelines.http import Client, Reply, error_for
from pipelines.interpret import Field, Interpreted, Row, interpret
from pipelines.okchat.rows import SOURCE
from pipelines.tables import BOTS

PATH = "/api/external/chatbots"

_FIELDS: dict[str, Field] = {"bot_id": ("id", values.required), "name": ("name", values.text)}
_KNOWN = frozenset(key for key, _ in _FIELDS.values())


async def name(client: Client, bot: str, chatbot_id: str) -> Interpreted:
    """Ask for a chatbot's name: one row, none where the list does not have it."""

    def read(status: int, reply: Reply, retry_after: str | None) -> Interpreted:
        if error := error_for(status, retry_after):
            raise error
        constants = {"source": SOURCE, "bot": bot, "observed_at": reply.at}
        fields = {**_FIELDS, "extra": ("", _extra)}
        return interpret(_own(reply.body, chatbot_id), fields, constants, BOTS.schema)

    return await client.get(PATH, {}, read)


def _own(body: bytes, chatbot_id: str) -> Sequence[object]:
    try:
        decoded = values.decode(body)
    except ValueError:
        decoded = None
    listed = decoded.get("chatbots") if isinstance(decoded, Mapping) else None
    if not isinstance(listed, list):
        raise errors.BrokenReply("the answer is no list of chatbots; check base_url")
    return [row for row in listed if isinstance(row, Mapping) and row.get("id") == chatbot_id]


def _extra(row: Row) -> str | None:
    return values.unknown(row, _KNOWN)
