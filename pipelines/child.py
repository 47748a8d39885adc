"""One unattended sync, in a process of its own.

So the schedule's memory stays as it is over months, and a sync that is killed (no memory left, a
fault in a native library) does not take the schedule with it.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

_LOOKS_EVERY = 0.2
_ROOT = Path(__file__).parents[1]
_LONGEST = 4_000
_KINDS = {0: "complete", 75: "busy"}


@dataclass(frozen=True)
class Ended:
    """How a sync ended.

    `exit_code` is that of the process, negative for the signal that killed it; `document` is what
    `--json` prints, None where it did not come so far; `complaint` is what it said beside that.
    """

    exit_code: int
    document: Mapping[str, Any] | None
    complaint: str
    started_at: datetime
    ended_at: datetime

    @property
    def kind(self) -> str:
        """Return 'complete', 'incomplete' (some of it is loaded), 'failed' or 'busy'."""
        rest = "failed" if self.document is None or self.exit_code != 1 else "incomplete"
        return _KINDS.get(self.exit_code, rest)

    @property
    def errors(self) -> list[str]:
        """Return what went wrong, a sentence each, bot by bot."""
        if self.kind == "complete":
            return []
        return [*_errors(self.document or {})] or [self._why()]

    def _why(self) -> str:
        if self.exit_code < 0:
            return f"killed by {_name(-self.exit_code)}"
        return self.complaint or f"it ended with {self.exit_code}"


def _errors(document: Mapping[str, Any]) -> Sequence[str]:
    found = []
    for bot in document.get("bots", ()):
        uncertified = None if bot["certified"] else "not certified"
        errors = filter(None, (bot["error"] or uncertified, *bot["failures"]))
        found += [f"{bot['source']} {bot['bot']}: {error}" for error in errors]
    return [*found, *filter(None, (document.get("models_error"), document.get("publish_error")))]


def _name(signum: int) -> str:
    with suppress(ValueError):  # one of the many that have none
        return signal.Signals(signum).name
    return f"signal {signum}"


class Asked:
    """The signals by which this process was asked to stop; inside, they do nothing else."""

    def __init__(self) -> None:
        self.signals: list[int] = []
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for signum in (signal.SIGTERM, signal.SIGINT):
            heard = signal.signal(signum, lambda signum, _: self.signals.append(signum))
            self._before[signum] = heard
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for signum, heard in self._before.items():
            signal.signal(signum, heard)

    def __bool__(self) -> bool:
        return bool(self.signals)


def sync(arguments: Sequence[str], asked: Asked) -> Ended:
    """Sync and wait for the end; who is asked to stop passes it on, and kills when asked again."""
    started = datetime.now(UTC)
    try:
        with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as complained:
            code = _wait(_start(arguments, said, complained), asked)
            document, complaint = _document(said), _complaint(complained)
    except OSError as error:  # no process, no room for what it says: it may be there next time
        code, document, complaint = 1, None, f"no sync could be started: {error.strerror}"
    return Ended(code, document, complaint, started, datetime.now(UTC))


def _start(
    arguments: Sequence[str], said: IO[bytes], complained: IO[bytes]
) -> subprocess.Popen[bytes]:
    # The same code as this process's, whatever the working directory holds. In a group of its
    # own: Ctrl-C on a terminal reaches this process alone, which passes it on once.
    path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-P", "-m", "pipelines", "sync", "--json", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=said,
        stderr=complained,
        env={**os.environ, "PYTHONPATH": path},
        process_group=0,
    )


def _wait(process: subprocess.Popen[bytes], asked: Asked) -> int:
    passed_on = 0
    while process.returncode is None:
        with suppress(subprocess.TimeoutExpired):
            process.wait(_LOOKS_EVERY)
        for signum in asked.signals[passed_on:]:
            process.send_signal(signal.SIGKILL if passed_on else signum)
            passed_on += 1
    return process.returncode


def _document(said: IO[bytes]) -> Mapping[str, Any] | None:
    said.seek(0)
    try:
        found = json.load(said)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _complaint(complained: IO[bytes]) -> str:
    """Return what the command says of itself; of a traceback, the last line."""
    complained.seek(max(0, complained.seek(0, os.SEEK_END) - _LONGEST))
    lines = complained.read().decode(errors="replace").split("\n")
    ours = [line.removeprefix("convoy: ") for line in lines if line.startswith("convoy: ")]
    return "; ".join(ours) or next((line for line in reversed(lines) if line.strip()), "")
