"""What the project can do by now; the machine plays what is there."""

from __future__ import annotations

import importlib.util
import inspect

from pipelines.sync import sync

MARKS = "yes" in inspect.signature(sync).parameters
"""Whether deletions upstream are marked."""
BACKFILLS = importlib.util.find_spec("pipelines.backfill") is not None
VERIFIES = importlib.util.find_spec("pipelines.verify") is not None
