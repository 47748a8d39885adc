from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engines.history import ZONE
from engines.marts import assert_same
from pipelines import models

if TYPE_CHECKING:
    from pathlib import Path

    from engines.history import Stage
    from engines.spark import Spark


def test_marts_of_sail_are_duckdbs(history: list[Stage], sail: Spark, tmp_path: Path) -> None:
    assert_models_same(sail, history[-1], tmp_path)


@pytest.mark.long
@pytest.mark.timeout(1500)  # a cluster takes five minutes where two cores are all it has
def test_marts_of_apache_spark_are_duckdbs(
    history: list[Stage], apache_spark: Spark, tmp_path: Path
) -> None:
    assert_models_same(apache_spark, history[-1], tmp_path)


def assert_models_same(spark: Spark, stage: Stage, folder: Path) -> None:
    spark.load(stage.warehouse, folder / "loaded")
    for tests in (True, False):  # the second takes the place of the first
        models.build(spark.engine, folder, zone=ZONE, full_refresh=True, tests=tests)
        assert_same(spark.marts(), stage.marts)
