"""What the commands print; upstream text is shown, never interpreted."""

import io
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pipelines import query
from pipelines.outcome import BotOutcome, Outcome
from pipelines.run import Tell
from pipelines.settings import Settings
from pipelines.status import Status

if TYPE_CHECKING:
    from pipelines.check import Finding
    from pipelines.lag import Lags
    from pipelines.verify import Verified

out = Console(highlight=False, soft_wrap=True)
if not out.is_terminal:
    out = Console(highlight=False, width=1_000)  # a pipe has no edge to fold at
err = Console(stderr=True, highlight=False, soft_wrap=True)
_SHOWN = 12
_LONGEST = 1_000
"""Characters of a cell of a table; the other formats give all."""
_PUBLISHED = {"published": "published, ", "failed": "publishing FAILED, "}
_EVERY = 30.0
_CONTROLS = [i for i in (*range(32), *range(127, 160)) if i not in (9, 10)]
_TURNING = [*range(0x202A, 0x202F), *range(0x2066, 0x206A)]  # the direction of what follows
_UNPRINTABLE = {i: f"\\x{i:02x}" for i in _CONTROLS} | {i: f"\\u{i:04x}" for i in _TURNING}


def findings(configured: Settings, found: "Sequence[Finding]") -> None:
    """Print what is configured and what trying it showed."""
    out.print(Text(f"warehouse {configured.warehouse}"))
    for name, source in (("gptbots", configured.gptbots), ("okchat", configured.okchat)):
        out.print(Text(f"{name}: {source.base_url}, {source.requests_per_minute} requests/min"))
    for finding in found:
        who = " ".join(part for part in (finding.source, finding.bot) if part)
        mend = f"; {finding.mend}" if finding.mend else ""
        out.print(plain(f"{'ok  ' if finding.ok else 'FAIL'} {who}: {finding.message}{mend}"))


def plain(value: object) -> Text:
    """Return a cell: no markup, no control characters."""
    if value is None:
        return Text("")
    if isinstance(value, datetime):
        return Text(moment(value))
    if isinstance(value, bool):
        return Text("yes" if value else "no")
    if isinstance(value, Decimal):
        return Text(f"{value:f}".rstrip("0").rstrip(".") if value % 1 else f"{value:.0f}")
    if isinstance(value, int):
        return Text(f"{value:,}")
    text = str(value)
    shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    return Text(shown.translate(_UNPRINTABLE))


def moment(at: datetime | None) -> str:
    """Return an instant to the second, in UTC."""
    return f"{at:%Y-%m-%d %H:%M:%S}Z" if at else "-"


def print_json(document: object) -> None:
    """Print one JSON document, and nothing else, on standard output."""
    encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=str)
    sys.stdout.write(msgspec.json.format(encoder.encode(document)).decode() + "\n")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> Table:
    """Return a table; a column of numbers is set to the right."""
    cells = [list(row) for row in rows]
    made = Table(title=title or None, title_justify="left", title_style="bold", box=None)
    for i, name in enumerate(columns):
        given = [row[i] for row in cells if row[i] is not None]
        numbers = bool(given) and all(
            not isinstance(value, str | bool | datetime) for value in given
        )
        made.add_column(name, justify="right" if numbers else "left", overflow="fold")
    for row in cells:
        made.add_row(*(plain(value) for value in row))
    return made


@contextmanager
def progress(*, quiet: bool) -> Iterator[Tell]:
    """Show a sync while it runs: live on a terminal, a line a bot elsewhere."""
    if quiet:
        yield lambda _: None
    elif out.is_terminal:
        with Live(console=out, refresh_per_second=8, transient=True) as live:
            yield lambda outcome: live.update(_live(outcome))
    else:
        yield _Lines().tell


def summary(outcome: Outcome) -> None:
    """Print what a sync did."""
    if out.is_terminal:
        for bot in outcome.bots.values():
            out.print(_line(bot))
    models = {"skipped": "models unchanged", "built": "models built", "failed": "models FAILED"}
    models["elsewhere"] = "models are built by dbt on Spark (docs/lakehouse.md)"
    out.print(
        Text(
            f"{'complete' if outcome.complete else 'INCOMPLETE'}: "
            f"{outcome.rows_loaded:,} conversations loaded, {outcome.changes:,} changes, "
            f"{outcome.requests:,} requests, {models.get(outcome.models, outcome.models)}, "
            f"{_due(outcome)}{_PUBLISHED.get(outcome.publish, '')}{outcome.seconds:.1f} s"
        )
    )
    for error in filter(None, (outcome.models_error, outcome.publish_error)):
        err.print(Text(error))


def _due(outcome: Outcome) -> str:
    """Tell what transcripts are left for the next syncs."""
    count = sum(bot.transcripts_due or 0 for bot in outcome.bots.values())
    return f"{count:,} transcripts still due, " if count else ""


def differences(found: "Verified") -> None:
    """Print what a comparison found, a line a bot and kind."""
    for name, difference in found.differences.items():
        outcome = found.outcome.bots[name]
        if outcome.error:
            continue  # its line has told
        kinds = {kind: sorted(ids) for kind, ids in asdict(difference).items() if ids}
        for kind, ids in kinds.items():
            more = f" and {len(ids) - _SHOWN:,} more" if len(ids) > _SHOWN else ""
            out.print(plain(f"{name}: {len(ids):,} {kind}: {', '.join(ids[:_SHOWN])}{more}"))
        if not kinds:
            moving = outcome.history == "moving"
            out.print(plain(f"{name}: {'its counts keep moving' if moving else 'agrees'}"))
        if outcome.transcripts_due:
            out.print(plain(f"{name}: {outcome.transcripts_due:,} transcripts due"))
    mended = " and was mended" if found.repaired and any(found.differences.values()) else ""
    verdict = "agrees" if found.agrees else "DIFFERS"
    out.print(
        Text(
            f"the warehouse {verdict}{mended}: {found.outcome.requests:,} requests, "
            f"{found.outcome.seconds:.1f} s"
        )
    )


def status(found: Status) -> None:
    """Print how the warehouse stands."""
    columns = (
        *("source", "bot", "rows", "deleted", "rejected", "cursor", "newest activity"),
        *("last sync", "certified", "evidence", "pending"),
    )
    rows = [
        (
            *(b.source, b.bot, b.conversations, b.deleted, b.rejected, b.cursor),
            *(b.newest_activity_at, b.last_sync_at, b.certified, b.evidence, b.pending),
        )
        for b in found.bots
    ]
    out.print(Text(f"warehouse {found.warehouse}{'' if found.exists else ' (not made yet)'}"))
    out.print(table(columns, rows))
    for bot in found.bots:
        if bot.transcripts_due is not None:
            told = f"{bot.transcripts:,} transcripts read, {bot.transcripts_due:,} due"
            out.print(plain(f"{bot.source} {bot.bot}: {told}"))
    if found.exists and not found.models_current:
        out.print(Text("models: older than what is loaded; run `convoy models`"))
    if found.published_at:
        out.print(Text(f"published {moment(found.published_at)}"))
    if found.interrupted:
        out.print(Text("an interrupted sync left unloaded rows; the next sync reads them again"))


def lags(found: "Lags") -> None:
    """Print which bots lag behind, or that none does."""
    most = timedelta(seconds=found.max_seconds)
    for bot in found.stale:
        at = bot.last_complete_sync_at
        last = f"last complete sync {moment(at)}" if at else "no complete sync yet"
        out.print(plain(f"STALE {bot.source} {bot.bot}: {last}"))
    out.print(Text(f"{len(found.stale)} of {len(found.bots)} bots lag behind by more than {most}"))


def say(text: str) -> None:
    """Print a sentence as it is."""
    out.print(Text(text))


def rows(found: pa.Table, form: str, to: Path | None) -> None:
    """Write a query's rows as table, csv, json or parquet, to a file or standard output."""
    if form == "table" and to is None:
        out.print(table(found.column_names, query.cells(found)))
        out.print(Text(f"{len(found):,} row{'' if len(found) == 1 else 's'}"))
        return
    written = io.BytesIO()  # all of it, before a file that is there is opened
    if form == "parquet":
        query.write_parquet(found, written)
    else:
        written.write(_text(found, form).encode())
    if to:
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(written.getbuffer())
    elif form != "parquet" and sys.stdout.isatty():
        sys.stdout.write(written.getvalue().decode().translate(_UNPRINTABLE))
    else:
        sys.stdout.buffer.write(written.getbuffer())


def _text(found: pa.Table, form: str) -> str:
    to = io.StringIO()
    if form == "table":
        Console(file=to, width=10_000).print(table(found.column_names, query.cells(found)))
    else:
        (query.write_csv if form == "csv" else query.write_json)(found, to)
    return to.getvalue()


class _Lines:
    """A line now and then while a sync runs, and one for each bot at its end."""

    def __init__(self) -> None:
        self._told: set[str] = set()
        self._next = time.monotonic() + _EVERY

    def tell(self, outcome: Outcome) -> None:
        for bot in outcome.bots.values():
            if bot.loaded or (bot.done and bot.error):
                self._once(_line(bot).plain)
        if outcome.models == "building":
            self._once("building models")
        elif not self._told and time.monotonic() >= self._next:
            self._next += _EVERY
            read = sum(bot.rows_read for bot in outcome.bots.values())
            out.print(Text(f"so far {read:,} read, {outcome.rows_loaded:,} loaded"))

    def _once(self, line: str) -> None:
        if line not in self._told:
            self._told.add(line)
            out.print(Text(line))


def _line(bot: BotOutcome) -> Text:
    name = f"{bot.source} {bot.bot}"
    if bot.error:
        return plain(f"{name}: FAILED: {bot.error}")
    proof = "certified" if bot.certified else "NOT certified"
    proof += {"agrees": ", all history counted", "moving": ", counts keep moving"}.get(
        bot.history or "", ""
    )
    proof += f", {bot.deleted:,} marked as deleted" if bot.deleted else ""
    read = f", {bot.transcripts:,} transcripts" if bot.transcripts else ""
    rejected = f", {bot.rejected:,} rows REJECTED (see rejected_rows)" if bot.rejected else ""
    return plain(
        f"{name}: {bot.rows_loaded:,} loaded of {bot.rows_read:,} read, "
        f"{bot.requests:,} requests, {proof}{read}{rejected}, cursor {moment(bot.cursor)}"
        + "".join(f"; FAILED: {failure}" for failure in bot.failures)
    )


def _live(outcome: Outcome) -> Table:
    bots = sorted(outcome.bots.values(), key=lambda b: (b.loaded, b.source, b.bot))
    rows = [
        (f"{b.source} {b.bot}", b.rows_read, b.rows_loaded, b.requests, _state(b))
        for b in bots[:_SHOWN]
    ]
    if hidden := bots[_SHOWN:]:
        done = sum(b.done for b in hidden)
        counts = [
            sum(x)
            for x in zip(*((b.rows_read, b.rows_loaded, b.requests) for b in hidden), strict=True)
        ]
        rows.append((f"{len(hidden)} more bots", *counts, f"{done} done"))
    made = table(("bot", "read", "loaded", "requests", ""), rows)
    building = "building models" if outcome.models == "building" else None
    made.caption = "publishing" if outcome.publish == "publishing" else building
    return made


def _state(bot: BotOutcome) -> str:
    if bot.error:
        return "failed"
    return "done" if bot.loaded else ("loading" if bot.done else "reading")
