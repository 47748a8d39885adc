"""The chance in a world: a generator, and stocks of texts, costs and stretches to draw from."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from random import Random
from typing import Self

from pipelines.simulator.conversation import plain
from pipelines.simulator.moments import DAY, MINUTE
from pipelines.simulator.seeds import generator
from pipelines.simulator.texts import texts
from pipelines.simulator.traits import Traits, traits

_FREE = 0.01  # share of conversations that cost nothing
_RETURNS = 0.12  # share of conversations that the user comes back to on another day


def cost(rng: Random) -> Decimal:
    """Draw a cost above zero with 0 to 6 decimals."""
    digits = rng.randint(0, 6)
    units = max(1, int(rng.expovariate(1.2) * 10**digits))
    return plain(Decimal(units).scaleb(-digits))


def _costs(rng: Random, count: int = 2000) -> list[Decimal]:
    free = int(count * _FREE)
    return [Decimal(0)] * free + [cost(rng) for _ in range(count - free)]


def _stretch(rng: Random) -> int:
    days = rng.expovariate(1 / 4) * DAY if rng.random() < _RETURNS else 0
    return int(days + rng.expovariate(1 / 6) * MINUTE)


@lru_cache(maxsize=4)  # tests make many worlds of one seed
def _stocks(seed: int) -> tuple[list[str], list[Decimal], list[int], list[Traits]]:
    rng = generator(seed, "stocks")
    stretches = [_stretch(rng) for _ in range(2000)]
    return texts(rng), _costs(rng), stretches, traits(rng)


@dataclass(frozen=True, slots=True)
class Dice:
    """A generator with the stocks; `stretches` are microseconds from first to last chat."""

    rng: Random
    serials: Iterator[int]
    texts: list[str]
    costs: list[Decimal]
    stretches: list[int]
    traits: list[Traits]

    @classmethod
    def of(cls, seed: int, serials: Iterator[int]) -> Self:
        """Make the dice of a world."""
        return cls(generator(seed, "dice"), serials, *_stocks(seed))

    def again(self, *parts: object) -> Self:
        """Return dice with the same stocks and a generator of their own."""
        return replace(self, rng=generator(*parts))
