"""The page as text: what is in it, what can't get out of its place, how large it is."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING

import pytest

from pipelines import report
from pipelines.report import charts, data, page
from pipelines.report.data import Published, Users
from pipelines.report.texts import plain
from report.published import EVIL_BOT, Asked

if TYPE_CHECKING:
    from pathlib import Path

FIRST = date(2026, 1, 1)


def year(*, bots: int, platforms: int, repeated: int = 0) -> Published:
    """A year in which every bot is busy on every platform on every day."""
    rng = Random(5)  # noqa: S311 - the same year each time
    credits_ = [Decimal(rng.randrange(1_000, 9_000_000)).scaleb(-6) for _ in range(1_000)]
    pairs = [(f"bot {b}", f"platform {p}") for b in range(bots) for p in range(platforms)]
    cells = [
        {
            "day": FIRST + timedelta(days=day),
            "source": "gptbots",
            "bot_id": bot,
            "platform": platform,
            "cell": day * len(pairs) + i,
            "credits": rng.choice(credits_),
            "counters": rng.choice(credits_),
            "counted": rng.randrange(30),
            "conversations": rng.randrange(30),
            "messages": rng.randrange(400),
            "with_a_person": rng.randrange(9),
        }
        for day in range(365)
        for i, (bot, platform) in enumerate(pairs)
    ]
    people = [sorted(rng.sample(range(len(cells)), 4)) for _ in range(repeated)]
    return Published(
        made_at=datetime(2026, 12, 31, tzinfo=UTC),
        time_zone="UTC",
        made_on=FIRST + timedelta(days=364),
        first=FIRST,
        last=FIRST + timedelta(days=364),
        sources=[{"source": "gptbots", "counts_credits": True}],
        bots=[{"source": "gptbots", "bot_id": f"bot {b}", "bot": f"Bot {b}"} for b in range(bots)],
        cells=cells,
        users=Users(dict.fromkeys(range(len(cells)), 9), people),
        newest=[],
        certificates=[],
        rejected=0,
    )


def embedded(html: str) -> dict[str, object]:
    """Read the data as a browser would."""
    read: dict[str, object] = json.loads(unpacked(html, "data"))
    return read


def unpacked(html: str, block: str) -> str:
    found = re.search(rf'<script id="{block}" type="text/plain">([A-Za-z0-9+/=]*)</script>', html)
    assert found
    return zlib.decompress(base64.b64decode(found[1])).decode()


def test_a_year_of_thirty_bots_on_eight_platforms_is_under_two_megabytes() -> None:
    html = page.rendered(year(bots=30, platforms=8, repeated=10_000), charts.library())
    assert len(html.encode()) < 2_000_000
    assert embedded(html)["users"] is not None


def test_users_are_left_out_where_the_page_would_grow_too_large() -> None:
    html = page.rendered(year(bots=5, platforms=8, repeated=200_000), charts.library())
    assert len(html.encode()) < 2_000_000
    assert embedded(html)["users"] is None


@pytest.mark.parametrize(
    "text",
    ["</script><script>alert(1)</script>", "<!--", "]]>", "&lt;", "a\u2028b\u2029c", "%%DATA%%"],
)
def test_embedded_text_can_not_end_its_block(text: str) -> None:
    found = page.embedded({"text": text})
    assert not set(found) & set("<>&\u2028\u2029")
    assert json.loads(found) == {"text": text}


def test_a_part_that_looks_like_a_place_stays_as_it_is() -> None:
    assert page.filled("a %%X%% b %%Y%%", {"X": "%%Y%%", "Y": "y"}) == "a %%Y%% b y"


def test_the_policy_allows_what_is_in_the_page_and_nothing_else() -> None:
    html = page.rendered(year(bots=1, platforms=1), "window.vegaEmbed = 1;")
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', html)
    assert policy
    run = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    styles = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    assert (len(run), len(styles)) == (1, 1)
    run.insert(0, unpacked(html, "library"))
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in run]
    style = base64.b64encode(hashlib.sha256(styles[0].encode()).digest()).decode()
    assert policy[1].split("; ") == [
        "default-src 'none'",
        f"script-src 'sha256-{digests[0]}' 'sha256-{digests[1]}'",
        f"style-src 'sha256-{style}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]


def test_the_library_can_stand_in_a_page() -> None:
    assert not re.search(r"</script|<!--", charts.library(), re.IGNORECASE)


def test_the_page_names_no_conversation_no_user_and_no_message(published: Path) -> None:
    html = page.rendered(data.read(published), "")
    asked = Asked(published)
    private = asked.rows("""
        select distinct unnest([conversation_id, end_user_id, user_id, last_message_content])
        from marts.conversations
        except
        select subject from marts.conversations
    """)
    texts = [text for (text,) in private if text and len(text) > 20]
    assert len(texts) > 500
    told = html + unpacked(html, "data")
    assert [text for text in texts if json.dumps(text, ensure_ascii=False)[1:-1] in told] == []
    assert EVIL_BOT not in html
    assert EVIL_BOT in told


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, ""),
        ("  two\n lines\t", "two lines"),
        ("\u202eevil\u2066", "\\u202eevil\\u2066"),
        ("\x00\x1b[0m", "\\u0000\\u001b[0m"),
        ("ひ" * 1_000_000, "ひ" * 119 + "…"),
        ("x" * 120, "x" * 120),
        ("👩‍👩‍👧 ünï", "👩‍👩‍👧 ünï"),
    ],
)
def test_texts_are_one_line_that_shows_what_it_hides(text: str | None, expected: str) -> None:
    assert plain(text) == expected


def test_a_report_is_written_whole_or_not_at_all(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = tmp_path / "report.html"
    to.write_text("the last one")
    monkeypatch.setattr(page, "rendered", lambda *_: "cut \ud800")  # no UTF-8: fails while writing
    with pytest.raises(UnicodeEncodeError):
        report.write(published, to)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [
        ("report.html", "the last one")
    ]
