"""What unattended syncs tell: entries of the log, as lines or JSON, and notifications."""

import json
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from pipelines.child import Ended
from pipelines.series import Series

Entry = Mapping[str, Any]
Tell = Callable[[Entry], None]
_SHOWN = 5
_MODELS = {"skipped": "models unchanged", "built": "models built", "failed": "models FAILED"}
_PUBLISHED = {"published": "published", "failed": "publishing FAILED"}


def synced(ended: Ended, due: datetime | None) -> Entry:
    """Return the entry of one sync; `due` is when the next one starts."""
    return {
        "at": _iso(ended.ended_at),
        "event": "sync",
        "result": ended.kind,
        "exit_code": ended.exit_code,
        "started_at": _iso(ended.started_at),
        "seconds": round((ended.ended_at - ended.started_at).total_seconds(), 3),
        "errors": ended.errors,
        "next_start": due and _iso(due),
        "sync": ended.document,
    }


def stopped(signum: int, at: datetime) -> Entry:
    """Return the entry of the schedule's end."""
    return {"at": _iso(at), "event": "stopped", "signal": signal.Signals(signum).name}


def undelivered(channel: str, event: str, why: str, at: datetime) -> Entry:
    """Return the entry of a notification that did not arrive."""
    return {"at": _iso(at), "event": "notification", "of": event, "by": channel, "error": why}


def notification(event: str, series: Series, ended: Ended) -> Mapping[str, Any]:
    """Return what is told of a 'failure' or a 'recovery'; `text` says it in a sentence."""
    since = _iso(series.since or ended.ended_at)
    count = f"{series.failures} failed sync{'' if series.failures == 1 else 's'}"
    held = "the warehouse has been held by another program"
    said = {
        "failure": f"convoy: {_listed(ended.errors) if series.failures else held}; since {since}",
        "recovery": f"convoy: syncs are complete again, after {count} since {since}",
    }
    return {
        "event": event,
        "text": said[event],
        "at": _iso(ended.ended_at),
        "since": since,
        "failures": series.failures,
        "result": ended.kind,
        "exit_code": ended.exit_code,
        "errors": ended.errors,
    }


def as_json(entry: Entry) -> None:
    """Print an entry as one line of JSON."""
    _print(json.dumps(entry, ensure_ascii=False))


def as_lines(entry: Entry) -> None:
    """Print an entry as a line to read."""
    _print(line(entry))


def line(entry: Entry) -> str:
    """Return an entry as a line, whatever its texts hold."""
    said = {"sync": _of_sync, "stopped": _of_stop, "notification": _of_notification}
    return "".join(_printable(c) for c in f"{entry['at']} {said[entry['event']](entry)}")


def _of_sync(entry: Entry) -> str:
    result, document = entry["result"], entry["sync"]
    parts = [f"{result if result in ('complete', 'busy') else result.upper()}: "]
    parts[0] += _counted(document) if document else _listed(entry["errors"])
    if document and entry["errors"]:
        parts.append(_listed(entry["errors"]))
    parts.append(f"{entry['seconds']:.1f} s")
    parts += [f"next start {entry['next_start']}"] if entry["next_start"] else []
    return "; ".join(parts)


def _counted(document: Mapping[str, Any]) -> str:
    models, published = document["models"], document["publish"]
    parts = [
        f"{document['rows_loaded']:,} conversations loaded",
        f"{document['changes']:,} changes",
        f"{document['requests']:,} requests",
        _MODELS.get(models, models),
        _PUBLISHED.get(published, ""),
    ]
    return ", ".join(filter(None, parts))


def _of_stop(entry: Entry) -> str:
    return f"stopped by {entry['signal']}"


def _of_notification(entry: Entry) -> str:
    return (
        f"the {entry['by']} could not be told of the {entry['of']}: {entry['error']}; "
        "tried again after the next sync"
    )


def _listed(errors: list[str]) -> str:
    more = f" and {len(errors) - _SHOWN:,} more" if len(errors) > _SHOWN else ""
    return "; ".join(errors[:_SHOWN]) + more


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode()


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _print(text: str) -> None:
    # In UTF-8 whatever the locale. A log that can't be written, on a full disk perhaps, does not
    # end the schedule.
    with suppress(OSError):
        sys.stdout.buffer.write(f"{text}\n".encode(errors="backslashreplace"))
        sys.stdout.buffer.flush()
