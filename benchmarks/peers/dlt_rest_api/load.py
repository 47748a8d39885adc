"""dlt's declarative `rest_api` source: `load.py UPSTREAM.json FOLDER [--defaults | --tuned]`."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

# Set before dlt is imported, which reads them: both variants stay on this machine.
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
os.environ["RUNTIME__LOG_LEVEL"] = "CRITICAL"

import dlt
import requests
from dlt.common.jsonpath import compile_path
from dlt.sources.rest_api import rest_api_source

# What dlt's "Optimizing dlt" page names and what helped or did no harm here; see the README.
TUNED = {
    "EXTRACT__WORKERS": "10",
    "EXTRACT__MAX_PARALLEL_ITEMS": "40",
    "SOURCES__DATA_WRITER__BUFFER_MAX_ITEMS": "10000",
    "SOURCES__DATA_WRITER__FILE_MAX_ITEMS": "50000",
    "SOURCES__DATA_WRITER__DISABLE_COMPRESSION": "true",
    "NORMALIZE__DATA_WRITER__BUFFER_MAX_ITEMS": "50000",
    "NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION": "true",
    "NORMALIZE__WORKERS": "2",
    "NORMALIZE__START_METHOD": "fork",
    "LOAD__WORKERS": "4",
    "LOAD__DELETE_COMPLETED_JOBS": "true",
}
LIST = compile_path("list")  # a text is compiled anew for every page


def main() -> None:
    """Load everything once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("upstream", type=Path)
    parser.add_argument("folder", type=Path)
    variant = parser.add_mutually_exclusive_group()
    variant.add_argument("--defaults", action="store_true", help="nothing set; if none is named")
    variant.add_argument("--tuned", action="store_true")
    given = parser.parse_args()
    if given.tuned:
        os.environ.update(TUNED)
    pipeline = dlt.pipeline(
        "peer",
        pipelines_dir=str(given.folder / "pipelines"),
        destination=dlt.destinations.duckdb(str(given.folder / "warehouse.duckdb")),
        dataset_name="chat",
    )
    source = declared(json.loads(given.upstream.read_text()), tuned=given.tuned)
    if given.tuned:
        source.max_table_nesting = 0
    pipeline.run(source, **({"loader_file_format": "parquet"} if given.tuned else {}))


def declared(upstream: dict, *, tuned: bool):  # noqa: ANN201 - dlt's source, imported for its name
    """Return the source: a resource a bot, all into one table."""
    session = {"session": offline()} if tuned else {}
    return rest_api_source(
        {
            "client": {"base_url": upstream["base_url"], **session},
            "resource_defaults": {
                "table_name": "conversations",
                "primary_key": "conversation_id",
                "write_disposition": "merge",
                "parallelized": tuned,
            },
            "resources": [
                resource(name, bot["api_key"], upstream, LIST if tuned else "list")
                for name, bot in upstream["bots"].items()
            ],
        }
    )


def resource(name: str, key: str, upstream: dict, rows: object) -> dict:
    """Return the resource of a bot; `total` counts rows, not pages, so an empty page ends it."""
    return {
        "name": name,
        "endpoint": {
            "path": "v1/bot/conversation/page",
            "auth": {"type": "bearer", "token": key},
            "params": {
                "conversation_type": "ALL",
                "end_time": upstream["end"],
                "page_size": 100,
            },
            "incremental": {
                "cursor_path": "recent_chat_time",
                "start_param": "start_time",
                "initial_value": upstream["start"],
            },
            "data_selector": rows,
            "paginator": {"type": "page_number", "base_page": 1, "total_path": None},
        },
    }


def offline() -> requests.Session:
    """Return a session that doesn't search the environment for proxies at each request."""
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=16))
    return session


if __name__ == "__main__":
    main()
