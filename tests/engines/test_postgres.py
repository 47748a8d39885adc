from __future__ import annotations

from typing import TYPE_CHECKING

from engines.history import ZONE
from engines.marts import assert_same
from pipelines import models

if TYPE_CHECKING:
    from pathlib import Path

    from engines.history import Stage
    from engines.postgres import Postgres


def test_marts_are_duckdbs_from_nothing_on_top_and_anew(
    history: list[Stage], postgres: Postgres, tmp_path: Path
) -> None:
    for stage in history:
        postgres.load(stage.warehouse, tmp_path)
        is_first = stage is history[0]
        models.build(postgres.engine, tmp_path, zone=ZONE, full_refresh=is_first, tests=True)
        assert_same(postgres.marts(), stage.marts)
    models.build(postgres.engine, tmp_path, zone=ZONE, full_refresh=True)
    assert_same(postgres.marts(), stage.marts)
