"""Syncs on a schedule as a user runs them: real processes, signals, kills, notifications."""

from __future__ import annotations

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock
import pytest

from pipelines.simulator import Faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import MakeWorld, Simulate
    from project import Project

    from pipelines.simulator import Simulator

ROOT = Path(__file__).parent.parent
PATIENCE = 90.0
TELL = """
import sys
with open("told.jsonl", "ab") as told:
    told.write(sys.stdin.buffer.read())
"""


class Unattended:
    """A `convoy sync --every` in a process of its own, its log line by line."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._log = folder / "log.jsonl"
        with self._log.open("wb") as log, (folder / "errors.log").open("wb") as errors:
            self.process = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-Pm", "pipelines", "sync", "--no-models", "--json", *arguments],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=log,
                stderr=errors,
            )

    @property
    def log(self) -> list[dict[str, Any]]:
        text = self._log.read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    @property
    def results(self) -> list[str]:
        return [entry["result"] for entry in self.log if entry["event"] == "sync"]

    def child(self) -> int | None:
        """Return the sync that runs, if one does."""
        pid = self.process.pid
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8")
        return int(text.split()[0]) if text.split() else None

    def end(self) -> int:
        return self.process.wait(PATIENCE)


def until(found: Callable[[], Any]) -> Any:  # noqa: ANN401 - of whatever it finds
    """Wait until something is there and return it."""
    end = time.monotonic() + PATIENCE
    while not (value := found()):
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)
    return value


@contextmanager
def unattended(project: Project, *arguments: str) -> Iterator[Unattended]:
    run = Unattended(project.folder, *arguments)
    try:
        yield run
    finally:
        child = run.child() if run.process.poll() is None else None
        run.process.kill()
        run.process.wait()
        if child:
            os.kill(child, signal.SIGKILL)


@pytest.fixture
def upstream(project: Project, make_world: MakeWorld, simulate: Simulate) -> Simulator:
    served = simulate(make_world(bots={"support": 20}, chatbots={"website": 5}))
    project.configure(served)
    return served


def add(project: Project, file: str, text: str) -> None:
    with (project.folder / ".dlt" / file).open("a", encoding="utf-8") as configured:
        configured.write(f"\n{text}\n")


def tell_by_command(project: Project) -> None:
    (project.folder / "tell.py").write_text(TELL, encoding="utf-8")
    command = json.dumps(f"'{sys.executable}' tell.py")
    add(project, "config.toml", f"[schedule]\nnotify_command = {command}")


def told(project: Project) -> list[dict[str, Any]]:
    text = (project.folder / "told.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def lag(project: Project, most: str) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "pipelines", "status", "--max-lag", most, "--json"],
        cwd=project.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout)


@pytest.mark.long
def test_a_killed_sync_is_told_the_schedule_goes_on_and_the_recovery_is_told(
    project: Project, upstream: Simulator
) -> None:
    tell_by_command(project)
    with unattended(project, "--every", "5s") as run:
        until(lambda: run.results)
        assert lag(project, "10m")[0] == 0
        behind, document = lag(project, "0s")
        assert (behind, document["fresh"]) == (1, False)
        assert {bot["bot"] for bot in document["bots"] if bot["stale"]} == {"support", "website"}

        upstream.faults = Faults(slow=1.0, slow_seconds=1.0)
        os.kill(until(run.child), signal.SIGKILL)
        until(lambda: len(run.results) > 1)
        upstream.faults = Faults()
        until(lambda: len(run.results) > 3)
        run.process.terminate()
        assert run.end() == 0

    first, second, *rest = run.results
    assert (first, second) == ("complete", "failed")
    assert rest
    assert set(rest) == {"complete"}
    assert run.log[1]["errors"] == ["killed by SIGKILL"]
    failure, recovery = told(project)
    assert (failure["event"], failure["errors"]) == ("failure", ["killed by SIGKILL"])
    assert (recovery["event"], recovery["failures"]) == ("recovery", 1)
    assert recovery["since"] == failure["at"]
    assert on_the_grid(run, timedelta(seconds=5))
    assert project.count("conversations") == 25


def on_the_grid(run: Unattended, step: timedelta) -> bool:
    """Tell whether all syncs but the first began where the one before said, and never two at once.

    They begin late on a busy machine, so only that none began early is sure.
    """
    syncs = [entry for entry in run.log if entry["event"] == "sync"]
    for before, after in pairwise(syncs):
        due = datetime.fromisoformat(before["next_start"])
        began = datetime.fromisoformat(after["started_at"])
        assert datetime.fromisoformat(before["at"]) <= due <= began
        assert (due - datetime(1970, 1, 1, tzinfo=UTC)) % step == timedelta()
    return True


def test_sigterm_while_waiting_ends_it_with_0(project: Project, upstream: Simulator) -> None:
    assert upstream
    ours = project.folder / "pipelines"  # a user's own, which is not run
    ours.mkdir()
    (ours / "__init__.py").write_text("raise SystemExit(9)", encoding="utf-8")
    with unattended(project, "--every", "1d") as run:
        until(lambda: run.results)
        run.process.terminate()
        assert run.end() == 0
    synced, stopped = run.log
    assert synced["result"] == "complete"
    assert synced["sync"]["rows_loaded"] == 25
    assert (stopped["event"], stopped["signal"]) == ("stopped", "SIGTERM")


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_syncing_ends_the_sync_then_the_schedule_with_0(
    project: Project, upstream: Simulator, signum: signal.Signals
) -> None:
    upstream.faults = Faults(slow=1.0, slow_seconds=1.0)
    with unattended(project, "--every", "1d") as run:
        until(lambda: upstream.log)
        child = run.child()
        assert child
        run.process.send_signal(signum)
        assert run.end() == 0
    assert [entry["event"] for entry in run.log] == ["stopped"]
    assert not Path(f"/proc/{child}").exists()
    upstream.faults = Faults()
    assert project.sync().complete  # no lock is left


def test_a_second_signal_kills_the_sync(project: Project, upstream: Simulator) -> None:
    with unattended(project, "--every", "1d") as run:
        child = until(run.child)
        os.kill(child, signal.SIGSTOP)  # it will not end by itself
        run.process.terminate()
        time.sleep(0.5)
        assert run.process.poll() is None
        run.process.terminate()
        assert run.end() == 128 + signal.SIGTERM
    assert upstream
    assert not Path(f"/proc/{child}").exists()


def test_a_warehouse_held_by_another_sync_is_no_failure(
    project: Project, upstream: Simulator
) -> None:
    assert upstream
    tell_by_command(project)
    work = project.folder / ".convoy" / "warehouse.duckdb"
    work.mkdir(parents=True)
    with unattended(project, "--every", "2s") as run:
        with filelock.FileLock(work / "lock"):
            until(lambda: "busy" in run.results)
        until(lambda: "complete" in run.results)
        run.process.terminate()
        assert run.end() == 0
    assert set(run.results) == {"busy", "complete"}
    assert not (project.folder / "told.jsonl").exists()


def test_two_schedules_of_one_warehouse_never_sync_at_once(
    project: Project, upstream: Simulator
) -> None:
    upstream.faults = Faults(slow=1.0, slow_seconds=0.3)
    other = project.folder.parent / "other"
    (other / ".dlt").mkdir(parents=True)
    for file in (project.folder / ".dlt").iterdir():
        (other / ".dlt" / file.name).write_bytes(file.read_bytes())
    credentials = json.dumps(str(project.warehouse))
    with (other / ".dlt" / "config.toml").open("a", encoding="utf-8") as config:
        config.write(f"\n[destination.duckdb]\ncredentials = {credentials}\n")
    with unattended(project, "--every", "1s") as one:
        second = Unattended(other, "--every", "1s")
        try:
            until(lambda: {"busy"} <= {*one.results, *second.results})
            until(lambda: (one.results + second.results).count("complete") > 2)
        finally:
            for run in (one, second):
                run.process.terminate()
                assert run.end() == 0
    assert {*one.results, *second.results} == {"busy", "complete"}
    assert read_in_turn(project)
    assert project.count("conversations") == 25


def read_in_turn(project: Project) -> bool:
    """Tell whether no sync began to read a bot while another one did."""
    spans = project.rows(
        "select started_at, finished_at from chat.sync_windows"
        " where bot = 'support' and kind = 'history' order by started_at"
    )
    assert len(spans) > 1
    return all(one["finished_at"] <= two["started_at"] for one, two in pairwise(spans))


def test_a_wrong_configuration_at_the_start_ends_it_with_2(project: Project) -> None:
    with unattended(project, "--every", "1s") as run:
        assert run.end() == 2
    assert run.log == []
    assert "no bot is configured" in (project.folder / "errors.log").read_text(encoding="utf-8")


def test_a_source_without_a_bot_ends_it_with_2(project: Project, upstream: Simulator) -> None:
    project.configure(upstream, bots=["support"])
    with unattended(project, "--every", "1s", "--source", "okchat") as run:
        assert run.end() == 2
    (entry,) = run.log
    assert (entry["result"], entry["next_start"]) == ("failed", None)
    assert "okchat" in entry["errors"][0]


def test_a_wrong_configuration_later_is_a_failure(project: Project, upstream: Simulator) -> None:
    assert upstream
    with unattended(project, "--every", "1s") as run:
        until(lambda: run.results)
        add(project, "config.toml", "[sources.gptbots.nonsense]")
        until(lambda: "failed" in run.results)
        project.configure(upstream)
        until(lambda: run.results[-1] == "complete")
        run.process.terminate()
        assert run.end() == 0
    failed = next(entry for entry in run.log if entry["result"] == "failed")
    assert failed["exit_code"] == 2
    assert "nonsense" in failed["errors"][0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--every", "soon"], "is no schedule"),
        (["--every", "1m", "--yes"], "--yes is for a sync that you watch"),
    ],
)
def test_wrong_usage_ends_with_2(project: Project, arguments: list[str], said: str) -> None:
    with unattended(project, *arguments) as run:
        assert run.end() == 2
    assert said in (project.folder / "errors.log").read_text(encoding="utf-8")


class Hook:
    """A webhook that answers with the statuses given, then with 200."""

    def __init__(self, *statuses: int) -> None:
        hook, answers = self, iter(statuses)
        self.got: list[dict[str, Any]] = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                hook.got.append(json.loads(self.rfile.read(length)))
                self.send_response(next(answers, 200))
                self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/hidden-4711"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook(500, 302)
    yield made
    made.close()


def test_a_webhook_is_told_until_it_was_reached_and_its_address_is_shown_nowhere(
    project: Project, make_world: MakeWorld, simulate: Simulate, hook: Hook
) -> None:
    served = simulate(make_world(bots={"support": 3, "sales": 3}))
    project.configure(served, keys={"sales": "wrong-key-4711"})
    secrets = project.folder / ".dlt" / "secrets.toml"
    webhook = f"\n[schedule]\nnotify_webhook = {json.dumps(hook.url)}\n"
    with secrets.open("a", encoding="utf-8") as stored:
        stored.write(webhook)
    with unattended(project, "--every", "1s") as run:
        until(lambda: len(hook.got) == 3)
        project.configure(served)
        until(lambda: len(hook.got) == 4)
        run.process.terminate()
        assert run.end() == 0
    assert [got["event"] for got in hook.got] == ["failure"] * 3 + ["recovery"]
    assert hook.got[0]["errors"][0].startswith("gptbots sales: the API key was rejected")
    unreached = [entry["error"] for entry in run.log if entry["event"] == "notification"]
    assert unreached == [f"the server answers with HTTP {status}" for status in (500, 302)]
    assert "incomplete" in run.results
    shown = (project.folder / "log.jsonl").read_text() + (project.folder / "errors.log").read_text()
    assert "4711" not in shown + json.dumps(hook.got)


def test_the_log_in_lines_says_one_line_a_sync(project: Project, upstream: Simulator) -> None:
    assert upstream
    run = subprocess.Popen(
        [sys.executable, "-m", "pipelines", "sync", "--no-models", "--every", "1d"],
        cwd=project.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert run.stdout
    first = run.stdout.readline()
    run.terminate()
    rest = run.stdout.read()
    assert run.wait(PATIENCE) == 0
    assert ": 25 conversations loaded, 25 changes, " in first.replace("complete", "", 1)
    assert first.endswith("T00:00:00Z\n")
    assert rest.endswith(" stopped by SIGTERM\n")
    assert rest.count("\n") == 1
