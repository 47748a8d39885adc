"""Asks for pages of a list, keeps all rows that came and counts the requests."""

from collections.abc import Awaitable, Callable

from pipelines.errors import NotCertified
from pipelines.interpret import Interpreted, merge
from pipelines.okchat.api import Mark, Page, read_rows

Ask = Callable[[int, int | None], Awaitable[Page]]
"""Ask for (page number, page size or the usual one)."""

_TRIES = 3
_AT_ONCE = 25
"""Pages whose rows are read at once: one by one costs more time, all of them more memory."""


class Pages:
    """The pages of one reading."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._kept: list[Page] = []
        self._read: list[Interpreted] = []
        self._turns = False
        self.requests = 0

    async def get(self, number: int, size: int | None = None) -> list[Mark]:
        """Read a page and keep it; return the marks of its rows, in their order."""
        page = await self._ask(number, size)
        self.requests += 1
        self._kept.append(page)
        if len(self._kept) >= _AT_ONCE:
            self._read_kept()
        return page.marks

    def take(self) -> Interpreted:
        """Return the rows of all pages and forget them."""
        self._read_kept()
        read, self._read = self._read, []
        return merge(read)

    def _read_kept(self) -> None:
        self._read.append(read_rows(self._kept))
        self._kept = []

    async def prove_turning(self) -> None:
        """Let two pages of one row show, once, that the page number means something.

        The second first, so that one that begins in between makes no difference; what else may
        happen in between is worth another try.

        Raises:
            NotCertified: the server gives the same page whatever is asked.
        """
        for _ in range(_TRIES):
            self._turns = self._turns or await self.get(2, 1) != await self.get(1, 1)
            if self._turns:
                return
        message = "page 2 is page 1 again; set page_param and limit_param as the API names them"
        raise NotCertified(message)
