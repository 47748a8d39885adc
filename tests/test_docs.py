"""What the documentation claims: outputs, commands, settings, tables."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import tour
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from pipelines import cli, models, settings, settings_faults, sync, tables
from pipelines.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pytest
    from project import Project

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
TOUR = ROOT / "docs" / "questions.md"
QUESTIONS = tour.questions(TOUR.read_text(encoding="utf-8"))


def fill(project: Project) -> Path:
    """Make the warehouse that the tour asks, models and all."""
    world = tour.world()
    with Simulator(world) as upstream:
        project.configure(upstream)
        assert project.sync().complete
        for _ in tour.days(world):
            assert project.sync().complete
        sync.build_models(project.settings())
    return project.warehouse


def test_the_tour_has_ten_questions() -> None:
    headings = re.findall(r"^## (\d+)\. .*\?$", TOUR.read_text(encoding="utf-8"), re.MULTILINE)
    assert headings == [str(number) for number in range(1, 11)]
    assert len(QUESTIONS) == 10


def test_the_answers_of_the_tour_are_what_is_printed(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse = fill(project)
    said = {q.title: tour.printed(warehouse, q.sql, monkeypatch) for q in QUESTIONS}
    if tour.REWRITE in os.environ:
        page = TOUR.read_text(encoding="utf-8")
        TOUR.write_text(tour.rewritten(page, said), encoding="utf-8")
    else:
        assert said == {question.title: question.output for question in QUESTIONS}
    assert not [title for title, rows in said.items() if rows.endswith("\n0 rows\n")]


def named(heading: str) -> list[list[str]]:
    """Return the code in the first cell of each row of the README's first table after a text."""
    table = README.split(heading, 1)[1].split("\n\n|", 1)[1].split("\n\n")[0]
    cells = re.findall(r"^\|? ?(`[^|]*?) \|", table, re.MULTILINE)
    return [re.findall(r"`([^`]+)`", cell) for cell in cells]


def test_the_readme_names_every_command_and_each_helps() -> None:
    commands = get_command(cli.app)
    assert isinstance(commands, TyperGroup)
    documented = [code.split()[1] for (code,) in named("## Commands")]
    assert sorted(documented) == sorted(commands.commands)
    for command in documented:
        assert CliRunner().invoke(cli.app, [command, "--help"]).exit_code == 0


def test_the_readme_names_every_setting() -> None:
    documented = set()
    for first, *others in named("## Configuration"):
        table = first.rpartition(".")[0]
        documented |= {first, *(n if "." in n else f"{table}.{n}" for n in others)}
    assert documented == set(leaves(settings.SHAPE))


def leaves(shape: Mapping[str, object], path: str = "") -> Iterator[str]:
    """Yield the settings there are, but for the bots: theirs stand in secrets.toml."""
    for name, inner in shape.items():
        if isinstance(inner, dict):
            if settings_faults.ANY not in inner:
                yield from leaves(inner, f"{path}{name}.")
        else:
            yield f"{path}{name}"


def test_the_readme_names_every_table_and_mart() -> None:
    marts = [path.stem for path in (models.project_dir() / "models" / "marts").glob("*.sql")]
    assert [name for (name,) in named("As loaded")] == [table.name for table in tables.ALL]
    assert sorted(name for (name,) in named("As modelled")) == sorted(marts)
