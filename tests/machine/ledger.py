"""The ledger of a warehouse by the model's own SQL, in milliseconds and without dbt.

Both ways: from nothing, and on and on as builds would.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb
from sql.warehouse import Warehouse

from pipelines import models

if TYPE_CHECKING:
    from decimal import Decimal
    from pathlib import Path

_MODEL = "credit_ledger"
_VIEWS = ("staging.stg_conversation_changes",)
_SEEDS = "create table staging.platforms as from read_csv(?, header = true, all_varchar = true)"
_TOTALS = """
    select source, conversation_id, sum(credits) as credits from in_full
    where credits != 0 group by all
"""
_BOOK = """
    create temp table news as {};
    delete from marts.credit_ledger where (source, conversation_id) in (
        select (source, conversation_id) from news
    );
    insert into marts.credit_ledger by name from news;
    drop table news;
"""
_UNLIKE = """
    (from in_full except all from marts.credit_ledger)
    union all
    (from marts.credit_ledger except all from in_full)
"""


@dataclass(frozen=True)
class Compiled:
    """The compiled SQL of the model, in full and on top of what is booked, and of its views."""

    in_full: str
    on_top: str
    views: tuple[tuple[str, str], ...]
    platforms: Path


class Ledger:
    """The ledger of one warehouse, booked on and on."""

    def __init__(self, compiled: Compiled) -> None:
        self._compiled = compiled
        self._booked = duckdb.connect()
        for schema in ("chat", "staging", "intermediate", "marts"):
            self._booked.execute(f"create schema {schema}")
        self._booked.execute(_SEEDS, [str(compiled.platforms)])

    def of(self, warehouse: Path) -> dict[tuple[str, str], Decimal]:
        """Book what is new, and sum up conversation by conversation those that have credits."""
        booked = self._booked
        booked.execute(f"attach '{warehouse}' as held (read_only)")
        changes = "create or replace view {0} as from held.{0}"
        booked.execute(changes.format("chat.conversation_changes"))
        for name, sql in self._compiled.views:
            booked.execute(f"create or replace view {name} as {sql}")
        booked.execute(f"create or replace temp table in_full as {self._compiled.in_full}")
        booked.execute("create table if not exists marts.credit_ledger as from in_full limit 0")
        booked.execute(_BOOK.format(self._compiled.on_top))
        booked.execute("detach held")
        assert booked.execute(_UNLIKE).fetchall() == [], "the ledger depends on when it was built"
        found = booked.execute(_TOTALS).fetchall()
        return {(source, conversation): credits_ for source, conversation, credits_ in found}


def compiled(folder: Path) -> Compiled:
    """Let dbt compile the model once, both ways, on an empty warehouse in that folder."""
    empty = Warehouse(folder / "warehouse.duckdb")
    models.build(empty.path, folder)  # so that there is something to book on top of
    in_full, *views = _sql(empty, folder, ["--full-refresh"])
    on_top, *_ = _sql(empty, folder, [])
    assert in_full != on_top
    platforms = models.project_dir() / "seeds" / "platforms.csv"
    return Compiled(in_full, on_top, tuple(zip(_VIEWS, views, strict=True)), platforms)


def _sql(empty: Warehouse, folder: Path, arguments: list[str]) -> list[str]:
    """Return the SQL of the model, then of its views."""
    chosen = ["--select", f"+{_MODEL}", *arguments]
    result = models.invoke("compile", empty.path, folder, chosen)
    assert result.success, result.exception
    target = folder / "dbt" / "target" / "compiled"
    names = [_MODEL, *(name.partition(".")[2] for name in _VIEWS)]
    found = [next(target.rglob(f"{name}.sql")).read_text(encoding="utf-8") for name in names]
    return [sql.replace(f'"{empty.path.stem}".', "") for sql in found]  # the ledger names itself
