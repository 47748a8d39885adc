"""What OKChat calls a chatbot: a row of `bots` out of the list of chatbots."""

from collections.abc import Mapping, Sequence

from pipelines import errors, values
from pipelines.http import Client, Reply, error_for
from pipelines.interpret import Interpreted, Row, interpret_bots
from pipelines.okchat.rows import SOURCE

PATH = "/api/external/chatbots"
_Found = tuple[Sequence[Row], Interpreted]


async def name(client: Client, bot: str, chatbot_id: str, page_param: str) -> Interpreted:
    """Ask for a chatbot's name: one row, none where the list does not have it.

    The list is not said to have pages; where the chatbot is not on the first, the next are asked
    for until one brings nothing new.
    """

    def read(status: int, reply: Reply, retry_after: str | None) -> _Found:
        if error := error_for(status, retry_after):
            raise error
        listed = _listed(reply.body)
        given = {"source": SOURCE, "bot": bot, "observed_at": reply.at}
        own = [row for row in listed if row.get("id") == chatbot_id]
        return listed, interpret_bots(own[:1], "id", given)

    listed, own = await client.get(PATH, {}, read)
    seen, number = set[str](), 1
    while not len(own.table) and (new := {str(row.get("id")) for row in listed} - seen):
        seen, number = seen | new, number + 1
        try:
            listed, own = await client.get(PATH, {page_param: number}, read)
        except (errors.BadRequest, errors.NotFound):  # a list without pages
            break
    return own


def _listed(body: bytes) -> Sequence[Row]:
    try:
        decoded = values.decode(body)
    except ValueError:
        decoded = None
    listed = decoded.get("chatbots") if isinstance(decoded, Mapping) else None
    if not isinstance(listed, list):
        raise errors.BrokenReply("the answer is no list of chatbots; check base_url")
    return [row for row in listed if isinstance(row, Mapping)]
