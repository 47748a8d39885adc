"""A world whose texts engines like to disagree on, synced twice: what is loaded, and its marts."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from typing import TYPE_CHECKING

import duckdb

from engines.marts import Marts, rows_of
from pipelines import models
from pipelines.simulator import Knobs, Simulator, World

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from project import Project

    from pipelines.simulator.account import Api

ZONE = "America/New_York"  # two days of the year there are not 24 hours long
BOTS = {"support": 60, "Sales": 40, "_spare": 20}
CHATBOTS = {"website": 40, "Website": 20}
# Spaces of other kinds, cases, marks of SQL, texts whose order is another in each language.
USERS = ("u", " u\u00a0", "\u3000u", "U", "Ärger", "ärger", "a|b", "o'neil\\", "%s", "", "\u2003")
CHANNELS = ("WIDGET", " widget\u202f", "Moon Base", "ÄÖÜ_Ł", "it's\\ %d", "", "\u3000", "line")
IDS = ("a", "B", "_", "10", "9", "é", "z\U0001f600", "z\uffff", "Z", "-a", "a b", "\u00e4\u0301")
SENDERS = ("assistant", " User\u00a0", "\u2003CUSTOMER", "Bot", "Ärger", "", None)
MESSAGES = {"messages": True, "bot_names": True}
BOOKS = {"bill": True, "conversation_credits": True, **MESSAGES}


@dataclass(frozen=True)
class Stage:
    """A warehouse as a sync left it, and the marts that DuckDB makes of it."""

    warehouse: Path
    marts: Marts


def lived(project: Project, seed: int) -> list[Stage]:
    """Sync a world, let things happen in it, sync it again; return both stages."""
    present = datetime.now(UTC) - timedelta(minutes=10)
    world, rng = World.seeded(seed, bots=BOTS, chatbots=CHATBOTS, now=present), Random(seed)  # noqa: S311 - a drawn world
    with Simulator(world, Knobs(bill="account")) as upstream:
        project.configure(upstream, gptbots=BOOKS, okchat=MESSAGES)
        disturb(world, rng)
        first = _synced(project, "first")
        disturb(world, rng)
        _rename(project, "_spare", "Zweitname")
        return [first, _synced(project, "second")]


def _rename(project: Project, old: str, new: str) -> None:
    """Let a bot be configured under another name."""
    secrets = project.folder / ".dlt" / "secrets.toml"
    told = secrets.read_text(encoding="utf-8")
    secrets.write_text(told.replace(json.dumps(old), json.dumps(new)), encoding="utf-8")


def disturb(world: World, rng: Random) -> None:
    """Let hostile conversations begin, others go on, settle, be edited, end."""
    numbers = count(len(world.truth("gptbots", "support")))
    for name, account in world.accounts.items():
        for id_ in rng.sample(IDS, 6):
            world.advance(timedelta(milliseconds=rng.randint(1, 900)), activity=False)
            world.begin(
                name, conversation_id=f"{id_}{next(numbers)}{name}", **_hostile(account.api, rng)
            )
        for _ in range(40):
            world.disturb(name, rng)
    for row in world.truth("gptbots", "support")[:3]:
        world.settle(str(row["conversation_id"]))
    for api, names in _NAMES.items():
        for row in world.truth(api)[::2]:
            _reword(world, str(row[names[0]]), names, rng)


def _reword(world: World, identity: str, names: Sequence[str], rng: Random) -> None:
    """Let the first message be earlier, the last two at once or nobody knows when, by anyone."""
    said = world.messages(identity)
    if len(said) < 3:
        return
    _, sender, of_id, of_time = names
    earlier = rng.randint(0, 90_000)
    world.reword(identity, 1, **{of_time: _before(said[0][of_time], earlier)})
    for number in (len(said) - 1, len(said)):
        at, id_ = rng.choice([said[-2][of_time]] * 5 + [None]), f"{rng.choice(IDS)}{number}"
        world.reword(identity, number, **{sender: rng.choice(SENDERS), of_time: at, of_id: id_})


def _before(moment: object, milliseconds: int) -> object:
    """An instant as its API writes one, so much earlier."""
    if isinstance(moment, int):
        return moment - milliseconds
    return (datetime.fromisoformat(str(moment)) - timedelta(milliseconds=milliseconds)).isoformat()


_NAMES: dict[Api, tuple[str, ...]] = {
    "gptbots": ("conversation_id", "role", "message_id", "create_time"),
    "okchat": ("id", "sender_type", "id", "created_at"),
}


def _hostile(api: str, rng: Random) -> dict[str, object]:
    user, channel = rng.choice(USERS), rng.choice(CHANNELS)
    if api == "gptbots":
        return {"user_id": user, "conversation_type": channel, "subject": 'it\'s\\n\t"%s" {{ x }}'}
    other = rng.choice([*USERS, None])
    metadata = {"ü": [1.50, None, "a\\b"], "big": 12345678901234567890}
    flags = {"is_human_mode": rng.random() < 0.5, "metadata": metadata}
    return {"user_id": rng.choice([user, None]), "sns_user_id": other, "platform": channel, **flags}


def _synced(project: Project, name: str) -> Stage:
    assert project.sync(yes=True).complete
    warehouse = project.folder / f"{name}.duckdb"
    shutil.copyfile(project.warehouse, warehouse)
    return Stage(warehouse, marts_of(warehouse, project.folder / name))


def marts_of(warehouse: Path, work: Path) -> Marts:
    """Build all rows of the marts with DuckDB, and return them."""
    models.build(warehouse, work, zone=ZONE, full_refresh=True)
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        return {
            mart: rows_of(connection.execute(f"from marts.{mart}").to_arrow_table())
            for (mart,) in connection.execute(_MARTS).fetchall()
        }


_MARTS = "select table_name from information_schema.tables where table_schema = 'marts'"
