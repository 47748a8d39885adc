"""The report: one HTML file out of the published data, for anybody to open."""

import os
from datetime import datetime
from pathlib import Path

from pipelines.report import charts, data, page
from pipelines.settings import Place

__all__ = ["write"]


def write(published: Place, to: Path, *, days: int = 365, now: datetime | None = None) -> Path:
    """Write the report of the last so many days, whole or not at all; return where it is.

    Raises:
        ConvoyError: nothing is published yet.
    """
    found = data.read(published, days=days, now=now)
    _replace(to, page.rendered(found, charts.library()))
    return to.absolute()


def _replace(to: Path, text: str) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    new = to.with_name(f".{to.name}.{os.getpid()}")
    try:
        new.write_text(text, encoding="utf-8", newline="\n")
        new.replace(to)
    finally:
        new.unlink(missing_ok=True)
