"""What is put aside is loaded, of whatever size its rows are."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from project import assert_equal_to_truth

from pipelines import chunk
from pipelines.cursor import Cursor
from pipelines.loader import Loader
from pipelines.news import news
from pipelines.okchat.rows import interpret_rows
from pipelines.reader import Reader
from pipelines.spool import Spool
from pipelines.warehouse import NOTHING_KNOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from conftest import MakeWorld, Simulate
    from project import Project

    from pipelines.batch import Batch

BEGAN = datetime(2024, 1, 2, tzinfo=UTC)
KB, MB = 2**10, 2**20


def noise(size: int) -> str:
    """Return a text that can't be packed."""
    return os.urandom(size // 2).hex()


def put_aside(folder: Path, pieces: int, rows: int, text: Callable[[int], str]) -> Spool:
    """Put conversations aside whose metadata holds a text."""
    cursor = Cursor(datetime(2023, 1, 1, tzinfo=UTC), timedelta(hours=1))
    spool = Spool(folder / "new")
    for piece in range(pieces):
        sent = [
            {
                "id": f"{piece}-{i}",
                "chatbot_id": "c",
                "updated_at": (BEGAN + timedelta(seconds=i)).isoformat(),
                "platform": "web",
                "metadata": {"text": text(i)},
            }
            for i in range(rows)
        ]
        read = interpret_rows(sent, "site", datetime.now(UTC)).table
        spool.add(news(read, NOTHING_KNOWN), {"site": cursor})
    return spool


@pytest.mark.parametrize(
    ("pieces", "rows", "text", "narrow"),
    [
        pytest.param(3, 20_000, lambda _: noise(40), True, id="short"),
        pytest.param(6, 2_000, lambda _: noise(15 * KB), False, id="all long"),
        pytest.param(1, 200, lambda i: "m" * (28 * MB if i == 100 else 2), False, id="one long"),
        pytest.param(1, 200, lambda i: "m" * (60 * MB if i == 199 else 2), False, id="newest long"),
    ],
)
def test_rows_of_any_size_are_loaded(
    tmp_path: Path,
    pieces: int,
    rows: int,
    text: Callable[[int], str],
    narrow: bool,  # noqa: FBT001 - given by name above
) -> None:
    spool = put_aside(tmp_path, pieces, rows, text)
    batch = spool.batch({})
    assert batch.narrow is narrow
    cursor = Cursor(datetime(2023, 1, 1, tzinfo=UTC), timedelta(hours=1))
    Loader(tmp_path / "w.duckdb", tmp_path / "work", lambda: None).load(
        "okchat", batch, {"site": cursor}
    )
    with duckdb.connect(str(tmp_path / "w.duckdb")) as warehouse:
        found = warehouse.execute("select count(*) from chat.conversations").fetchone()
    assert found == (pieces * rows,)


def test_what_was_put_aside_is_known(tmp_path: Path) -> None:
    spool = put_aside(tmp_path, 1, 300, lambda _: "x")
    ids = interpret_rows(
        [{"id": "0-7", "updated_at": BEGAN.isoformat()}], "site", datetime.now(UTC)
    ).table["conversation_id"]
    others = interpret_rows(
        [{"id": "1-7", "updated_at": BEGAN.isoformat()}], "site", datetime.now(UTC)
    ).table["conversation_id"]
    assert spool.holds(ids)
    assert not spool.holds(others)


def certificates_loaded(patched: pytest.MonkeyPatch) -> list[tuple[str, set[str]]]:
    """Read all before anything is taken; note of each load its source, and whose certificates."""
    take, load = Reader.take, Loader.load
    loaded: list[tuple[str, set[str]]] = []

    def take_all(reader: Reader, *given: Any) -> Any:  # noqa: ANN401 - as it is
        time.sleep(2)  # all are ready by then
        return take(reader, *given)

    def noted(loader: Loader, name: str, batch: Batch, cursors: Mapping[str, Cursor]) -> None:
        certificates = batch.rest.get("sync_windows")
        loaded.append((name, set(certificates["bot"].to_pylist()) if certificates else set()))
        load(loader, name, batch, cursors)

    patched.setattr(Reader, "take", take_all)
    patched.setattr(Loader, "load", noted)
    return loaded


def test_no_certificate_is_loaded_ahead_of_its_rows(
    project: Project,
    make_world: MakeWorld,
    simulate: Simulate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """OKChat's are put aside when GPTBots' are loaded, as OKChat was ready first."""
    project.configure(simulate(make_world(bots={"support": 130}, chatbots={"website": 500})))
    monkeypatch.setattr("pipelines.run.CHUNK_ROWS", 600)
    monkeypatch.setattr("pipelines.reader.READY_ROWS", 600)
    monkeypatch.setattr("pipelines.run.SPOOLED_ROWS", 200)
    in_order, loaded = chunk.chunks, certificates_loaded(monkeypatch)
    monkeypatch.setattr(
        "pipelines.run.chunks",
        lambda taken: sorted(in_order(taken), key=lambda chunk: chunk.source, reverse=True),
    )
    assert project.sync().complete
    assert loaded == [("gptbots", {"support"}), ("okchat", {"website"})]


def test_no_certificate_is_loaded_ahead_of_its_rows_either_within_a_source(
    project: Project,
    make_world: MakeWorld,
    simulate: Simulate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A bot that is new is put aside when the news of one that is known are loaded."""
    world = make_world(bots={"known": 130, "new": 500})
    upstream = simulate(world)
    project.configure(upstream, bots=["known"])
    assert project.sync().complete
    world.advance(timedelta(minutes=3))
    world.begin("known")
    project.configure(upstream)
    loaded = certificates_loaded(monkeypatch)
    monkeypatch.setattr(
        "pipelines.run.chunks",
        lambda taken: [
            chunk.Chunk(
                "gptbots", [(name.bot, reading) for name, reading in taken if name.bot == bot]
            )
            for bot in ("new", "known")
            if taken
        ],
    )
    assert project.sync().complete
    assert loaded == [("gptbots", {"new"}), ("gptbots", {"known"})]


@pytest.mark.parametrize("slow", [0.0, 1e9])
def test_what_comes_slowly_is_loaded_while_more_is_read(
    project: Project,
    make_world: MakeWorld,
    simulate: Simulate,
    monkeypatch: pytest.MonkeyPatch,
    slow: float,
) -> None:
    world = make_world(bots={"support": 1500})
    project.configure(simulate(world))
    for name, value in (("CHUNK_ROWS", 400), ("SLOW_SECONDS", slow)):
        monkeypatch.setattr(f"pipelines.run.{name}", value)
    monkeypatch.setattr("pipelines.reader.READY_ROWS", 400)
    monkeypatch.setattr("pipelines.jobs.WINDOW_ROWS", 300)
    monkeypatch.setattr("pipelines.jobs._SMALLEST_WINDOW", 300)
    count, load = [], Loader.load

    def counted(loader: Loader, name: str, batch: Batch, cursors: Mapping[str, Cursor]) -> None:
        count.append(name)
        load(loader, name, batch, cursors)

    monkeypatch.setattr(Loader, "load", counted)
    assert project.sync().complete
    assert_equal_to_truth(project, world)
    assert (len(count) == 1) is bool(slow)
