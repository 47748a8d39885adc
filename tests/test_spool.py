"""What is put aside is loaded, of whatever size its rows are."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from pipelines.cursor import Cursor
from pipelines.loader import Loader
from pipelines.news import news
from pipelines.okchat.rows import interpret_rows
from pipelines.spool import Spool
from pipelines.warehouse import NOTHING_KNOWN

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
