"""A small world, a simulator of it, and a client of that."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from pipelines.simulator import Simulator, World

from .client import Client

START = datetime(2025, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def world() -> World:
    return World.seeded(
        seed=7, bots={"support": 250, "sales": 20}, chatbots={"website": 120}, start=START, now=NOW
    )


@pytest.fixture
def sim(world: World) -> Iterator[Simulator]:
    with Simulator(world) as running:
        yield running


@pytest.fixture
def client(sim: Simulator) -> Iterator[Client]:
    asking = Client(sim)
    yield asking
    asking.connection.close()
