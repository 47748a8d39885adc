"""What a guard is here: a small thing in the code, what takes it out, what then goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from guards.scene import Scene

Steps = Generator[None, None, None]
Mutation = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True)
class Guard:
    """One of the things that keep a promise.

    Attributes:
        promise: its number in `tests/test_guards.py`.
        name: what the code does.
        mutate: takes that out.
        scenario: the story; what comes before its `yield` happens with the code as it is.
        says: what the scenario's assertion says without the guard.
        behind: guards that would make good what this one lets through; also taken out.
        is_long: whether the scenario takes seconds.
    """

    promise: int
    name: str
    mutate: Mutation
    scenario: Callable[[Scene], Steps]
    says: str
    behind: tuple[Mutation, ...] = ()
    is_long: bool = False


def put(target: str, value: object) -> Mutation:
    """Return the mutation that puts something else in the place of a name."""

    def mutate(patched: pytest.MonkeyPatch) -> None:
        patched.setattr(target, value)

    return mutate


def around(target: str, wrap: Callable[[Any], object]) -> Mutation:
    """Return the mutation that puts in the place of a name what is made of it."""
    owner, _, name = target.rpartition(".")

    def mutate(patched: pytest.MonkeyPatch) -> None:
        patched.setattr(target, wrap(getattr(resolve_name(owner), name)))

    return mutate


def reword(target: str, old: str, new: str) -> Mutation:
    """Return the mutation that changes a passage of an SQL text."""

    def reworded(text: str) -> str:
        assert old in text, f"{target} does not say {old!r}"
        return text.replace(old, new)

    return around(target, reworded)


def always(value: object) -> Callable[..., Any]:
    """Return a function that returns this, whatever it is given."""
    return lambda *_, **__: value


def always_later(value: object) -> Callable[..., Any]:
    """Return a coroutine function of the same kind."""

    async def answer(*_: object, **__: object) -> object:
        return value

    return answer
