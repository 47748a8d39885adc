"""When the requests of a key ended, in a small file that outlives the process."""

import os
import struct
from array import array
from contextlib import suppress
from pathlib import Path

_MOST = 100_000
"""Slots that a file is read for, as many as a budget may have: a damaged one may be of any size."""


class Slots:
    """A double a slot: when its last request ended, in seconds since 1970; infinity till then.

    Each is written in place the moment it changes, so a kill loses nothing. The file is a help
    and no condition: where it can't be read or written, the process knows its own requests.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file

    def read(self) -> list[float]:
        """Return what each slot holds; a slot that was never used holds 0."""
        found = array("d")
        if self._file is not None:
            with suppress(OSError), self._file.open("rb") as stored:
                held = stored.read(_MOST * found.itemsize)
                found.frombytes(held[: len(held) - len(held) % found.itemsize])
        return found.tolist()

    def write(self, place: int, at: float) -> None:
        """Write one slot.

        The file is opened each time, which costs microseconds: kept open, the files of hundreds
        of bots would use up what a process may have open.
        """
        if self._file is None:
            return
        with suppress(OSError):
            stored = os.open(self._file, os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0))
            try:
                os.lseek(stored, place * 8, os.SEEK_SET)
                os.write(stored, struct.pack("d", at))
            finally:
                os.close(stored)
