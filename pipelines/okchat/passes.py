"""Reads a list whose pages can't overlap: again and again, until nothing new turns up.

A row slips through one pass when another is deleted just then; through two only when that
happens twice at the same place. Hence a pass proves the one before it: after the first row that
was known before, it may bring nothing new. What stands before that row began meanwhile.
"""

from collections.abc import Callable, Collection

from pipelines.errors import NotCertified
from pipelines.okchat.api import Mark
from pipelines.okchat.pages import Pages

_PASSES = 5
_REPEATS = 100
"""Pages without news, one after another, before the list is given up."""


class Passes:
    """Readings of the list, page by page, to its end or to where `until` is satisfied."""

    def __init__(self, pages: Pages, until: Callable[[list[Mark]], bool] = lambda _: False) -> None:
        self._pages = pages
        self._until = until

    async def go(self) -> int:
        """Read until a pass brings nothing new; return how many passes it took.

        Raises:
            NotCertified: each pass brought something new.
        """
        known = dict.fromkeys(await self._one())
        for passes in range(2, _PASSES + 1):
            found = await self._one()
            begun = next((n for n, row in enumerate(found) if row in known), len(found))
            settled = all(row in known for row in found[begun:])
            known |= dict.fromkeys(found)
            if settled and await self._has_no_newer(known):
                return passes
        raise NotCertified(f"the list was another each of {_PASSES} times; set limit_param")

    async def _has_no_newer(self, known: Collection[str]) -> bool:
        """Look at the head once more: what began during the last pass stands there."""
        return all(row in known for row, _ in await self._pages.get(1))

    async def _one(self) -> list[str]:
        """Read the list once, to an empty page or the last one again; return its ids in order."""
        found: dict[str, None] = {}
        number, repeats, last = 1, 0, list[Mark]()
        while marks := await self._pages.get(number):
            before = len(found)
            found |= dict.fromkeys(row for row, _ in marks)
            repeats = repeats + 1 if len(found) == before else 0
            if repeats > _REPEATS:
                raise NotCertified("the list does not end; set page_param and limit_param")
            if repeats and len(marks) > 1:
                await self._pages.prove_turning()
            if marks == last or self._until(marks):
                break
            number, last = number + 1, marks
        return list(found)
