"""How the warehouse stands, bot by bot; read only."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from pipelines import built, due, publish, upgrade, warehouse
from pipelines.cursor import stored_cursors
from pipelines.settings import Settings


@dataclass(frozen=True)
class BotStatus:
    """One bot.

    `certified` and `evidence` are of its last certificate, `history_agreed_at` is when the
    server's count of everything last was what is loaded (GPTBots), `pending` what the next sync
    has to make good, None when nothing; `transcripts` are those read to their end,
    `transcripts_due` those still to read, both None where they are switched off.
    """

    source: str
    bot: str
    conversations: int = 0
    deleted: int = 0
    rejected: int = 0
    cursor: datetime | None = None
    newest_activity_at: datetime | None = None
    last_sync_at: datetime | None = None
    certified: bool | None = None
    evidence: str | None = None
    history_agreed_at: datetime | None = None
    pending: str | None = None
    transcripts: int | None = None
    transcripts_due: int | None = None


@dataclass(frozen=True)
class Status:
    """The warehouse and its bots, those configured and those that left rows behind."""

    warehouse: Path
    exists: bool
    bots: list[BotStatus]
    models_current: bool
    published_at: datetime | None
    interrupted: bool

    def as_json(self) -> dict[str, Any]:
        """Return the document that `--json` prints."""
        return asdict(self)


def status(settings: Settings, configured: Iterable[tuple[str, str]]) -> Status:
    """Read how things stand.

    Raises:
        WarehouseBusy: a sync is writing at this moment.
        ConfigurationError: the warehouse is of a later version.
    """
    found: dict[tuple[str, str], BotStatus] = {}
    models_current = False
    if settings.warehouse.exists():
        with warehouse.connect(settings.warehouse, read_only=True) as connection:
            upgrade.refuse_newer(connection, settings.warehouse)
            if warehouse.has_tables(connection):
                found = _with_transcripts(connection, settings, _bots(connection))
                models_current = built.are_current(connection, settings.time_zone)
    for source, bot in configured:
        found.setdefault((source, bot), BotStatus(source, bot, pending="never synced"))
    return Status(
        warehouse=settings.warehouse,
        exists=settings.warehouse.exists(),
        bots=[found[key] for key in sorted(found)],
        models_current=models_current,
        published_at=publish.published_at(settings),
        interrupted=any(settings.work.glob("dlt/convoy/*/*/*/*.parquet")),
    )


def _bots(connection: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], BotStatus]:
    cursors = stored_cursors(connection)
    rows = connection.execute(_BOTS).to_arrow_table().to_pylist()
    found = {}
    for row in rows:
        key = (row["source"], row["bot"])
        row["pending"] = _pending(row.pop("window_end"), row["last_sync_at"])
        found[key] = BotStatus(**row, cursor=cursors.get(key))
    return found


def _with_transcripts(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    found: Mapping[tuple[str, str], BotStatus],
) -> dict[tuple[str, str], BotStatus]:
    """Tell how far the transcripts are, of the sources where they are switched on."""
    on = {"gptbots": settings.gptbots.messages, "okchat": settings.okchat.messages}
    counts = due.progress(connection) if any(on.values()) else {}
    return {
        key: replace(of, transcripts=read, transcripts_due=still_due) if on.get(key[0]) else of
        for key, of in found.items()
        for read, still_due in [counts.get(key, (0, 0))]
    }


def _pending(window_end: datetime | None, finished_at: datetime | None) -> str | None:
    """Tell how far a first sync came that did not end: its last window ends in the past."""
    if window_end is None or finished_at is None or window_end > finished_at:
        return None
    return f"history read up to {window_end:%Y-%m-%d %H:%M}"


_BOTS = """
    with

    rows as (
        select
            source, bot,
            count(*) filter (where deleted_at is null) as conversations,
            count(*) filter (where deleted_at is not null) as deleted,
            max(last_activity_at) as newest_activity_at
        from chat.conversations
        group by all
    ),

    windows as (
        select
            source, bot,
            max(finished_at) as last_sync_at,
            arg_max(window_end, finished_at) filter (where kind = 'window') as window_end,
            max(finished_at) filter (where kind = 'history' and certified) as history_agreed_at,
            arg_max(certified, finished_at) as certified,
            arg_max(evidence, finished_at) as evidence
        from chat.sync_windows
        where kind != 'credits'
        group by all
    ),

    rejects as (
        select source, bot, count(*) as rejected
        from chat.rejected_rows
        group by all
    )

    select
        source, bot,
        coalesce(conversations, 0) as conversations,
        coalesce(deleted, 0) as deleted,
        coalesce(rejected, 0) as rejected,
        newest_activity_at, last_sync_at, window_end, history_agreed_at, certified, evidence
    from rows
    full join windows using (source, bot)
    left join rejects using (source, bot)
    order by source, bot
"""
