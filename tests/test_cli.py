"""The commands as a user types them: real processes, real exit codes."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import filelock
import pyarrow.parquet as pq
import pytest
from project import Project

from pipelines import demo
from pipelines.simulator import Faults, Simulator, World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import MakeWorld, Simulate

ROOT = Path(__file__).parent.parent
WIDE = {"COLUMNS": "200"}


def convoy(*arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command in the working directory."""
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "pipelines", *arguments],
        input=text,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **WIDE, "PYTHONPATH": str(ROOT)},
    )


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which a small world was synced, models and all; its upstream runs on."""
    folder = tmp_path_factory.mktemp("template")
    (folder / ".dlt").mkdir()
    now = datetime.now(UTC) - timedelta(minutes=1)
    world = World.seeded(7, bots={"support": 120, "sales": 5}, chatbots={"website": 30}, now=now)
    with Simulator(world) as upstream, contextlib.chdir(folder):
        Project(folder).configure(upstream)
        done = convoy("sync")
        assert done.returncode == 0, done.stderr
        yield folder


@pytest.fixture
def synced(project: Project, template: Path) -> Project:
    """A project whose small world is loaded."""
    shutil.copytree(template, project.folder, dirs_exist_ok=True)
    return project


def nothing_written(folder: Path) -> bool:
    return {path.name for path in folder.iterdir()} == {".dlt"}


def one_sentence(said: str) -> bool:
    return said.startswith("convoy: ") and said.count("\n") == 1 and "Traceback" not in said


def test_help_names_every_command_and_the_exit_codes() -> None:
    shown = convoy("--help").stdout

    for command in ("sync", "check", "status", "query", "models", "simulate", "demo"):
        assert re.search(rf"^\s+{command}\s", shown, re.MULTILINE)
    assert "75" in shown


def test_every_command_and_option_in_the_readme_exists() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for command in set(re.findall(r"convoy ([a-z]+)", readme)) - {"https"}:
        shown = convoy(command, "--help")
        assert shown.returncode == 0, command
        row = re.search(rf"^\| `convoy {command}.*$", readme, re.MULTILINE)
        for option in re.findall(r"`(--[a-z-]+)", row.group() if row else ""):
            assert option in shown.stdout


def test_sync_says_in_plain_lines_what_it_did(synced: Project) -> None:
    again = convoy("sync")

    assert again.returncode == 0
    lines = again.stdout.splitlines()
    assert len(lines) == 4
    assert "gptbots support: 0 loaded of" in again.stdout
    assert lines[-1].startswith("complete: 0 conversations loaded, 0 changes")
    assert "models unchanged" in lines[-1]
    assert again.stderr == ""
    assert synced.warehouse.exists()


def test_sync_with_json_prints_one_document_and_nothing_else(synced: Project) -> None:
    done = convoy("sync", "--json", "--source", "gptbots")

    document = json.loads(done.stdout)
    assert document["complete"] is True
    assert [bot["bot"] for bot in document["bots"]] == ["sales", "support"] or [
        bot["bot"] for bot in document["bots"]
    ] == ["support", "sales"]
    assert document["models"] == "skipped"
    assert done.stderr == ""
    assert synced.warehouse.exists()


def test_a_rejected_key_is_named_and_ends_with_1_while_the_others_are_loaded(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 20, "sales": 5})
    project.configure(simulate(world), keys={"sales": "wrong-key-4711"})

    done = convoy("sync", "--no-models")

    assert done.returncode == 1
    assert "gptbots sales: FAILED: the API key was rejected" in done.stdout
    assert "bot sales, GET /v1/bot/conversation/page" in done.stdout
    assert "wrong-key-4711" not in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert project.count("conversations") == 20


def test_what_was_not_read_is_neither_certified_nor_loaded(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    project.configure(simulate(make_world(bots={"support": 5})), keys={"support": "wrong"})

    done = convoy("sync", "--json")

    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert document["complete"] is False
    (bot,) = document["bots"]
    assert (bot["certified"], bot["loaded"]) == (False, False)
    assert "the API key was rejected" in bot["error"]


def test_a_source_without_a_bot_can_not_be_chosen(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    project.configure(simulate(make_world(bots={"support": 1})))

    done = convoy("sync", "--source", "okchat")

    assert done.returncode == 2
    assert one_sentence(done.stderr)
    assert "chatbots" in done.stderr
    assert nothing_written(project.folder)


def test_verify_names_what_differs_and_mends_it_when_told(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 20}, chatbots={"web": 5})
    project.configure(simulate(world))
    assert convoy("sync", "--no-models").returncode == 0
    gone = str(world.truth("gptbots")[10]["conversation_id"])
    world.delete(gone)

    told = convoy("verify")
    assert told.returncode == 1
    assert f"gptbots support: 1 deleted: {gone}" in told.stdout
    assert "DIFFERS" in told.stdout
    shown = convoy("verify", "--json", "--source", "gptbots")
    assert shown.returncode == 1
    (found,) = json.loads(shown.stdout)["bots"]
    assert found["deleted"] == [gone]
    assert (found["missing"], found["stale"], found["marked"]) == ([], [], 0)

    assert convoy("verify", "--repair").returncode == 0
    assert convoy("verify").returncode == 0
    status = json.loads(convoy("status", "--json").stdout)
    (support,) = [bot for bot in status["bots"] if bot["bot"] == "support"]
    assert (support["conversations"], support["deleted"], support["certified"]) == (19, 1, True)
    assert support["evidence"] == "the server counts 19, known are 19"


def test_a_range_is_read_again_and_a_wrong_one_is_a_usage_error(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    world = make_world(bots={"support": 20}, chatbots={"web": 5})
    project.configure(simulate(world))
    assert convoy("sync", "--no-models").returncode == 0
    world.settle(str(world.truth("gptbots")[15]["conversation_id"]), Decimal(1))
    done = convoy("backfill", "--from", "2020-01-01", "--to", "2100-01-01", "--no-models", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["rows_loaded"] == 1
    for start, end, says in (
        ("soon", "2100-01-01", "--from"),
        ("2021-01-01", "2020-01-01", "must lie before"),
    ):
        wrong = convoy("backfill", "--from", start, "--to", end)
        assert wrong.returncode == 2
        assert says in wrong.stderr
        assert "Traceback" not in wrong.stderr


def test_a_warehouse_that_is_another_kind_of_file_is_left_alone(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    upstream = simulate(make_world(bots={"support": 1}))
    project.configure(upstream)
    project.warehouse.write_text("my notes\n" * 1000)

    done = convoy("sync")

    assert done.returncode == 2
    assert one_sentence(done.stderr)
    assert "is no DuckDB file" in done.stderr
    assert project.warehouse.read_text() == "my notes\n" * 1000
    assert {path.name for path in project.folder.iterdir()} == {".dlt", "warehouse.duckdb"}
    assert upstream.log == []


def test_a_second_sync_at_once_ends_with_75(synced: Project) -> None:
    with filelock.FileLock(synced.folder / ".convoy" / "warehouse.duckdb" / "lock"):
        done = convoy("sync")

    assert done.returncode == 75
    assert done.stderr.startswith("convoy: another sync holds")
    assert "Traceback" not in done.stderr


def test_a_warehouse_held_by_another_program_ends_with_75(synced: Project) -> None:
    with held(synced.warehouse, read_only=False):
        for command in (["sync"], ["status"], ["query", "select 1"], ["models"]):
            assert_busy(*command)


def test_models_of_a_warehouse_that_another_program_reads_end_with_75(synced: Project) -> None:
    with held(synced.warehouse, read_only=True):
        for command in (["models"], ["models", "test"], ["models", "docs"]):
            assert_busy(*command)


def assert_busy(*command: str) -> None:
    done = convoy(*command)
    assert done.returncode == 75, (command, done.stdout, done.stderr)
    assert "open in another program" in done.stderr
    assert one_sentence(done.stderr)


@contextlib.contextmanager
def held(warehouse: Path, *, read_only: bool) -> Iterator[None]:
    """Hold a warehouse open in another program."""
    opening = f"c = duckdb.connect(sys.argv[1], read_only={read_only})"
    script = f"import duckdb, sys; {opening}; print('held', flush=True); input()"
    holder = subprocess.Popen(  # noqa: S603 - a program of our own
        [sys.executable, "-c", script, str(warehouse)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        yield
        holder.communicate("\n")


def test_wrong_configuration_ends_with_2_and_writes_nothing(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    project.configure(
        simulate(make_world(bots={"support": 1})),
        gptbots={"lookbak": "1h", "start_date": "yesterday"},
    )
    for command in ("sync", "check"):
        done = convoy(command)

        assert done.returncode == 2
        assert "did you mean lookback?" in done.stderr
        assert "start_date" in done.stderr
        assert "Traceback" not in done.stderr
        assert nothing_written(project.folder)


def test_without_any_configuration_the_mend_is_told(project: Project) -> None:
    done = convoy("sync")

    assert done.returncode == 2
    assert "[sources.gptbots.bots.support]" in done.stderr
    assert nothing_written(project.folder)


def test_check_tries_each_key(project: Project, make_world: MakeWorld, simulate: Simulate) -> None:
    upstream = simulate(make_world(bots={"support": 1}, chatbots={"website": 1}))
    project.configure(upstream)
    assert convoy("check").returncode == 0

    upstream.world.revoke("support")
    done = convoy("check")

    assert done.returncode == 2
    assert re.search(r"FAIL gptbots support: .*key", done.stdout)
    assert re.search(r"ok +okchat website", done.stdout)
    assert nothing_written(project.folder)


def test_check_on_an_unreachable_host_ends_with_2(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    upstream = simulate(make_world(bots={"support": 1}))
    project.configure(upstream, gptbots={"base_url": "http://127.0.0.1:9"})

    done = convoy("check", "--json")

    assert done.returncode == 2
    assert [finding["ok"] for finding in json.loads(done.stdout)["findings"]].count(False) == 1
    assert nothing_written(project.folder)


def test_status_shows_each_bot(synced: Project) -> None:
    document = json.loads(convoy("status", "--json").stdout)

    bots = {bot["bot"]: bot for bot in document["bots"]}
    assert {name: bot["conversations"] for name, bot in bots.items()} == {
        "support": 120,
        "sales": 5,
        "website": 30,
    }
    newest = synced.rows(
        "select max(last_activity_at) as at from chat.conversations where bot = 'support'"
    )[0]["at"]
    assert bots["support"]["cursor"] == newest.isoformat().replace("+00:00", "Z")
    assert bots["support"]["certified"] is True
    assert bots["support"]["pending"] is None
    assert document["models_current"] is True
    shown = convoy("status").stdout
    assert re.search(r"gptbots\s+support\s+120\s+0\s+0", shown)


def test_status_before_the_first_sync_says_so(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    project.configure(simulate(make_world(bots={"support": 1})))

    done = convoy("status")

    assert done.returncode == 0
    assert "never synced" in done.stdout
    assert nothing_written(project.folder)


def test_models_alone_bring_marts_up_to_what_is_loaded(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    project.configure(simulate(make_world(bots={"support": 10})))
    assert convoy("models").returncode == 1  # nothing is loaded yet
    assert convoy("sync", "--no-models").returncode == 0
    assert json.loads(convoy("status", "--json").stdout)["models_current"] is False

    done = convoy("models")

    assert done.returncode == 0, done.stderr
    assert "models built" in done.stdout
    assert project.rows("select count(*) as n from marts.conversations") == [{"n": 10}]
    assert json.loads(convoy("status", "--json").stdout)["models_current"] is True


def test_publishing_alone_brings_readers_up_to_what_is_loaded(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    project.configure(simulate(make_world(bots={"support": 10})))
    nothing = convoy("publish")
    assert (nothing.returncode, "run `convoy sync` first" in nothing.stderr) == (1, True)
    assert convoy("sync", "--no-models").returncode == 0
    assert not project.published.exists()

    done = convoy("publish")

    assert done.returncode == 0, done.stderr
    assert str(project.published) in done.stdout
    with duckdb.connect(str(project.published), read_only=True) as reader:
        assert reader.execute("select count(*) from marts.conversations").fetchone() == (10,)
    assert json.loads(convoy("status", "--json").stdout)["published_at"]
    assert json.loads(convoy("sync", "--json").stdout)["publish"] == "skipped"


def test_queries_come_out_in_each_format(synced: Project, tmp_path: Path) -> None:
    sql = "select conversation_id, last_activity_at, cost_credit from chat.conversations order by 1"
    wanted = synced.rows(sql)

    table = convoy("query", sql)
    assert "155 rows" in table.stdout

    rows = list(csv.DictReader(io.StringIO(convoy("query", "-f", "csv", sql).stdout)))
    assert [row["conversation_id"] for row in rows] == [row["conversation_id"] for row in wanted]
    assert [row["cost_credit"] or None for row in rows] == [
        None if row["cost_credit"] is None else str(row["cost_credit"]) for row in wanted
    ]

    found = json.loads(convoy("query", "--json", sql).stdout, parse_float=Decimal)
    assert [row["cost_credit"] for row in found] == [row["cost_credit"] for row in wanted]

    file = tmp_path / "rows.parquet"
    assert convoy("query", "-f", "parquet", "-o", str(file), sql).returncode == 0
    assert pq.read_table(file).to_pylist() == wanted

    assert convoy("query", "-", text="select 42 as answer").stdout.split() == [
        "answer",
        "42",
        "1",
        "row",
    ]


@pytest.mark.parametrize(
    "command", [("report",), ("query", "select 1"), ("models", "docs")], ids=" ".join
)
def test_output_replaces_neither_a_folder_nor_the_warehouse(
    synced: Project, command: tuple[str, ...]
) -> None:
    content = synced.warehouse.read_bytes()
    for to in (".", "warehouse.duckdb"):
        done = convoy(*command, "-o", to)
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        assert one_sentence(done.stderr)
    assert synced.warehouse.read_bytes() == content


def test_output_makes_its_folder(synced: Project) -> None:
    for i, command in enumerate((("query", "select 1"), ("report",), ("models", "docs"))):
        done = convoy(*command, "-o", f"new/{i}/file")
        assert done.returncode == 0, done.stderr
        assert (synced.folder / "new" / str(i) / "file").stat().st_size > 0


def test_marts_are_found_before_what_is_loaded(synced: Project) -> None:
    found = json.loads(convoy("query", "--json", "select platform from conversations").stdout)

    assert len(found) == 155
    assert synced.warehouse.exists()


@pytest.mark.parametrize(
    "sql",
    [
        "delete from chat.conversations",
        "create table chat.mine as select 1",
        "drop schema marts cascade",
        "copy chat.conversations to 'out.csv'",
        "attach 'other.duckdb'",
        "select * from read_csv('.dlt/secrets.toml')",
        "set enable_external_access = true",
        "install httpfs",
        "selct 1",
    ],
)
def test_a_query_can_neither_write_nor_reach_beyond(synced: Project, sql: str) -> None:
    before = sorted(path.name for path in synced.folder.iterdir())
    content = synced.warehouse.read_bytes()

    done = convoy("query", sql)

    assert done.returncode == 2
    assert done.stderr.startswith("convoy: ")
    assert "Traceback" not in done.stderr
    assert "api_key" not in done.stdout
    assert sorted(path.name for path in synced.folder.iterdir()) == before
    assert synced.warehouse.read_bytes() == content


@pytest.mark.parametrize("sql", ["", " ", ";", "-- nothing", "select 1; select 2"])
def test_a_query_is_one_statement(synced: Project, sql: str) -> None:
    done = convoy("query", "--", sql)

    assert done.returncode == 2
    assert done.stdout == ""
    assert one_sentence(done.stderr)
    assert synced.warehouse.exists()


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_a_date_that_none_of_ours_can_be_is_told(synced: Project, form: str) -> None:
    (synced.folder / "kept").write_text("as it was", encoding="utf-8")
    sql = "from (values (now()), ('infinity'::timestamptz)) as t (found)"
    for to in ((), ("-o", "kept")):
        done = convoy("query", "-f", form, *to, sql)
        assert (done.returncode, "cast it to varchar" in done.stderr) == (2, True), done.stderr
        assert one_sentence(done.stderr)
    assert (synced.folder / "kept").read_text(encoding="utf-8") == "as it was"
    assert not [*synced.folder.glob(".kept*")]


def test_a_query_before_the_first_sync_says_what_to_do(project: Project) -> None:
    done = convoy("query", "select 1")

    assert done.returncode == 2
    assert "run `convoy sync` first" in done.stderr
    assert nothing_written(project.folder)


def test_simulate_serves_what_it_says_to_configure(project: Project) -> None:
    server = subprocess.Popen(  # noqa: S603 - our own command
        [
            *(sys.executable, "-u", "-m", "pipelines", "simulate", "--port", "0"),
            *("--gptbots", "150", "--okchat", "20"),
        ],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert server.stdout
    shown = ""
    while "okchat.chatbots.site1" not in shown or shown.count("api_key") < 3:
        line = server.stdout.readline()
        assert line, "the simulator ended"
        shown += line
    config, secrets = shown.split("# secrets.toml")
    (project.folder / ".dlt/config.toml").write_text(config[config.index("[") :])
    (project.folder / ".dlt/secrets.toml").write_text(secrets)

    done = convoy("sync", "--no-models")
    server.send_signal(signal.SIGTERM)

    assert server.wait(20) == 0
    assert done.returncode == 0, done.stderr
    assert project.count("conversations") == 170


def test_the_demo_shows_answers_and_what_to_try_next(tmp_path: Path) -> None:
    folder = tmp_path / "demo"

    done = convoy("demo", "--dir", str(folder))

    assert done.returncode == 0, done.stderr
    assert re.search(r"whatsapp .*\d", done.stdout)
    assert (folder / "warehouse.duckdb").exists()
    assert str(folder / "warehouse.duckdb") in done.stdout
    requests = re.search(r"(\d+) requests the first time, (\d+) the second", done.stdout)
    assert requests
    assert int(requests[2]) < int(requests[1])


def test_an_earlier_demo_is_replaced(tmp_path: Path) -> None:
    folder = demo.fresh(tmp_path / "demo")
    (folder / ".dlt" / "config.toml").write_text(f"{demo.MARK}\n")
    (folder / "warehouse.duckdb").write_text("old")

    assert demo.fresh(folder) == folder
    assert not (folder / "warehouse.duckdb").exists()


def test_the_demo_touches_no_folder_of_the_users(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")

    done = convoy("demo", "--dir", str(tmp_path))

    assert done.returncode == 2
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_sigterm_ends_a_sync_that_waits_for_its_upstream(
    project: Project, make_world: MakeWorld, simulate: Simulate
) -> None:
    upstream = simulate(make_world(bots={"support": 1}), faults=Faults(server_error=1.0))
    project.configure(upstream)
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines", "sync"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    while len(upstream.log) < 2:
        assert process.poll() is None
        time.sleep(0.05)

    process.terminate()
    _, said = process.communicate(timeout=20)

    assert process.returncode == 143
    assert said == "convoy: stopped; the next sync goes on from here\n"
