"""What the user gave, still untyped: dlt's files and the environment.

dlt says which files count (those in `.dlt`, and its own in the home directory) and in which
order: environment, then secrets, then configuration. Its run context is not started for it:
that would start its logging and telemetry too.
"""

import os
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from json import loads
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import ConfigurationError

if TYPE_CHECKING:
    from dlt.common.configuration.providers import ConfigProvider

CONFIG = Path(".dlt/config.toml")
SECRETS = Path(".dlt/secrets.toml")


@dataclass(frozen=True)
class File:
    """A file as it stands; `is_ours` is false for one that all dlt projects of a user share."""

    path: Path
    is_ours: bool
    tables: Mapping[str, object]

    @property
    def may_hold_keys(self) -> bool:
        """Whether dlt takes secrets out of it."""
        return self.path.name == SECRETS.name


def files() -> tuple[list[File], list[str]]:
    """Return the files that can be read, and the faults of those that can't."""
    found, faults = [], []
    for path, is_ours in _paths():
        try:
            found.append(File(path, is_ours, _tables(path)))
        except OSError as unreadable:
            why = unreadable.strerror
            faults.append(f"{path} can't be read ({why}); make it a file that you may read")
        except UnicodeDecodeError:
            faults.append(f"{path} is not UTF-8; save it as UTF-8")
        except (ValueError, RecursionError) as broken:
            faults.append(f"{path} is no valid TOML: {_one_line(broken)}; correct it there")
    return found, faults


def _paths() -> Iterator[tuple[Path, bool]]:
    from dlt.common.runtime.run_context import RunContext  # noqa: PLC0415 - see _providers

    context = RunContext(None)
    ours, shared = Path(context.settings_dir), Path(context.global_dir)
    for name in (CONFIG.name, SECRETS.name):
        yield ours / name, True
        if shared.absolute() != ours.absolute():
            yield shared / name, False


def _tables(path: Path) -> Mapping[str, object]:
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _one_line(broken: BaseException) -> str:
    return " ".join(str(broken).split())[:200]


class Given:
    """The values that the user gave, as dlt finds them."""

    def __init__(self) -> None:
        self._providers = _providers()

    def value(self, path: str, *, is_secret: bool = False) -> object:
        """Return the value at a dotted path, None where there is none."""
        from dlt.common.typing import TSecretValue  # noqa: PLC0415 - see _providers

        *sections, key = path.split(".")
        for provider in self._providers:
            hint = TSecretValue if is_secret else str  # dlt looks for secrets in more places
            found: object = provider.get_value(key, hint, "", *sections)[0]
            if found is not None:
                return found
        return None

    def bots(self, path: str, fields: Collection[str]) -> Mapping[str, object]:
        """Return the bots of a source by name, keys from the environment put in.

        Raises:
            ConfigurationError: The environment holds something else than JSON.
        """
        bots = {**_table(path, self.value(path, is_secret=True))}
        for name in _named(path, fields):
            if name not in map(str.upper, bots):
                bots[name.lower()] = {}
        for name, values in bots.items():
            if isinstance(values, Mapping) and name.isprintable():
                bots[name] = {**values, **self._overriding(path, name, fields)}
        return bots

    def _overriding(self, path: str, bot: str, fields: Collection[str]) -> Mapping[str, str]:
        found = {}
        for field in fields:
            text = self._of_environment(*path.split("."), bot, field)
            if text is not None:
                found[field] = text
        return found

    def _of_environment(self, *path: str) -> str | None:
        """Return a secret of the environment.

        dlt looks into /run/secrets too, and puts what it finds into the environment, stripped.
        """
        from dlt.common.typing import TSecretValue  # noqa: PLC0415 - see _providers

        *sections, key = path
        _, name = self._providers[0].get_value(key, TSecretValue, "", *sections)
        return os.environ.get(name)


def _providers() -> "list[ConfigProvider]":
    """Read the files anew; dlt keeps what it has read.

    Raises:
        ConfigurationError: dlt can't read what passed for TOML here.
    """
    # Half a second that `--help` need not spend.
    from dlt.common.configuration.exceptions import ConfigurationException  # noqa: PLC0415
    from dlt.common.runtime.run_context import RunContext  # noqa: PLC0415

    try:
        return RunContext(None).initial_providers()
    except ConfigurationException:
        fault = (
            f"dlt can't join {CONFIG} or {SECRETS} with the file of that name in its own folder; "
            "write no table inline and each with all that is below it"
        )
        raise ConfigurationError(fault) from None


def _table(path: str, value: object) -> Mapping[str, object]:
    """Return bots given as a table or as JSON."""
    table = {} if value is None else value
    if isinstance(table, str):
        try:
            table = loads(table)
        except (ValueError, RecursionError):
            table = None
    if not isinstance(table, Mapping):
        raise ConfigurationError(
            f"{path} is no table of bots; write [{path}.support] in {SECRETS}, or JSON like "
            f"""'{{"support": {{"api_key": "…"}}}}' in {variable(path)}"""
        )
    return table


def _named(path: str, fields: Collection[str]) -> Iterator[str]:
    """Find the bots, in upper case, that single variables are about."""
    prefix = variable(path) + "__"
    for name in os.environ:
        bot, _, field = name.removeprefix(prefix).rpartition("__")
        if name.startswith(prefix) and bot and field.lower() in fields:
            yield bot


def variable(path: str) -> str:
    """Return the environment variable of a dotted path."""
    return path.upper().replace(".", "__")
