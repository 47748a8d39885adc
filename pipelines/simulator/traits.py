"""What OKChat conversations differ in beyond their texts, as a stock to draw from."""

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from pipelines.simulator.conversation import ABSENT

_METADATA: tuple[object, ...] = (
    {"anonymous": True},
    {"anonymous": True},
    {"anonymous": False},
    None,
    ABSENT,
    {},
    {"type": "voice_chat"},
    {"utm": {"source": "mail", "tags": ["a", "b"]}, "visits": 3},
)


class Traits(NamedTuple):
    """One combination; `cuts` are the microseconds that both instants are cut down to."""

    offset: int
    is_human_mode: bool
    migrated_data: bool
    has_token: bool
    has_customer: bool
    is_mute: bool
    stays_open: bool
    metadata: object
    sender: str | None
    cuts: tuple[int, int]


def traits(rng: Random, count: int = 1000) -> list[Traits]:
    """Draw the stock."""

    def some(share: float) -> list[bool]:
        return [rng.random() < share for _ in range(count)]

    def one_of(values: Sequence[object], weights: Sequence[int] | None = None) -> list[object]:
        return rng.choices(values, weights, k=count)

    cuts = [1, 1, 1, 1, 1, 1, 10, 10, 100, 1000, 10_000, 100_000, 1_000_000]
    columns = (
        one_of((0, 7, 9, -5), (94, 3, 2, 1)),
        some(0.08),
        some(0.05),
        some(0.8),
        some(0.1),
        some(0.02),
        some(0.3),
        one_of(_METADATA),
        one_of(("bot", "user", "agent", None), (5, 2, 1, 3)),
        zip(one_of(cuts), one_of(cuts), strict=True),
    )
    return [Traits(*row) for row in zip(*columns, strict=True)]
