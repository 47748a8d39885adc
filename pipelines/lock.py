"""One sync a warehouse."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import filelock

from pipelines import upgrade
from pipelines.errors import ConfigurationError, WarehouseBusy
from pipelines.lake.place import Lake
from pipelines.settings import Place, Settings
from pipelines.warehouse import connect, exists

Held = Callable[[], None]
"""Raises WarehouseFailed once the warehouse is held no more: a server may lose the connection."""


@contextmanager
def locked(settings: Settings, *, writes: bool = True) -> Iterator[Held]:
    """Hold the warehouse against other syncs; a lock left by a dead process is no obstacle.

    One of an earlier version is carried on, or refused where nothing may be written.

    Raises:
        WarehouseBusy: another sync runs.
        ConfigurationError: the warehouse is of another version.
    """
    outdated = exists(settings.warehouse) and _outdated(settings.warehouse)
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
        with _on_server(settings.warehouse) as held:
            if outdated:
                upgrade.carry_on(settings.warehouse)
            yield held
    finally:
        lock.release()


def _on_server(place: Place) -> AbstractContextManager[Held]:
    """Hold a database also against other machines; a file is only here, a lake is for many."""
    if isinstance(place, Path | Lake):
        return nullcontext(_for_good)
    from pipelines.postgres.lock import held  # noqa: PLC0415 - of an extra, seldom needed

    return held(place)


def _for_good() -> None:
    """Nobody can take the lock of a file away from a process that lives."""


def _outdated(place: Place) -> bool:
    """Tell whether a warehouse is of an earlier version; what can't be used is told here."""
    with connect(place, read_only=True) as connection:
        upgrade.refuse_newer(connection, place)
        return upgrade.is_outdated(connection)
