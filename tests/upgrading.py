"""An upgrade that dies in the middle of its last step: run as a program, it kills itself."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from pipelines import settings, upgrade

if TYPE_CHECKING:
    from pipelines.connection import Connection


def count_on(connection: Connection) -> None:
    """Do what must not be done twice."""
    connection.execute("update chat.conversations set message_count = message_count + 1")


def count_on_and_die(connection: Connection) -> None:
    count_on(connection)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    upgrade.STEPS = (*upgrade.STEPS, count_on, count_on_and_die)
    upgrade.carry_on(settings.load(need_bots=False).warehouse)
