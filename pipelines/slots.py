"""When the requests of a key ended, in a small file that outlives the process."""

import errno
import mmap
import os
from array import array
from contextlib import suppress
from pathlib import Path

_MOST = 100_000
"""Slots that a file is read for, as many as a budget may have: a damaged one may be of any size."""
_LEAST = 512
"""Slots that a file has at first: as many as fill a page of memory."""


class Slots:
    """A double a slot: when its last request ended, in seconds since 1970; infinity till then.

    Each is written in place the moment it changes, so a kill loses nothing. The file is mapped
    into memory, which costs no system call a request, and no open file a bot. It is a help and
    no condition: where it can't be read or written, the process knows its own requests.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._held: memoryview[float] = memoryview(b"").cast("d")

    def read(self) -> list[float]:
        """Return what each slot holds, up to the last one that was ever used; 0 if it was not."""
        found = array("d")
        if self._file is not None:
            with suppress(OSError), self._file.open("rb") as stored:
                held = stored.read(_MOST * found.itemsize)
                found.frombytes(held[: len(held) - len(held) % found.itemsize])
        while found and not found[-1]:
            found.pop()
        return found.tolist()

    def write(self, place: int, at: float) -> None:
        """Write one slot."""
        if place >= len(self._held) and self._file is not None:
            try:
                self._held = _mapped(self._file, 2 * place + _LEAST)
            except OSError:
                self._file = None
        if place < len(self._held):
            self._held[place] = at


def _mapped(file: Path, slots: int) -> "memoryview[float]":
    """Map so many slots of a file, which grows to hold them.

    It grows by real zeros: a hole in it, on a disk that fills up, would end the process.
    """
    stored = os.open(file, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
    try:
        lacking = slots * 8 - os.fstat(stored).st_size
        if lacking > 0:
            os.lseek(stored, 0, os.SEEK_END)
            if os.write(stored, bytes(lacking)) < lacking:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return memoryview(mmap.mmap(stored, slots * 8)).cast("d")
    finally:
        os.close(stored)
