"""Who loads the same conversations: ours, the peers, the floor; each run checked afterwards."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from checks import Run, checked, complaint, distinct, seconds_of_models
from measure import timed
from peers.environments import PEERS, environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulated import Upstream

ROOT = Path(__file__).resolve().parent.parent
FAR = 10**13  # ms; the end of the window that peers ask for, in the year 2286
MANY = 100_000
PAGE = 100  # the most rows of a page


@dataclass(frozen=True)
class Contestant:
    """A program that loads every conversation of an upstream.

    Attributes:
        name: what it is called in the tables.
        peer: the folder of its script and its environment; None for ours.
        script: the script and its options, `load.py` for most.
        table: where its conversations are; None for one that keeps none.
        slow: whether it is run once only.
    """

    name: str
    peer: str | None = None
    script: tuple[str, ...] = ("load.py",)
    table: str | None = "chat.conversations"
    slow: bool = False


OURS = Contestant("ours")
FLOOR = Contestant("floor", "floor", table="main.conversations")
RIVALS = (
    Contestant("dlt rest_api, tuned", "dlt_rest_api", ("load.py", "--tuned")),
    Contestant("Singer", "singer"),
    Contestant("Airbyte", "airbyte", slow=True),
    Contestant("dlt rest_api, defaults", "dlt_rest_api", ("load.py", "--defaults"), slow=True),
)
FETCH = Contestant("fetch alone", "floor", ("fetch.py",), table=None)


def backfill(who: Contestant, upstream: Upstream, folder: Path) -> Run:
    """Load everything into an empty folder."""
    return sync(upstream, folder) if who.peer is None else load(who, upstream, folder)


def sync(upstream: Upstream, folder: Path, *, api: str = "gptbots", budget: int = MANY) -> Run:
    """Sync as a user does, in a folder that may hold a warehouse already."""
    configure(upstream, folder, budget)
    run = ours(["sync", "--no-models"], upstream, folder)
    return run if run.wrong else checked(run, upstream.count(api), distinct(folder, OURS.table))


def models(upstream: Upstream, folder: Path, *options: str) -> Run:
    """Build the models of a warehouse that a sync made; dbt's log says what each took."""
    for log in folder.rglob("dbt.log"):
        log.unlink()
    run = ours(["models", *options], upstream, folder)
    if run.wrong:
        return run
    run = checked(run, upstream.count("gptbots"), distinct(folder, "marts.conversations"))
    return Run(run.usage, run.requests, run.wrong, seconds_of_models(folder))


def ours(arguments: Sequence[str], upstream: Upstream, folder: Path) -> Run:
    """Run one of our own commands."""
    os.environ["PYTHONPATH"] = str(ROOT)  # this checkout, whatever is installed
    upstream.forget_requests()
    usage = timed([sys.executable, "-m", "pipelines", *arguments], folder, upstream.port)
    return Run(usage, upstream.state()["requests"], complaint(usage, folder))


def load(who: Contestant, upstream: Upstream, folder: Path) -> Run:
    """Run a peer, in its own environment."""
    os.environ.pop("PYTHONPATH", None)
    script, *options = who.script
    told = folder / "upstream.json"
    told.write_text(json.dumps(description(upstream)))
    command = [str(environment(str(who.peer))), str(PEERS / str(who.peer) / script)]
    upstream.forget_requests()
    usage = timed([*command, str(told), str(folder), *options], folder, upstream.port)
    run = Run(usage, upstream.state()["requests"], complaint(usage, folder))
    there = upstream.count("gptbots")
    if run.wrong:
        return run
    if who.table is None:
        return checked(run, there, min(there, run.requests * PAGE))
    return checked(run, there, distinct(folder, who.table))


def description(upstream: Upstream) -> dict[str, object]:
    """Return what peers are told of the upstream."""
    accounts = upstream.state()["bots"].items()
    keys = {name: {"api_key": a["key"]} for name, a in accounts if a["api"] == "gptbots"}
    return {"base_url": upstream.url, "bots": keys, "start": 0, "end": FAR}


def configure(upstream: Upstream, folder: Path, budget: int) -> None:
    """Write `.dlt/` as `convoy simulate` prints it."""
    config, secrets = [], []
    for api in ("gptbots", "okchat"):
        config += [f"[sources.{api}]", f'base_url = "{upstream.url}"']
        config += [f"requests_per_minute = {budget}"]
    for name, account in upstream.state()["bots"].items():
        if account["api"] == "gptbots":
            secrets += [f"[sources.gptbots.bots.{name}]"]
        else:
            secrets += [f"[sources.okchat.chatbots.{name}]", f'chatbot_id = "{account["id"]}"']
        secrets += [f'api_key = "{account["key"]}"']
    (folder / ".dlt").mkdir(exist_ok=True)
    (folder / ".dlt" / "config.toml").write_text("\n".join(config))
    (folder / ".dlt" / "secrets.toml").write_text("\n".join(secrets))
