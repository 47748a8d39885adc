"""One sync a warehouse."""

from collections.abc import Iterator
from contextlib import contextmanager

import filelock

from pipelines.errors import WarehouseBusy
from pipelines.settings import Settings
from pipelines.warehouse import connect


@contextmanager
def locked(settings: Settings) -> Iterator[None]:
    """Hold the warehouse against other syncs; a lock left by a dead process is no obstacle.

    Raises:
        WarehouseBusy: another sync runs.
    """
    if settings.warehouse.exists():
        with connect(settings.warehouse, read_only=True):
            pass  # what can't be opened is told before anything is made
    settings.work.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(settings.work / "lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        message = f"another sync holds {settings.warehouse}; wait for it to end"
        raise WarehouseBusy(message) from None
    try:
        yield
    finally:
        lock.release()
