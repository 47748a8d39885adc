"""Where a command may write its output: over nothing that Convoy or DuckDB keeps."""

from pathlib import Path

from pipelines.errors import ConfigurationError
from pipelines.lake.place import Lake
from pipelines.settings import Settings

_DUCKDB = slice(8, 12)
"""Where a DuckDB file says that it is one."""


def check(to: Path, settings: Settings) -> None:
    """Let only a file pass that is new or may be replaced.

    Raises:
        ConfigurationError: it is something else; one sentence says what.
    """
    try:
        file = to.resolve()
        fault = _of_kind(file) or _of_place(file, settings) or _of_content(file)
    except (OSError, RuntimeError) as error:  # closed to us; links that go round
        fault = f"can't be reached ({getattr(error, 'strerror', None) or error})"
    if fault:
        raise ConfigurationError(f"--output {to} {fault}; name another file")


def _of_kind(file: Path) -> str | None:
    if file.is_dir():
        return "is a folder"
    if file.exists() and not file.is_file():
        return "is no ordinary file"
    there = next(folder for folder in file.parents if folder.exists())
    return None if there.is_dir() else f"would lie in {there}, which is a file"


def _of_place(file: Path, settings: Settings) -> str | None:
    files = {"the published file": settings.publish}
    if isinstance(settings.warehouse, Lake) and file.is_relative_to(settings.warehouse.folder):
        return "lies in the warehouse"
    if isinstance(settings.warehouse, Path):
        files = {"the warehouse": settings.warehouse, **files}
    for name, path in files.items():
        if file in (path.resolve(), path.resolve().with_name(f"{path.resolve().name}.wal")):
            return f"is {name}"
    kept = (Path(".dlt"), settings.work.parent, settings.publish_files)
    held = next((folder for folder in kept if file.is_relative_to(folder.resolve())), None)
    return f"lies in {held}, which is Convoy's own" if held else None


def _of_content(file: Path) -> str | None:
    if not file.exists():
        return None
    with file.open("rb") as stream:
        return "is a DuckDB file" if stream.read(16)[_DUCKDB] == b"DUCK" else None
