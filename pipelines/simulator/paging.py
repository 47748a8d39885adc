"""A page out of rows that are sorted oldest first."""

from pipelines.simulator.conversation import Conversation

_SPREAD = 2_654_435_761  # Knuth's multiplicative hash: far apart for neighbours


def newest_first(
    rows: list[Conversation], span: tuple[int, int], page: int, size: int
) -> list[Conversation]:
    """Return one page of the rows between two positions, newest first."""
    first, last = span
    end = last - (page - 1) * size
    return rows[max(first, end - size) : max(first, end)][::-1]


def oldest_first(
    rows: list[Conversation], span: tuple[int, int], page: int, size: int
) -> list[Conversation]:
    """Return one page of the rows between two positions, oldest first."""
    start = span[0] + (page - 1) * size
    return rows[start : min(start + size, span[1])]


def scattered(row: Conversation) -> int:
    """Return a sort key that shuffles, the same each time."""
    return row.serial * _SPREAD & 0xFFFFFFFF
