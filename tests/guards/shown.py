"""Promises 7 and 9: every credit once, and readers never wait."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING

import duckdb

from guards.guard import Guard, always, put
from pipelines import publish, sync
from pipelines.errors import ConvoyError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from guards.guard import Steps
    from guards.scene import Scene

READER = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1], read_only=True)
print(connection.execute("select count(*) from marts.conversations").fetchone()[0], flush=True)
input()
"""
SUMS = """
    select
        (select sum(cost_credit) from chat.conversations) as counted,
        (select sum(credits) from marts.credit_ledger) as booked
"""

# What is taken out.


@contextmanager
def in_place(path: Path) -> Iterator[Path]:
    path.chmod(0o644)
    yield path


# What happens.


def the_clock_is_set_back(scene: Scene) -> Steps:
    """What was observed before seems to lie in the future."""
    scene.open_synced(bots={"support": 8})
    with duckdb.connect(str(scene.project.warehouse)) as connection:
        for table in ("conversations", "conversation_changes"):
            connection.execute(f"update chat.{table} set observed_at = now() + interval 2 day")
    sync.build_models(scene.settings)
    yield
    scene.wait()
    scene.world.begin("support", cost_credit=Decimal("0.59"))
    assert scene.sync().complete
    sync.build_models(scene.settings)
    (sums,) = scene.project.rows(SUMS)
    assert sums["counted"] == sums["booked"], "credits are not booked"


def a_dashboard_is_open(scene: Scene) -> Steps:
    scene.open_synced(bots={"support": 8})
    sync.build_models(scene.settings)
    publish.publish(scene.settings)
    yield
    with subprocess.Popen(  # noqa: S603 - our own
        [sys.executable, "-c", READER, str(scene.project.published)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as reader:  # fmt: skip
        assert reader.stdout
        assert reader.stdout.readline().strip() == b"8"
        try:
            publish.publish(scene.settings)
        except ConvoyError as failed:
            raise AssertionError(f"the reader is in the way: {failed}") from failed
        finally:
            reader.communicate(b"\n")


GUARDS = [
    Guard(
        7, "changes come after all that were found",
        put("pipelines.live.last_change", always(None)),
        the_clock_is_set_back, "credits are not booked", is_long=True,
    ),
    Guard(
        9, "a publication is written aside", put("pipelines.publish._aside", in_place),
        a_dashboard_is_open, "the reader is in the way", is_long=True,
    ),
]  # fmt: skip
