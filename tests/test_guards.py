"""Each promise of the README, the guards that keep it, and what happens without each of them.

1 complete, 2 certified, 3 one version, 4 cursor last, 5 killed anywhere, 6 deleted is marked,
7 every credit once, 8 polite, 9 readers never wait, 10 nothing leaks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest
from guards import certified, deleted, lists, polite, shown, state, versions, windows
from guards.scene import Scene, Templates

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from conftest import Simulate
    from guards.guard import Guard, Mutation
    from project import Project

TOPICS = (windows, lists, certified, versions, state, deleted, polite, shown)
GUARDS = [guard for topic in TOPICS for guard in topic.GUARDS]


class Play(Protocol):
    def __call__(self, guard: Guard, out: Collection[Mutation], says: str = "") -> None: ...


FIRST = {guard.promise: guard for guard in reversed(GUARDS)}
STORIES = {guard.scenario: guard for guard in GUARDS}


def each(guards: Iterable[Guard], is_long: Callable[[Guard], bool]) -> pytest.MarkDecorator:
    """Run a test for each guard; some of them only with the long ones."""
    params = [
        pytest.param(
            guard,
            id=f"{guard.promise} {guard.name}",
            marks=[pytest.mark.long] if guard.is_long or is_long(guard) else [],
        )
        for guard in guards
    ]
    return pytest.mark.parametrize("guard", params)


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    return Templates(tmp_path_factory.mktemp("templates"))


@pytest.fixture
def play(
    project: Project, simulate: Simulate, templates: Templates, monkeypatch: pytest.MonkeyPatch
) -> Play:
    """Play a scenario, from its `yield` on with something taken out."""
    scene = Scene(project, simulate, templates, monkeypatch)

    def play(guard: Guard, out: Collection[Mutation], says: str = "") -> None:
        steps = guard.scenario(scene)
        next(steps)
        for mutate in out:
            mutate(monkeypatch)
        if says:
            with pytest.raises(AssertionError, match=says):
                next(steps, None)
        else:
            next(steps, None)

    return play


@each(STORIES.values(), is_long=lambda guard: bool(guard.behind))
def test_the_promise_is_kept(play: Play, guard: Guard) -> None:
    play(guard, ())


@each((guard for guard in GUARDS if guard.behind), is_long=lambda _: False)
def test_the_guard_alone_keeps_it(play: Play, guard: Guard) -> None:
    """The guards behind it have nothing to make good."""
    play(guard, guard.behind)


@each(GUARDS, is_long=lambda guard: guard is not FIRST[guard.promise])
def test_without_the_guard_it_is_broken(play: Play, guard: Guard) -> None:
    play(guard, (guard.mutate, *guard.behind), guard.says)


def test_each_promise_has_its_guards() -> None:
    assert FIRST.keys() == {*range(1, 11)}
