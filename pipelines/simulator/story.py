"""What a conversation was before it changed, so that what was once said stays said."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.simulator.conversation import Conversation

Spoken = tuple[str | None, str | None]
"""A text and who wrote it."""


@dataclass(slots=True)
class Story:
    """Of one conversation that changed; there is none of the others, which keeps a world small.

    Attributes:
        grown: until which moment how many messages there were, oldest first.
        lasts: what messages said that were once the last one, by their number.
        reworded: fields that were forced into a message, by its number.
    """

    grown: list[tuple[int, int]]
    lasts: dict[int, Spoken] = field(default_factory=dict)
    reworded: dict[int, dict[str, object]] = field(default_factory=dict)


def story_of(row: "Conversation") -> Story:
    """Return the story of a conversation, begun now if need be."""
    if row.story is None:
        row.story = Story([(row.activity, row.said)])
    return row.story


@contextmanager
def remembering(row: "Conversation") -> Iterator[None]:
    """Let a conversation change within the block, and note how it was."""
    activity, said, last = row.activity, row.said, row.last_said
    try:
        yield
    finally:
        if row.said != said:
            if row.story is None:
                row.story = Story([(activity, said)])
            row.story.grown.append((row.activity, row.said))
            if last is not None:
                row.story.lasts[said] = last
