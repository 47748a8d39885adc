"""Typed settings out of `.dlt/config.toml`, `.dlt/secrets.toml` and the environment.

dlt finds the values (environment first, then the files); here they get their types, and
every fault its mend. All faults are told at once.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from json import JSONDecodeError, loads
from pathlib import Path
from typing import Annotated, Any

import pendulum
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
)

from pipelines.errors import ConfigurationError

CONFIG = Path(".dlt/config.toml")
SECRETS = Path(".dlt/secrets.toml")
_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_DURATION = re.compile(r"(\d+)([dhms])")


def duration(value: object) -> timedelta:
    """Read `"90s"`, `"15m"`, `"1h30m"`, `"2d"` or `"0"`."""
    text = str(value).strip()
    parts = _DURATION.findall(text)
    if text == "0":
        return timedelta()
    if not parts or "".join(n + u for n, u in parts) != text:
        message = 'is no duration; write it like "90s", "15m", "1h30m" or "2d"'
        raise ValueError(message)
    return timedelta(**{_UNITS[unit]: int(number) for number, unit in parts})


def _date(value: object) -> datetime:
    message = 'is no date; write it like "2023-01-01"'
    try:
        found = pendulum.parse(str(value), tz="UTC", strict=True)
    except ValueError:
        raise ValueError(message) from None
    if not isinstance(found, pendulum.DateTime) or not 1970 <= found.year <= 9998:
        raise ValueError(message)
    return found.astimezone(UTC)


def _url(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", value):
        message = 'is no base URL; write it like "https://api-sg.gptbots.ai"'
        raise ValueError(message)
    return value.rstrip("/")


def _filled(value: SecretStr) -> SecretStr:
    secret = value.get_secret_value()
    if not secret.strip():
        message = "is empty; put the API key here"
        raise ValueError(message)
    if secret != secret.strip() or not secret.isascii() or not secret.isprintable():
        message = "holds blanks or characters that no API key has; copy it anew"
        raise ValueError(message)
    return value


Duration = Annotated[timedelta, BeforeValidator(duration)]
Instant = Annotated[datetime, BeforeValidator(_date)]
Url = Annotated[str, AfterValidator(_url)]
ApiKey = Annotated[SecretStr, AfterValidator(_filled)]
PerMinute = Annotated[int, Field(ge=1, le=100_000)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Bot(_Strict):
    """A GPTBots bot: its key is all there is to know."""

    api_key: ApiKey


class Chatbot(_Strict):
    """An OKChat chatbot."""

    chatbot_id: Annotated[str, Field(min_length=1)]
    api_key: ApiKey


class Gptbots(_Strict):
    """`[sources.gptbots]`."""

    base_url: Url = "https://api-sg.gptbots.ai"
    start_date: Instant = datetime(2023, 1, 1, tzinfo=UTC)
    lookback: Duration = timedelta(hours=1)
    requests_per_minute: PerMinute = 100
    bots: dict[str, Bot] = {}


class Okchat(_Strict):
    """`[sources.okchat]`."""

    base_url: Url = "https://v2.okchat.ai"
    page_size: Annotated[int, Field(ge=1, le=10_000)] = 100
    page_param: Annotated[str, Field(min_length=1)] = "page"
    limit_param: Annotated[str, Field(min_length=1)] = "limit"
    requests_per_minute: PerMinute = 100
    sweep_every: Duration = timedelta()
    chatbots: dict[str, Chatbot] = {}


class Settings(BaseModel):
    """Everything that is configured; `warehouse` is absolute."""

    model_config = ConfigDict(frozen=True)

    gptbots: Gptbots
    okchat: Okchat
    warehouse: Path

    @property
    def work(self) -> Path:
        """Where lock, load packages and models' artefacts lie: beside the warehouse."""
        return self.warehouse.parent / ".convoy" / self.warehouse.stem


_SECTIONS: dict[str, tuple[type[BaseModel], str]] = {
    "gptbots": (Gptbots, "bots"),
    "okchat": (Okchat, "chatbots"),
}
_DESTINATION = "destination.duckdb.credentials"


def load(*, need_bots: bool = True) -> Settings:
    """Read the settings of the working directory.

    Args:
        need_bots: whether a configuration without any bot is a fault.

    Raises:
        ConfigurationError: with every fault and its mend.
    """
    faults = [*_broken_files()]
    if faults:
        raise ConfigurationError(*faults)
    faults += [*_unknown_keys(), *_unknown_variables()]
    found: dict[str, Any] = {}
    for name, (model, bots) in _SECTIONS.items():
        try:
            found[name] = model.model_validate(_section(name, model, bots))
        except ValidationError as invalid:
            faults += _faults(name, bots, invalid)
        except ValueError as invalid:
            faults.append(str(invalid))
    try:
        found["warehouse"] = _warehouse()
    except ValueError as invalid:
        faults.append(str(invalid))
    if not faults and need_bots and not (found["gptbots"].bots or found["okchat"].chatbots):
        faults.append(_no_bots())
    if faults:
        raise ConfigurationError(*faults)
    return Settings(**found)


def _no_bots() -> str:
    where = "" if Path(".dlt").is_dir() else " (there is no .dlt folder in this directory)"
    return (
        f"no bot is configured{where}: add one to {SECRETS}, for example\n"
        '  [sources.gptbots.bots.support]\n  api_key = "…"'
    )


def _section(name: str, model: type[BaseModel], bots: str) -> dict[str, Any]:
    """Collect one source's values; keys that only the files know are told elsewhere."""
    import dlt  # noqa: PLC0415 - half a second that `--help` need not spend

    values: dict[str, Any] = {}
    for key in model.model_fields:
        path = f"sources.{name}.{key}"
        value = dlt.secrets.get(path) if key == bots else dlt.config.get(path)
        if value is not None:
            values[key] = value
    values[bots] = _bots(name, bots, values.get(bots))
    return values


def _bots(name: str, bots: str, value: object) -> dict[str, Any]:
    """Read the table of bots, as TOML or JSON, and let single keys come from the environment."""
    import dlt  # noqa: PLC0415 - as above

    path = f"sources.{name}.{bots}"
    if isinstance(value, str):
        try:
            value = loads(value)
        except JSONDecodeError:
            value = None
        if not isinstance(value, Mapping):
            message = (
                f"{_variable(path)} is no JSON object; write it like "
                '{"support": {"api_key": "…"}}'
            )
            raise ValueError(message)
    found: dict[str, Any] = {}
    for bot, fields in (value or {}).items() if isinstance(value or {}, Mapping) else ():
        found[bot] = dict(fields) if isinstance(fields, Mapping) else fields
        if isinstance(fields, Mapping):
            for key in ("api_key", *(("chatbot_id",) if name == "okchat" else ())):
                override = dlt.secrets.get(f"{path}.{bot}.{key}")
                if override is not None:
                    found[bot][key] = override
    return found


def _warehouse() -> Path:
    import dlt  # noqa: PLC0415 - as above

    given = str(dlt.config.get(_DESTINATION) or dlt.secrets.get(_DESTINATION) or "warehouse.duckdb")
    path = Path(given.removeprefix("duckdb:///")).expanduser().absolute()
    if "://" in given.removeprefix("duckdb:///") or given in ("", ":memory:"):
        message = f'{_DESTINATION} is no file: write it like "warehouse.duckdb"'
        raise ValueError(message)
    if path.is_dir() or not path.parent.is_dir():
        message = f"{_DESTINATION}: {path} can't be a file; make its folder or correct the path"
        raise ValueError(message)
    if path.stem in ("chat", "marts", "staging", "intermediate"):
        message = (
            f"{_DESTINATION}: a file called {path.stem!r} would hide the schema of that name; "
            "call it otherwise"
        )
        raise ValueError(message)
    return path


def _faults(name: str, bots: str, invalid: ValidationError) -> Iterable[str]:
    for error in invalid.errors(include_input=False, include_url=False):
        path = ".".join(["sources", name, *(str(part) for part in error["loc"])])
        where = SECRETS if bots in error["loc"] else CONFIG
        yield f"{path} {_mend(error['type'], error['msg'])} ({where} or {_variable(path)})"


def _mend(kind: str, message: str) -> str:
    if kind == "missing":
        return "is missing; add it"
    if kind == "extra_forbidden":
        return "is unknown; remove it or correct its name"
    return message.removeprefix("Value error, ").replace("Input should", "should")


def _variable(path: str) -> str:
    return path.upper().replace(".", "__")


def _broken_files() -> Iterable[str]:
    for path in (CONFIG, SECRETS):
        try:
            _toml(path)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as broken:
            yield f"{path} is no valid TOML: {broken}; correct it"
        except OSError as broken:
            yield f"{path} can't be read: {broken.strerror}; correct its permissions"


def _toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _unknown_keys() -> Iterable[str]:
    """Find keys that nothing reads: a typing error there would silently be a default."""
    for path in (CONFIG, SECRETS):
        sources = _toml(path).get("sources", {})
        for name, section in sources.items() if isinstance(sources, dict) else ():
            if name not in _SECTIONS:
                yield _unknown(path, f"sources.{name}", name, _SECTIONS)
                continue
            model, bots = _SECTIONS[name]
            for key in section if isinstance(section, dict) else ():
                if key not in model.model_fields:
                    yield _unknown(path, f"sources.{name}.{key}", key, model.model_fields)
            if path == CONFIG and isinstance(section, dict) and bots in section:
                yield f"sources.{name}.{bots} stands in {CONFIG}; keys belong in {SECRETS}: move it"


def _unknown_variables() -> Iterable[str]:
    for variable in os.environ:
        parts = variable.split("__")
        if len(parts) < 3 or parts[0] != "SOURCES" or parts[1].lower() not in _SECTIONS:
            continue
        fields = _SECTIONS[parts[1].lower()][0].model_fields
        if parts[2].lower() not in fields:
            known = [f"SOURCES__{parts[1]}__{field.upper()}" for field in fields]
            yield _unknown("the environment", variable, variable, known)


def _unknown(where: object, path: str, name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    mend = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
    return f"{path} in {where} is unknown; {mend}"
