"""The marts of a warehouse by the models' own SQL, in milliseconds and without dbt.

Both ways: from nothing, and on and on as builds would.
"""

from __future__ import annotations

from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
from copied import copy
from dbt.contracts.graph.manifest import Manifest
from dbt.contracts.graph.nodes import ModelNode
from sql.warehouse import Warehouse

from pipelines import models, tables

if TYPE_CHECKING:
    from decimal import Decimal

    from pipelines.settings import Place

_SCHEMAS = ("chat", "staging", "intermediate", "marts")
_SEEDS = "create table staging.platforms as from read_csv(?, header = true, all_varchar = true)"
_TOTALS = """
    select source, conversation_id, sum(credits) as credits from marts.credit_ledger
    where credits != 0 group by all
"""
_ADD = """
    create temp table news as {sql};
    delete from {name} where ({key}) in (select ({key}) from news);
    insert into {name} by name from news;
    drop table news;
"""
_OF_NOW = {"freshness"}
"""Bears the seconds until now; a view, so that there is but one way to build it."""
_UNLIKE = """
    (from whole.marts.{0} except all from kept.marts.{0})
    union all
    (from kept.marts.{0} except all from whole.marts.{0})
"""


@dataclass(frozen=True)
class Model:
    """A model with its compiled SQL, in full and on top of what is there; a key where it adds."""

    name: str
    in_full: str
    on_top: str
    key: str | None


@dataclass(frozen=True)
class Compiled:
    """The models, each after those that it reads."""

    models: tuple[Model, ...]
    platforms: Path


class Marts:
    """The marts of one warehouse, built on and on."""

    def __init__(self, compiled: Compiled) -> None:
        self._compiled = compiled
        self._connection = duckdb.connect()
        self._make("kept")
        self._is_begun = False

    def credits(self, place: Place) -> dict[tuple[str, str], Decimal]:
        """Build on top, and return the ledger's credits of the conversations that have any."""
        self._hold(place)
        self._make("whole")
        try:
            self._build("kept", on_top=self._is_begun)
            self._is_begun = True
            self._build("whole", on_top=False)
            self._assert_alike()
            found = self._connection.execute(_TOTALS).fetchall()
        finally:
            self._connection.execute("use kept; detach whole; detach held")
        return {(source, conversation): credits_ for source, conversation, credits_ in found}

    def _hold(self, place: Place) -> None:
        if isinstance(place, Path):
            self._connection.execute(f"attach '{place}' as held (read_only)")
        else:
            self._connection.execute("attach ':memory:' as held")
            copy(place, self._connection, "held.chat")

    def _make(self, name: str) -> None:
        self._connection.execute(f"attach ':memory:' as {name}; use {name}")
        for schema in _SCHEMAS:
            self._connection.execute(f"create schema {schema}")
        self._connection.execute(_SEEDS, [str(self._compiled.platforms)])

    def _build(self, name: str, *, on_top: bool) -> None:
        self._connection.execute(f"use {name}")
        for table in tables.ALL:
            view = "create or replace view chat.{0} as from held.chat.{0}"
            self._connection.execute(view.format(table.name))
        for model in self._compiled.models:
            self._connection.execute(_statement(model, on_top=on_top))

    def _assert_alike(self) -> None:
        for model in self._compiled.models:
            schema, _, name = model.name.partition(".")
            if schema == "marts" and name not in _OF_NOW:
                found = self._connection.execute(_UNLIKE.format(name)).fetchall()
                assert found == [], f"{name} depends on when it was built"


def _statement(model: Model, *, on_top: bool) -> str:
    if not model.key:
        return f"create or replace view {model.name} as {model.in_full}"
    if not on_top:
        return f"create table {model.name} as {model.in_full}"
    return _ADD.format(sql=model.on_top, name=model.name, key=model.key)


def compiled(folder: Path) -> Compiled:
    """Let dbt compile the models once, both ways, on an empty warehouse in that folder."""
    empty = Warehouse(folder / "warehouse.duckdb")
    models.build(empty.path, folder)  # so that there is something to build on top of
    nodes = _in_order(empty, folder)
    in_full, on_top = (_sql(empty, folder, how) for how in (["--full-refresh"], []))
    assert any(in_full[node.name] != on_top[node.name] for node in nodes)
    platforms = models.project_dir() / "seeds" / "platforms.csv"
    return Compiled(
        tuple(
            Model(f"{n.schema}.{n.name}", in_full[n.name], on_top[n.name], _key(n)) for n in nodes
        ),
        platforms,
    )


def _in_order(empty: Warehouse, folder: Path) -> list[ModelNode]:
    manifest = models.invoke("parse", empty.path, folder).result
    assert isinstance(manifest, Manifest)
    nodes = {id_: node for id_, node in manifest.nodes.items() if isinstance(node, ModelNode)}
    needed = {id_: set(node.depends_on.nodes) & nodes.keys() for id_, node in nodes.items()}
    return [nodes[id_] for id_ in TopologicalSorter(needed).static_order()]


def _key(node: ModelNode) -> str | None:
    """Return what a build on top replaces rows by; None for what it makes anew."""
    key = node.config.unique_key if node.config.materialized == "incremental" else None
    return ", ".join(key) if isinstance(key, list) else key


def _sql(empty: Warehouse, folder: Path, arguments: list[str]) -> dict[str, str]:
    """Return the SQL of each model."""
    result = models.invoke("compile", empty.path, folder, arguments)
    assert result.success, result.exception
    target = folder / "dbt" / "target" / "compiled" / "convoy" / "models"
    found = {path.stem: path.read_text(encoding="utf-8") for path in target.rglob("*.sql")}
    stem = f'"{empty.path.stem}".'  # a model that adds to itself names its database
    return {name: sql.replace(stem, "") for name, sql in found.items()}
