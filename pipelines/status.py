"""How the warehouse stands, bot by bot; read only."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from pipelines import built, due, publish, upgrade, warehouse
from pipelines.connection import Connection
from pipelines.cursor import stored_cursors
from pipelines.lake.place import Lake
from pipelines.settings import Place, Settings


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

    warehouse: Place
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
    exists = warehouse.exists(settings.warehouse)
    if exists:
        with warehouse.connect(settings.warehouse, read_only=True) as connection:
            upgrade.refuse_newer(connection, settings.warehouse)
            if warehouse.has_tables(connection):
                found = _with_transcripts(connection, settings, _bots(connection))
                models_current = built.are_current(connection, settings.time_zone)
    for source, bot in configured:
        found.setdefault((source, bot), BotStatus(source, bot, pending="never synced"))
    return Status(
        warehouse=settings.warehouse,
        exists=exists,
        bots=[found[key] for key in sorted(found)],
        models_current=models_current,
        published_at=publish.published_at(settings),
        interrupted=_is_interrupted(settings),
    )


def _is_interrupted(settings: Settings) -> bool:
    """Tell whether packages were left; of a lakehouse by a worker of any shard on this machine."""
    of_any = isinstance(settings.warehouse, Lake)
    works = settings.work.parent.glob("*") if of_any else [settings.work]
    return any(any(work.glob("dlt/convoy*/*/*/*/*.parquet")) for work in works)


def _bots(connection: Connection) -> dict[tuple[str, str], BotStatus]:
    cursors = stored_cursors(connection)
    rows = connection.execute(_BOTS).to_arrow_table().to_pylist()
    found = {}
    for row in rows:
        key = (row["source"], row["bot"])
        row["pending"] = _pending(row.pop("window_end"), row["last_sync_at"])
        found[key] = BotStatus(**row, cursor=cursors.get(key))
    return found


def _with_transcripts(
    connection: Connection,
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
        group by source, bot
    ),

    latest as (
        select
            source, bot,
            max(finished_at) as last_sync_at,
            max(finished_at) filter (where kind = 'window') as last_window_at,
            max(finished_at) filter (where kind = 'history' and certified) as history_agreed_at
        from chat.sync_windows
        where kind != 'credits'
        group by source, bot
    ),

    windows as (
        select
            source, bot, last_sync_at, history_agreed_at,
            max(window_end)
                filter (where kind = 'window' and finished_at = last_window_at) as window_end,
            bool_and(certified) filter (where finished_at = last_sync_at) as certified,
            max(evidence) filter (where finished_at = last_sync_at) as evidence
        from latest
        inner join chat.sync_windows using (source, bot)
        where kind != 'credits' and finished_at >= coalesce(last_window_at, last_sync_at)
        group by source, bot, last_sync_at, history_agreed_at
    ),

    rejects as (
        select source, bot, count(*) as rejected
        from chat.rejected_rows
        group by source, bot
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
