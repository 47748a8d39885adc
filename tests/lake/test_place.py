from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from project import assert_equal_to_truth

from lake.lakehouse import begin_everywhere
from pipelines import query

if TYPE_CHECKING:
    from conftest import MakeWorld, Simulate

    from lake.lakehouse import LakeProject
    from pipelines.simulator import World


def name_folder(project: LakeProject, folder: str) -> None:
    file = project.folder / ".dlt" / "config.toml"
    text = file.read_text(encoding="utf-8").replace('"lake"', f"'''{folder}'''")
    file.write_text(text, encoding="utf-8")


def test_a_path_may_have_unusual_signs(
    make_world: MakeWorld, simulate: Simulate, project: LakeProject
) -> None:
    world = make_world(bots={"support": 3}, chatbots={"website": 2})
    project.configure(simulate(world))
    name_folder(project, "my läke's {a,b} ü")
    project.lake = project.settings().warehouse  # type: ignore[assignment]
    for _ in range(2):
        assert project.sync().complete
        assert_equal_to_truth(project, world)
        begin_everywhere(world)
    rows = query.run(project.lake, "select count(*) as n from conversations").to_pylist()
    assert rows == [{"n": 7}]


@pytest.mark.parametrize("folder", ["lake[1]", "la*ke", "lake%20x", "la\\ke"])
def test_a_path_that_would_be_misread_is_refused(
    folder: str, world: World, project: LakeProject
) -> None:
    name_folder(project, folder)
    before = sorted(project.folder.rglob("*"))
    done = project.run("sync")
    assert done.returncode == 2
    assert "choose a path without any of" in done.stderr
    assert sorted(project.folder.rglob("*")) == before
    assert world.accounts


def test_no_output_is_written_over_a_linked_lakehouse(world: World, project: LakeProject) -> None:
    real = project.folder / "real"
    project.lake.folder.rename(real)
    project.lake.folder.symlink_to(real)
    file = next(real.rglob("*.parquet"))
    before = file.read_bytes()
    for output in (file, project.lake.folder / file.relative_to(real)):
        done = project.run("query", "select 1 as x", "--format", "parquet", "--output", str(output))
        assert done.returncode == 2
        assert "lies in the warehouse" in done.stderr
    assert file.read_bytes() == before
    assert world.accounts
