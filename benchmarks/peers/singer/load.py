"""A Singer tap piped into target-duckdb: `load.py UPSTREAM.json FOLDER`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

BATCH = 250_000  # rows; the default 100,000 takes a little longer, 30,000 a tenth more


def main() -> None:
    """Load everything once."""
    upstream, folder = Path(sys.argv[1]), Path(sys.argv[2])
    target = folder / "target.json"
    target.write_text(
        json.dumps(
            {
                "path": str(folder / "warehouse.duckdb"),
                "default_target_schema": "chat",
                "batch_size_rows": BATCH,
            }
        )
    )
    sys.exit(pipe(tap_config(upstream, folder), target))


def tap_config(upstream: Path, folder: Path) -> Path:
    """Write the tap's configuration and return where it is."""
    given = json.loads(upstream.read_text())
    config = folder / "tap.json"
    config.write_text(
        json.dumps({name: given[name] for name in ("base_url", "bots", "start", "end")})
    )
    return config


def pipe(tap: Path, target: Path) -> int:
    """Run the tap into the target and return 0 if both ended well."""
    program = str(Path(__file__).with_name("tap.py"))
    reading = subprocess.Popen(  # noqa: S603 - ours
        [sys.executable, program, "--config", str(tap)],
        stdout=subprocess.PIPE,
        env={**os.environ, "LOGLEVEL": "WARNING"},  # else it logs every request
    )
    writing = subprocess.run(  # noqa: S603 - ours
        [Path(sys.executable).with_name("target-duckdb"), "--config", str(target)],
        stdin=reading.stdout,
        stdout=subprocess.DEVNULL,
        check=False,
    )
    reading.stdout.close()
    return reading.wait() or writing.returncode


if __name__ == "__main__":
    main()
