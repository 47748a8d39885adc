"""Tells whether everything that is configured works: each key, and the warehouse.

One small request a bot, and none again: what a check saw once is what it tells. Nothing is
created or changed on disk.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipelines import errors, warehouse
from pipelines.connections import Connections, Timeout
from pipelines.gptbots.api import GptbotsApi
from pipelines.gptbots.windows import milliseconds
from pipelines.jobs import BotName, Wire, gptbots_key, names, okchat_api, okchat_key
from pipelines.lake.place import Lake
from pipelines.postgres.fit import assert_fit
from pipelines.postgres.lock import is_held
from pipelines.postgres.server import Server
from pipelines.settings import Settings
from pipelines.settings_faults import POSTGRES, dotted

SECONDS = 5.0
"""How long a server may take to accept a connection, and to answer."""
_AT_ONCE = 8
_WINDOW = timedelta(hours=1)
_CREDENTIALS = "destination.duckdb.credentials"
_TABLES = {"gptbots": "bots", "okchat": "chatbots"}
_GPTBOTS: dict[type[errors.ApiError], str] = {
    errors.KeyRejected: "set {bot}.api_key to a valid key of this bot",
    errors.BotDeleted: "remove {bot}, or restore the bot upstream",
    errors.NotFound: "correct {source}.base_url",
    errors.RedirectRefused: "correct {source}.base_url",
    errors.Unreachable: "check {source}.base_url and the network, or try again later",
}
_OKCHAT: dict[type[errors.ApiError], str] = {
    errors.KeyRejected: "set {bot}.api_key to a valid key of the chatbot in {bot}.chatbot_id",
    errors.NotFound: "correct {bot}.chatbot_id, or {source}.base_url",
}
_MENDS = {"gptbots": _GPTBOTS, "okchat": _GPTBOTS | _OKCHAT}


@dataclass(frozen=True)
class Finding:
    """What was found of a bot, or of the warehouse where `bot` is None.

    One that is not ok always has a mend; one that is ok may have advice there.
    """

    source: str
    bot: str | None
    ok: bool
    message: str
    mend: str | None = None


def check(settings: Settings, *, seconds: float = SECONDS) -> list[Finding]:
    """Ask each API once with each key, and try to open the warehouse.

    Args:
        settings: what is configured.
        seconds: how long a server may take to accept a connection, and to answer.
    """
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as loop:
        return [*loop.run(_bots(settings, seconds)), check_warehouse(settings)]


async def _bots(settings: Settings, seconds: float) -> list[Finding]:
    with Connections(_AT_ONCE) as connections:
        wire = Wire(connections, patience=0, timeout=Timeout(seconds, seconds, 2 * seconds))
        asked = [_finding(name, _ask(settings, name, wire)) for name in names(settings)]
        return await asyncio.gather(*asked)


def _ask(settings: Settings, name: BotName, wire: Wire) -> Awaitable[object]:
    """Ask for one conversation."""
    if name.source == "gptbots":
        bot = settings.gptbots.bots[name.bot]
        client = wire.client(settings.gptbots, gptbots_key(bot), name.bot)
        now = datetime.now(UTC)
        return GptbotsApi(client, name.bot).page(
            milliseconds(now - _WINDOW), milliseconds(now), 1, size=1
        )
    of = settings.okchat.model_copy(update={"page_size": 1})
    chatbot = of.chatbots[name.bot]
    client = wire.client(of, okchat_key(chatbot), name.bot)
    return okchat_api(client, name.bot, of, chatbot).page(1)


async def _finding(name: BotName, answer: Awaitable[object]) -> Finding:
    try:
        await answer
    except errors.RateLimited:
        message = "the API answers, but asks to wait: too many requests with this key"
        mend = f"lower sources.{name.source}.requests_per_minute, or see what else uses the key"
        return Finding(name.source, name.bot, ok=True, message=message, mend=mend)
    except errors.ApiError as error:
        message, own = _parts(error.message)
        mend = _mend(name, error, own)
        return Finding(name.source, name.bot, ok=False, message=message, mend=mend)
    return Finding(name.source, name.bot, ok=True, message="the API answers and accepts the key")


def _mend(name: BotName, error: errors.ApiError, own: str) -> str:
    """Return what to do; `own` is what the error itself says, if it says anything."""
    source = f"sources.{name.source}"
    bot = dotted(("sources", name.source, _TABLES[name.source], name.bot))
    if isinstance(error, errors.BrokenReply):
        return f"correct {source}.base_url" if own else "try again later"
    for kind, mend in _MENDS[name.source].items():
        if isinstance(error, kind):
            return mend.format(bot=bot, source=source)
    return own or f"correct the values of [{source}]"


def check_warehouse(settings: Settings) -> Finding:
    """Tell whether a sync could write to the warehouse."""
    path = settings.warehouse
    if _sync_runs(settings.work / "lock"):
        return _warehouse(f"{path} is in use by a sync", "wait for it to end")
    if isinstance(path, Lake):
        return _check_lake(path)
    if not isinstance(path, Path):
        return _check_server(path)
    if not path.exists():
        return _new_warehouse(path)
    # A log beside it is what a killed sync left: opened to write, DuckDB would work it in.
    has_log = path.with_name(f"{path.name}.wal").exists()
    try:
        with warehouse.connect(path, read_only=has_log):
            return _warehouse(f"{path} can be opened")
    except errors.ConvoyError as error:
        message, own = _parts(str(error))
        return _warehouse(message, own or f"correct {_CREDENTIALS}, or the file's permissions")


def _check_server(server: Server) -> Finding:
    try:
        with warehouse.connect(server, read_only=True) as connection:
            if is_held(connection):
                return _warehouse(f"{server} is in use by a sync", "wait for it to end")
            assert_fit(connection, server)
            return _warehouse(f"{server} can be opened")
    except errors.ConvoyError as error:
        message, own = _parts(str(error))
        return _warehouse(message, own or f"correct {dotted(POSTGRES)}")


def _check_lake(lake: Lake) -> Finding:
    there = next(folder for folder in (lake.folder, *lake.folder.parents) if folder.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        message = f"{lake} can't be written, {there} is closed to you or no folder"
        return _warehouse(message, "correct destination.filesystem.bucket_url, or open the folder")
    try:
        with warehouse.connect(lake, read_only=True) as connection:
            made = warehouse.has_tables(connection)
            return _warehouse(f"{lake} can be opened" if made else f"{lake} will be made")
    except errors.ConvoyError as error:
        return _warehouse(*_parts(str(error)))


def _new_warehouse(path: Path) -> Finding:
    if not path.parent.is_dir():
        message = f"{path} can't be created, its folder does not exist"
        return _warehouse(message, f"make the folder, or correct {_CREDENTIALS}")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        message = f"{path} can't be created, its folder is closed to you"
        return _warehouse(message, f"open the folder, or correct {_CREDENTIALS}")
    return _warehouse(f"{path} will be created by the first sync")


def _warehouse(message: str, mend: str | None = None) -> Finding:
    return Finding("warehouse", None, ok=mend is None, message=message, mend=mend)


def _sync_runs(lock: Path) -> bool:
    """Tell whether a sync holds its lock; opening its warehouse could make it fail."""
    if sys.platform == "win32" or not lock.exists():
        return False
    import fcntl  # noqa: PLC0415 - not there on Windows

    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _parts(message: str) -> tuple[str, str]:
    """Split "what happened; what to do", the second part empty where it is not said."""
    what, _, mend = message.rpartition("; ")
    return (what, mend) if what else (mend, "")
