"""What is wrong with a configuration, each fault as one sentence: what, where, and the mend.

A name that nothing reads would silently leave a default in place, so it is a fault. Where others
have names too (dlt's own tables, files and variables that other programs share), only a name
that resembles one of ours is.
"""

import difflib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from pydantic import ValidationError

from pipelines.settings_given import CONFIG, SECRETS, File, variable

ANY = "*"
"""In a shape: a name that the user chooses."""
NOTIFY_WEBHOOK = ("schedule", "notify_webhook")
SALT = ("privacy", "salt")
SINGLE_SECRETS = {NOTIFY_WEBHOOK, SALT}
"""Secrets beside the keys: who knows the address can write there, who knows the salt can guess."""
Shape = Mapping[str, object]
"""The names that are read: a table is another shape, a value is None."""


def unknown_keys(file: File, shape: Shape) -> Iterator[str]:
    """Find what is in a file and is not read from there."""
    return _unknown_keys(file, file.tables, shape, ())


def _unknown_keys(
    file: File, table: Mapping[str, object], shape: Shape, at: tuple[str, ...]
) -> Iterator[str]:
    for name, value in table.items():
        path, inner = (*at, name), shape.get(name)
        if name not in shape:
            if _is_ours(file, at, name, shape):
                yield _unknown(dotted(path), file.path, name, shape)
        elif isinstance(inner, Mapping) and ANY in inner:
            if not file.may_hold_keys:
                yield f"{dotted(path)} stands in {file.path}; move it to {SECRETS}, keys are there"
        elif isinstance(inner, Mapping) and isinstance(value, Mapping):
            yield from _unknown_keys(file, value, inner, path)
        elif path in SINGLE_SECRETS and not file.may_hold_keys:
            yield f"{dotted(path)} stands in {file.path}; move it to {SECRETS}, it is a secret"
        elif isinstance(inner, Mapping):
            yield f"{dotted(path)} in {file.path} is no table; write [{dotted(path)}] instead"


def _is_ours(file: File, at: tuple[str, ...], name: str, shape: Shape) -> bool:
    """Tell whether an unknown name is a fault, or may be somebody else's."""
    match at:
        case ():
            return bool(_close(name, shape, 0.85))
        case ("destination",):
            return False
        case ("destination", _):
            return bool(_close(name, shape, 0.85))
        case ("sources",):
            return file.is_ours or bool(_close(name, shape, 0.8))
    return True


def unknown_variables(names: Iterable[str], shape: Shape) -> Iterator[str]:
    """Find the environment variables that look like ours and are not read."""
    known = [variable(".".join(path)) for path in _leaves(shape)]
    for name in names:
        parts = name.split("__")
        if len(parts) < 2 or not (_starts_like_ours(parts, shape) or _close(name, known, 0.9)):
            continue
        meant = _meant([part.lower() for part in parts], shape)
        if meant is None or variable(".".join(meant)) != name.upper():
            better = [variable(".".join(meant))] if meant else _close(name, known, 0.82)
            mend = f"did you mean {better[0]}?" if better else _known(known, parts)
            yield f"{name} in the environment is unknown; {mend}"


def _known(known: list[str], parts: list[str]) -> str:
    near = [name for name in known if name.startswith("__".join([*parts[:2], ""]))]
    return f"known are {', '.join(near or known)}"


def _starts_like_ours(parts: list[str], shape: Shape) -> bool:
    sources = shape["sources"]
    assert isinstance(sources, Mapping)  # noqa: S101 - for the type checker
    return parts[0] in ("PRIVACY", "PUBLISH") or (
        parts[0] == "SOURCES" and bool(_close(parts[1].lower(), sources, 0.8))
    )


def _meant(parts: list[str], shape: object) -> list[str] | None:
    """Return the path in the shape that is meant, None where there is none like it."""
    if not isinstance(shape, Mapping) or (ANY in shape and not parts):
        return None if parts else []
    if ANY in shape:
        bot, inner = "__".join(parts[:-1]), _meant(parts[-1:], shape[ANY])
        return [bot, *inner] if bot and inner else None
    close = _close(parts[0], shape, 0.6) if parts else []
    inner = _meant(parts[1:], shape[close[0]]) if close else None
    return None if inner is None else [close[0], *inner]


def _leaves(shape: Shape) -> Iterator[tuple[str, ...]]:
    for name, inner in shape.items():
        if isinstance(inner, Mapping) and ANY not in inner:
            yield from ((name, *rest) for rest in _leaves(inner))
        else:
            yield (name,)


def of_values(section: str, fields: Collection[str], invalid: ValidationError) -> Iterator[str]:
    """Tell what is wrong with the values of a source; `fields` are those of its bots."""
    for error in invalid.errors(include_input=False, include_url=False, include_context=False):
        parts = [str(part) for part in error["loc"] if part != "[key]"]
        path = (*section.split("."), *parts)
        yield of_value(path, _what(error["type"], error["msg"], parts, fields))


def of_value(path: tuple[str, ...], what: str) -> str:
    """Tell what is wrong with the value at a path, and where it can stand."""
    is_secret = path in SINGLE_SECRETS or (len(path) > 3 and path[0] == "sources")
    where = SECRETS if is_secret else CONFIG
    name = variable(".".join(path))
    is_name = re.fullmatch(r"[A-Z0-9_]+", name)
    return f"{dotted(path)} {what} ({where}{f' or {name}' if is_name else ''})"


def _what(kind: str, message: str, parts: list[str], fields: Collection[str]) -> str:
    match kind:
        case "missing":
            return "is missing; add it"
        case "extra_forbidden":
            return f"is unknown; {_mend(parts[-1], fields)}"
        case "model_type" | "model_attributes_type" | "dict_type":
            keys = " and ".join(f'{field} = "…"' for field in fields)
            return f"is no table; make it one, with {keys} in it"
        case "string_type":
            return "is no text; put it in quotes"
    return message.removeprefix("Value error, ")


def no_bots() -> str:
    """Tell that there is nothing to read."""
    where = "" if SECRETS.parent.is_dir() else " and this directory has no .dlt folder"
    return (
        f"no bot is configured{where}; add one to {SECRETS}, for example "
        'api_key = "…" under [sources.gptbots.bots.support]'
    )


def _unknown(path: str, where: Path, name: str, known: Iterable[str]) -> str:
    return f"{path} in {where} is unknown; {_mend(name, known)}"


def _mend(name: str, known: Iterable[str]) -> str:
    close = _close(name, known, 0.6)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"


def _close(name: str, known: Iterable[str], least: float) -> list[str]:
    by_case = {each.lower(): each for each in known}
    return [by_case[c] for c in difflib.get_close_matches(name.lower(), by_case, 1, least)]


def dotted(path: tuple[str, ...]) -> str:
    """Write a path as TOML does, long names cut."""
    return ".".join(
        part if re.fullmatch(r"[A-Za-z0-9_-]{1,100}", part) else json.dumps(part[:40])
        for part in path
    )
