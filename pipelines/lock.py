"""One sync a warehouse."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from pipelines import upgrade
from pipelines.errors import ConfigurationError, WarehouseBusy
from pipelines.settings import Settings
from pipelines.warehouse import connect


@contextmanager
def locked(settings: Settings, *, writes: bool = True) -> Iterator[None]:
    """Hold the warehouse against other syncs; a lock left by a dead process is no obstacle.

    One of an earlier version is carried on, or refused where nothing may be written.

    Raises:
        WarehouseBusy: another sync runs.
        ConfigurationError: the warehouse is of another version.
    """
    outdated = settings.warehouse.exists() and _outdated(settings.warehouse)
    if outdated and not writes:
        message = (
            f"{settings.warehouse} is of an earlier version of Convoy; run `convoy sync` first"
        )
        raise ConfigurationError(message)
    settings.work.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(settings.work / "lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        message = f"another sync holds {settings.warehouse}; wait for it to end"
        raise WarehouseBusy(message) from None
    try:
        if outdated:
            upgrade.carry_on(settings.warehouse)
        yield
    finally:
        lock.release()


def _outdated(path: Path) -> bool:
    """Tell whether a warehouse is of an earlier version; what can't be used is told here."""
    with connect(path, read_only=True) as connection:
        upgrade.refuse_newer(connection, path)
        return upgrade.is_outdated(connection)
