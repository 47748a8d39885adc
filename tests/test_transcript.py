"""When a transcript counts as whole, and what that costs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from pipelines.interpret import Interpreted, Rejected
from pipelines.tables import MESSAGES
from pipelines.transcript import Page, Transcript, Transcripts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Serve = Callable[[int], Page]


def page(ids: Sequence[str], total: int | None = None, *, unreadable: Sequence[str] = ()) -> Page:
    columns = {
        name: pa.nulls(len(ids), MESSAGES.schema.field(name).type) for name in MESSAGES.columns
    }
    columns["message_id"] = pa.array(ids, pa.string())
    rejected = [Rejected("message_id is missing", raw) for raw in unreadable]
    return Page(Interpreted(pa.table(columns), rejected), total)


def paged(ids: Sequence[str], size: int, counts: str) -> Serve:
    """Serve pages; `counts` says what the total is of: all, the page, nothing."""

    def serve(number: int) -> Page:
        given = ids[(number - 1) * size : number * size]
        return page(given, {"all": len(ids), "page": len(given)}.get(counts))

    return serve


def read(*served: Serve) -> list[Transcript]:
    """Read conversations one after another with one reader; the name of each is its place."""

    async def ask(conversation: str, number: int) -> Page:
        return served[int(conversation)](number)

    async def main() -> list[Transcript]:
        reader = Transcripts(ask)
        return [await reader.read(str(place)) for place in range(len(served))]

    return asyncio.run(main())


def names(count: int) -> list[str]:
    return [f"m{n}" for n in range(count)]


@pytest.mark.parametrize(
    ("count", "size", "counts", "requests", "evidence"),
    [
        (0, 100, "all", 1, "one short page"),
        (9, 100, "nothing", 1, "one short page"),
        (9, 5, "all", 2, "as many as the API counts"),
        (10, 100, "all", 2, "as many as the API counts"),
        (250, 100, "all", 3, "as many as the API counts"),
        (10, 100, "page", 2, "read until nothing new came"),
        (250, 100, "page", 4, "read until nothing new came"),
        (200, 100, "nothing", 3, "read until nothing new came"),
        (20, 20, "page", 2, "read until nothing new came"),
    ],
)
def test_it_is_read_until_it_is_shown_to_be_whole(
    count: int, size: int, counts: str, requests: int, evidence: str
) -> None:
    (found,) = read(paged(names(count), size, counts))
    assert (found.messages, found.requests, found.evidence) == (count, requests, evidence)


def test_what_is_learnt_of_the_server_saves_requests() -> None:
    twenty = paged(names(20), 100, "all")
    assert [found.requests for found in read(twenty, twenty, twenty)] == [2, 1, 1]

    def all_at_once(_: int) -> Page:
        return page(names(20))

    found = read(all_at_once, all_at_once)
    assert [one.requests for one in found] == [2, 1]
    assert {one.evidence for one in found} == {"the API gives all of them at once"}
    nothing_learnt = paged(names(20), 100, "page")
    assert [found.requests for found in read(nothing_learnt, nothing_learnt)] == [2, 2]


def test_a_count_that_changes_has_it_read_again() -> None:
    moments = iter(range(100))

    def growing(number: int) -> Page:
        there = names(25 + (next(moments) >= 1))[::-1]
        return page(there[(number - 1) * 10 : number * 10], len(there))

    (found,) = read(growing)
    assert (found.messages, found.evidence) == (26, "as many as the API counts")
    assert found.requests == 4 + 3


def test_one_that_never_holds_still_has_no_evidence() -> None:
    moments = iter(range(1_000))

    def growing(number: int) -> Page:
        there = names(25 + next(moments))[::-1]
        return page(there[(number - 1) * 10 : number * 10], len(there))

    (found,) = read(growing)
    assert found.evidence is None


def test_a_count_of_something_else_is_believed_the_second_time() -> None:
    def lying(number: int) -> Page:
        return page(names(12)[(number - 1) * 10 : number * 10], 40)

    (found,) = read(lying)
    assert (found.messages, found.requests) == (12, 6)
    assert found.evidence == "read twice to its end, alike"


def test_what_cant_be_read_counts() -> None:
    (found,) = read(lambda n: page(["a"], 2, unreadable=["b"]) if n == 1 else page([], 2))
    assert (found.messages, found.requests) == (2, 1)
