"""What the project can do by now; the machine plays what is there."""

from __future__ import annotations

import inspect
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from pipelines.sync import sync

MARKS = "yes" in inspect.signature(sync).parameters
"""Whether deletions upstream are marked."""
BACKFILLS = find_spec("pipelines.backfill") is not None
VERIFIES = find_spec("pipelines.verify") is not None


def backfill(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - passed on
    return import_module("pipelines.backfill").backfill(*args, **kwargs)


def verify(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - passed on
    return import_module("pipelines.verify").verify(*args, **kwargs)
