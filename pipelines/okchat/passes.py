"""Reads a list whose pages can't overlap: again and again, until nothing new turns up.

A row slips through one pass when another is deleted just then; through two only when that
happens twice at the same place. Hence a pass proves the one before it: after the first row that
was known before, it may bring nothing new. What stands before that row began meanwhile, and no
pass but this one has shown it: so the head is read again, down to what was known before it
began, until all that began is on page 1 together with a known row. One answer loses nothing.
"""

from collections.abc import Callable, Collection
from functools import partial
from itertools import chain, dropwhile

from pipelines.errors import NotCertified
from pipelines.okchat.api import Mark
from pipelines.okchat.pages import Pages

_PASSES = 5
_HEADS = 20
"""Passes over the head alone, after the list is proved."""
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
        known = set(chain.from_iterable(await self._one(self._until)))
        for passes in range(2, _PASSES + 1):
            before = frozenset(known)
            pages = await self._one(self._until)
            known.update(chain.from_iterable(pages))
            if _is_proved(pages, before) and await self._prove_head(before, known):
                return passes
        raise NotCertified(f"the list was another each of {_PASSES} times; set limit_param")

    async def _prove_head(self, before: frozenset[str], known: set[str]) -> bool:
        """Read the head until page 1 shows all that began; tell whether nothing else turned up."""
        for _ in range(_HEADS):
            old, before = before, frozenset(known)
            pages = await self._one(partial(_shows, old))
            known.update(chain.from_iterable(pages))
            if not _is_proved(pages, before):
                return False
            if not pages or not old.isdisjoint(pages[0]):
                return True
        raise NotCertified("the head of the list changes faster than it can be read")

    async def _one(self, until: Callable[[list[Mark]], bool]) -> list[list[str]]:
        """Read the list once, to an empty page or the last one again; return the ids of pages."""
        found, pages = set[str](), list[list[str]]()
        number, repeats, last = 1, 0, list[Mark]()
        while marks := await self._pages.get(number):
            before = len(found)
            pages.append([row for row, _ in marks])
            found.update(pages[-1])
            repeats = repeats + 1 if len(found) == before else 0
            if repeats > _REPEATS:
                raise NotCertified("the list does not end; set page_param and limit_param")
            if repeats and len(marks) > 1:
                await self._pages.prove_turning()
            if marks == last or until(marks):
                break
            number, last = number + 1, marks
        return pages


def _shows(rows: Collection[str], marks: list[Mark]) -> bool:
    return any(row in rows for row, _ in marks)


def _is_proved(pages: list[list[str]], before: Collection[str]) -> bool:
    """Tell whether all rows are known after the first that is."""
    rows = dropwhile(lambda row: row not in before, chain.from_iterable(pages))
    return all(row in before for row in rows)
