"""A declarative manifest run by PyAirbyte into its DuckDB cache: `load.py UPSTREAM.json FOLDER`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

UPSTREAM, FOLDER = Path(sys.argv[1]), Path(sys.argv[2]).resolve()

# Set before airbyte is imported, which reads them. Offline, it neither looks the source up in a
# registry, which it does else even though the manifest is given, nor tells of its use.
os.environ |= {
    "DO_NOT_TRACK": "1",
    "AIRBYTE_OFFLINE_MODE": "1",
    "AIRBYTE_PROJECT_DIR": str(FOLDER),
    "AIRBYTE_CACHE_ROOT": str(FOLDER / "cache"),
    "AIRBYTE_LOGGING_ROOT": str(FOLDER / "logs"),
    "NO_LIVE_PROGRESS": "1",
}

import airbyte as ab  # noqa: E402 - it reads the environment
from airbyte.caches import DuckDBCache  # noqa: E402 - likewise

MANIFEST = Path(__file__).with_name("manifest.json")


def main() -> None:
    """Load everything once."""
    given = json.loads(UPSTREAM.read_text())
    source = ab.get_source(
        "source-gptbots",
        config={name: given[name] for name in ("base_url", "bots", "start", "end")},
        source_manifest=json.loads(MANIFEST.read_text()),
        install_if_missing=False,
    )
    source.select_all_streams()
    cache = DuckDBCache(
        db_path=FOLDER / "warehouse.duckdb",
        schema_name="chat",
        cache_dir=FOLDER / "cache",
        cleanup=True,
    )
    source.read(cache=cache, write_strategy="merge", skip_validation=True)


if __name__ == "__main__":
    main()
