from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines import upgrade
from pipelines.lake import steps

if TYPE_CHECKING:
    import pytest

    from lake.lakehouse import LakeProject
    from pipelines.simulator import World


def test_each_step_to_a_later_version_says_what_it_does_to_a_lakehouse() -> None:
    assert len(steps.STEPS) == len(upgrade.STEPS)


def test_a_lakehouse_of_an_earlier_version_goes_through_each_step_once(
    world: World, project: LakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    monkeypatch.setattr(upgrade, "STEPS", (*upgrade.STEPS, lambda _: None, lambda _: None))
    later = (lambda lake: done.append(f"2 {lake}"), lambda lake: done.append(f"3 {lake}"))
    monkeypatch.setattr(steps, "STEPS", (*steps.STEPS, *later))
    for _ in range(2):
        assert project.sync().complete
    assert done == [f"2 {project.lake}", f"3 {project.lake}"]
    assert project.rows("select max(version) as n from chat.layout") == [{"n": 3}]
    assert world.accounts
