"""Where and of what the figures are: machine, versions, commit, date."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from contestants import ROOT
from peers.environments import NAMES, PEERS

OURS = ("dlt", "duckdb", "pyarrow", "dbt-core", "dbt-duckdb", "requests", "pycurl")
THEIRS = {
    "airbyte": ("airbyte", "airbyte-cdk", "duckdb"),
    "dlt_rest_api": ("dlt", "duckdb"),
    "floor": ("pycurl", "duckdb", "pyarrow"),
    "singer": ("singer-sdk", "target-duckdb", "duckdb"),
}


def surroundings() -> dict[str, str]:
    """Return everything, by name."""
    found = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit(),
        "machine": f"{len(os.sched_getaffinity(0))} cores, {processor()}, {memory()}",
        "system": f"{system()}, Linux {platform.release()}",
        "load before": f"{os.getloadavg()[0]:.2f}",
        "Python": platform.python_version(),
        "ours": ", ".join(f"{name} {version(name)}" for name in OURS if installed(name)),
    }
    return found | {name: locked(name) for name in NAMES}


def commit() -> str:
    """Return the commit, marked where files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"]
    asked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return asked.stdout.strip() or "unknown"


def processor() -> str:
    """Return the model of the processor."""
    named = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return named[1] if named else platform.machine()


def memory() -> str:
    """Return how much memory there is."""
    total = re.search(r"^MemTotal:\s*(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return f"{int(total[1]) / 2**20:.0f} GiB" if total else "unknown memory"


def system() -> str:
    """Return the name of the distribution."""
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.system()


def installed(name: str) -> bool:
    """Tell whether a distribution is there: the HTTP client is one or another."""
    try:
        return bool(version(name))
    except ModuleNotFoundError:
        return False


def locked(peer: str) -> str:
    """Return the versions that the lock of a peer pins."""
    pinned = dict(
        re.findall(
            r"^([\w.-]+)(?:\[.*\])?==(\S+)",
            (PEERS / peer / "requirements.txt").read_text(),
            re.MULTILINE,
        )
    )
    return ", ".join(f"{name} {pinned[name]}" for name in THEIRS[peer])
