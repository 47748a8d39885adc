"""A world whose texts engines like to disagree on, synced twice: what is loaded, and its marts."""

from __future__ import annotations

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
    from pathlib import Path

    from project import Project

ZONE = "America/New_York"  # two days of the year there are not 24 hours long
BOTS = {"support": 60, "Sales": 40, "_spare": 20}
CHATBOTS = {"website": 40, "Website": 20}
# Spaces of other kinds, cases, marks of SQL, texts whose order is another in each language.
USERS = ("u", " u\u00a0", "\u3000u", "U", "Ärger", "ärger", "a|b", "o'neil\\", "%s", "", "\u2003")
CHANNELS = ("WIDGET", " widget\u202f", "Moon Base", "ÄÖÜ_Ł", "it's\\ %d", "", "\u3000", "line")
IDS = ("a", "B", "_", "10", "9", "é", "z\U0001f600", "z\uffff", "Z", "-a", "a b", "\u00e4\u0301")
BOOKS = {"bill": True, "conversation_credits": True, "bot_names": True}


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
        project.configure(upstream, gptbots=BOOKS, okchat={"bot_names": True})
        disturb(world, rng)
        first = _synced(project, "first")
        disturb(world, rng)
        return [first, _synced(project, "second")]


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
    models.build(warehouse, project.folder / name, zone=ZONE, full_refresh=True)
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        marts = {
            mart: rows_of(connection.execute(f"from marts.{mart}").to_arrow_table())
            for (mart,) in connection.execute(_MARTS).fetchall()
        }
    return Stage(warehouse, marts)


_MARTS = "select table_name from information_schema.tables where table_schema = 'marts'"
