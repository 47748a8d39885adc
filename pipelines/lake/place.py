"""Where a lakehouse lies: a folder, written as the address that dlt knows."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict

from pipelines import tables

MODELS_ELSEWHERE = "the models of a lakehouse are built by dbt on Spark, see docs/lakehouse.md"
_WRONG = 'is no folder; write it like "lake" or "file:///data/lake"'
_NOT_READ = "[]*?\\%"
"""What Delta's library, or DuckDB's, takes for something else in the name of a folder."""
_BUCKET = 'is a bucket, which is not supported yet; mount it, or write a folder like "lake"'


class Lake(BaseModel):
    """The folder; each table of the dataset is a folder in it."""

    model_config = ConfigDict(frozen=True)

    folder: Path

    def __str__(self) -> str:
        return str(self.folder)

    @property
    def dataset(self) -> Path:
        """Where the tables lie."""
        return self.folder / tables.DATASET

    def table(self, name: str) -> str:
        """Return where a table lies."""
        return str(self.dataset / name)


def read(value: object) -> Lake:
    """Read the address of a lakehouse.

    Raises:
        ValueError: it is none; the message says what to write.
    """
    text = value.strip() if isinstance(value, str) else ""
    if not text or not text.isprintable():
        raise ValueError(_WRONG)
    parts = urlsplit(text)
    if parts.scheme not in ("", "file"):
        raise ValueError(_BUCKET if "://" in text else _WRONG)
    if parts.netloc or parts.query or parts.fragment:
        raise ValueError(_WRONG)
    path = unquote(parts.path) if parts.scheme else text
    return Lake(folder=_resolved(Path(path)))


def _resolved(folder: Path) -> Path:
    """Return where a folder is, whichever way leads to it."""
    try:
        found = folder.expanduser().resolve()
    except (OSError, RuntimeError):  # links that go round, or nobody's home
        raise ValueError(_WRONG) from None
    if any(sign in str(found) for sign in _NOT_READ):
        raise ValueError(f"is {found}; choose a path without any of {' '.join(_NOT_READ)}")
    return found
