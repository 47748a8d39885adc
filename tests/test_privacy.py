"""What is not to be kept is nowhere: not in the warehouse, what is published, nor in any log."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import tables
from pipelines.interpret import Interpreted, Rejected
from pipelines.privacy import FREE_FORM, TEXTS, USER_IDS, Veil
from pipelines.simulator.seeds import hexed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from conftest import MakeWorld, Simulate
    from project import Project

    from pipelines.simulator import Simulator, World

ROOT = Path(__file__).parent.parent
LENGTH = 8
"""Bytes of a text that are too many to be there by chance."""
SALT = "a secret of the user's own"
ON: dict[str, object] = {"messages": True, "bot_names": True}
BOOKS: dict[str, object] = {"bill": True, "conversation_credits": True}
TREATMENTS = ("mask", "drop", "hash")


def secret(*parts: object) -> str:
    """A text that nothing else holds, of several scripts."""
    return f"Grüße {hexed('secret', *parts)} ขอบคุณ <b>{hexed('more', *parts)}</b>, {parts}?"


def telling_world(make_world: MakeWorld) -> World:
    """Every field that people fill tells something of its own, also in rows that can't be read."""
    world = make_world(bots={"support": 12}, chatbots={"website": 12})
    for n, row in enumerate(world.truth("gptbots")):
        identity = str(row["conversation_id"])
        subject, odd = secret("subject", n), {secret("key", n): [secret("odd", n)]}
        world.edit(identity, user_id=f"user {hexed(n)}", subject=subject, a_new_field=odd)
    for n, row in enumerate(world.truth("okchat")):
        identity = str(row["id"])
        names = {"user_id": f"user {hexed(n)}", "sns_user_id": f"sns {hexed(n)}"}
        message = {"content": secret("last", n), "id": hexed("id", n), "sender_type": "user"}
        more = {"metadata": {"who": secret("who", n)}, "voice_path": secret("voice", n)}
        last = [message, secret("plain", n)][n % 2]
        world.edit(identity, **names, **more, last_message=last)
    first, second = (str(row["conversation_id"]) for row in world.truth("gptbots")[:2])
    world.edit(first, recent_chat_time=secret("time"))
    world.reword(second, 1, create_time=secret("created"), feeling=secret("feeling"))
    world.edit(str(world.truth("okchat")[0]["id"]), updated_at=secret("updated"))
    world.edit(str(world.truth("okchat")[1]["id"]), id={"no": secret("id")})
    return world


def told(value: object) -> Iterator[str]:
    """The texts and users of a row: all strings that are not plainly something else."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if "Grüße" in name:
                yield name
            if not (name in NAMES and isinstance(inner, str) and "Grüße" not in inner):
                yield from told(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from told(inner)
    elif isinstance(value, str):
        yield value


NAMES = {
    *("conversation_id", "id", "chatbot_id", "session_id", "bot_id", "message_id", "platform"),
    *("parent_message_id", "state", "sender_type", "role", "model", "provider"),
    *("conversation_type", "created_at", "updated_at", "type"),
}
"""Fields that are no text and no user's id, where they are what they should be."""


def secrets_of(world: World) -> set[str]:
    """All texts and users of a world, messages and all."""
    found: set[str] = set()
    for api, key in (("gptbots", "conversation_id"), ("okchat", "id")):
        for row in world.truth(api):  # type: ignore[arg-type]
            found |= set(told(row))
            if isinstance(identity := row[key], str):
                for message in world.messages(identity):
                    found |= set(told(message))
    return found


def windows(texts: Iterable[str]) -> set[bytes]:
    coded = [text.encode() for text in texts]
    return {c[i : i + LENGTH] for c in coded for i in range(len(c) - LENGTH + 1)}


def leaks(data: bytes, wanted: set[bytes]) -> set[bytes]:
    return {data[i : i + LENGTH] for i in range(len(data) - LENGTH + 1)} & wanted


def all_cells(database: Path) -> Iterator[str]:
    """Everything in a database as text."""
    with duckdb.connect(str(database), read_only=True) as connection:
        every = "select table_schema, table_name from information_schema.tables"
        for schema, name in connection.execute(every).fetchall():
            for row in connection.execute(f'from "{schema}"."{name}"').fetchall():
                yield from (str(value) for value in row if value is not None)


def convoy(*arguments: str) -> bytes:
    """Run a command with all logs there are; return all that it said."""
    loud = {"RUNTIME__LOG_LEVEL": "DEBUG", "DBT_LOG_LEVEL": "debug", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "pipelines", *arguments],
        capture_output=True,
        check=False,
        env={**os.environ, **loud},
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return done.stdout + done.stderr


def ours() -> bytes:
    """What the files of the models and of the report say themselves."""
    folders = (ROOT / "sql", ROOT / "pipelines" / "report")
    files = (file for folder in folders for file in folder.rglob("*.*"))
    return b"\n".join(file.read_bytes() for file in files if file.is_file())


def configure(project: Project, upstream: Simulator, treatment: str) -> None:
    project.configure(upstream, gptbots={**ON, **BOOKS}, okchat=ON)
    with (project.folder / ".dlt" / "config.toml").open("a", encoding="utf-8") as file:
        file.write(f'\n[privacy]\ntexts = "{treatment}"\nuser_ids = "{treatment}"\n')
    if treatment == "hash":
        with (project.folder / ".dlt" / "secrets.toml").open("a", encoding="utf-8") as file:
            file.write(f"\n[privacy]\nsalt = {json.dumps(SALT)}\n")


@pytest.mark.long
@pytest.mark.parametrize("treatment", TREATMENTS)
def test_no_text_and_no_user_is_left_anywhere(
    project: Project, make_world: MakeWorld, simulate: Simulate, treatment: str
) -> None:
    world = telling_world(make_world)
    configure(project, simulate(world), treatment)
    said = convoy("sync") + convoy("report") + convoy("status", "--json")
    wanted = windows(secrets_of(world))
    wanted -= leaks(ours(), wanted)
    telling = {w for w in wanted if re.search(rb"[0-9\x80-\xff]", w)}  # no words that dbt says too
    assert len(telling) > 5_000
    assert leaks(said, telling) == set()
    assert project.count("messages") > 100
    assert project.count("rejected_rows") == 4
    for file in project.folder.rglob("*"):
        if file.is_file():
            assert leaks(file.read_bytes(), telling) == set(), file
    for database in (project.warehouse, project.published):
        cells = "\n".join(all_cells(database)).encode()
        assert leaks(cells, wanted) == set(), database


def test_the_search_would_find_what_is_kept(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = telling_world(make_world)
    project.configure(simulate(world), gptbots=ON, okchat=ON)
    assert project.sync().complete
    wanted = windows(secrets_of(world))
    found = leaks("\n".join(all_cells(project.warehouse)).encode(), wanted)
    assert len(found) > 0.8 * len(wanted)


@pytest.mark.parametrize("treatment", ["mask", "hash"])
def test_what_is_veiled_is_no_news_the_second_time(
    project: Project, make_world: MakeWorld, simulate: Simulate, treatment: str
) -> None:
    world = telling_world(make_world)
    configure(project, simulate(world), treatment)
    assert project.sync().complete
    before = project.counts() | {"messages": project.count("messages")}
    outcome = project.sync()
    assert (outcome.complete, outcome.rows_loaded, outcome.changes) == (True, 0, 0)
    assert project.counts() | {"messages": project.count("messages")} == before


def test_hashed_users_can_still_be_counted_and_joined(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 40})
    configure(project, simulate(world), "hash")
    project.sync()
    users = {str(row["user_id"]) for row in world.truth("gptbots")}
    hashed = {hmac.new(SALT.encode(), u.encode(), hashlib.sha256).hexdigest() for u in users}
    found = project.rows("select distinct user_id from chat.conversations")
    assert {row["user_id"] for row in found} == hashed


COLUMN = st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"])), min_size=1)


def table(name: str, texts: list[str | None]) -> pa.Table:
    return pa.table({name: pa.array(texts, pa.string())})


@given(texts=COLUMN)
def test_a_mask_keeps_the_shape_and_nothing_else(texts: list[str | None]) -> None:
    masked = Veil(texts="mask").table(table("content", texts))["content"].to_pylist()
    for before, after in zip(texts, masked, strict=True):
        if before is None or after is None:
            assert before is after
            continue
        assert len(after) == len(before)
        for old, new in zip(before, after, strict=True):
            printable = old.isascii() and old.isprintable() and not old.isalnum()
            stays = printable or old in "\t\n\v\f\r"
            assert new == (old if stays else "0" if old.isdecimal() else "x"), (old, new)


@given(texts=COLUMN)
def test_hashes_are_equal_where_values_are(texts: list[str | None]) -> None:
    veil = Veil(user_ids="hash", salt=b"salt")
    hashed = veil.table(table("user_id", texts))["user_id"].to_pylist()
    named = [text for text in texts if text and text.strip()]
    assert len({h for h in hashed if h and h.strip()}) == len(set(named))
    assert all((h is None) == (text is None) for h, text in zip(hashed, texts, strict=True))
    assert not set(named) & {h for h in hashed if h}


def test_dropped_is_null_and_the_rest_is_as_it_was() -> None:
    names = [*TEXTS, *USER_IDS, *FREE_FORM, "conversation_id", "channel", "sender_type"]
    row = pa.table({name: pa.array([name], pa.string()) for name in names})
    found = Veil(texts="drop").table(row).to_pylist()[0]
    gone = {*TEXTS, *FREE_FORM}
    assert found == {name: None if name in gone else name for name in names}
    assert Veil().table(row) is row


def test_every_text_column_is_thought_of() -> None:
    """A new column of text is either veiled or known to hold no text of a user's."""
    known = {
        *TEXTS, *USER_IDS, *FREE_FORM, *NAMES, "source", "channel", "bot", "name", "evidence",
        "kind", "reason", "raw", "rejected_id",
    }  # fmt: skip
    columns = {n for t in tables.ALL for n, c in t.columns.items() if c.type == tables.TEXT}
    columns |= {f.name for f in tables.READING if f.type == tables.TEXT}
    assert columns <= known


@pytest.mark.parametrize(
    ("reason", "left"),
    [
        ("recent_chat_time is no instant: 'my secret'", "recent_chat_time is no instant"),
        ("cost_credit does not fit DECIMAL(28, 10): 9", "cost_credit does not fit DECIMAL(28, 10)"),
        ("user_id my secret went wrong", "user_id can't be read"),
        ("Secret", "the row can't be read"),
    ],
)
def test_of_a_rejected_row_id_and_field_remain(reason: str, left: str) -> None:
    raw = json.dumps({"id": "c1", "user_id": "u", "conversation_id": {"a": "b"}})
    rows = Interpreted(tables.READING.empty_table(), [Rejected(reason, raw)])
    assert Veil(texts="mask")(rows).rejected == [Rejected(left, '{"id": "c1"}')]


def test_rejected_rows_without_an_id_are_still_told_apart() -> None:
    rejected = [Rejected("id is missing", json.dumps({"id": "", "n": n})) for n in (1, 2, 1)]
    found = Veil(texts="drop")(Interpreted(tables.READING.empty_table(), rejected)).rejected
    assert len({row.raw for row in found}) == 2
