"""That what compares the engines tells them apart."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from engines.marts import assert_same

if TYPE_CHECKING:
    from engines.marts import Marts

ROW = {
    "source": "gptbots",
    "credits": Decimal("1.0000000001"),
    "share": 0.1,
    "messages": 3,
    "last_activity_at": datetime(2026, 3, 1, tzinfo=UTC),
    "extra": {"a": Decimal("0.1")},
}
OTHERS: list[tuple[str, Any]] = [
    ("source", "gptbots "),
    ("credits", Decimal("1.0000000002")),
    ("credits", 1.0000000001),
    ("share", 0.1 + 1e-12),
    ("share", Decimal("0.1")),
    ("messages", None),
    ("messages", 3.0),
    ("last_activity_at", datetime(2026, 3, 1, microsecond=1, tzinfo=UTC)),
    ("extra", {"a": Decimal("0.2")}),
]


@pytest.mark.parametrize(("column", "value"), OTHERS)
def test_any_other_value_or_type_is_told(column: str, value: object) -> None:
    wanted: Marts = {"mart": [dict(ROW)]}
    other = deepcopy(wanted)
    assert_same(other, wanted)
    other["mart"][0][column] = value
    with pytest.raises(AssertionError, match=column):
        assert_same(other, wanted)


def test_a_row_too_many_and_a_mart_too_few_are_told() -> None:
    wanted: Marts = {"mart": [dict(ROW)], "other": [dict(ROW)]}
    with pytest.raises(AssertionError):
        assert_same({**wanted, "mart": [dict(ROW), dict(ROW)]}, wanted)
    with pytest.raises(AssertionError):
        assert_same({"mart": [dict(ROW)]}, wanted)
