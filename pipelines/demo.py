"""The demo, and the simulator as a command."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipelines import output, query, report, settings, sync
from pipelines.errors import ConfigurationError
from pipelines.outcome import Outcome
from pipelines.simulator import Simulator, World
from pipelines.simulator import serve as serve_world

_PASSES = timedelta(hours=12)
MARK = "# made by convoy demo"
_SPEND = """
    select
        spent_on as day, sum(credits) as credits, sum(conversations)::bigint as conversations,
        arg_max(platform, credits) as "top platform"
    from credit_spend_daily
    where spent_on > (select max(spent_on) from credit_spend_daily) - 7
    group by day
    order by day
"""
_PLATFORMS = """
    select
        source, platform, conversations as conv, users, credits,
        round(100 * share_of_conversations, 1) as "% conv",
        round(100 * share_of_credits, 1) as "% credits"
    from platform_breakdown
    order by credits desc nulls last, conversations desc
    limit 12
"""


@dataclass(frozen=True)
class Size:
    """How much a simulated world holds."""

    gptbots: int
    bots: int
    okchat: int
    chatbots: int

    def world(
        self, seed: int, days: int = 365, *, ago: timedelta = timedelta(), ticking: bool = False
    ) -> World:
        """Make the world, its conversations spread evenly over its bots.

        It has lived until `ago` before now; what is yet to happen must not lie in the future.
        """
        now = datetime.now(UTC) - ago
        return World.seeded(
            seed,
            bots={f"bot{i + 1}": n for i, n in enumerate(_spread(self.gptbots, self.bots))},
            chatbots={f"site{i + 1}": n for i, n in enumerate(_spread(self.okchat, self.chatbots))},
            start=now - timedelta(days=days),
            now=now,
            clock="real" if ticking else "fixed",
        )


def serve(size: Size, *, port: int, seed: int, tick: float | None) -> None:
    """Serve a world in the foreground and print the configuration that points at it.

    Raises:
        ConfigurationError: the port is taken.
    """
    world = size.world(seed, ticking=tick is not None)

    def ready(url: str) -> None:
        output.say(f"serving both APIs on {url} until Ctrl-C; put this into .dlt/:\n")
        output.say(f"# config.toml\n{config(url)}\n# secrets.toml\n{secrets(world)}")

    try:
        serve_world(world, port=port, tick=tick, ready=ready)
    except OSError as error:
        message = f"port {port} can't be used ({error.strerror}); give another with --port"
        raise ConfigurationError(message) from None


def run(folder: Path) -> None:
    """Sync a simulated world twice in a folder of its own; show the answers, write a report."""
    command = Path(sys.argv[0]).absolute()
    folder = fresh(folder)
    world = Size(gptbots=4_000, bots=2, okchat=600, chatbots=1).world(7, days=120, ago=_PASSES)
    with Simulator(world) as simulator, _inside(folder):
        _write(simulator.url, world)
        configured = settings.load()
        output.say(f"1. First sync: the whole history of 3 bots from {simulator.url}")
        first = _sync(configured)
        world.advance(_PASSES)
        output.say("\n2. Twelve hours pass: conversations begin, go on, settle. Second sync:")
        second = _sync(configured)
        output.say(
            f"\n   {first.requests} requests the first time, {second.requests} the second: "
            "GPTBots is asked for what is new only; OKChat has no time filter, so its list is "
            "read whole and only what changed is loaded."
        )
        _show("\n3. Credit spend of the last days", configured.file, _SPEND)
        _show("\n4. Platforms, the largest", configured.file, _PLATFORMS)
        made = report.write(configured.publish, folder / "report.html")
        output.say(f"\n5. A report of it all, to open in a browser: {made}")
    _next(command, configured.file)


def config(url: str) -> str:
    """Return a config.toml that points at a simulator."""
    parts = [
        f'[sources.{name}]\nbase_url = "{url}"\nrequests_per_minute = 100000\n'
        for name in ("gptbots", "okchat")
    ]
    return "\n".join(parts)


def secrets(world: World) -> str:
    """Return a secrets.toml with the simulated keys of a world."""
    bots = [
        f'[sources.gptbots.bots.{bot}]\napi_key = "{world.keys[bot]}"\n' for bot in world.bot_ids
    ]
    chatbots = [
        f'[sources.okchat.chatbots.{bot}]\nchatbot_id = "{chatbot_id}"\n'
        f'api_key = "{world.keys[bot]}"\n'
        for bot, chatbot_id in world.chatbot_ids.items()
    ]
    return "\n".join(bots + chatbots)


def _spread(total: int, over: int) -> list[int]:
    return [total // over + (i < total % over) for i in range(over)]


def fresh(folder: Path) -> Path:
    """Make the folder; replace an earlier demo, touch nothing else.

    Raises:
        ConfigurationError: something else is there.
    """
    folder = folder.absolute()
    made = folder / ".dlt" / "config.toml"
    if folder.exists() and any(folder.iterdir()):
        if not (made.exists() and made.read_text(encoding="utf-8").startswith(MARK)):
            message = f"{folder} holds something else; name another folder with --dir"
            raise ConfigurationError(message)
        shutil.rmtree(folder)
    (folder / ".dlt").mkdir(parents=True)
    return folder


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _write(url: str, world: World) -> None:
    Path(".dlt/config.toml").write_text(f"{MARK}\n{config(url)}", encoding="utf-8")
    Path(".dlt/secrets.toml").write_text(secrets(world), encoding="utf-8")


def _sync(configured: settings.Settings) -> Outcome:
    with output.progress(quiet=False) as tell:
        outcome = sync.sync(configured, tell=tell)
    output.summary(outcome)
    return outcome


def _show(title: str, warehouse: Path, sql: str) -> None:
    rows = query.run(warehouse, sql)
    output.out.print(output.table(rows.column_names, query.cells(rows), title))


def _next(command: Path, warehouse: Path) -> None:
    folder = warehouse.parent
    convoy = os.path.relpath(command, folder) if command.name == "convoy" else "convoy"
    spend = "select spent_on, sum(credits) from credit_ledger group by 1 order by 1"
    output.say(
        f"\nThe warehouse is {warehouse}, a DuckDB file. Try next:\n\n"
        f"  cd {os.path.relpath(folder)}\n"
        f"  {convoy} status\n"
        f'  {convoy} query "from bot_summary"\n'
        f'  {convoy} query -f csv "{spend}"'
    )
