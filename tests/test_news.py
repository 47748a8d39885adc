"""What a reading brings that the warehouse lacks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import tables
from pipelines.gptbots.rows import interpret_rows as of_gptbots
from pipelines.news import News, news
from pipelines.okchat.rows import interpret_rows as of_okchat
from pipelines.warehouse import Known

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
Row = dict[str, Any]


class Version(NamedTuple):
    """One version of a conversation: which, when active, what of it."""

    name: str
    active: int
    counter: int
    says: str | None


VERSIONS = st.builds(
    Version,
    st.sampled_from("ab"),
    st.integers(0, 3),
    st.integers(0, 2),
    st.none() | st.sampled_from(["hi", "ho"]),
)


def gptbots(version: Version, observed: datetime) -> pa.Table:
    row = {
        "conversation_id": version.name,
        "recent_chat_time": int(EPOCH.timestamp() * 1000) + version.active,
        "message_count": version.counter,
        "cost_credit": Decimal(version.counter) / 10,
    }
    return of_gptbots([row], "bot", observed).table


def okchat(version: Version, observed: datetime) -> pa.Table:
    row = {
        "id": version.name,
        "updated_at": (EPOCH + timedelta(microseconds=version.active)).isoformat(),
        "last_message": version.says,
        "metadata": {"counter": version.counter},
    }
    return of_okchat([row], "bot", observed).table


class Warehouse:
    """Applies news as a load does."""

    def __init__(self) -> None:
        self.conversations: dict[str, Row] = {}
        self.last_messages: dict[str, Row] = {}
        self.changes: list[Row] = []

    @property
    def known(self) -> Known:
        newest = {row["conversation_id"]: row for row in self.changes}
        return Known(
            _table(self.conversations.values(), tables.CONVERSATIONS),
            _table(self.last_messages.values(), tables.LAST_MESSAGES),
            _table(newest.values(), tables.CONVERSATION_CHANGES),
        )

    def load(self, found: News) -> None:
        for row in found.conversations.to_pylist():
            self.conversations[row["conversation_id"]] = row
        for row in found.last_messages.to_pylist():
            self.last_messages.pop(row["conversation_id"], None)
            if not row["removed"]:
                self.last_messages[row["conversation_id"]] = row
        self.changes += found.changes.to_pylist()


def _table(rows: Any, table: tables.Table) -> pa.Table:  # noqa: ANN401 - any rows
    return pa.Table.from_pylist(list(rows), schema=table.schema)


def read(make: Any, versions: list[Version], since: int = 0) -> pa.Table:  # noqa: ANN401
    parts = [
        make(version, EPOCH + timedelta(days=1, seconds=since + n))
        for n, version in enumerate(versions)
    ]
    return pa.concat_tables([tables.READING.empty_table(), *parts])


@settings(max_examples=20)
@given(st.sampled_from([gptbots, okchat]), st.lists(st.lists(VERSIONS, max_size=4), max_size=4))
def test_the_warehouse_holds_the_newest_version_of_each_whatever_was_read_when(
    make: Any,  # noqa: ANN401 - one of the two above
    batches: list[list[Version]],
) -> None:
    stored, newest = Warehouse(), dict[str, Version]()
    for number, batch in enumerate(batches):
        rows = read(make, batch, number * 100)
        before = dict(newest)
        for version in batch:  # of two with one activity the later read is the newer
            known = newest.get(version.name)
            if known is None or version.active >= known.active:
                newest[version.name] = version
        found = news(rows, stored.known)
        stored.load(found)
        assert not news(rows, stored.known)
        changed = {
            name for name in newest if seen(make, newest[name]) != seen(make, before.get(name))
        }
        assert set(found.conversations["conversation_id"].to_pylist()) == changed
    assert {n: content(row) for n, row in stored.conversations.items()} == {
        name: content(make(version, EPOCH).to_pylist()[0]) for name, version in newest.items()
    }
    if make is okchat:
        said = {name: version.says for name, version in newest.items() if version.says}
        assert {n: row["content"] for n, row in stored.last_messages.items()} == said


def seen(make: Any, version: Version | None) -> object:  # noqa: ANN401 - one of the two above
    """What of a version is in its row of `conversations`."""
    return content(make(version, EPOCH).to_pylist()[0]) if version else None


def content(row: Row) -> Row:
    names = tables.CONVERSATIONS.columns.keys() - {"observed_at"}
    return {name: row[name] for name in names}


FIRST = [Version("a", 1, 1, "hi")]


def test_each_change_of_a_counter_is_a_change_also_back_to_an_old_value() -> None:
    stored = Warehouse()
    for number, counter in enumerate([1, 2, 1, 1]):
        rows = read(gptbots, [Version("a", 1, counter, None)], number)
        stored.load(news(rows, stored.known))
    assert [row["message_count"] for row in stored.changes] == [1, 2, 1]


def test_what_a_load_left_out_is_news_again_table_by_table() -> None:
    rows = read(okchat, FIRST)
    for missing in ("conversations", "last_messages", "changes"):
        stored = Warehouse()
        stored.load(news(rows, stored.known))
        getattr(stored, missing).clear()
        found = news(rows, stored.known)
        loaded = {
            n for n in ("conversations", "last_messages", "changes") if len(getattr(found, n))
        }
        assert loaded == {missing}


def test_an_older_version_is_no_news_for_any_table() -> None:
    stored = Warehouse()
    stored.load(news(read(okchat, [Version("a", 2, 1, "new")]), stored.known))
    assert not news(read(okchat, [Version("a", 1, 2, None)], 9), stored.known)


def test_a_last_message_that_is_gone_is_removed_once() -> None:
    stored = Warehouse()
    stored.load(news(read(okchat, FIRST), stored.known))
    gone = read(okchat, [Version("a", 1, 1, None)], 9)
    found = news(gone, stored.known)
    assert found.last_messages["removed"].to_pylist() == [True]
    stored.load(found)
    assert not news(gone, stored.known)


def test_one_id_of_both_apis_is_two_conversations() -> None:
    stored = Warehouse()
    stored.load(news(read(gptbots, FIRST), stored.known))
    assert len(news(read(okchat, FIRST, 9), stored.known).conversations) == 1
