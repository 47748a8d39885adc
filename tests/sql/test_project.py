from __future__ import annotations

from typing import TYPE_CHECKING

from dbt.contracts.graph.manifest import Manifest
from dbt.contracts.graph.nodes import ModelNode

from pipelines import models

if TYPE_CHECKING:
    from pathlib import Path

    from sql.warehouse import Warehouse

GOOD = {"success", "pass", "no-op"}
"""The last is an exposure's: there is nothing to build."""
COMPUTED = {
    "bill_reconciliation_daily",
    "bot_summary",
    "conversations",
    "credit_ledger",
    "credit_spend_daily",
    "dim_bots",
    "freshness",
    "platform_breakdown",
    "platform_daily",
}


def test_every_unit_test_and_data_test_holds(warehouse: Warehouse, work: Path) -> None:
    models.build(warehouse.path, work)  # the incremental unit test reads the ledger's columns
    outcome = models.invoke("build", warehouse.path, work)
    results = getattr(outcome.result, "results", [])
    wrong = {r.node.name: r.message for r in results if r.status not in GOOD}
    assert (outcome.exception, wrong) == (None, {})
    assert len(results) > 100


def test_every_model_and_column_is_described_and_every_mart_has_a_unit_test(
    warehouse: Warehouse, work: Path
) -> None:
    models.build(warehouse.path, work)
    manifest = models.invoke("parse", warehouse.path, work).result
    assert isinstance(manifest, Manifest)
    nodes = [node for node in manifest.nodes.values() if isinstance(node, ModelNode)]
    assert [node.name for node in nodes if not node.description.startswith("One row per")] == []
    marts = {node.name: node for node in nodes if node.schema == "marts"}
    assert (
        set(marts) == COMPUTED == {test.model for test in manifest.unit_tests.values()} & set(marts)
    )
    columns = warehouse.rows(
        "select table_name, column_name from duckdb_columns() where schema_name = 'marts'"
    )
    assert {(n, c) for n, node in marts.items() for c in node.columns} == set(columns)
