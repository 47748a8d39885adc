"""Typed settings out of `.dlt/config.toml`, `.dlt/secrets.toml` and the environment.

dlt finds the values (environment first, then the files, see `settings_given.py`); here they
get their types, and every fault its mend (`settings_faults.py`). All faults are told at once.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
)

from pipelines import settings_faults, settings_given, settings_values
from pipelines.errors import ConfigurationError
from pipelines.lake import place
from pipelines.lake.place import Lake
from pipelines.postgres import server
from pipelines.postgres.server import Server
from pipelines.settings_given import Given
from pipelines.settings_values import HASH, KEEP, duration
from pipelines.shard import Shard

__all__ = ["Bot", "Chatbot", "Gptbots", "Okchat", "Settings", "duration", "load"]

Duration = Annotated[timedelta, BeforeValidator(duration)]
Instant = Annotated[datetime, BeforeValidator(settings_values.instant)]
Url = Annotated[str, BeforeValidator(settings_values.base_url)]
ApiKey = Annotated[SecretStr, AfterValidator(settings_values.api_key)]
ChatbotId = Annotated[str, BeforeValidator(settings_values.chatbot_id)]
PageSize = Annotated[int, BeforeValidator(settings_values.whole(10_000))]
Share = Annotated[float, BeforeValidator(settings_values.share)]
PerMinute = Annotated[int, BeforeValidator(settings_values.whole(100_000))]
Treatment = Annotated[str, BeforeValidator(settings_values.treatment)]
Salt = Annotated[SecretStr, AfterValidator(settings_values.salt)]
Flag = Annotated[bool, BeforeValidator(settings_values.flag)]
Parameter = Annotated[str, BeforeValidator(settings_values.parameter)]
Name = Annotated[str, AfterValidator(settings_values.bot_name)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Bot(_Strict):
    """A GPTBots bot: its key is all there is to know."""

    api_key: ApiKey


class Chatbot(_Strict):
    """An OKChat chatbot."""

    chatbot_id: ChatbotId
    api_key: ApiKey


class Gptbots(_Strict):
    """`[sources.gptbots]`."""

    base_url: Url = "https://api-sg.gptbots.ai"
    start_date: Instant = datetime(2023, 1, 1, tzinfo=UTC)
    lookback: Duration = timedelta(hours=1)
    requests_per_minute: PerMinute = 100
    max_deleted_share: Share = 0.25
    bill: Flag = False
    conversation_credits: Flag = False
    bot_names: Flag = False
    messages: Flag = False
    messages_per_run: PerMinute = 500
    bots: dict[Name, Bot] = {}


class Okchat(_Strict):
    """`[sources.okchat]`."""

    base_url: Url = "https://v2.okchat.ai"
    page_size: PageSize = 100
    page_param: Parameter = "page"
    limit_param: Parameter = "limit"
    requests_per_minute: PerMinute = 100
    sweep_every: Duration = timedelta()
    max_deleted_share: Share = 0.25
    bot_names: Flag = False
    messages: Flag = False
    messages_per_run: PerMinute = 500
    chatbots: dict[Name, Chatbot] = {}


Place = Path | Server | Lake
"""Where a warehouse is: a DuckDB file, a database of PostgreSQL, or a folder of Delta tables."""


class Privacy(_Strict):
    """`[privacy]`."""

    texts: Treatment = KEEP
    user_ids: Treatment = KEEP
    salt: Salt | None = None


T = TypeVar("T")
Source = TypeVar("Source", Gptbots, Okchat)


def _home() -> Path:
    return settings_given.folders()[0].absolute().parent


def _published() -> Path:
    return Path("published/convoy.duckdb").absolute()


class Settings(BaseModel):
    """Everything that is configured; paths are absolute, `home` is where `.dlt` lies."""

    model_config = ConfigDict(frozen=True)

    gptbots: Gptbots
    okchat: Okchat
    warehouse: Place
    home: Path = Field(default_factory=_home)
    privacy: Privacy = Privacy()
    publish: Path = Field(default_factory=_published)
    publish_parquet: bool = False
    time_zone: str = "UTC"
    spark: str | None = None
    notify_command: str | None = None
    notify_webhook: SecretStr | None = None
    shard: Shard | None = None

    @property
    def file(self) -> Path:
        """The warehouse, where that has to be a file.

        Raises:
            ConfigurationError: it is a database on a server, or a lakehouse.
        """
        if not isinstance(self.warehouse, Path):
            what = "is not a file, which this needs"
            raise ConfigurationError(settings_faults.of_value(_DESTINATION, what))
        return self.warehouse

    @property
    def shown(self) -> Place:
        """Where readers look: in the published file, or in a database that bears them itself."""
        return self.publish if isinstance(self.warehouse, Path) else self.warehouse

    @property
    def work(self) -> Path:
        """Where lock, load packages and models' artefacts lie: beside the warehouse, or `.dlt`."""
        if isinstance(self.warehouse, Lake):  # others may be at work beside this one
            return self.home / ".convoy" / "lake" / str(self.shard or "all")
        if not isinstance(self.warehouse, Path):
            return self.home / ".convoy" / "postgres"
        file = self.warehouse.resolve()  # one lock, whichever way leads to the file
        return file.parent / ".convoy" / file.name

    @property
    def budgets(self) -> Path:
        """Where the budgets of keys are kept: of a lakehouse in one place for all workers here."""
        of_all = isinstance(self.warehouse, Lake)
        return self.work.parent / "budget" if of_all else self.work / "budget"

    def max_deleted_share(self, source: str) -> float:
        """Return the share of a bot's conversations that one run may mark as deleted."""
        of = self.gptbots if source == "gptbots" else self.okchat
        return of.max_deleted_share

    @property
    def publish_files(self) -> Path:
        """The folder of the marts as Parquet files: beside the published file."""
        return self.publish.with_name(f"{self.publish.stem}_marts")


_WAREHOUSE = ("destination", "duckdb", "credentials")
_DESTINATION = ("destination", "name")
_LAKE = ("destination", "filesystem", "bucket_url")
_PUBLISH = ("publish", "path")
_PARQUET = ("publish", "parquet")
_TIME_ZONE = ("models", "time_zone")
_SPARK = ("models", "spark")
_NOTIFY_COMMAND = ("schedule", "notify_command")
_NOTIFY_WEBHOOK = settings_faults.NOTIFY_WEBHOOK
SHAPE: settings_faults.Shape = {
    "sources": {
        "gptbots": {
            **dict.fromkeys(Gptbots.model_fields),
            "bots": {settings_faults.ANY: dict.fromkeys(Bot.model_fields)},
        },
        "okchat": {
            **dict.fromkeys(Okchat.model_fields),
            "chatbots": {settings_faults.ANY: dict.fromkeys(Chatbot.model_fields)},
        },
    },
    "destination": {
        "name": None,
        "duckdb": {"credentials": None},
        "postgres": {"credentials": None},
        "filesystem": {"bucket_url": None},
    },
    "publish": {"path": None, "parquet": None},
    "models": {"time_zone": None, "spark": None},
    "schedule": {"notify_command": None, "notify_webhook": None},
    "privacy": dict.fromkeys(Privacy.model_fields),
}


def load(*, need_bots: bool = True) -> Settings:
    """Read the settings of the working directory.

    Args:
        need_bots: whether a configuration without any bot is a fault.

    Raises:
        ConfigurationError: with every fault and its mend.
    """
    faults = _faults_of_names()
    found: dict[str, object] = {}
    given = Given()
    for name, read in _READERS.items():
        try:
            found[name] = read(given)
        except ConfigurationError as wrong:
            faults += wrong.faults
    if faults:
        raise ConfigurationError(*faults)
    return _consistent(Settings.model_validate(found), need_bots=need_bots)


def _faults_of_names() -> list[str]:
    """Find names that nothing reads.

    Raises:
        ConfigurationError: A file can't be read, so neither can its values.
    """
    files, broken = settings_given.files()
    unknown = [fault for file in files for fault in settings_faults.unknown_keys(file, SHAPE)]
    unknown += settings_faults.unknown_variables(os.environ, SHAPE)
    if broken:
        raise ConfigurationError(*broken, *unknown)
    return unknown


def _gptbots(given: Given) -> Gptbots:
    return _source(given, "sources.gptbots", Gptbots, ("bots", Bot))


def _okchat(given: Given) -> Okchat:
    return _source(given, "sources.okchat", Okchat, ("chatbots", Chatbot))


def _source(
    given: Given, path: str, model: type[Source], bots: tuple[str, type[BaseModel]]
) -> Source:
    """Read one source, its bots from where secrets may stand."""
    name, fields = bots[0], bots[1].model_fields
    values = {key: given.value(f"{path}.{key}") for key in model.model_fields if key != name}
    faults: list[str] = []
    try:
        values[name] = given.bots(f"{path}.{name}", fields)
    except ConfigurationError as wrong:
        faults += wrong.faults
    try:
        read = model.model_validate({k: v for k, v in values.items() if v is not None})
    except ValidationError as invalid:
        faults += settings_faults.of_values(path, fields, invalid)
    if faults:
        raise ConfigurationError(*faults) from None
    return read


def _warehouse(given: Given) -> Place:
    name = _read(given, _DESTINATION, settings_values.destination, usual="duckdb")
    if name == "filesystem":
        return _read(given, _LAKE, place.read, usual=None)
    return _server(given) if name == "postgres" else _warehouse_file(given)


def _server(given: Given) -> Server:
    """Read dlt's credentials: an address, or a table whose fields may stand apart."""
    path = settings_faults.POSTGRES
    whole = given.value(".".join(path), is_secret=True)
    fields: dict[str, object] = {}
    if isinstance(whole, Mapping):
        if unknown := sorted(map(str, whole.keys() - {*server.FIELDS, "drivername"})):
            known = ", ".join(server.FIELDS)
            what = f"holds {', '.join(unknown)}, which nothing reads; known are {known}"
            raise ConfigurationError(settings_faults.of_value(path, what))
    elif whole is not None:
        fields |= _typed(path, server.of_text, whole)
    for name in server.FIELDS:
        value = given.value(".".join((*path, name)), is_secret=name == "password")
        fields |= {} if value is None else {name: value}
    return _typed(path, lambda _: server.read(fields), None)


def _warehouse_file(given: Given) -> Path:
    path = _file(given, _WAREHOUSE, "warehouse.duckdb")
    if not path.parent.is_dir():
        what = "lies in a folder that does not exist; make the folder or correct the path"
        raise ConfigurationError(settings_faults.of_value(_WAREHOUSE, what))
    return path


def _publish(given: Given) -> Path:
    return _file(given, _PUBLISH, "published/convoy.duckdb")


def _publish_parquet(given: Given) -> bool:
    return _read(given, _PARQUET, settings_values.flag, usual=False)


def _time_zone(given: Given) -> str:
    return _read(given, _TIME_ZONE, settings_values.time_zone, usual="UTC")


def _spark(given: Given) -> str | None:
    return _optional(given, _SPARK, settings_values.spark)


def _notify_command(given: Given) -> str | None:
    return _optional(given, _NOTIFY_COMMAND, settings_values.command)


def _notify_webhook(given: Given) -> SecretStr | None:
    return _optional(given, _NOTIFY_WEBHOOK, settings_values.webhook, is_secret=True)


def _privacy(given: Given) -> Privacy:
    values = {
        name: given.value(f"privacy.{name}", is_secret=name == settings_faults.SALT[1])
        for name in Privacy.model_fields
    }
    try:
        read = Privacy.model_validate({k: v for k, v in values.items() if v is not None})
    except ValidationError as invalid:
        faults = settings_faults.of_values("privacy", (), invalid)
        raise ConfigurationError(*faults) from None
    if HASH in (read.texts, read.user_ids) and read.salt is None:
        what = 'is missing, and "hash" needs it; make up a long secret and put it there'
        raise ConfigurationError(settings_faults.of_value(settings_faults.SALT, what))
    return read


def _file(given: Given, path: tuple[str, ...], usual: str) -> Path:
    return _read(given, path, settings_values.database, usual)


def _optional(
    given: Given, path: tuple[str, ...], read: Callable[[object], T], *, is_secret: bool = False
) -> T | None:
    value = given.value(".".join(path), is_secret=is_secret)
    return None if value is None else _typed(path, read, value)


def _read(given: Given, path: tuple[str, ...], read: Callable[[object], T], usual: object) -> T:
    value = given.value(".".join(path))
    return _typed(path, read, usual if value is None else value)


def _typed(path: tuple[str, ...], read: Callable[[object], T], value: object) -> T:
    try:
        return read(value)
    except ValueError as wrong:
        raise ConfigurationError(settings_faults.of_value(path, str(wrong))) from None


_READERS: dict[str, Callable[[Given], object]] = {
    "gptbots": _gptbots,
    "okchat": _okchat,
    "warehouse": _warehouse,
    "publish": _publish,
    "publish_parquet": _publish_parquet,
    "time_zone": _time_zone,
    "spark": _spark,
    "notify_command": _notify_command,
    "notify_webhook": _notify_webhook,
    "privacy": _privacy,
}


def _consistent(settings: Settings, *, need_bots: bool) -> Settings:
    faults = [*_twice(settings)]
    if need_bots and not (settings.gptbots.bots or settings.okchat.chatbots):
        faults.append(settings_faults.no_bots())
    file = settings.warehouse if isinstance(settings.warehouse, Path) else None
    if file and settings.publish.resolve() == file.resolve():
        what = "is the warehouse itself; publish to another file"
        faults.append(settings_faults.of_value(_PUBLISH, what))
    if faults:
        raise ConfigurationError(*faults)
    return settings


def _twice(settings: Settings) -> Iterator[str]:
    """Find bots that are configured under two names: their rows would go to and fro."""
    bots = {
        **{
            ("gptbots", "bots", n): b.api_key.get_secret_value()
            for n, b in settings.gptbots.bots.items()
        },
        **{("okchat", "chatbots", n): c.chatbot_id for n, c in settings.okchat.chatbots.items()},
    }
    first: dict[tuple[str, str], str] = {}
    for (source, table, name), identity in bots.items():
        other = first.setdefault((source, identity), name)
        if other != name:
            what = f"is the same bot as {other!r}; remove one of them"
            yield settings_faults.of_value(("sources", source, table, name), what)
