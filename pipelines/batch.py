"""What one load brings, laid out for dlt (`source.py`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa


@dataclass(frozen=True)
class File:
    """A Parquet file: how many rows it has, and a table without rows that is like it."""

    path: Path
    rows: int
    like: pa.Table


@dataclass(frozen=True)
class Batch:
    """What one run loads of one source: new rows a bot, and tables or files for the rest.

    With `appends`, no key of what was read of conversations is in the warehouse or comes twice:
    a merge would find nothing to replace, at several times the cost. With `narrow`, no row is long,
    and few are longer than usual.
    """

    conversations: Mapping[str, pa.Table] = field(default_factory=dict)
    rest: Mapping[str, pa.Table] = field(default_factory=dict)
    files: Mapping[str, File] = field(default_factory=dict)
    appends: bool = False
    narrow: bool = False
