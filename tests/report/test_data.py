"""What is read of a published file, and that nothing else is needed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import duckdb
import pytest

from pipelines import report
from pipelines.errors import ConvoyError
from pipelines.report import data
from pipelines.report.document import document
from report.published import NEVER_CHATTED, Asked, changed, failed

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime.now(UTC)


def test_cells_add_up_to_the_whole(published: Path) -> None:
    found = data.read(published, days=3_660, now=NOW)
    asked = Asked(published)
    (spent,) = asked.rows("select sum(credits) from marts.credit_ledger")
    assert sum(cell["credits"] for cell in found.cells) == spent[0]
    (whole,) = asked.rows(
        "select count(*), sum(message_count), sum(cost_credit),"
        " count(distinct (source, end_user_id)) filter (end_user_id is not null)"
        " from marts.conversations"
    )
    names = ("conversations", "messages", "counters")
    assert tuple(sum(cell[name] for cell in found.cells) for name in names) == whole[:3]
    assert found.users
    assert sum(found.users.single.values()) + len(found.users.repeated) == whole[3]
    assert spent[0] == whole[2]
    assert any(cell["credits"] != cell["counters"] for cell in found.cells)


def test_only_the_days_asked_for_are_read(published: Path) -> None:
    found = data.read(published, days=7, now=NOW)
    assert found.first == NOW.date() - timedelta(days=6)
    assert found.last == NOW.date()
    assert {cell["day"] for cell in found.cells} == {
        found.first + timedelta(days=n) for n in range(7)
    }
    counted = "select count(*) from marts.conversations where cast(last_activity_at as date) >= $1"
    (conversations,) = Asked(published).rows(counted, [found.first])
    assert sum(cell["conversations"] for cell in found.cells) == conversations[0]


def test_what_is_dated_ahead_stretches_the_period_by_one_day(
    published: Path, tmp_path: Path
) -> None:
    ahead = changed(
        published,
        tmp_path / "ahead.duckdb",
        "update marts.conversations set last_activity_at = now() + interval 9 year"
        " where conversation_id = 'hostile 1'",
    )
    assert data.read(ahead, now=NOW).last == NOW.date() + timedelta(days=1)


def test_days_are_those_of_the_time_zone_of_the_models(published: Path, tmp_path: Path) -> None:
    kyoto = changed(
        published,
        tmp_path / "kyoto.duckdb",
        "update marts.credit_ledger set time_zone = 'Asia/Tokyo'",
    )
    evening = datetime(2026, 3, 1, 20, tzinfo=UTC)
    found = data.read(kyoto, now=evening)
    assert (found.made_on.isoformat(), found.time_zone) == ("2026-03-02", "Asia/Tokyo")


def test_where_a_source_does_not_count_there_is_no_number(published: Path) -> None:
    found = {row["source"]: row for row in data.read(published, now=NOW).sources}
    flags = ("counts_credits", "counts_messages", "counts_people")
    assert [found["gptbots"][flag] for flag in flags] == [True, True, False]
    assert [found["okchat"][flag] for flag in flags] == [False, False, True]


def test_each_bot_shows_its_latest_certificate_and_what_could_not_be_read(
    published: Path, tmp_path: Path
) -> None:
    spoiled = changed(
        published,
        tmp_path / "spoiled.duckdb",
        "insert into chat.sync_windows by name select * replace (false as certified,"
        " 'a gap' as evidence, now() as finished_at, null as bot_id)"
        " from chat.sync_windows where bot = 'sales' limit 1",
        "insert into chat.rejected_rows by name select 'gptbots' as source, 'sales' as bot,"
        " 'why' as reason, '{}' as raw, 'x' as rejected_id, now() as rejected_at",
    )
    read = data.read(spoiled, now=datetime.now(UTC) + timedelta(hours=2))
    found = {row["bot"]: row for row in read.certificates}
    assert [found["sales"][name] for name in ("certified", "evidence", "rejected")] == [
        False,
        "a gap",
        1,
    ]
    assert found["support"]["certified"] is True
    assert (found["support"]["rejected"], read.rejected) == (0, 1)
    assert 7_200 <= found["support"]["lag_seconds"] < 7_200 + 3_600


def test_bots_without_an_id_are_known_by_their_names(published: Path, tmp_path: Path) -> None:
    more = changed(published, tmp_path / "more.duckdb", NEVER_CHATTED)
    found = document(data.read(more, now=NOW))
    names = [bot["name"] for bot in found["bots"]]
    assert {"quiet", "shy"} <= set(names)
    assert not [name for name in names if "unnamed" in name]
    shown = [names[row["bot"]] for row in found["certificates"]]
    assert sorted(shown) == sorted(names)


@pytest.mark.parametrize("bot", ["sales", "new"])
def test_a_failed_sync_is_the_latest_certificate_with_or_without_an_id(
    published: Path, tmp_path: Path, bot: str
) -> None:
    spoiled = changed(
        published,
        tmp_path / "spoiled.duckdb",
        # A window that was read well, and at the same moment the failure.
        failed(bot, "fits"),
        "update chat.sync_windows set certified = true, kind = 'window' where kind = 'failure'",
        "insert into chat.sync_windows by name"
        " select * replace (false as certified, 'failure' as kind, 'the key was refused' as"
        " evidence) from chat.sync_windows order by finished_at desc limit 1",
    )
    found = [row for row in data.read(spoiled, now=NOW).certificates if row["bot"] == bot]
    assert [(row["certified"], row["evidence"]) for row in found] == [
        (False, "the key was refused")
    ]
    assert found[0]["last_sync_at"] > NOW - timedelta(hours=1)


def test_a_bot_that_is_no_longer_read_is_one_of_long_before_the_others(
    published: Path, tmp_path: Path
) -> None:
    def given_up(days: int, *others: str) -> set[str]:
        ago = f"= last_sync_at - interval {days} day"
        older = changed(
            published,
            tmp_path / f"{days}.duckdb",
            f"update marts.last_syncs set last_sync_at {ago} where bot = 'sales'",
            f"update chat.sync_windows set finished_at {ago.replace('last_sync', 'finished')}"
            " where bot = 'sales'",
            *others,
        )
        found = data.read(older, now=NOW).certificates
        return {row["bot"] for row in found if row["given_up"]}

    assert given_up(6) == set()
    assert given_up(8) == {"sales"}
    assert given_up(9, failed("sales", "unreachable")) == set()


def test_too_many_users_are_left_out(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "MOST_SIGHTINGS", 3)
    found = data.read(published, now=NOW)
    assert found.users is None
    assert document(found)["users"] is None


@pytest.mark.parametrize(
    ("amounts", "expected"),
    [
        (["1.5", "0.25"], (2, [150, 25])),
        (["123456789012345678901234.0000000001"], (10, [1234567890123456789012340000000001])),
        (["3", "-2"], (0, [3, -2])),
        ([], (0, [])),
    ],
)
def test_amounts_become_whole_numbers_exactly(
    amounts: list[str], expected: tuple[int, list[int]]
) -> None:
    assert data.scaled([Decimal(amount) for amount in amounts]) == expected


def test_nothing_published_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConvoyError, match=r"no published file .* `convoy publish` first"):
        report.write(tmp_path / "none.duckdb", tmp_path / "report.html")
    duckdb.connect(tmp_path / "bare.duckdb").close()
    with pytest.raises(ConvoyError, match="holds no models yet"):
        report.write(tmp_path / "bare.duckdb", tmp_path / "report.html")
    assert not list(tmp_path.glob("*.html"))
