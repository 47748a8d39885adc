"""Time `convoy sync` as a user runs it: a backfill, then a sync with nothing new.

Prints one Markdown table: medians of three fresh warehouses, each process timed as a whole
(wall clock, CPU time and peak memory of the process), the simulator in a process of its own.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Run:
    """One process: seconds of wall clock and CPU, peak memory in MB."""

    wall: float
    cpu: float
    memory: float


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gptbots", type=int, default=100_000, help="conversations")
    parser.add_argument("--bots", type=int, default=4)
    parser.add_argument("--okchat", type=int, default=20_000, help="conversations")
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    server, configuration = serve(given)
    try:
        rounds = [measure(configuration) for _ in range(given.repeat)]
    finally:
        server.terminate()
        server.wait()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print("| sync | wall s | CPU s | peak MB |\n|---|---|---|---|")
    rows = given.gptbots + given.okchat
    for name, runs in zip(
        (f"backfill of {rows:,}", "nothing new"), zip(*rounds, strict=True), strict=True
    ):
        figures = [statistics.median(getattr(run, of) for run in runs) for of in vars(runs[0])]
        print(f"| {name} | {figures[0]:.1f} | {figures[1]:.1f} | {figures[2]:.0f} |")


def serve(given: argparse.Namespace) -> tuple[subprocess.Popen[str], tuple[str, str]]:
    """Start the simulator; return it and the two files that point at it."""
    sizes = [f"--gptbots={given.gptbots}", f"--bots={given.bots}", f"--okchat={given.okchat}"]
    server = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-u", "-m", "pipelines", "simulate", "--port=0", *sizes],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    shown = ""
    while shown.count("api_key") < given.bots + 1:
        shown += server.stdout.readline() if server.stdout else ""
    config, secrets = shown.split("# secrets.toml")
    return server, (config[config.index("[") :], secrets)


def measure(configuration: tuple[str, str]) -> tuple[Run, Run]:
    """Sync a fresh warehouse, then once more."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / ".dlt").mkdir()
        for name, text in zip(("config.toml", "secrets.toml"), configuration, strict=True):
            (Path(folder) / ".dlt" / name).write_text(text, encoding="utf-8")
        return timed(folder), timed(folder)


def timed(folder: str) -> Run:
    """Run one sync and read what the kernel says of it."""
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines", "sync", "--no-models"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"the sync ended with {process.returncode}")
    cpu = usage.ru_utime + usage.ru_stime
    return Run(time.monotonic() - started, cpu, usage.ru_maxrss / 1024)


if __name__ == "__main__":
    main()
