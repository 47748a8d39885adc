"""A project whose warehouse is a lakehouse."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MakeWorld, Simulate

    from lake.lakehouse import LakeProject
    from pipelines.simulator import World


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LakeProject:
    """An empty project; the extra is required where CONVOY_LAKE says so."""
    if os.environ.get("CONVOY_LAKE") != "required":
        pytest.importorskip("deltalake", reason="the extra `lake` is not installed")
    from lake.lakehouse import LakeProject  # noqa: PLC0415 - as above

    folder = tmp_path / "project"
    (folder / ".dlt").mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    return LakeProject(folder)


@pytest.fixture
def world(make_world: MakeWorld, simulate: Simulate, project: LakeProject) -> World:
    """A world that is loaded."""
    made = make_world(bots={"support": 30}, chatbots={"website": 20})
    project.configure(simulate(made))
    assert project.sync().complete
    return made
