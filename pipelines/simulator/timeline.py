"""The conversations of one account in order, cheap to change and cheap to page through."""

from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

from pipelines.simulator.conversation import Conversation, first_key

_ONE_BY_ONE = 32  # beyond this many changes, sorting anew is cheaper than moving each
_VIEWS = 16  # views kept until the next change


class Timeline:
    """Conversations sorted by key, oldest first; changes wait and are sorted in when read."""

    __slots__ = ("_fresh", "_gone", "_keys", "_rows", "_views")

    def __init__(self) -> None:
        self._keys: list[int] = []
        self._rows: list[Conversation] = []
        self._fresh: dict[int, Conversation] = {}
        self._gone: set[int] = set()
        self._views: dict[Hashable, list[Conversation]] = {}

    def put(self, row: Conversation) -> None:
        """Add a conversation under its present key."""
        self._views.clear()
        if row.key in self._gone:
            self._gone.discard(row.key)
        else:
            self._fresh[row.key] = row

    def drop(self, row: Conversation) -> None:
        """Take a conversation out; its key must still be the one that it was put under."""
        self._views.clear()
        if self._fresh.pop(row.key, None) is None:
            self._gone.add(row.key)

    @contextmanager
    def changing(self, row: Conversation) -> Iterator[None]:
        """Let a conversation change within the block, and its place with it."""
        self.drop(row)
        try:
            yield
        finally:
            self.put(row)

    def rows(self) -> list[Conversation]:
        """Return all conversations, oldest first; the list is the timeline's own."""
        self._sort_in()
        return self._rows

    def between(self, since: int, until: int) -> tuple[int, int]:
        """Return the positions of the conversations from one moment up to, without, another."""
        self._sort_in()
        return bisect_left(self._keys, first_key(since)), bisect_left(self._keys, first_key(until))

    def view(
        self, name: Hashable, build: Callable[[list[Conversation]], list[Conversation]]
    ) -> list[Conversation]:
        """Return a selection or another order of the rows, built once until the next change."""
        if name not in self._views:
            if len(self._views) >= _VIEWS:
                self._views.clear()
            self._views[name] = build(self.rows())
        return self._views[name]

    def _sort_in(self) -> None:
        waiting = len(self._fresh) + len(self._gone)
        if not waiting:
            return
        if waiting <= _ONE_BY_ONE:
            self._move_each()
        else:
            self._sort_anew()
        self._fresh.clear()
        self._gone.clear()

    def _move_each(self) -> None:
        for key in self._gone:
            place = bisect_left(self._keys, key)
            del self._keys[place], self._rows[place]
        for key, row in self._fresh.items():
            place = bisect_left(self._keys, key)
            self._keys.insert(place, key)
            self._rows.insert(place, row)

    def _sort_anew(self) -> None:
        rows = dict(zip(self._keys, self._rows, strict=True))
        for key in self._gone:
            del rows[key]
        rows.update(self._fresh)
        self._keys = sorted(rows)
        self._rows = [rows[key] for key in self._keys]
