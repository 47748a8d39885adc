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
    sail.load(history[-1].warehouse, tmp_path / "loaded")
    for tests in (True, False):  # the second takes the place of the first
        build(sail, tmp_path, tests=tests)
        assert_same(sail.marts(), history[-1].marts)


@pytest.mark.long
@pytest.mark.timeout(1500)  # a cluster takes five minutes where two cores are all it has
def test_marts_of_apache_spark_are_duckdbs(
    history: list[Stage], apache_spark: Spark, tmp_path: Path
) -> None:
    apache_spark.load(history[-1].warehouse, tmp_path / "loaded")
    build(apache_spark, tmp_path, tests=True)
    assert_same(apache_spark.marts(), history[-1].marts)


def build(spark: Spark, folder: Path, *, tests: bool) -> None:
    models.build(spark.engine, folder, zone=ZONE, full_refresh=True, tests=tests)
