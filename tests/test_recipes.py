"""The files and lines of docs/schedules.md that a user copies."""

from __future__ import annotations

import ast
import configparser
import json
import re
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import tomlkit
from typer.core import TyperGroup
from typer.main import get_command

from pipelines import cli, journal, schedule
from pipelines.child import Ended
from pipelines.series import Series

if TYPE_CHECKING:
    from conftest import MakeWorld, Simulate
    from project import Project

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGE = (DOCS / "schedules.md").read_text(encoding="utf-8")
SERVICES = sorted((DOCS / "systemd").glob("*.service"))
FILES = [path for name in ("systemd", "github", "airflow", "container")
         for path in sorted((DOCS / name).iterdir()) if path.is_file()]  # fmt: skip


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_every_file_that_the_page_names_is_there() -> None:
    linked = re.findall(r"\]\(((?:systemd|github|airflow|container)/[^)]*)\)", PAGE)
    assert len(linked) == 4
    assert all((DOCS / path).exists() for path in linked)
    assert all(f"#{heading}" in PAGE for heading in ("cron", "systemd", "airflow", "container"))


def test_every_command_and_option_in_the_recipes_exists() -> None:
    commands = get_command(cli.app)
    assert isinstance(commands, TyperGroup)
    texts = [PAGE, *(path.read_text(encoding="utf-8") for path in FILES)]
    used = [found for text in texts for found in re.findall(r"\bconvoy (sync|status)\b(.*)", text)]
    assert len(used) > 8
    for name, rest in used:
        known = {option for given in commands.commands[name].params for option in given.opts}
        assert set(re.findall(r"(?<!\w)--[a-z-]+", rest.split("`")[0])) <= known, rest


def test_the_lines_of_the_crontab_run_in_a_bare_environment(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    project.configure(simulate(make_world(bots={"support": 3})))
    program = f"env PYTHONPATH={ROOT} {sys.executable} -m pipelines"
    lines = blocks("cron")[0].splitlines()
    assert len(lines) == 2
    said = [crontab(line, project.folder, program) for line in lines]
    assert said == ["", "0 of 1 bots lag behind by more than 2:00:00\n"]
    assert project.count("conversations") == 3


def crontab(line: str, folder: Path, program: str) -> str:
    """Run a line as cron does; return what it would mail."""
    fields, command = line.split()[:5], line.split(maxsplit=5)[5]
    assert schedule.schedule(" ".join(fields))
    command = command.replace("/srv/convoy", str(folder)).replace(".venv/bin/convoy", program)
    bare = {"HOME": str(folder), "PATH": "/usr/bin:/bin", "SHELL": "/bin/sh", "LOGNAME": "convoy"}
    done = subprocess.run(  # noqa: S602 - a line of our own documentation
        command, shell=True, env=bare, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_systemd_knows_every_line_of_the_units(tmp_path: Path) -> None:
    for unit in (DOCS / "systemd").iterdir():
        text = unit.read_text(encoding="utf-8").replace("/opt/convoy/.venv/bin/convoy", "/bin/true")
        (tmp_path / unit.name).write_text(text, encoding="utf-8")
    done = subprocess.run(  # noqa: S603 - only reads
        ["systemd-analyze", "verify", *map(str, sorted(tmp_path.iterdir()))],  # noqa: S607 - likewise
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def service(path: Path) -> dict[str, str]:
    unit = configparser.ConfigParser(strict=False, interpolation=None, delimiters="=")
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(path.read_text(encoding="utf-8"))
    return dict(unit["Service"])


def test_both_services_are_hardened_alike() -> None:
    differ = {"Type", "ExecStart", "TimeoutStartSec", "SuccessExitStatus"}
    differ |= {name for name in service(SERVICES[0]) | service(SERVICES[1]) if "Restart" in name}
    one, other = (
        {name: value for name, value in service(path).items() if name not in differ}
        for path in SERVICES
    )
    assert one == other
    assert one["ProtectSystem"] == "strict"
    assert one["KillMode"] == "mixed"  # the sync gets one signal, not two
    assert "2" in service(DOCS / "systemd" / "convoy.service")["RestartPreventExitStatus"]
    assert service(DOCS / "systemd" / "convoy-once.service")["SuccessExitStatus"] == "75"


def test_the_dag_is_python_that_knows_the_exit_codes() -> None:
    text = (DOCS / "airflow" / "convoy_sync.py").read_text(encoding="utf-8")
    found = {
        given.arg: given.value.value
        for given in ast.walk(ast.parse(text))
        if isinstance(given, ast.keyword) and isinstance(given.value, ast.Constant)
    }
    assert (found["skip_on_exit_code"], found["catchup"], found["max_active_runs"]) == (
        75,
        False,
        1,
    )


def test_the_examples_of_configuration_are_settings(project: Project) -> None:
    config, secrets = (tomlkit.parse(block).unwrap() for block in blocks("toml"))
    (project.folder / ".dlt" / "config.toml").write_text(tomlkit.dumps(config), encoding="utf-8")
    secrets["sources"] = {"gptbots": {"bots": {"support": {"api_key": "key-1"}}}}
    text = tomlkit.dumps(secrets).replace("…", "T0/B0")
    (project.folder / ".dlt" / "secrets.toml").write_text(text, encoding="utf-8")
    found = project.settings()
    assert found.notify_command
    assert found.notify_webhook


def test_the_example_of_a_notification_has_the_fields_of_one() -> None:
    shown = json.loads(blocks("json")[0])
    at = datetime.fromisoformat(shown["at"])
    bot = {"source": "gptbots", "bot": "sales", "certified": False, "failures": []}
    error = "the API key was rejected (…)"
    ended = Ended(1, {"bots": [bot | {"error": error}]}, "", at, at)
    series = Series().after(ended.kind, at)
    assert journal.notification("failure", series, ended) == shown
