"""The messages of both APIs: they belong to their conversation, stay said, and page as asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

if TYPE_CHECKING:
    from pipelines.simulator import Simulator, World

    from .client import Client

Row = dict[str, Any]
PATH = "/v2/messages"


def gptbots(client: Client, identity: object, name: str = "support", **asked: object) -> Row:
    params = urlencode({"conversation_id": identity, "page": 1, "page_size": 100, **asked})
    headers = {"Authorization": f"Bearer {client.sim.world.keys[name]}"}
    found: Row = client.ask(f"{PATH}?{params}", headers).json
    return found


def okchat(client: Client, identity: object, **asked: object) -> list[Row]:
    found: list[Row] = client.okchat("website", f"/{identity}/messages", **asked).json["data"]
    return found


def text(message: Row) -> str:
    found: str = message["content"][0]["branch_content"][0]["text"]
    return found


def longest(world: World) -> Row:
    return max(world.truth("gptbots", "support"), key=lambda row: row["message_count"])


def test_there_are_as_many_as_the_counter_says_each_with_a_text_of_its_own(
    client: Client, world: World
) -> None:
    texts = []
    for row in world.truth("gptbots", "support")[:30]:
        found = gptbots(client, row["conversation_id"])
        said = found["conversation_content"]
        assert len(said) == found["total"] == row["message_count"]
        assert max(m["create_time"] for m in said) == row["recent_chat_time"]
        assert {m["role"] for m in said} == {"user", "assistant"}
        texts += [text(m) for m in said]
    assert len(set(texts)) == len(texts)


def test_the_last_message_of_okchat_is_that_of_its_list(client: Client, world: World) -> None:
    told = 0
    for row in world.truth("okchat", "website")[:40]:
        last = okchat(client, row["id"])[-1]
        message = row["last_message"]
        if isinstance(message, dict):
            told += 1
            assert {key: last[key] for key in message} == message
        elif message is not None:
            assert last["content"] == message
    assert told


@pytest.mark.parametrize("api", ["gptbots", "okchat"])
def test_what_was_said_stays_said(client: Client, world: World, api: Any) -> None:  # noqa: ANN401 - of a literal type
    key = "conversation_id" if api == "gptbots" else "id"
    identity = str(world.truth(api)[0][key])
    before = world.messages(identity)
    for _ in range(2):
        world.advance(timedelta(hours=1), activity=False)
        world.chat(identity)
    after = world.messages(identity)
    assert after[: len(before)] == before
    assert len(after) == len(before) + (4 if api == "gptbots" else 2)
    served = gptbots(client, identity)["conversation_content"] if api == "gptbots" else None
    assert after == (served or okchat(client, identity))
    times = [m["create_time"] if api == "gptbots" else m["created_at"] for m in after]
    assert times[-2:] > times[:-2][-1:]


def test_pages_of_gptbots_and_their_knobs(client: Client, sim: Simulator, world: World) -> None:
    row = longest(world)
    identity, count = row["conversation_id"], row["message_count"]
    whole = gptbots(client, identity)["conversation_content"]
    pages = [gptbots(client, identity, page=n, page_size=count // 2) for n in (1, 2, 3)]
    assert [m for page in pages for m in page["conversation_content"]] == whole
    assert {page["total"] for page in pages} == {count}
    sim.knobs = replace(sim.knobs, total="page", past_end="error", gptbots_page_cap=5)
    assert gptbots(client, identity)["total"] == 5
    assert gptbots(client, identity, page=99)["code"] == 40005
    assert gptbots(client, identity, page_size=101)["code"] == 40000
    sim.knobs = replace(sim.knobs, message_order="newest_first")
    assert gptbots(client, identity)["conversation_content"] == whole[::-1][:5]


def test_okchat_gives_all_or_pages(client: Client, sim: Simulator, world: World) -> None:
    identity = max(
        (str(r["id"]) for r in world.truth("okchat")), key=lambda i: len(world.messages(i))
    )
    whole = okchat(client, identity)
    assert okchat(client, identity, page=2, limit=3) == whole
    sim.knobs = replace(sim.knobs, okchat_messages="pages", okchat_page_cap=4)
    assert okchat(client, identity, page=2) == whole[4:8]
    assert okchat(client, identity, page=3, limit=3) == whole[6:9]


def test_messages_of_nobodys_conversation(client: Client, sim: Simulator, world: World) -> None:
    gone, kept = (str(row["conversation_id"]) for row in world.truth("gptbots", "support")[:2])
    gone_too = str(world.truth("okchat", "website")[0]["id"])
    world.delete(gone)
    world.delete(gone_too)
    assert gptbots(client, gone)["code"] == gptbots(client, kept, "sales")["code"] == 40400
    assert client.okchat("website", f"/{gone_too}/messages").status == 404
    sim.knobs = replace(sim.knobs, gone_messages="empty")
    assert gptbots(client, gone) == {"conversation_content": [], "total": 0}
    assert okchat(client, gone_too) == []


def test_a_message_is_reworded(client: Client, world: World) -> None:
    identity = longest(world)["conversation_id"]
    before = gptbots(client, identity)["conversation_content"]
    world.reword(identity, 2, create_time="soon")
    after = gptbots(client, identity)["conversation_content"]
    assert after == [{**m, "create_time": "soon"} if n == 1 else m for n, m in enumerate(before)]
