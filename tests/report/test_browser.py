"""The report as a reader has it: in a browser, without a network."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

import pytest

from pipelines import report
from report.measured import AXIS, CONTRAST, FITS, LANDMARKS, NAMELESS, TABLES_WITHOUT_CAPTION
from report.published import DASH, EVIL_BOT, EVIL_CHANNEL, Asked, changed, failed, shown

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from report.opened import Opened

    Open = Callable[..., Opened]

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
PERIOD = {"first": f"{NOW - 40 * DAY:%Y-%m-%d}", "last": f"{NOW - 3 * DAY:%Y-%m-%d}"}
FILTERS = [
    {"source": "GPTBots"},
    {"source": "OKChat"},
    {"platform": "whatsapp"},
    {"bot": "sales"},
    {"bot": "website"},
    PERIOD,
    {"source": "GPTBots", "platform": "web", "bot": "support", **PERIOD},
    {"source": "OKChat", "platform": "line", "bot": "website", **PERIOD},
]
SOURCES_SHOWN = {"gptbots": "GPTBots", "okchat": "OKChat"}
BY_GROUP = """
    with facts as (
        select
            cast(last_activity_at as date) as day, source, platform, bot_id, end_user_id,
            1 as conversations, message_count, is_human_mode::int as person
        from marts.conversations
        union all by name
        select spent_on as day, source, platform, bot_id, credits from marts.credit_spend_daily
    )

    select
        source, {column}, coalesce(sum(conversations), 0)::bigint,
        case when source = 'gptbots' then sum(credits) end,
        count(distinct end_user_id),
        case when source = 'gptbots' then coalesce(sum(message_count), 0) end::bigint,
        case when source = 'okchat' then coalesce(sum(person), 0) end::bigint
    from facts
    where {where}
    group by source, {column}
"""


@pytest.fixture(scope="session")
def written(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report.write(published, tmp_path_factory.mktemp("report") / "report.html", now=NOW)


@pytest.fixture
def asked(published: Path) -> Asked:
    return Asked(published)


def test_every_filter_changes_the_figures_to_those_of_the_sql(
    written: Path, asked: Asked, open_report: Open
) -> None:
    opened = open_report(written)
    start = {"first": f"{NOW - 89 * DAY:%Y-%m-%d}", "last": f"{NOW:%Y-%m-%d}"}
    before = opened.tiles()
    assert before == asked.tiles(**start)
    for filters in FILTERS:
        opened.page.click("#clear")
        assert opened.tiles() == before
        opened.choose(**filters)
        found = opened.tiles()
        assert found == asked.tiles(**(start | filters)), filters
        assert found != before, filters
        assert opened.text("#tile-credits") == rounded(found["credits"])


def rounded(exact: str) -> str:
    """An amount as it is shown."""
    if exact == DASH:
        return DASH
    return f"{Decimal(exact).quantize(Decimal('0.01'), ROUND_HALF_UP):,}"


def test_the_days_back_set_the_period(written: Path, asked: Asked, open_report: Open) -> None:
    opened = open_report(written)
    for days in (7, 30, 90, 365):
        opened.page.click(f"#quick [data-days='{days}']")
        first = NOW - (days - 1) * DAY
        period = {"first": f"{first:%Y-%m-%d}", "last": f"{NOW:%Y-%m-%d}"}
        assert opened.tiles() == asked.tiles(**period)
        pressed = opened.page.locator("#quick [aria-pressed=true]").all_inner_texts()
        assert pressed == [f"{days} days"]


def test_an_end_before_the_beginning_moves_the_beginning(written: Path, open_report: Open) -> None:
    opened = open_report(written)
    opened.choose(last=PERIOD["first"], first=PERIOD["last"])
    assert opened.page.input_value("#from") == PERIOD["last"]
    assert opened.page.input_value("#to") == PERIOD["last"]


def test_the_tables_are_the_sql_by_platform_bot_and_day(
    written: Path, asked: Asked, open_report: Open
) -> None:
    opened = open_report(written)
    opened.choose(**PERIOD)
    opened.page.click("#daily summary")
    rows = opened.rows("#platforms")
    platforms = {(row[0], row[1]): tuple(row[2:3] + row[4:5] + row[6:]) for row in rows}
    assert platforms == by_group(asked, "platform")
    assert [row[3] for row in rows] == shares([row[2] for row in rows])
    assert [row[5] for row in rows] == shares([row[4] for row in rows])
    bots = {(row[0], row[1]): tuple(row[2:7]) for row in opened.rows("#bots")}
    assert bots == by_group(asked, "bot_id")
    days = {row[0]: row[1] for row in opened.rows("#daily table")}
    spent = "select spent_on::varchar, sum(credits) from marts.credit_spend_daily where {}"
    where, values = asked.where("spent_on", PERIOD)
    found = dict(asked.rows(spent.format(where) + " group by 1 having sum(credits) != 0", values))
    assert days == {day: shown(amount) for day, amount in found.items()}


def shares(parts: list[str]) -> list[str]:
    """The parts of the whole of those that are numbers, in percent."""
    whole = sum(Decimal(part) for part in parts if part != DASH)
    return [part if part == DASH else percent(Decimal(part) / whole) for part in parts]


def percent(part: Decimal) -> str:
    return f"{(100 * part).quantize(Decimal('0.1'), ROUND_HALF_UP)} %"


def by_group(asked: Asked, column: str) -> dict[tuple[str, str], tuple[str, ...]]:
    """Ask the SQL of the tables' rows, by platform or bot."""
    name = "platform" if column == "platform" else "bot"
    where, values = asked.where("day", PERIOD)
    rows = asked.rows(BY_GROUP.format(column=column, where=where), values)
    names = dict(asked.rows("select bot_id, bot from marts.freshness"))
    return {
        (key if name == "platform" else names[key], SOURCES_SHOWN[source]): tuple(map(shown, row))
        for source, key, *row in rows
    }


def test_newest_conversations_follow_the_filters(
    written: Path, asked: Asked, open_report: Open
) -> None:
    opened = open_report(written)
    opened.choose(source="GPTBots", platform="web")
    rows = opened.rows("#newest")
    known = asked.rows(
        "select subject from (from marts.conversations order by last_activity_at desc limit 200)"
        " where source = 'gptbots' and platform = 'web' order by last_activity_at desc limit 50"
    )
    assert len(rows) > 5
    subjects = [" ".join((subject or DASH).split())[:119] for (subject,) in known]
    assert [row[4][:119] for row in rows] == subjects


def test_hostile_texts_are_text(written: Path, open_report: Open) -> None:
    opened = open_report(written)
    opened.page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    opened.choose(bot=EVIL_BOT, platform=EVIL_CHANNEL.lower())
    subjects = [row[4] for row in opened.rows("#newest")]
    assert subjects == [
        "</script><script>alert(1)</script>",
        "abc\\u202edef\\u2066ghi",
        "a\\u001b[31mb\\u007fc\\u0085d e f",
        '=HYPERLINK("http://evil.example","x") & <!-- %%DATA%%',
        ("long " * 30)[:119] + "…",
    ]
    assert opened.rows("#bots")[0][0] == EVIL_BOT
    assert opened.evaluate("document.querySelectorAll('main img, main b, main a').length") == 0
    assert len(opened.page.locator("script").all()) == 4


def test_a_bar_says_its_credits(written: Path, asked: Asked, open_report: Open) -> None:
    opened = open_report(written)
    opened.choose(first=PERIOD["last"], last=PERIOD["last"], source="GPTBots")
    opened.page.wait_for_function("document.querySelectorAll('.mark-rect path').length < 20")
    opened.page.locator(".mark-rect path").last.hover()
    whole = opened.text("#tip").splitlines()
    spent = asked.tiles(first=PERIOD["last"], last=PERIOD["last"])["credits"]
    assert whole[0] == PERIOD["last"]
    assert whole[-1] == f"all platforms: {float(spent):.2f}"


def test_the_axis_names_the_days_of_the_period_once(written: Path, open_report: Open) -> None:
    opened = open_report(written)
    opened.page.click("#quick [data-days='7']")
    days = [f"{NOW - n * DAY:%-d %b}" for n in range(6, -1, -1)]
    opened.page.wait_for_function(AXIS.replace("wanted", json.dumps(sorted(days))))
    opened.choose(first=f"{NOW:%Y-%m-%d}")
    opened.page.wait_for_function(AXIS.replace("wanted", json.dumps(days[-1:])))


@pytest.mark.parametrize("width", [320, 390, 1600])
def test_the_page_itself_never_scrolls_sideways(
    written: Path, open_report: Open, width: int
) -> None:
    opened = open_report(written, width=width)
    opened.page.click("#daily summary")
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert opened.evaluate(FITS)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(
    written: Path, open_report: Open, scheme: str
) -> None:
    opened = open_report(written, scheme=scheme)
    faint = opened.evaluate(CONTRAST)
    assert faint == []
    ground = opened.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(18, 22, 28)") == (scheme == "dark")


def test_controls_have_names_and_come_by_keyboard(written: Path, open_report: Open) -> None:
    opened = open_report(written)
    assert opened.evaluate(NAMELESS) == []
    reached = []
    for _ in range(30):
        opened.page.keyboard.press("Tab")
        reached.append(
            opened.evaluate("document.activeElement.id || document.activeElement.className")
        )
    assert reached[0] == "skip"
    order = [reached.index(name) for name in ("source", "platform", "bot", "from", "to", "clear")]
    assert order == sorted(order)
    assert "rgb" in str(opened.evaluate("getComputedStyle(document.activeElement).outlineColor"))
    assert opened.evaluate(LANDMARKS) == [1, 1, 1]
    assert opened.evaluate(TABLES_WITHOUT_CAPTION) == []
    assert opened.page.locator("#bars").get_attribute("aria-label")
    assert opened.page.locator("#chart svg [aria-label]").count() == 0  # the table says it


def test_the_keyboard_alone_filters(written: Path, asked: Asked, open_report: Open) -> None:
    opened = open_report(written)
    opened.page.focus("#source")
    opened.page.keyboard.type("OKC")
    last = f"{NOW:%Y-%m-%d}"
    wanted = asked.tiles(source="OKChat", first=f"{NOW - 89 * DAY:%Y-%m-%d}", last=last)
    assert opened.tiles() == wanted
    assert "OKChat" in opened.text("#matching")


def test_all_filtered_away_says_so(written: Path, open_report: Open) -> None:
    opened = open_report(written)
    opened.choose(bot="website", platform="telegram")
    assert opened.tile("conversations") == "0"
    assert opened.tile("credits") == DASH
    assert "Nothing matches" in opened.text("#platforms")
    assert "None of the latest" in opened.text("#newest")
    assert opened.page.locator("#no-chart").is_visible()


def test_an_empty_file_is_a_page_too(published: Path, tmp_path: Path, open_report: Open) -> None:
    empty = changed(
        published,
        tmp_path / "empty.duckdb",
        "delete from marts.conversations",
        "delete from marts.credit_ledger",
        "delete from marts.credit_spend_daily",
        "delete from marts.last_syncs",
        "delete from chat.sync_windows",
    )
    opened = open_report(report.write(empty, tmp_path / "report.html"))
    assert opened.tile("conversations") == "0"
    assert "No bot has been read yet" in opened.text("#state")


def test_a_browser_that_can_not_unpack_the_page_says_so(written: Path, open_report: Open) -> None:
    opened = open_report(written, before="delete window.DecompressionStream")
    assert "This browser is too old for this page" in opened.text("#state")
    assert not opened.page.locator("#figures").is_visible()
    assert not opened.page.locator("#filters").is_visible()


def test_one_bot_that_is_not_certified(published: Path, tmp_path: Path, open_report: Open) -> None:
    one = changed(
        published,
        tmp_path / "one.duckdb",
        "delete from marts.last_syncs where bot != 'sales'",
        "delete from chat.sync_windows where bot != 'sales'",
        "update chat.sync_windows set certified = false, evidence = 'a gap' where bot = 'sales'",
    )
    opened = open_report(report.write(one, tmp_path / "report.html"))
    assert "1 of 1 bot is not complete: sales." in opened.text("#state")
    assert opened.rows("#certificates")[0][2:][5] == "a gap"


def test_bots_whose_sync_failed_are_not_complete_and_say_why(
    published: Path, tmp_path: Path, open_report: Open
) -> None:
    two = changed(
        published,
        tmp_path / "two.duckdb",
        failed("sales", "the key was refused"),
        failed("new", "the bot is gone"),
    )
    opened = open_report(report.write(two, tmp_path / "report.html"))
    # The third has never been read at all.
    assert f"3 of 5 bots are not complete: {EVIL_BOT}, new, sales." in opened.text("#state")
    rows = {row[0]: (row[2], row[7]) for row in opened.rows("#certificates")}
    assert rows["sales"] == ("✕Not complete", "the key was refused")
    assert rows["new"] == ("✕Not complete", "the bot is gone")


def test_a_bot_that_is_no_longer_read_raises_no_alarm(
    published: Path, tmp_path: Path, open_report: Open
) -> None:
    old = changed(
        published,
        tmp_path / "old.duckdb",
        "delete from marts.last_syncs where bot not in ('sales', 'support')",
        "delete from chat.sync_windows where bot not in ('sales', 'support')",
        "update marts.last_syncs set last_sync_at = '2026-03-01', last_complete_sync_at ="
        " '2026-03-01' where bot = 'sales'",
        "update chat.sync_windows set finished_at = '2026-03-01' where bot = 'sales'",
    )
    opened = open_report(report.write(old, tmp_path / "report.html"))
    assert opened.text("#state").endswith("The only bot is complete.")
    states = {row[0]: row[2] for row in opened.rows("#certificates")}
    assert states == {"sales": f"{DASH}No longer read since 2026-03-01", "support": "✓Complete"}
    assert "2026-03-01" not in opened.text("#made")
    opened.choose(bot="sales")
    assert "No bot here is read any longer." in opened.text("#complete")
