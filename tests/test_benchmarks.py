"""The benchmarks: what they measure of a process, who counts, and that every target is judged."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import ModuleType

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
TARGETS = {
    "W1": {"wall, ours ÷ floor", "peak memory of ours"},
    "W2": {"peak memory of ours, W2 ÷ W1", "rows a second of ours, W2 ÷ W1"},
    "W3": {"wall ÷ (requests × latency ÷ concurrency)"},  # noqa: RUF001 - so it is called
    "W4": {"wall, W4 ÷ W5", "requests"},
    "W5": {"wall", "requests a bot"},
    "W6": {"wall ÷ (requests ÷ budget)", "wall ÷ the least that the budget allows"},
    "W7": {"SQL of the incremental build, large ÷ small"},
    "W8": set[str](),
    "W9": {"connections", "threads", "peak memory, W9 ÷ W1"},
}
CHILD = """
import socket, sys, time
from threading import Thread
upstream, block = ("127.0.0.1", int(sys.argv[1])), b"x" * 200_000_000
held = [socket.create_connection(upstream) for _ in range(2)]
threads = [Thread(target=time.sleep, args=(1.5,)) for _ in range(5)]
for thread in threads: thread.start()
while time.process_time() < 1: pass
"""
PARENT = "import subprocess, sys; sys.exit(subprocess.call([sys.executable, *sys.argv[1:]]) or 3)"


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401 - scripts, which aren't typed here
    """Import from among the scripts."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))

    def imported(name: str) -> ModuleType:
        return import_module(name)

    return imported


def test_a_process_is_measured_with_its_children(module: Any, tmp_path: Path) -> None:  # noqa: ANN401
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        command = [sys.executable, "-c", PARENT, "-c", CHILD, str(port)]
        usage = module("measure").timed(command, tmp_path, port)
    assert usage.status == 3
    assert usage.cpu >= 1
    assert usage.wall >= 1
    assert usage.memory >= 190
    assert usage.threads == 7  # the parent, the child and its five
    assert usage.connections == 2


@pytest.mark.long
@pytest.mark.parametrize(
    ("script", "table", "wrong"),
    [
        ("fetch.py", "main.conversations", "0 of 300 conversations"),
        ("load.py", "main.conversations", None),
        ("missing.py", None, "ended with 2"),
    ],
)
def test_only_who_loads_everything_counts(
    module: Any,  # noqa: ANN401
    tmp_path: Path,
    script: str,
    table: str | None,
    wrong: str | None,
) -> None:
    contestants = module("contestants")
    who = contestants.Contestant("one", "floor", (script,), table)
    with module("simulated").Upstream({"bot": 300}) as upstream:
        run = contestants.backfill(who, upstream, tmp_path)
    assert (run.wrong or "").startswith(wrong or "")
    assert bool(run.wrong) == bool(wrong)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_every_workload_is_measured_and_judged(tmp_path: Path) -> None:
    small = ["--scale", "0.002", "--repeat", "1", "--no-peers", "--output", str(tmp_path)]
    done = subprocess.run(  # noqa: S603 - ours
        [sys.executable, str(BENCHMARKS / "bench.py"), *small],
        env={**os.environ, "PYTHONPATH": str(BENCHMARKS.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    workloads = {workload["name"]: workload for workload in results["workloads"]}
    assert {name: judged(workload) for name, workload in workloads.items()} == TARGETS
    for workload in workloads.values():
        assert f"### {workload['name']} · {workload['title']}" in done.stdout
        runs = [run for runs in workload["runs"].values() for run in runs]
        assert runs
        assert [run["wrong"] for run in runs] == [None] * len(runs)
    assert (tmp_path / "results.svg").read_text(encoding="utf-8").startswith("<svg")


def judged(workload: dict[str, Any]) -> set[str]:
    """The figures that have a target and were held against it."""
    return {
        figure["what"]
        for figure in workload["figures"]
        if figure["met"] in (True, False) and figure["value"] > 0
    }
