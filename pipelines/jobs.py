"""Who is to be read and what reads them: one task a bot, with its cursor and its client."""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipelines.budget import Budget
from pipelines.connections import Connections, Timeout
from pipelines.cursor import BEGINNING, Cursor
from pipelines.errors import ConfigurationError
from pipelines.gptbots.api import GptbotsApi
from pipelines.gptbots.history import History
from pipelines.gptbots.scan import WINDOW_ROWS, Scan
from pipelines.http import PATIENCE, TIMEOUT, Client, Key
from pipelines.okchat.api import OkchatApi
from pipelines.settings import Bot, Chatbot, Gptbots, Okchat, Settings

BOTS = {"gptbots": "[sources.gptbots.bots]", "okchat": "[sources.okchat.chatbots]"}
"""Where each source's bots are configured."""

_OKCHAT_LOOKBACK = timedelta(hours=1)
_WINDOWS_AHEAD = 12  # more than connections: towards the end some windows are done before others
_ROWS_AHEAD = 200_000
_SMALLEST_WINDOW = 1_000


@dataclass(frozen=True, order=True)
class BotName:
    """A bot of the configuration, by the user's name for it."""

    source: str
    bot: str

    def __str__(self) -> str:
        return f"{self.source} {self.bot}"


@dataclass(frozen=True)
class GptbotsTask:
    """One GPTBots bot: where its cursor stands, and what reads it."""

    cursor: Cursor
    client: Client
    scan: Scan
    history: History


@dataclass(frozen=True)
class OkchatTask:
    """One chatbot of OKChat: where its cursor stands, and what reads it."""

    cursor: Cursor
    client: Client
    chatbot_id: str
    page_size: int
    api: OkchatApi


Task = GptbotsTask | OkchatTask


@dataclass(frozen=True)
class Wire:
    """What all requests share: connections and budgets.

    The budgets' files lie in the folder `slots`; without one they are the process's own. What comes
    is read as `clean` leaves it.
    """

    connections: Connections
    patience: float = PATIENCE
    timeout: Timeout = TIMEOUT
    budgets: dict[str, Budget] = field(default_factory=dict, repr=False)
    slots: Path | None = None
    clean: Callable[[bytes], bytes] = bytes

    def client(self, of: Gptbots | Okchat, key: Key, bot: str) -> Client:
        """Return a client; bots with one key and host share its budget."""
        shared = of.base_url + key.value
        if shared not in self.budgets:
            self.budgets[shared] = Budget(of.requests_per_minute, file=self._file(of, bot))
        waits = (self.budgets[shared], self.connections, self.patience, self.timeout)
        return Client(of.base_url, key, bot, *waits, self.clean)

    def _file(self, of: Gptbots | Okchat, bot: str) -> Path | None:
        """Return where the budget of a bot is kept: its name may hold anything, a file's not."""
        if self.slots is None:
            return None
        with suppress(OSError):  # without a folder the process knows its own requests
            self.slots.mkdir(parents=True, exist_ok=True)
        whose = json.dumps([type(of).__name__, bot]).encode()
        return self.slots / hashlib.blake2b(whose, digest_size=16).hexdigest()


def names(settings: Settings, sources: Collection[str] = ()) -> list[BotName]:
    """Return all bots of the chosen sources, of all where none is chosen."""
    bots = [BotName("gptbots", bot) for bot in settings.gptbots.bots]
    bots += [BotName("okchat", bot) for bot in settings.okchat.chatbots]
    return [name for name in bots if not sources or name.source in sources]


def chosen(
    settings: Settings, sources: Collection[str], bots: Collection[BotName] = ()
) -> list[BotName]:
    """Return the bots of the chosen sources; of these the chosen ones, where any are.

    Raises:
        ConfigurationError: there is none, or a chosen one is not configured.
    """
    found = names(settings, sources)
    if missing := sorted(set(bots) - set(found)):
        raise ConfigurationError(*(f"no bot {name} is configured" for name in missing))
    if found:
        return [name for name in _mine(settings, found) if not bots or name in bots]
    tables = " and ".join(sorted(BOTS[source] for source in sources))
    message = f"no bot of {' and '.join(sources)} is configured; add one to {tables}"
    raise ConfigurationError(message)


def _mine(settings: Settings, found: Collection[BotName]) -> list[BotName]:
    """Return the bots of this shard; those that share a key stay together, as with its budget."""
    if not (shard := settings.shard):
        return list(found)
    keys = {name: _key(settings, name) for name in names(settings)}
    first = {key: name for name, key in sorted(keys.items(), reverse=True)}
    return [n for n in found if shard.has(f"{first[keys[n]].source}/{first[keys[n]].bot}")]


def _key(settings: Settings, name: BotName) -> tuple[str, str]:
    if name.source == "gptbots":
        of = settings.gptbots
        return of.base_url, of.bots[name.bot].api_key.get_secret_value()
    return settings.okchat.base_url, settings.okchat.chatbots[name.bot].api_key.get_secret_value()


def tasks(
    settings: Settings, cursors: Mapping[BotName, datetime | None], wire: Wire
) -> dict[BotName, Task]:
    """Return what reads the bots that `cursors` names."""
    make = {"gptbots": _gptbots, "okchat": _okchat}
    return {
        name: make[name.source](settings, name.bot, last, wire, len(cursors))
        for name, last in cursors.items()
    }


def _gptbots(settings: Settings, bot: str, last: datetime | None, wire: Wire, beside: int) -> Task:
    """Plan one bot; the more are read beside it, the less of each lies in memory."""
    of = settings.gptbots
    client = wire.client(of, gptbots_key(of.bots[bot]), bot)
    scan = Scan(
        GptbotsApi(client, bot).page,
        ahead=max(1, _WINDOWS_AHEAD // beside),
        window_rows=max(_SMALLEST_WINDOW, min(WINDOW_ROWS, _ROWS_AHEAD // beside)),
    )
    cursor = Cursor(of.start_date, of.lookback, last)
    return GptbotsTask(cursor, client, scan, History(scan, of.start_date, datetime.now(UTC)))


def _okchat(settings: Settings, bot: str, last: datetime | None, wire: Wire, _beside: int) -> Task:
    of = settings.okchat
    chatbot = of.chatbots[bot]
    client = wire.client(of, okchat_key(chatbot), bot)
    cursor = Cursor(BEGINNING, _OKCHAT_LOOKBACK, last)
    api = okchat_api(client, bot, of, chatbot)
    return OkchatTask(cursor, client, chatbot.chatbot_id, of.page_size, api)


def gptbots_key(bot: Bot) -> Key:
    """Return how GPTBots wants to see a key."""
    return Key("Authorization", f"Bearer {bot.api_key.get_secret_value()}")


def okchat_key(chatbot: Chatbot) -> Key:
    """Return how OKChat wants to see a key."""
    return Key("x-api-key", chatbot.api_key.get_secret_value())


def okchat_api(client: Client, bot: str, settings: Okchat, chatbot: Chatbot) -> OkchatApi:
    """Return the API of one chatbot."""
    names = (settings.page_param, settings.limit_param)
    return OkchatApi(client, bot, chatbot.chatbot_id, settings.page_size, names)
