from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from project import assert_equal_to_truth
from test_sync import UNKNOWN

from pipelines.values import decode, without_nul
from pipelines.verify import verify

if TYPE_CHECKING:
    from conftest import MakeWorld, Simulate

    from postgres.server import PostgresProject

NUL = "nul \x00\x00 and \\u0000 inside \\\x00"
TEXTS = (NUL, "", " ", "a\tb\r\nc", "🙂" * 5000, "'; drop --", "\ufffd", "\\N", None)
ON = {"messages": True, "bot_names": True}


def fields(api: str, text: Any) -> dict[str, Any]:  # noqa: ANN401 - as it is sent
    """Return fields of a conversation that hold a text wherever there can be one."""
    unknown = {**UNKNOWN, "text": text}
    if api == "gptbots":
        return {"subject": text, **unknown}
    message = {"id": "1", "sender_type": "bot", "content": text or "", "attachments": [unknown]}
    return {"last_message": message, "metadata": {"z": unknown, "a": text}, **unknown}


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (rb'"a\u0000b\u0000\u0000"', "a\ufffdb\ufffd\ufffd"),
        (rb'"a\\u0000"', r"a\u0000"),
        (rb'"a\\\u0000"', "a\\\ufffd"),
        (rb'{"\u0000": [0]}', {"\ufffd": [0]}),
        (rb'"a\u00000\u0001"', "a\ufffd0\x01"),
    ],
)
def test_nul_alone_is_replaced(sent: bytes, read: object) -> None:
    assert decode(without_nul(sent)) == read


def test_texts_of_any_kind_survive_but_for_nul(
    make_world: MakeWorld, simulate: Simulate, project: PostgresProject
) -> None:
    """PostgreSQL holds no NUL: U+FFFD stands for it, and that is no news by the next sync."""
    world = make_world(bots={"support": 0}, chatbots={"web": 0})
    begun = {
        (name, text): world.begin(name, **fields(account.api, text))
        for name, account in world.accounts.items()
        for text in TEXTS
    }
    for name in world.accounts:
        world.reword(begun[name, NUL], 1, message_id="\x00", text=NUL, content=NUL)
    bad = world.begin("web", active=NUL)
    project.configure(simulate(world), gptbots=ON, okchat=ON)
    assert project.sync().complete
    rejected = project.rows(
        "select reason, raw from chat.rejected_rows where raw::text like ?", f"%{bad}%"
    )
    assert ["\ufffd" in row["raw"] for row in rejected] == [True]
    assert project.count("messages") > len(begun)
    world.delete(bad)
    assert project.sync().rows_loaded == 0
    assert verify(project.settings()).agrees
    for name, account in world.accounts.items():
        world.edit(begun[name, NUL], **fields(account.api, NUL.replace("\x00", "\ufffd")))
    assert_equal_to_truth(project, world)
    assert project.sync().rows_loaded == 0
