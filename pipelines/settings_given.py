"""What the user gave, still untyped: dlt's files and the environment.

Which files count (those in `.dlt`, and dlt's own in the home directory) and in which order
(environment, then secrets, then configuration) is as dlt has it, which the tests compare; but
dlt itself is not asked: to import it costs more than the rest of a sync that finds nothing new.
"""

import os
import tempfile
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from json import loads
from pathlib import Path

from pipelines.errors import ConfigurationError

CONFIG = Path(".dlt/config.toml")
SECRETS = Path(".dlt/secrets.toml")
_MOUNTED = "/run/secrets"
_ROOTS_OWN = Path("/var/dlt")


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
    ours, shared = folders()
    for name in (CONFIG.name, SECRETS.name):
        yield ours / name, True
        if shared.absolute() != ours.absolute():
            yield shared / name, False


def folders() -> tuple[Path, Path]:
    """Return the folder of this project's files, and that of all projects of this user."""
    name = os.environ.get("DLT_CONFIG_FOLDER", ".dlt")
    ours = Path(os.environ.get("DLT_PROJECT_DIR", ".")) / name
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return ours, _ROOTS_OWN
    home = Path("~").expanduser()
    if not os.access(home, os.W_OK | os.X_OK):
        return ours, Path(tempfile.gettempdir(), "dlt")
    data = os.environ.get("XDG_DATA_HOME")
    return ours, home / name if data is None or (home / name).is_dir() else Path(data, "dlt")


def _tables(path: Path) -> Mapping[str, object]:
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _one_line(broken: BaseException) -> str:
    return " ".join(str(broken).split())[:200]


class Given:
    """The values that the user gave, as dlt finds them."""

    def __init__(self) -> None:
        self._documents = [_joined(SECRETS.name), _joined(CONFIG.name)]

    def value(self, path: str, *, is_secret: bool = False) -> object:
        """Return the value at a dotted path, None where there is none."""
        keys = path.split(".")
        found: object = _of_environment(*keys, is_secret=is_secret)
        for document in self._documents:
            if found is None:
                found = _at(document, keys)
        return found

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
            text = _of_environment(*path.split("."), bot, field, is_secret=True)
            if text is not None:
                found[field] = text
        return found


def _of_environment(*path: str, is_secret: bool) -> str | None:
    """Return a value of the environment, or a mounted secret, which goes before."""
    name = "__".join(path).upper()
    return (_mounted(name) if is_secret else None) or os.environ.get(name)


def _mounted(name: str) -> str | None:
    """Return a secret as Kubernetes (a file in a folder) or Compose (a file) mounts it."""
    file = Path(_MOUNTED, name.lower().replace("_", "-"))
    try:
        return (file / file.name if file.is_dir() else file).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return None


def _at(document: object, keys: Collection[str]) -> object:
    for key in keys:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document


def _joined(name: str) -> Mapping[str, object]:
    """Read a file anew, the one of all projects below that of this one.

    Raises:
        ConfigurationError: dlt can't join them.
    """
    ours, shared = (folder / name for folder in folders())
    if not (ours.exists() and shared.exists()) or ours.absolute() == shared.absolute():
        return {**_tables(shared), **_tables(ours)}
    _join_as_dlt_does()
    return _over(_tables(ours), _tables(shared))


def _over(upper: Mapping[str, object], lower: Mapping[str, object]) -> Mapping[str, object]:
    """Lay one document over another."""
    found = {**lower, **upper}
    for key in upper.keys() & lower.keys():
        above, below = upper[key], lower[key]
        if isinstance(above, Mapping) and isinstance(below, Mapping):
            found[key] = _over(above, below)
    return found


def _join_as_dlt_does() -> None:
    from dlt.common.configuration.exceptions import ConfigurationException  # noqa: PLC0415 - rare
    from dlt.common.runtime.run_context import RunContext  # noqa: PLC0415 - as above

    try:
        RunContext(None).initial_providers()
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
