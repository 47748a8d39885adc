"""One value at a time."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import truth
from hypothesis import given
from hypothesis import strategies as st

from pipelines import values
from pipelines.simulator.moments import iso

if TYPE_CHECKING:
    from collections.abc import Callable

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(9990, 1, 1))  # noqa: DTZ001 - hypothesis'
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.decimals(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=10,
)


def micros(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2025-03-06T02:30:18.45229+00:00", "2025-03-06T02:30:18.452290"),
        ("2025-03-06T02:30:18+00:00", "2025-03-06T02:30:18.000000"),
        ("2025-03-06T02:30:18.4+00:00", "2025-03-06T02:30:18.400000"),
        ("2025-03-06T02:30:18.000001Z", "2025-03-06T02:30:18.000001"),
        ("2025-03-06T09:30:18.5+07:00", "2025-03-06T02:30:18.500000"),
        ("2025-03-05T21:00:18.5-05:30", "2025-03-06T02:30:18.500000"),
        ("2025-03-06 02:30:18.5", "2025-03-06T02:30:18.500000"),
        (" 2025-03-06T02:30:18Z ", "2025-03-06T02:30:18.000000"),
        ("2025-03-06T02:30:18.1234569Z", "2025-03-06T02:30:18.123456"),
    ],
)
def test_an_iso_instant_is_read_to_the_microsecond(text: str, wanted: str) -> None:
    assert values.instant(text) == micros(datetime.fromisoformat(wanted + "+00:00"))


@given(MOMENTS, st.integers(-12, 14))
def test_every_instant_that_okchat_writes_is_read_exactly(moment: datetime, offset: int) -> None:
    written = iso(micros(moment.replace(tzinfo=UTC)), offset)
    assert values.instant(written) == micros(truth.of_iso(written))
    assert values.instant(written) == micros(moment.replace(tzinfo=UTC))


@given(MOMENTS, st.integers(-1439, 1439))
def test_an_offset_is_taken_into_account(moment: datetime, minutes: int) -> None:
    zone = timezone(timedelta(minutes=minutes))
    there = moment.replace(tzinfo=UTC).astimezone(zone)
    assert values.instant(there.isoformat()) == micros(moment.replace(tzinfo=UTC))


@given(st.integers(0, 253_402_300_799_999))
def test_milliseconds_are_exact(at: int) -> None:
    assert values.instant(at) == at * 1000
    assert values.instant(str(at)) == at * 1000
    assert values.instant(Decimal(at)) == at * 1000


@pytest.mark.parametrize(
    "value",
    [
        "", " ", "yesterday", "2025-13-01T00:00:00Z", "2025-02-30", True, False, [], {}, -1, "-1",
        Decimal("1.5"), 253_402_300_800_000, 10**30, "9" * 5000, "²", "1e3",
        "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00",
    ],
)  # fmt: skip
def test_what_is_no_instant_is_not_guessed(value: object) -> None:
    with pytest.raises(ValueError, match="is no "):
        values.instant(value)


@given(st.decimals(-(10**17), 10**17, places=10))
def test_a_credit_is_exact_to_the_tenth_decimal(amount: Decimal) -> None:
    (sent,) = values.decode(b"[%b]" % str(amount).encode())
    assert values.credit(sent) == amount
    assert values.credit(str(amount)) == amount


@pytest.mark.parametrize(
    ("sent", "wanted"),
    [
        ("0.00000000005", "0"),
        ("0.00000000015", "0.0000000002"),
        ("0.1", "0.1"),
        ("1e-3", "0.001"),
        ("2E+3", "2000"),
        ("999999999999999999.9999999999", "999999999999999999.9999999999"),
        ("-0.0", "0"),
        ("3", "3"),
    ],
)
def test_credits_beyond_the_tenth_decimal_round_half_to_even(sent: str, wanted: str) -> None:
    assert values.credit(values.decode(sent.encode())) == Decimal(wanted)


@pytest.mark.parametrize(
    "value",
    ["1e18", "9" * 30, "NaN", "Infinity", "free", "", True, [], {}, "1e999999999999999999"],
)
def test_what_is_no_credit_is_not_guessed(value: object) -> None:
    with pytest.raises(ValueError, match=r"is no number|does not fit"):
        values.credit(value)


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_64_bit_number_is_read(number: int) -> None:
    assert values.integer(number) == number
    assert values.integer(str(number)) == number
    assert values.integer(Decimal(number)) == number


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, "1.5", Decimal("0.1"), True, "", [], {}])
def test_what_is_no_whole_number_is_not_guessed(value: object) -> None:
    with pytest.raises(ValueError, match="is no "):
        values.integer(value)


@pytest.mark.parametrize(
    "value", ["1_000", "١٢٣", "\uff11\uff12", "²", " 1", "1 ", "1\n", "1e3x", "0x10"]
)
@pytest.mark.parametrize("read", [values.integer, values.credit, values.instant])
def test_a_number_in_a_text_is_a_plain_ascii_decimal(
    read: Callable[[object], object], value: str
) -> None:
    with pytest.raises(ValueError, match="is no "):
        read(value)


@pytest.mark.parametrize(("value", "wanted"), [("2", "2"), ("-0.5", "-0.5"), ("1e3", "1000")])
def test_a_plain_decimal_in_a_text_is_read(value: str, wanted: str) -> None:
    assert values.credit(value) == Decimal(wanted)


def test_a_whole_number_in_a_text_is_read() -> None:
    assert [values.integer(text) for text in ("2", "-7", "1e3")] == [2, -7, 1000]


@pytest.mark.parametrize("value", [0, 1, "true", "", [], {}])
def test_a_flag_is_not_guessed(value: object) -> None:
    with pytest.raises(ValueError, match="is neither true nor false"):
        values.flag(value)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [(None, None), ("", ""), ("a", "a"), (7, "7"), (Decimal("1.50"), "1.50"), (True, "true"),
     ({"b": 1, "a": [None]}, '{"a":[null],"b":1}')],
)  # fmt: skip
def test_text_is_kept_and_anything_else_written_as_json(value: object, wanted: str | None) -> None:
    assert values.text(value) == wanted


@pytest.mark.parametrize("value", [None, ""])
def test_an_id_must_be_there(value: object) -> None:
    with pytest.raises(ValueError, match="is missing"):
        values.required(value)


@pytest.mark.parametrize(
    "value",
    [" ", "\t\n", True, False, {}, {"a": 1}, [], ["a"], Decimal("1E+3"), Decimal("1.5")],
)
def test_an_id_is_a_text_or_a_whole_number(value: object) -> None:
    with pytest.raises(ValueError, match=r"is "):
        values.required(value)


@pytest.mark.parametrize(("value", "wanted"), [("a b", "a b"), ("0", "0"), (7, "7"), (0, "0")])
def test_an_id_is_kept_as_sent(value: object, wanted: str) -> None:
    assert values.required(value) == wanted


@pytest.mark.parametrize(
    "value",
    ["2025-W01-1", "2025-W01-1T00:00:00Z", "2025-W01", "2025-03-06", "02:30:18", "2025-03"],
)
def test_an_instant_is_a_calendar_date_with_a_time(value: str) -> None:
    with pytest.raises(ValueError, match="is no instant"):
        values.instant(value)


@pytest.mark.parametrize(
    "spelt",
    ["session_token", "sessionToken", "Session_Token", "SESSION-TOKEN"],
)
def test_a_session_token_is_a_secret_however_it_is_spelt(spelt: str) -> None:
    row: dict[str, object] = {"kept": [{"x": 1, spelt: "s3cret"}], spelt: {"y": "s3cret"}}
    for written in (
        values.json_text(row),
        values.raw_json(row),
        values.unknown(row, frozenset()),
        values.text(row),
    ):
        assert written is not None
        assert "s3cret" not in written
        assert spelt not in written
        assert json.loads(written) == {"kept": [{"x": 1}]}
    for read in (values.instant, values.credit, values.integer, values.flag):
        with pytest.raises(ValueError, match="is ") as caught:
            read(row)
        assert "s3cret" not in str(caught.value)


@given(JSON)
def test_json_loses_nothing(value: object) -> None:
    written = values.json_text([value])
    assert written is not None
    assert json.loads(written, parse_float=Decimal) == [value]
    assert values.decode(written.encode()) == [value]


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), JSON))
def test_json_is_the_same_in_whatever_order_it_came(value: dict[str, object]) -> None:
    assert values.json_text(value) == values.json_text(dict(reversed(value.items())))


def hide(value: object) -> object:
    """Put a secret into every object of a JSON value."""
    if isinstance(value, dict):
        return {**{k: hide(v) for k, v in value.items()}, "session_token": {"x": "s3cret"}}
    return [hide(v) for v in value] if isinstance(value, list) else value


@given(JSON)
def test_no_session_token_is_written_however_deep(value: object) -> None:
    hidden = {"value": hide(value), "session_token": "s3cret", "z": 1}
    for written in (
        values.json_text(hidden),
        values.raw_json(hidden),
        values.unknown(hidden, frozenset({"z"})),
    ):
        assert "s3cret" not in str(written)
        assert '"value"' in str(written)
    for read in (values.instant, values.credit, values.integer, values.flag):
        with pytest.raises(ValueError, match="is ") as caught:
            read(hidden)
        assert "s3cret" not in str(caught.value)


def test_known_fields_and_the_token_are_no_extra() -> None:
    row = {"a": 1, "b": None, "session_token": "s3cret"}
    assert values.unknown(row, frozenset({"a", "b"})) is None
    assert values.unknown(row, frozenset({"a"})) == '{"b":null}'


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"<html>", b"\xff\xfe[", b'{"a":1}{"b":2}', b"[" * 5000 + b"]" * 5000],
)  # fmt: skip
def test_what_is_no_json_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        values.decode(body)


def test_numbers_are_decoded_exactly() -> None:
    assert values.decode(b"[0.1, 1e400, 123456789012345678901234567890, -0.0]") == [
        Decimal("0.1"), Decimal("1e400"), 123456789012345678901234567890, Decimal("-0.0"),
    ]  # fmt: skip


def test_a_lone_surrogate_does_not_cost_its_page() -> None:
    assert values.decode(b'[{"a":"\\ud800"},{"b":0.10}]') == [
        {"a": "\ud800"},
        {"b": Decimal("0.10")},
    ]
    assert values.raw_json({"a": "\ud800"}) == '{"a": "?"}'


@pytest.mark.parametrize(
    "value",
    [
        "2026-03-01", " 2026-03-01 ", "2026-03-01T23:59:59+08:00", "2026-03-01 00:00:00",
        "20260301", 20260301, 1772323200000, "1772323200000", 1772409599999,
        Decimal("1772323200000.0"),
    ],
)  # fmt: skip
def test_a_day_is_read_in_each_shape_that_it_may_have(value: object) -> None:
    assert values.day(value) == date(2026, 3, 1)
    assert values.day(None) is None


@pytest.mark.parametrize(
    "value",
    [
        "2026-02-30",
        "20261301",
        "2026-W01-1",
        "01.03.2026",
        "soon",
        "",
        True,
        1.5,
        [],
        {},
        -1,
        "1e12",
    ],
)
def test_what_is_no_day_is_not_guessed(value: object) -> None:
    with pytest.raises(ValueError, match="is no day"):
        values.day(value)
