"""Whatever upstream sends stays text: in the warehouse, the models, exports and on the terminal."""

from __future__ import annotations

import csv
import io
import os
import pty
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pytest
from project import Project, assert_equal_to_truth

from pipelines import models, query, report, sync
from pipelines.simulator import Simulator, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from report.opened import Opened

HOSTILE = [
    "<script>alert(1)</script><img src=x onerror=alert(2)>",
    "</script><!--<script>",
    "'; drop table chat.conversations; --",
    "\"; attach '/tmp/x' as x; --",
    "{{ config() }}{% do 1/0 %}${jndi:ldap://x}",
    "=cmd|' /C calc'!A0",
    "  @SUM(1+1)",
    "+1+1",
    "-2+3",
    "\t=1+1",
    "\uff1d1+1",
    "\x1b]0;owned\x07\x1b[31m\x9b31m",
    "\x00NUL\r\nSet-Cookie: x",
    "\x00=1+1",
    "hello;=cmd|' /C calc'!A0",
    "\u202egnp.exe\u2066",
    "[bold red]rich[/] \\",
    "null",
    "x" * 1_000_000,
]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAME = "<b>';drop/**/table/**/bots;--"
"""Of a bot, in the user's own configuration."""
FORMULA = re.compile(r"[\s\x00-\x1f]*[=+\-@\uff1d]")


def hostile_world() -> World:
    """Every text field of both APIs holds each of them once."""
    now = datetime.now(UTC) - timedelta(minutes=2)
    world = World.seeded(7, bots={NAME: 3}, chatbots={"web": 3}, now=now)
    for text in HOSTILE:
        world.begin(NAME, subject=text, user_id=text, conversation_type=text, unknown_field=text)
        more = {"platform": text, "state": text, "voice_path": text, "metadata": {text: text}}
        message = {"id": text, "sender_type": text, "content": text}
        ids = {"user_id": text, "sns_user_id": text, "another_field": {text: [text]}}
        world.begin("web", **more, **ids, last_message=message)
    return world


@pytest.fixture(scope="module")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, World]]:
    """A project that has synced, modelled and published such a world."""
    project = Project(tmp_path_factory.mktemp("hostile"))
    (project.folder / ".dlt").mkdir()
    world = hostile_world()
    with pytest.MonkeyPatch.context() as patched, Simulator(world) as upstream:
        patched.chdir(project.folder)
        project.configure(upstream)
        outcome = sync.sync(project.settings())
        assert (outcome.complete, outcome.publish) == (True, "published"), outcome
        yield project, world


def convoy(*arguments: str) -> str:
    """Run a command and return what it prints."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    command = [sys.executable, "-m", "pipelines", *arguments]
    return subprocess.run(  # noqa: S603 - our own command
        command, check=True, stdout=subprocess.PIPE, env=environment
    ).stdout.decode()


def test_it_is_in_the_warehouse_as_it_was_sent(synced: tuple[Project, World]) -> None:
    project, world = synced
    assert_equal_to_truth(project, world)
    assert project.count("rejected_rows") == 0


def test_it_is_in_the_marts_as_it_was_sent(synced: tuple[Project, World]) -> None:
    project, _ = synced
    subjects = project.rows("select subject from marts.conversations where subject is not null")
    assert {row["subject"] for row in subjects} >= set(HOSTILE)
    platforms = project.rows("select distinct platform from marts.platform_breakdown")
    lowered = {text.strip(" ").lower() for text in HOSTILE}
    assert lowered <= {row["platform"] for row in platforms}
    settings = project.settings()
    assert models.build(settings.file, settings.work, tests=True).warnings == 0


def test_it_is_published_as_it_was_sent(synced: tuple[Project, World]) -> None:
    project, _ = synced
    with duckdb.connect(str(project.published), read_only=True) as reader:
        found = reader.execute("select subject from marts.conversations").fetchall()
    assert {subject for (subject,) in found} >= set(HOSTILE)


def test_no_cell_of_a_csv_is_a_formula(synced: tuple[Project, World]) -> None:
    project, _ = synced
    sql = "select conversation_id, subject, metadata, cost_credit, -1 as less from conversations"
    csv.field_size_limit(10_000_000)
    rows = list(csv.DictReader(io.StringIO(convoy("query", "-f", "csv", sql), newline="")))
    assert len(rows) == project.rows("select count(*) as n from marts.conversations")[0]["n"]
    texts = [row[name] for row in rows for name in ("conversation_id", "subject", "metadata")]
    assert not [text for text in texts if FORMULA.match(text)]
    assert "'=cmd|' /C calc'!A0" in texts
    assert {row["less"] for row in rows} == {"-1"}


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=1", "'=1"),
        ("\x00 \x1b\u200b\ufeff@a", "'\x00 \x1b\u200b\ufeff@a"),
        ('"=1', "'\"=1"),
        ("a;=1", "a;'=1"),
        ('a\t "+1', "a\t' \"+1"),
        ("a\n\n-1", "a\n\n'-1"),
        ("a\n- b; c=d-e@f", "a\n- b; c=d-e@f"),
        ("", ""),
        ("\n" * 1_000_000, "\n" * 1_000_000),  # for hours, if each were searched to the end
    ],
    ids=lambda text: repr(text)[:20],
)
def test_no_text_of_a_csv_is_a_formula(text: str, written: str) -> None:
    assert as_csv({text: [text, None]}) == [[written], [written], [""]]


def test_a_csv_has_quotes_about_all_but_numbers_instants_and_null() -> None:
    row = {"a": "x", "b": -1, "c": Decimal("-1.50"), "d": NOON, "e": None, "f": b"\xfb", "g": [1]}
    stream = io.StringIO()
    query.write_csv(pa.table({name: [value] for name, value in row.items()}), stream)
    assert stream.getvalue() == (
        '"a","b","c","d","e","f","g"\n"x",-1,-1.50,2026-03-01T12:00:00Z,,"\'+w==","[1]"\n'
    )


def as_csv(columns: dict[str, list[str | None]]) -> list[list[str]]:
    stream = io.StringIO(newline="")
    query.write_csv(pa.table(columns), stream)
    return list(csv.reader(io.StringIO(stream.getvalue(), newline="")))


def test_a_report_shows_it_as_text(
    synced: tuple[Project, World], open_report: Callable[..., Opened], tmp_path: Path
) -> None:
    project, _ = synced
    written = report.write(project.published, tmp_path / "report.html")
    assert written.stat().st_size < 2_000_000
    opened = open_report(written)
    opened.page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    shown = {row[4] for row in opened.rows("#newest")}
    assert {HOSTILE[0], HOSTILE[1], HOSTILE[5], "x" * 119 + "…"} <= shown
    platforms = {row[0] for row in opened.rows("#platforms")}
    assert HOSTILE[1] in platforms
    assert NAME in {row[0] for row in opened.rows("#bots")}
    assert opened.evaluate("document.querySelectorAll('main img, main b, main script').length") == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        *(("query", "-f", form, "from conversations") for form in ("table", "csv", "json")),
    ],
    ids=lambda arguments: " ".join(arguments[:3]),
)
def test_nothing_commands_the_terminal(
    synced: tuple[Project, World], arguments: tuple[str, ...]
) -> None:
    assert synced
    shown = on_a_terminal(*arguments)
    assert len(shown) > 100
    ours = re.sub(r"\x1b\[[0-9;]*m", "", shown)  # bold and colours of our own
    assert not re.findall(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e\u2066]", ours)
    assert "\x1b[31m" not in shown


def on_a_terminal(*arguments: str) -> str:
    """Run a command on a terminal and return what that was sent."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent), "TERM": "xterm"}
    command = [sys.executable, "-m", "pipelines", *arguments]
    with subprocess.Popen(  # noqa: S603 - our own command
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        shown = bytearray()
        while piece := _read(ours):
            shown += piece
    os.close(ours)
    assert process.returncode == 0, shown[-500:]
    return shown.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # it was closed
        return b""
