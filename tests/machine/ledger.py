"""The ledger of a warehouse by the model's own SQL, in milliseconds and without dbt."""

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
_VIEWS = ("staging.stg_conversation_changes", "intermediate.int_conversation_changes")
_SEEDS = "create table staging.platforms as from read_csv(?, header = true, all_varchar = true)"
_TOTALS = """
    select source, conversation_id, sum(credits) as credits from ledger
    where credits != 0 group by all
"""


@dataclass(frozen=True)
class Ledger:
    """The compiled SQL of the model, as a full refresh runs it, and of the views it reads."""

    model: str
    views: tuple[tuple[str, str], ...]
    platforms: Path

    def of(self, warehouse: Path) -> dict[tuple[str, str], Decimal]:
        """Sum the ledger up, conversation by conversation; one without credits is left out."""
        with duckdb.connect() as memory:
            memory.execute(f"attach '{warehouse}' as held (read_only)")
            for schema in ("chat", "staging", "intermediate"):
                memory.execute(f"create schema {schema}")
            changes = "create view chat.conversation_changes as from held.chat.conversation_changes"
            memory.execute(changes)
            memory.execute(_SEEDS, [str(self.platforms)])
            for name, sql in self.views:
                memory.execute(f"create view {name} as {sql}")
            memory.execute(f"create view ledger as {self.model}")
            found = memory.execute(_TOTALS).fetchall()
        return {(source, conversation): credits_ for source, conversation, credits_ in found}


def compiled(folder: Path) -> Ledger:
    """Let dbt compile the model once, on an empty warehouse in that folder."""
    empty = Warehouse(folder / "warehouse.duckdb")
    chosen = ["--select", f"+{_MODEL}", "--full-refresh"]
    result = models.invoke("compile", empty.path, folder, chosen)
    assert result.success, result.exception
    target = folder / "dbt" / "target" / "compiled"

    def sql(name: str) -> str:
        (path,) = target.rglob(f"{name}.sql")
        return path.read_text(encoding="utf-8")

    views = tuple((name, sql(name.partition(".")[2])) for name in _VIEWS)
    return Ledger(sql(_MODEL), views, models.project_dir() / "seeds" / "platforms.csv")
