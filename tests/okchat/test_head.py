"""What is read between sweeps."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from upstream import with_okchat

from pipelines.errors import NotFound
from pipelines.okchat import head as heads
from pipelines.okchat.head import Head
from pipelines.simulator import Knobs

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from conftest import MakeWorld, Simulate

    from pipelines.okchat.api import OkchatApi
    from pipelines.reading import Reading
    from pipelines.simulator import Request, Simulator, World


def head(
    upstream: Simulator, known: Collection[str], open_ids: Sequence[str] = (), size: int = 10
) -> list[Reading]:
    async def run(api: OkchatApi) -> list[Reading]:
        return [reading async for reading in Head(api.page, api.one).read(known, open_ids)]

    return with_okchat(upstream, "web", run, size)


def all_ids(world: World) -> list[str]:
    return [str(row["id"]) for row in world.truth("okchat")]


def ids(reading: Reading) -> set[str]:
    return set(reading.table["conversation_id"].to_pylist())


def test_nothing_new_costs_one_page(make_world: MakeWorld, simulate: Simulate) -> None:
    world = make_world(chatbots={"web": 45})
    upstream = simulate(world)
    (reading,) = head(upstream, all_ids(world))
    assert len(upstream.log) == 1
    assert reading.certificate is not None
    assert (reading.certificate.kind, reading.certificate.certified) == ("head", True)
    assert (reading.certificate.requests, reading.gone, reading.seen) == (1, (), None)


@pytest.mark.parametrize("began", [1, 10, 25])
@pytest.mark.parametrize("cap", [None, 7, 1])
def test_what_began_is_read_down_to_what_is_known(
    make_world: MakeWorld, simulate: Simulate, began: int, cap: int | None
) -> None:
    world = make_world(chatbots={"web": 100})
    known = all_ids(world)
    new = world.tie("web", began)
    upstream = simulate(world, Knobs(okchat_page_cap=cap))
    (reading,) = head(upstream, known)
    assert set(new) <= ids(reading) <= {*new, *known}
    assert len(ids(reading)) <= began + 20
    assert reading.certificate is not None
    assert reading.certificate.requests == len(upstream.log)
    assert ("did not overlap" in reading.certificate.evidence) == (cap == 1)


def test_a_known_one_among_new_ones_does_not_end_the_reading(
    make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(chatbots={"web": 40})
    known, new = all_ids(world), world.tie("web", 25)
    world.advance(timedelta(seconds=1), activity=False)
    world.chat(known[7])
    (reading,) = head(simulate(world, Knobs(okchat_order="updated_desc")), known)
    assert {*new, known[7]} <= ids(reading)


def test_rows_deleted_ahead_of_the_reader_hide_nothing(
    make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(chatbots={"web": 40})
    known = all_ids(world)
    for _ in range(30):
        world.advance(timedelta(seconds=1), activity=False)
        world.begin("web")
    newest = [row.conversation_id for row in world.accounts["web"].timeline.rows()][::-1]
    upstream = simulate(world)

    def delete(_: Request) -> None:
        if 1 <= len(upstream.log) <= 4:
            world.delete(newest[len(upstream.log)])

    upstream.on_request = delete
    (reading,) = head(upstream, known)
    assert {*all_ids(world)} - {*known} <= ids(reading)
    assert len(ids(reading)) < 60


def test_open_ones_that_the_head_does_not_show_are_asked_for(
    make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(chatbots={"web": 45})
    rows = [row.conversation_id for row in world.accounts["web"].timeline.rows()]
    newest, *_ = rows[::-1]
    world.chat(rows[3])
    world.delete(rows[4])
    upstream = simulate(world)
    (reading,) = head(upstream, rows, [newest, rows[3], rows[4], rows[5]])
    asked = [logged.path.rsplit("/", 1)[1] for logged in upstream.log if not logged.params]
    assert sorted(asked) == sorted(rows[3:6])
    assert {rows[3], rows[5]} <= ids(reading)
    assert reading.gone == (rows[4],)
    done = reading.certificate
    assert done is not None
    assert done.evidence.endswith("the open ones asked one by one: 2 found, 1 gone")
    assert done.requests == len(upstream.log)


def test_a_removed_chatbot_makes_nothing_gone(make_world: MakeWorld, simulate: Simulate) -> None:
    world = make_world(chatbots={"web": 45})
    rows = [row.conversation_id for row in world.accounts["web"].timeline.rows()]
    upstream = simulate(world)
    upstream.on_request = lambda request: (
        None if "page" in request.params and not upstream.log else world.remove_bot("web")
    )
    with pytest.raises(NotFound):
        head(upstream, rows, rows[:5])


def test_pieces_come_least_recently_updated_first(
    make_world: MakeWorld, simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heads, "PIECE_ROWS", 10)
    world = make_world(chatbots={"web": 25})
    pieces = head(simulate(world), [])
    updated = [at for piece in pieces for at in piece.table["updated_at"].to_pylist()]
    assert updated == sorted(updated)
    assert [piece.certificate is not None for piece in pieces] == [False] * (len(pieces) - 1) + [
        True
    ]
