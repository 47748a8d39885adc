"""One sync a warehouse."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import filelock

from pipelines.errors import WarehouseBusy
from pipelines.settings import Place, Settings
from pipelines.warehouse import connect, exists


@contextmanager
def locked(settings: Settings) -> Iterator[None]:
    """Hold the warehouse against other syncs; a lock left by a dead process is no obstacle.

    Raises:
        WarehouseBusy: another sync runs.
    """
    if exists(settings.warehouse):  # what can't be reached is told before anything is made
        with connect(settings.warehouse, read_only=True):
            pass
    settings.work.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(settings.work / "lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        message = f"another sync holds {settings.warehouse}; wait for it to end"
        raise WarehouseBusy(message) from None
    try:
        with _on_server(settings.warehouse):
            yield
    finally:
        lock.release()


def _on_server(place: Place) -> AbstractContextManager[None]:
    """Hold a database also against other machines; a file is only here."""
    if isinstance(place, Path):
        return nullcontext()
    from pipelines.postgres.lock import held  # noqa: PLC0415 - of an extra, seldom needed

    return held(place)
