"""The warehouses that earlier releases made, as `make.py` keeps them."""

from __future__ import annotations

from pathlib import Path

import duckdb

_HERE = Path(__file__).parent
RELEASES = sorted(found.parent.name for found in _HERE.glob("*/load.sql"))


def restore(release: str, warehouse: Path) -> None:
    """Write the warehouse of a release."""
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(f"import database '{_HERE / release}'")
