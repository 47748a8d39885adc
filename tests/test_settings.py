"""The configuration, as a user writes it: real files, the real environment."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent
from typing import Any

import pytest
import tomlkit
from dlt.common.configuration.exceptions import ConfigurationException
from dlt.common.runtime import run_context
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

import pipelines
from pipelines import settings_given
from pipelines.errors import ConfigurationError
from pipelines.settings import Gptbots, Okchat, Settings, load

BOT = '[sources.gptbots.bots.support]\napi_key = "key-1"\n'
CHATBOT = '[sources.okchat.chatbots.website]\nchatbot_id = "5afe16ed"\napi_key = "key-2"\n'

Write = Callable[[str], Path]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project of a user who has a home and nothing in the environment."""
    for name in list(os.environ):
        if name.startswith(
            ("SOURCES__", "DESTINATION__", "PUBLISH__", "PRIVACY__", "DLT_", "XDG_")
        ):
            monkeypatch.delenv(name)
    (tmp_path / "home" / ".dlt").mkdir(parents=True)
    (tmp_path / "project" / ".dlt").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)  # root's own folder of dlt is /var/dlt
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


@pytest.fixture
def config(place: Path) -> Write:
    return _writer(place / ".dlt" / "config.toml")


@pytest.fixture
def secrets(place: Path) -> Write:
    return _writer(place / ".dlt" / "secrets.toml")


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    return monkeypatch.setenv


def _writer(path: Path) -> Write:
    def write(text: str) -> Path:
        path.write_text(dedent(text), encoding="utf-8")
        return path

    return write


def faults(*, need_bots: bool = False) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as raised:
        load(need_bots=need_bots)
    assert all(fault.strip() == fault and "\n" not in fault for fault in raised.value.faults)
    return raised.value.faults


def fault() -> str:
    (only,) = faults()
    return only


def keys_of(found: Settings) -> dict[str, str]:
    keys = {name: bot.api_key for name, bot in found.gptbots.bots.items()}
    keys |= {name: bot.api_key for name, bot in found.okchat.chatbots.items()}
    return {name: key.get_secret_value() for name, key in keys.items()}


# What is read


def test_the_defaults(place: Path) -> None:
    assert load(need_bots=False) == Settings(
        gptbots=Gptbots(
            base_url="https://api-sg.gptbots.ai",
            start_date=datetime(2023, 1, 1, tzinfo=UTC),
            lookback=timedelta(hours=1),
            requests_per_minute=100,
            bots={},
        ),
        okchat=Okchat(
            base_url="https://v2.okchat.ai",
            page_size=100,
            page_param="page",
            limit_param="limit",
            sweep_every=timedelta(),
            requests_per_minute=100,
            chatbots={},
        ),
        warehouse=place / "warehouse.duckdb",
        publish=place / "published" / "convoy.duckdb",
    )


def test_work_lies_beside_the_warehouse(place: Path) -> None:
    assert load(need_bots=False).work == place / ".convoy" / "warehouse.duckdb"


def test_work_of_a_linked_warehouse_is_that_of_its_target(place: Path, config: Write) -> None:
    (place / "data").mkdir()
    (place / "data" / "real.duckdb").touch()
    (place / "linked.duckdb").symlink_to(place / "data" / "real.duckdb")
    (place / "folder").symlink_to(place / "data")
    for path in ("data/real.duckdb", "linked.duckdb", "folder/real.duckdb"):
        config(f'[destination.duckdb]\ncredentials = "{path}"\n')
        assert load(need_bots=False).work == place / "data" / ".convoy" / "real.duckdb"


KEYS: dict[str, tuple[str, str, Callable[[Settings], object], object, object]] = {
    "sources.gptbots.base_url": (
        "https://a.example/x/",
        "http://[::1]:8080",
        lambda s: s.gptbots.base_url,
        "https://a.example/x",
        "http://[::1]:8080",
    ),
    "sources.gptbots.start_date": (
        "2024-02-03",
        "2024-05-06T08:00:00+08:00",
        lambda s: s.gptbots.start_date,
        datetime(2024, 2, 3, tzinfo=UTC),
        datetime(2024, 5, 6, tzinfo=UTC),
    ),
    "sources.gptbots.lookback": (
        "90s",
        "1h30m",
        lambda s: s.gptbots.lookback,
        timedelta(seconds=90),
        timedelta(minutes=90),
    ),
    "sources.gptbots.requests_per_minute": (
        "3",
        "60",
        lambda s: s.gptbots.requests_per_minute,
        3,
        60,
    ),
    "sources.okchat.base_url": (
        "https://b.example",
        "http://127.0.0.1:1",
        lambda s: s.okchat.base_url,
        "https://b.example",
        "http://127.0.0.1:1",
    ),
    "sources.okchat.page_size": ("10", "25", lambda s: s.okchat.page_size, 10, 25),
    "sources.okchat.page_param": ("p", "seite", lambda s: s.okchat.page_param, "p", "seite"),
    "sources.okchat.limit_param": ("l", "size", lambda s: s.okchat.limit_param, "l", "size"),
    "sources.okchat.sweep_every": (
        "6h",
        "1d",
        lambda s: s.okchat.sweep_every,
        timedelta(hours=6),
        timedelta(days=1),
    ),
    "sources.gptbots.max_deleted_share": (
        "0.5",
        "1",
        lambda s: s.gptbots.max_deleted_share,
        0.5,
        1.0,
    ),
    "sources.okchat.max_deleted_share": (
        "0",
        "0.125",
        lambda s: s.okchat.max_deleted_share,
        0.0,
        0.125,
    ),
    "sources.gptbots.bill": ("true", "false", lambda s: s.gptbots.bill, True, False),
    "sources.gptbots.conversation_credits": (
        "true",
        "False",
        lambda s: s.gptbots.conversation_credits,
        True,
        False,
    ),
    "sources.gptbots.bot_names": ("false", "TRUE", lambda s: s.gptbots.bot_names, False, True),
    "sources.okchat.bot_names": ("true", "false", lambda s: s.okchat.bot_names, True, False),
    "sources.gptbots.messages": ("true", "False", lambda s: s.gptbots.messages, True, False),
    "sources.okchat.messages": ("false", "true", lambda s: s.okchat.messages, False, True),
    "sources.gptbots.messages_per_run": ("1", "2", lambda s: s.gptbots.messages_per_run, 1, 2),
    "sources.okchat.messages_per_run": ("3", "4", lambda s: s.okchat.messages_per_run, 3, 4),
    "privacy.texts": ("mask", "drop", lambda s: s.privacy.texts, "mask", "drop"),
    "privacy.user_ids": ("drop", "keep", lambda s: s.privacy.user_ids, "drop", "keep"),
    "sources.okchat.requests_per_minute": (
        "5",
        "7",
        lambda s: s.okchat.requests_per_minute,
        5,
        7,
    ),
    "destination.duckdb.credentials": (
        "a.duckdb",
        "duckdb:///b.duckdb",
        lambda s: s.file.name,
        "a.duckdb",
        "b.duckdb",
    ),
    "publish.path": ("out/p.duckdb", "q.duckdb", lambda s: s.publish.name, "p.duckdb", "q.duckdb"),
    "models.spark": ("sc://one:1", "sc://two:2", lambda s: s.spark, "sc://one:1", "sc://two:2"),
    "models.time_zone": ("Asia/Tokyo", "UTC", lambda s: s.time_zone, "Asia/Tokyo", "UTC"),
    "publish.parquet": ("true", "false", lambda s: s.publish_parquet, True, False),
}


def test_no_key_is_forgotten_here() -> None:
    bots = {"sources.gptbots.bots", "sources.okchat.chatbots"}
    fields = {f"sources.gptbots.{name}" for name in Gptbots.model_fields}
    fields |= {f"sources.okchat.{name}" for name in Okchat.model_fields}
    assert fields - bots == {key for key in KEYS if key.startswith("sources.")}


@pytest.mark.parametrize("key", KEYS)
def test_every_key_comes_from_the_file_and_the_environment_wins(
    key: str, config: Write, env: Callable[[str, str], None]
) -> None:
    in_file, in_environment, read, from_file, from_environment = KEYS[key]
    section, name = key.rsplit(".", 1)
    config(f'[{section}]\n{name} = "{in_file}"\n')
    assert read(load(need_bots=False)) == from_file
    env(key.upper().replace(".", "__"), in_environment)
    assert read(load(need_bots=False)) == from_environment


def test_numbers_and_dates_may_be_toml_s_own(config: Write) -> None:
    config("""
        [sources.gptbots]
        start_date = 2024-01-02
        lookback = 0
        [sources.okchat]
        page_size = 7
    """)
    found = load(need_bots=False)
    assert found.gptbots.start_date == datetime(2024, 1, 2, tzinfo=UTC)
    assert found.gptbots.lookback == timedelta()
    assert found.okchat.page_size == 7


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ('"2024-01-02"', datetime(2024, 1, 2, tzinfo=UTC)),
        ('"2024-01-02 03:04"', datetime(2024, 1, 2, 3, 4, tzinfo=UTC)),
        ('"2024-01-02T03:04:05Z"', datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ('"2024-01-02T03:04:05.25-05:00"', datetime(2024, 1, 2, 8, 4, 5, 250_000, tzinfo=UTC)),
        ("2024-01-02T03:04:05+05:30", datetime(2024, 1, 1, 21, 34, 5, tzinfo=UTC)),
        ('"1970-01-01"', datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_date_may_have_a_time_and_a_zone_and_becomes_utc(
    text: str, instant: datetime, config: Write
) -> None:
    config(f"[sources.gptbots]\nstart_date = {text}\n")
    found = load(need_bots=False).gptbots.start_date
    assert (found, found.tzinfo) == (instant, UTC)


def test_bots_are_tables_of_the_secrets(secrets: Write) -> None:
    secrets(BOT + CHATBOT)
    found = load()
    assert keys_of(found) == {"support": "key-1", "website": "key-2"}
    assert found.okchat.chatbots["website"].chatbot_id == "5afe16ed"


def test_json_in_the_environment_replaces_the_table(
    secrets: Write, env: Callable[[str, str], None]
) -> None:
    secrets(BOT + CHATBOT)
    env("SOURCES__GPTBOTS__BOTS", '{"sales": {"api_key": "key-3"}}')
    env("SOURCES__OKCHAT__CHATBOTS", '{"shop": {"api_key": "key-4", "chatbot_id": "id-4"}}')
    found = load()
    assert keys_of(found) == {"sales": "key-3", "shop": "key-4"}
    assert found.okchat.chatbots["shop"].chatbot_id == "id-4"


def test_a_single_key_of_the_environment_wins_over_its_table(
    secrets: Write, env: Callable[[str, str], None]
) -> None:
    secrets(BOT.replace("support", "Support") + CHATBOT)
    env("SOURCES__GPTBOTS__BOTS__SUPPORT__API_KEY", "key-5")
    env("SOURCES__OKCHAT__CHATBOTS__WEBSITE__CHATBOT_ID", "id-5")
    found = load()
    assert keys_of(found) == {"Support": "key-5", "website": "key-2"}
    assert found.okchat.chatbots["website"].chatbot_id == "id-5"


def test_a_bot_may_stand_in_the_environment_alone(env: Callable[[str, str], None]) -> None:
    env("SOURCES__GPTBOTS__BOTS__SUPPORT__API_KEY", "key-6")
    env("SOURCES__GPTBOTS__BOTS__NORTH__WEST__API_KEY", "key-7")
    env("SOURCES__OKCHAT__CHATBOTS__SHOP__API_KEY", "key-8")
    env("SOURCES__OKCHAT__CHATBOTS__SHOP__CHATBOT_ID", "id-8")
    assert keys_of(load()) == {"support": "key-6", "north__west": "key-7", "shop": "key-8"}


def test_a_single_key_completes_json(env: Callable[[str, str], None]) -> None:
    env("SOURCES__OKCHAT__CHATBOTS", '{"shop": {"chatbot_id": "id-9"}}')
    env("SOURCES__OKCHAT__CHATBOTS__SHOP__API_KEY", "key-9")
    assert keys_of(load()) == {"shop": "key-9"}


def test_a_key_may_be_a_mounted_secret(
    tmp_path: Path, secrets: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "SOURCES__GPTBOTS__BOTS__SUPPORT__API_KEY"
    monkeypatch.setattr(settings_given, "_MOUNTED", tmp_path)
    (tmp_path / name.lower().replace("_", "-")).write_text("key-12\n")
    secrets(BOT)
    assert keys_of(load()) == {"support": "key-12"}


def test_a_bot_without_a_folder_is_enough(place: Path, env: Callable[[str, str], None]) -> None:
    (place / ".dlt").rmdir()
    env("SOURCES__GPTBOTS__BOTS__SUPPORT__API_KEY", "key-6")
    assert keys_of(load()) == {"support": "key-6"}


@pytest.mark.parametrize("name", ["x" * 100, "Café 2.0, North/West", "客服", "api_key", "*"])
def test_a_bot_has_any_name(name: str, secrets: Write) -> None:
    secrets(f"[sources.gptbots.bots.{json.dumps(name, ensure_ascii=False)}]\napi_key = 'k'\n")
    assert keys_of(load()) == {name: "k"}


def test_both_sources_may_use_the_same_name(secrets: Write) -> None:
    secrets(BOT + CHATBOT.replace("website", "support"))
    found = load()
    assert list(found.gptbots.bots) == list(found.okchat.chatbots) == ["support"]


def test_files_are_read_anew_each_time(secrets: Write) -> None:
    secrets(BOT)
    assert keys_of(load()) == {"support": "key-1"}
    secrets(BOT.replace("key-1", "key-10"))
    assert keys_of(load()) == {"support": "key-10"}


def test_dlt_s_own_folder_counts_and_the_project_wins(secrets: Write, place: Path) -> None:
    home = place.parent / "home" / ".dlt"
    (home / "secrets.toml").write_text(BOT.replace("support", "home") + BOT)
    (home / "config.toml").write_text('[sources.gptbots]\nlookback = "3h"\n[sources.github]\na=1\n')
    secrets(BOT.replace("key-1", "key-11"))
    found = load()
    assert keys_of(found) == {"home": "key-1", "support": "key-11"}
    assert found.gptbots.lookback == timedelta(hours=3)


def test_dlt_s_other_sections_are_left_alone(config: Write, secrets: Write) -> None:
    config("""
        dataset_name = "x"
        destination_name = "y"
        [runtime]
        log_level = "INFO"
        [load]
        workers = 3
        [destination.duckdb]
        credentials = "w.duckdb"
        create_indexes = true
        [destination.duckdb_2]
        credentials = "v.duckdb"
        [destination.postgres]
        create_indexes = true
        [normalize.data_writer]
        file_max_items = 10
    """)
    secrets(BOT + '[destination.postgres.credentials]\npassword = "p"\n')
    assert load().file.name == "w.duckdb"


@pytest.mark.parametrize("given_as", ["{}", "duckdb:///{}"])
def test_the_warehouse_may_lie_elsewhere(given_as: str, tmp_path: Path, config: Write) -> None:
    path = tmp_path / "elsewhere.v2.duckdb"
    config(f'[destination.duckdb]\ncredentials = "{given_as.format(path)}"\n')
    assert load(need_bots=False).warehouse == path


def test_the_warehouse_may_lie_at_home(place: Path, config: Write) -> None:
    config('[destination.duckdb]\ncredentials = "~/w.duckdb"\n')
    assert load(need_bots=False).warehouse == place.parent / "home" / "w.duckdb"


def _python(code: str) -> int:
    """Run code in a fresh interpreter, with the package that is tested here."""
    environment = {**os.environ, "PYTHONPATH": str(Path(pipelines.__file__).parents[1])}
    return subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode  # noqa: S603


def test_the_module_does_not_import_dlt() -> None:
    assert _python("import sys, pipelines.settings; sys.exit('dlt' in sys.modules)") == 0


def test_reading_imports_no_dlt() -> None:
    code = """
        import pipelines.settings, sys
        pipelines.settings.load(need_bots=False)
        sys.exit("dlt" in sys.modules)
    """
    assert _python(dedent(code)) == 0


TREES = st.recursive(
    st.integers() | st.booleans() | st.text("ab", max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
DOCUMENTS = st.dictionaries(st.sampled_from("abc"), TREES, max_size=3)


@pytest.mark.parametrize("variables", [{}, {"DLT_PROJECT_DIR": "p"}, {"DLT_CONFIG_FOLDER": "c"}])
@pytest.mark.parametrize("is_root", [True, False])
@pytest.mark.parametrize("home", ["home", "nowhere"])
@pytest.mark.parametrize("data", [None, "data"])
def test_the_folders_are_dlt_s(  # noqa: PLR0913 - each case by its name
    variables: dict[str, str],
    home: str,
    data: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_root: bool,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / home))
    monkeypatch.setattr(os, "geteuid", lambda: 0 if is_root else 1)
    for name, value in {**variables, **({"XDG_DATA_HOME": data} if data else {})}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(run_context, "DOT_DLT", os.environ.get("DLT_CONFIG_FOLDER", ".dlt"))
    context = run_context.RunContext(None)
    wanted = Path(context.settings_dir), Path(context.global_dir)
    assert settings_given.folders() == wanted


@given(ours=DOCUMENTS, shared=DOCUMENTS, secret=DOCUMENTS, place=st.text("abc", min_size=1))
def test_values_are_those_that_dlt_finds(
    ours: dict[str, Any], shared: dict[str, Any], secret: dict[str, Any], place: str
) -> None:
    with pytest.MonkeyPatch.context() as patched, TemporaryDirectory() as folder:
        patched.chdir(folder)
        patched.setattr(settings_given, "_ROOTS_OWN", Path(folder, "home/.dlt"))
        patched.setattr(run_context, "global_dir", lambda: f"{folder}/home/.dlt")
        patched.setenv("HOME", f"{folder}/home")
        files = {"home/.dlt/config": shared, ".dlt/config": ours, ".dlt/secrets": secret}
        for name, document in files.items():
            Path(f"{name}.toml").parent.mkdir(parents=True, exist_ok=True)
            Path(f"{name}.toml").write_text(tomlkit.dumps(document), encoding="utf-8")
        try:
            providers = run_context.RunContext(None).initial_providers()
        except ConfigurationException:
            return
        *sections, key = list(place)
        found = (provider.get_value(key, str, "", *sections)[0] for provider in providers)
        wanted = next((value for value in found if value is not None), None)
        assert settings_given.Given().value(".".join(place)) == wanted


# What is wrong


BAD_VALUES = [
    ("sources.gptbots.base_url", '"api.example.com"', "is no base URL; write it like"),
    ("sources.gptbots.base_url", '"ftp://api.example.com"', "is no base URL; write it like"),
    ("sources.gptbots.base_url", '"https://"', "is no base URL; write it like"),
    ("sources.gptbots.base_url", '"https://a b.example"', "is no base URL; write it like"),
    ("sources.gptbots.base_url", '"https://a.example:99999"', "is no base URL; write it like"),
    ("sources.gptbots.base_url", '"https://[::1"', "is no base URL; write it like"),
    ("sources.gptbots.base_url", '"https://a.example?b=c"', "is no base URL; write it like"),
    ("sources.gptbots.base_url", '""', "is no base URL; write it like"),
    ("sources.gptbots.base_url", "5", "is no base URL; write it like"),
    ("sources.okchat.base_url", '"https://u:p@a.example"', "holds a user name or password; take"),
    ("sources.gptbots.start_date", '"yesterday"', "is no date; write it like"),
    ("sources.gptbots.start_date", '"now"', "is no date; write it like"),
    ("sources.gptbots.start_date", '"2023-02-30"', "is no date; write it like"),
    ("sources.gptbots.start_date", '"01/02/2023"', "is no date; write it like"),
    ("sources.gptbots.start_date", '"2023-01-01T25:00"', "is no date; write it like"),
    ("sources.gptbots.start_date", "07:32:00", "is no date; write it like"),
    ("sources.gptbots.start_date", '"0001-01-01T00:00:00+08:00"', "is no date; write it like"),
    ("sources.gptbots.start_date", '"1969-12-31"', "lies before 1970 or in the future"),
    ("sources.gptbots.start_date", '"2999-01-01"', "lies before 1970 or in the future"),
    ("sources.gptbots.lookback", '"1 hour"', "is no duration; write it like"),
    ("sources.gptbots.lookback", '"-1h"', "is no duration; write it like"),
    ("sources.gptbots.lookback", '"1.5h"', "is no duration; write it like"),
    ("sources.gptbots.lookback", '""', "is no duration; write it like"),
    ("sources.gptbots.lookback", "90", "is no duration; write it like"),
    ("sources.gptbots.lookback", '"999999999d"', "is longer than a hundred years; shorten it"),
    ("sources.okchat.sweep_every", '"never"', "is no duration; write it like"),
    ("sources.gptbots.max_deleted_share", "1.5", "is no share from 0 to 1; write it like 0.25"),
    ("sources.okchat.max_deleted_share", '"25 %"', "is no share from 0 to 1; write it like"),
    ("sources.okchat.max_deleted_share", "-0.1", "is no share from 0 to 1; write it like"),
    ("sources.okchat.page_size", "0", "is no whole number from 1 to 10000; write it like 100"),
    ("sources.okchat.page_size", "10001", "is no whole number from 1 to 10000; write it like 100"),
    ("sources.okchat.page_size", "1.5", "is no whole number from 1 to 10000; write it like 100"),
    ("sources.okchat.page_size", "true", "is no whole number from 1 to 10000; write it like 100"),
    ("sources.okchat.page_param", '""', "is no name of a parameter; write it like"),
    ("sources.okchat.limit_param", '"a b"', "is no name of a parameter; write it like"),
    ("sources.gptbots.requests_per_minute", '"many"', "is no whole number from 1 to 100000"),
    ("sources.okchat.requests_per_minute", "-1", "is no whole number from 1 to 100000"),
    ("destination.duckdb.credentials", '""', "is no path of a file; write it like"),
    ("destination.duckdb.credentials", '":memory:"', "is no path of a file; write it like"),
    ("destination.duckdb.credentials", '"md:warehouse"', "is no path of a file; write it like"),
    ("destination.duckdb.credentials", '"postgres://h/d"', "is no path of a file; write it like"),
    ("destination.duckdb.credentials", '{ database = "x" }', "is no path of a file; write it like"),
    ("destination.duckdb.credentials", '"."', "is a folder, not a file; add a file name"),
    ("destination.duckdb.credentials", '"a/b.duckdb"', "lies in a folder that does not exist"),
    ("destination.duckdb.credentials", '"~nobody-here/b"', "can't be reached; correct the path"),
    ("destination.duckdb.credentials", '"chat.duckdb"', "would hide the schema 'chat'"),
    ("destination.duckdb.credentials", '"Marts.v2.duckdb"', "would hide the schema 'marts'"),
    (
        "destination.duckdb.credentials",
        '"chat_staging.duckdb"',
        "would hide the schema 'chat_staging'",
    ),
    ("destination.duckdb.credentials", '"staging"', "would hide the schema 'staging'"),
    ("destination.duckdb.credentials", '"intermediate.db"', "would hide the schema 'intermediate'"),
    ("publish.path", '"."', "is a folder, not a file; add a file name"),
    ("publish.path", '"marts.duckdb"', "would hide the schema 'marts'"),
    ("models.spark", '"http://host:1"', "is no address of Spark Connect; write it like"),
    ("models.time_zone", '"Mars"', "is no time zone; write it like"),
    ("models.time_zone", '"/etc/passwd"', "is no time zone; write it like"),
    ("publish.parquet", '"maybe"', "is neither true nor false; write one of them"),
    ("publish.parquet", "1", "is neither true nor false; write one of them"),
    ("privacy.texts", '"hide"', "is none of keep, drop, hash, mask; write one of them"),
    ("privacy.user_ids", "true", "is none of keep, drop, hash, mask; write one of them"),
    ("sources.gptbots.messages_per_run", "0", "is no whole number from 1 to 100000; write it like"),
    ("publish.path", '"./warehouse.duckdb"', "is the warehouse itself; publish to another file"),
]


@pytest.mark.parametrize(("key", "text", "what"), BAD_VALUES)
def test_a_bad_value_is_named_with_its_places_and_mend(
    key: str, text: str, what: str, config: Write
) -> None:
    section, name = key.rsplit(".", 1)
    config(f"[{section}]\n{name} = {text}\n")
    told = fault()
    assert told.startswith(f"{key} {what}")
    assert told.endswith(f"(.dlt/config.toml or {key.upper().replace('.', '__')})")


@pytest.mark.parametrize(
    "name",
    ["sources.gptbots.base_url", "sources.okchat.page_size", "destination.duckdb.credentials"],
)
def test_a_bad_value_of_the_environment_is_a_fault(
    name: str, env: Callable[[str, str], None]
) -> None:
    env(name.upper().replace(".", "__"), "")
    assert fault().startswith(f"{name} is no ")


SALT = "0123456789abcdef"


def test_a_hash_needs_a_salt_that_stands_where_secrets_do(
    config: Write, secrets: Write, env: Callable[[str, str], None]
) -> None:
    config('[privacy]\ntexts = "hash"\n')
    where = "(.dlt/secrets.toml or PRIVACY__SALT)"
    assert fault().startswith('privacy.salt is missing, and "hash" needs it')
    assert fault().endswith(where)
    secrets(f'[privacy]\nsalt = "{SALT[1:]}"\n')
    assert fault() == f"privacy.salt is too short; take 16 characters or more {where}"
    secrets(f'[privacy]\nsalt = "{SALT}"\n')
    assert salt() == SALT
    env("PRIVACY__SALT", SALT[::-1])
    assert salt() == SALT[::-1]


def salt() -> str | None:
    given = load(need_bots=False).privacy.salt
    return given.get_secret_value() if given else None


def test_a_salt_among_what_is_no_secret_is_a_fault(config: Write) -> None:
    config(f'[privacy]\nsalt = "{SALT}"\n')
    told = fault()
    assert told.startswith("privacy.salt stands in .dlt/config.toml; move it to .dlt/secrets.toml")
    assert SALT not in told


BAD_NAMES = [
    ("config", '[privacy]\ntext = "mask"', "privacy.text in .dlt/config.toml", "mean texts?"),
    ("config", '[privcy]\ntexts = "mask"', "privcy in .dlt/config.toml", "mean privacy?"),
    ("config", "[sources.gptbots]\nlookbak = 1", "lookbak in .dlt/config.toml", "lookback?"),
    ("config", "[sources.gptbots]\nzzz = 1", "zzz in .dlt/config.toml", "known are base_url, "),
    ("config", "[sources.okchat]\nlookback = 1", "lookback in .dlt/config.toml", "known are "),
    ("secrets", '[sources.gptbots]\napi_key="k"', "api_key in .dlt/secrets.toml", "known are "),
    ("config", "[sources.gptbot]\nx = 1", "sources.gptbot in .dlt/config.toml", "gptbots?"),
    ("config", "[sources.github]\nx = 1", "sources.github in .dlt/", "known are gptbots, okchat"),
    ("config", "[publish]\npaht = 1", "publish.paht in .dlt/config.toml", "mean path?"),
    ("config", "[source.gptbots]\nx = 1", "source in .dlt/config.toml", "mean sources?"),
    ("config", "[Destination.duckdb]\nx = 1", "Destination in .dlt/", "mean destination?"),
    ("config", "[destination.duckdb]\ncredential = 1", "duckdb.credential in", "mean credentials?"),
]


@pytest.mark.parametrize(("file", "text", "what", "mend"), BAD_NAMES)
def test_a_name_that_nothing_reads_is_a_fault(
    file: str, text: str, what: str, mend: str, place: Path
) -> None:
    (place / ".dlt" / f"{file}.toml").write_text(text)
    told = fault()
    assert what in told
    assert " is unknown; " in told
    assert mend in told


@pytest.mark.parametrize("text", ["sources = 1", "sources.gptbots = 1", 'publish = "x"'])
def test_a_section_has_to_be_a_table(text: str, config: Write) -> None:
    config(text)
    section, _, _ = text.partition(" ")
    assert fault() == f"{section} in .dlt/config.toml is no table; write [{section}] instead"


def test_in_dlt_s_own_folder_only_what_resembles_ours_is_a_fault(place: Path) -> None:
    shared = place.parent / "home" / ".dlt" / "config.toml"
    shared.write_text("[sources.okchatt]\nx = 1\n[sources.github]\ny = 1\n[sources.gptbots]\nz=1\n")
    first, second = faults()
    assert first == f"sources.okchatt in {shared} is unknown; did you mean okchat?"
    assert second.startswith(f"sources.gptbots.z in {shared} is unknown; known are ")


@pytest.mark.parametrize(
    ("name", "mend"),
    [
        ("SOURCES__GPTBOTS__BASEURL", "did you mean SOURCES__GPTBOTS__BASE_URL?"),
        ("SOURCES__GPTBOTS__ZZZZZ", "known are SOURCES__GPTBOTS__BASE_URL, "),
        ("SOURCES__GPTBOTS__BASE_URL__X", "did you mean SOURCES__GPTBOTS__BASE_URL?"),
        ("SOURCES__GPTBOTS", "did you mean SOURCES__GPTBOTS__BOTS?"),
        ("SOURCES__OKCHAT__LOOKBACK", "known are SOURCES__OKCHAT__BASE_URL, "),
        ("SOURCES__GPTBOT__LOOKBACK", "did you mean SOURCES__GPTBOTS__LOOKBACK?"),
        ("SOURCE__GPTBOTS__LOOKBACK", "did you mean SOURCES__GPTBOTS__LOOKBACK?"),
        (
            "SOURCES__GPTBOT__BOTS__SUPPORT__APIKEY",
            "did you mean SOURCES__GPTBOTS__BOTS__SUPPORT__API_KEY?",
        ),
        (
            "SOURCES__OKCHAT__BOTS__SHOP__API_KEY",
            "did you mean SOURCES__OKCHAT__CHATBOTS__SHOP__API_KEY?",
        ),
        ("SOURCES__GPTBOTS__BOTS__API_KEY", "did you mean SOURCES__GPTBOTS__BOTS?"),
        ("DESTINATION__DUCKDB__CREDENTIAL", "did you mean DESTINATION__DUCKDB__CREDENTIALS?"),
        ("PUBLISH__PATHS", "did you mean PUBLISH__PATH?"),
        ("PRIVACY__TEXT", "did you mean PRIVACY__TEXTS?"),
    ],
)
def test_a_variable_that_nothing_reads_is_a_fault(
    name: str, mend: str, env: Callable[[str, str], None]
) -> None:
    env(name, "x")
    told = fault()
    assert told.startswith(f"{name} in the environment is unknown; ")
    assert mend in told


def test_variables_of_others_are_left_alone(env: Callable[[str, str], None]) -> None:
    for name in ("SOURCES__GITHUB__TOKEN", "DESTINATION__POSTGRES__CREDENTIALS", "LOAD__WORKERS"):
        env(name, "x")
    env("DESTINATION__DUCKDB__CREATE_INDEXES", "true")
    assert load(need_bots=False).file.name == "warehouse.duckdb"


SUPPORT = "(.dlt/secrets.toml or SOURCES__GPTBOTS__BOTS__SUPPORT__API_KEY)"


@pytest.mark.parametrize(
    "key", ["a b", " ab", "ab\\n", "a\\u0007b", "käse", "\\u200bab", "a\\u0000"]
)
def test_a_key_that_fits_into_no_header_is_a_fault(key: str, secrets: Write) -> None:
    secrets(f'[sources.gptbots.bots.support]\napi_key = "{key}"\n')
    what = "holds blanks or characters that no API key has; copy it anew"
    assert fault() == f"sources.gptbots.bots.support.api_key {what} {SUPPORT}"


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (
            "[sources.gptbots.bots.support]",
            f"sources.gptbots.bots.support.api_key is missing; add it {SUPPORT}",
        ),
        (
            '[sources.gptbots.bots.support]\napi_key = " "',
            f"sources.gptbots.bots.support.api_key is empty; put the API key here {SUPPORT}",
        ),
        (
            "[sources.gptbots.bots.support]\napi_key = 17",
            f"sources.gptbots.bots.support.api_key is no text; put it in quotes {SUPPORT}",
        ),
        (
            BOT + 'apikey = "k"',
            (
                "sources.gptbots.bots.support.apikey is unknown; did you mean api_key? "
                "(.dlt/secrets.toml or SOURCES__GPTBOTS__BOTS__SUPPORT__APIKEY)"
            ),
        ),
        (
            BOT + 'chatbot_id = "k"',
            (
                "sources.gptbots.bots.support.chatbot_id is unknown; known are api_key "
                "(.dlt/secrets.toml or SOURCES__GPTBOTS__BOTS__SUPPORT__CHATBOT_ID)"
            ),
        ),
        (
            '[sources.gptbots.bots]\nsupport = "k"',
            (
                'sources.gptbots.bots.support is no table; make it one, with api_key = "…" in it '
                "(.dlt/secrets.toml or SOURCES__GPTBOTS__BOTS__SUPPORT)"
            ),
        ),
        (
            "[sources.gptbots]\nbots = 5",
            (
                "sources.gptbots.bots is no table of bots; write [sources.gptbots.bots.support] in "
                """.dlt/secrets.toml, or JSON like '{"support": {"api_key": "…"}}' in """
                "SOURCES__GPTBOTS__BOTS"
            ),
        ),
        (
            CHATBOT.replace("chatbot_id", "#"),
            (
                "sources.okchat.chatbots.website.chatbot_id is missing; add it "
                "(.dlt/secrets.toml or SOURCES__OKCHAT__CHATBOTS__WEBSITE__CHATBOT_ID)"
            ),
        ),
        (
            CHATBOT.replace("5afe16ed", ""),
            (
                "sources.okchat.chatbots.website.chatbot_id is empty; put the id of the chatbot "
                "here (.dlt/secrets.toml or SOURCES__OKCHAT__CHATBOTS__WEBSITE__CHATBOT_ID)"
            ),
        ),
        (
            CHATBOT.replace("5afe16ed", ".."),
            (
                "sources.okchat.chatbots.website.chatbot_id holds blanks or characters that "
                "no id has; copy it anew (.dlt/secrets.toml or "
                "SOURCES__OKCHAT__CHATBOTS__WEBSITE__CHATBOT_ID)"
            ),
        ),
        (
            '[sources.gptbots.bots.""]\napi_key = "k"',
            (
                'sources.gptbots.bots."" is no name for a bot; take 1 to 100 printable characters '
                "(.dlt/secrets.toml or SOURCES__GPTBOTS__BOTS__)"
            ),
        ),
        (
            f'[sources.gptbots.bots.{"x" * 101}]\napi_key = "k"',
            (
                f'sources.gptbots.bots."{"x" * 40}" is no name for a bot; take 1 to 100 printable '
                f"characters (.dlt/secrets.toml or SOURCES__GPTBOTS__BOTS__{'X' * 101})"
            ),
        ),
        (
            '[sources.gptbots.bots."a\\u0000b"]\napi_key = "k"',
            (
                'sources.gptbots.bots."a\\u0000b" is no name for a bot; take 1 to 100 printable '
                "characters (.dlt/secrets.toml)"
            ),
        ),
    ],
)
def test_a_bot_that_is_not_whole_is_a_fault(table: str, told: str, secrets: Write) -> None:
    secrets(table)
    assert fault() == told


@pytest.mark.parametrize(
    ("table", "same"),
    [
        ("gptbots.bots.{}", 'api_key = "same-4711"'),
        ("okchat.chatbots.{}", 'chatbot_id = "same-4711"\napi_key = "{}-key-12"'),
    ],
)
def test_two_names_for_one_bot_are_a_fault(table: str, same: str, secrets: Write) -> None:
    names = ("first", "second", "other")
    tables = [f"[sources.{table.format(name)}]\n{same.format(name)}\n" for name in names]
    tables[2] = tables[2].replace("same-4711", "another-4712")
    secrets("\n".join(tables))
    told = fault()
    assert "first" in told
    assert "second" in told
    assert "key-12" not in told
    if "gptbots" in table:
        assert "same-4711" not in told


def test_two_chatbots_may_have_one_key(secrets: Write) -> None:
    another = CHATBOT.replace("website", "shop").replace("5afe16ed", "a-second-id")
    secrets(CHATBOT + another)
    assert keys_of(load()) == {"website": "key-2", "shop": "key-2"}


def test_bots_do_not_belong_in_the_configuration(config: Write, secrets: Write) -> None:
    secrets(CHATBOT)
    config(BOT)
    moved = "sources.gptbots.bots stands in .dlt/config.toml; move it to .dlt/secrets.toml"
    assert fault().startswith(moved)


@pytest.mark.parametrize("text", ["support: key", "[]", '"key"', "{", "5", "", "[" * 100_000])
def test_bots_that_are_no_json_object_are_a_fault(
    text: str, env: Callable[[str, str], None]
) -> None:
    env("SOURCES__GPTBOTS__BOTS", text)
    assert fault().startswith("sources.gptbots.bots is no table of bots; write ")
    assert fault().endswith("in SOURCES__GPTBOTS__BOTS")


def test_no_bot_at_all_is_a_fault_where_bots_are_needed(config: Write) -> None:
    config("")
    (told,) = faults(need_bots=True)
    assert told == (
        "no bot is configured; add one to .dlt/secrets.toml, for example "
        'api_key = "…" under [sources.gptbots.bots.support]'
    )


def test_no_folder_is_told(place: Path) -> None:
    (place / ".dlt").rmdir()
    (told,) = faults(need_bots=True)
    assert told.startswith("no bot is configured and this directory has no .dlt folder; add one")


def test_broken_toml_is_told_with_its_line(config: Write, secrets: Write) -> None:
    config("[sources.gptbots]\nlookback = \n")
    secrets('[sources.gptbots.bots.support]\n\napi_key = "key\n')
    first, second = faults()
    assert first.startswith(".dlt/config.toml is no valid TOML: ")
    assert "line 2" in first
    assert second.startswith(".dlt/secrets.toml is no valid TOML: ")
    assert "line 3" in second


@pytest.mark.parametrize("text", ["a = " + "9" * 5000, "a = " + "[" * 100_000])
def test_toml_that_breaks_the_parser_is_a_fault_too(text: str, config: Write) -> None:
    config(text)
    assert fault().startswith(".dlt/config.toml is no valid TOML: ")


def test_what_is_no_utf_8_is_told(place: Path) -> None:
    (place / ".dlt" / "config.toml").write_bytes(b"a = '\xff'")
    assert fault() == ".dlt/config.toml is not UTF-8; save it as UTF-8"


def test_a_broken_file_of_dlt_s_own_folder_is_told(place: Path) -> None:
    shared = place.parent / "home" / ".dlt" / "secrets.toml"
    shared.write_text("a = \n")
    assert fault().startswith(f"{shared} is no valid TOML: ")


def test_files_that_only_dlt_can_t_read_are_told(config: Write, place: Path) -> None:
    config("[a]\nx = 1\n[c]\n[a.b]\ny = 1\n")
    (place.parent / "home" / ".dlt" / "config.toml").write_text("a = { b = 1 }\n")
    assert fault().startswith("dlt can't join .dlt/config.toml or .dlt/secrets.toml with the file")


def test_an_unreadable_file_is_told(place: Path) -> None:
    (place / ".dlt" / "secrets.toml").mkdir()
    assert fault() == (
        ".dlt/secrets.toml can't be read (Is a directory); make it a file that you may read"
    )


def test_all_faults_are_told_at_once(
    config: Write, secrets: Write, env: Callable[[str, str], None]
) -> None:
    config("""
        [sources.gptbots]
        lookback = "soon"
        start_date = "soon"
        [sources.okchat]
        page_size = 0
        page_sice = 1
        [destination.duckdb]
        credentials = "chat.duckdb"
        [publish]
        path = "."
    """)
    secrets('[sources.okchat.chatbots.a]\napi_key = ""\n[sources.okchat.chatbots.b]\n')
    env("SOURCES__GPTBOTS__BOTS", "{")
    env("SOURCES__GPTBOTS__BASEURL", "x")
    begin = {told.partition(" ")[0] for told in faults()}
    assert begin == {
        "sources.okchat.page_sice",
        "SOURCES__GPTBOTS__BASEURL",
        "sources.gptbots.bots",
        "sources.gptbots.start_date",
        "sources.gptbots.lookback",
        "sources.okchat.page_size",
        "sources.okchat.chatbots.a.chatbot_id",
        "sources.okchat.chatbots.a.api_key",
        "sources.okchat.chatbots.b.chatbot_id",
        "sources.okchat.chatbots.b.api_key",
        "destination.duckdb.credentials",
        "publish.path",
    }


def test_unknown_names_are_told_beside_a_broken_file(config: Write, secrets: Write) -> None:
    config("a = ")
    secrets("[sources.gptbots]\nlookbak = 1")
    broken, unknown = faults()
    assert "is no valid TOML" in broken
    assert "lookbak" in unknown


MISPLACED: Mapping[str, tuple[str, str]] = {
    "blank in it": ("secrets", '[sources.gptbots.bots.support]\napi_key = "{} "'),
    "other letters": ("secrets", '[sources.gptbots.bots.support]\napi_key = "{}é"'),
    "no quotes": ("secrets", "[sources.gptbots.bots.support]\napi_key = {}!"),
    "open quotes": ("secrets", '[sources.gptbots.bots.support]\napi_key = "{}'),
    "short form": ("secrets", '[sources.gptbots.bots]\nsupport = "{}"'),
    "no table": ("secrets", '[sources.gptbots]\nbots = "{}"'),
    "json in toml": ("secrets", """[sources.gptbots]\nbots = '{{"support": "{}"}}'"""),
    "list": ("secrets", '[sources.gptbots.bots.support]\napi_key = ["{}"]'),
    "as id": ("secrets", '[sources.okchat.chatbots.a]\nchatbot_id = "{} "'),
    "one too many": ("secrets", BOT + 'token = "{}"'),
    "beside the bots": ("config", '[sources.gptbots]\napi_key = "{}"'),
    "in the wrong file": ("config", '[sources.gptbots.bots.support]\napi_key = "{}"'),
    "in the address": ("config", '[sources.gptbots]\nbase_url = "https://{}@a.example"'),
    "in the query": ("config", '[sources.gptbots]\nbase_url = "https://a.example?key={}"'),
    "as a date": ("config", '[sources.gptbots]\nstart_date = "{}"'),
    "as a duration": ("config", '[sources.gptbots]\nlookback = "{}"'),
    "as a number": ("config", '[sources.okchat]\npage_size = "{}"'),
    "as a parameter": ("config", '[sources.okchat]\npage_param = "{} "'),
    "as a warehouse": ("config", '[destination.duckdb]\ncredentials = "md:?token={}"'),
    "as a folder": ("config", '[destination.duckdb]\ncredentials = "{}/w.duckdb"'),
}


KEY = st.from_regex(r"[A-Za-z][A-Za-z0-9_+=-]{15,40}", fullmatch=True)
few = settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize("how", MISPLACED)
@few
@given(key=KEY)
def test_no_fault_holds_a_secret(how: str, place: Path, key: str) -> None:
    file, text = MISPLACED[how]
    path = place / ".dlt" / f"{file}.toml"
    path.write_text(text.format(key), encoding="utf-8")
    told = faults()
    path.unlink()
    assert not [one for one in told if key.lower() in one.lower()]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("SOURCES__GPTBOTS__BOTS", "{}"),
        ("SOURCES__GPTBOTS__BOTS", '{{"support": "{}"}}'),
        ("SOURCES__GPTBOTS__BOTS", '{{"support": {{"api_key": "{}"'),
        ("SOURCES__GPTBOTS__BOTS__SUPPORT__API_KEY", "{} "),
        ("SOURCES__GPTBOTS__BOTS__SUPPORT__KEY", "{}"),
        ("SOURCES__GPTBOTS__API_KEY", "{}"),
        ("SOURCES__GPTBOTS__BASE_URL", "https://{}:x@a.example"),
        ("SOURCES__OKCHAT__PAGE_SIZE", "{}"),
    ],
)
@few
@given(key=KEY)
def test_no_fault_holds_a_secret_of_the_environment(name: str, text: str, key: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(name, text.format(key))
        told = faults()
    assert not [one for one in told if key.lower() in one.lower()]


def test_settings_print_no_key(secrets: Write) -> None:
    secrets(BOT)
    assert "key-1" not in f"{load()!r} {load()}"


def test_whom_to_tell_of_failures(config: Write, secrets: Write) -> None:
    config("[schedule]\nnotify_command = \"tell 'the team'\"\n")
    secrets(f'{BOT}[schedule]\nnotify_webhook = "https://hooks.example.com/T0/4711?key=a"\n')
    found = load()
    assert found.notify_command == "tell 'the team'"
    assert found.notify_webhook
    assert found.notify_webhook.get_secret_value() == "https://hooks.example.com/T0/4711?key=a"
    assert "4711" not in repr(found)


def test_nobody_is_told_of_failures_unless_configured(secrets: Write) -> None:
    secrets(BOT)
    assert (load().notify_command, load().notify_webhook) == (None, None)


def test_a_webhook_may_stand_in_the_environment(
    secrets: Write, env: Callable[[str, str], None]
) -> None:
    secrets(BOT)
    env("SCHEDULE__NOTIFY_WEBHOOK", "http://localhost:8080/hook")
    assert load().notify_webhook == SecretStr("http://localhost:8080/hook")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('notify_command = "tell \'4711"', "schedule.notify_command has a quote that does not end"),
        ('notify_command = " "', "schedule.notify_command is no command"),
        ("notify_command = 4711", "schedule.notify_command is no command"),
        (
            'notify_webhook = "4711.example.com/x"',
            "(.dlt/secrets.toml or SCHEDULE__NOTIFY_WEBHOOK)",
        ),
        ('notify_webhook = "ftp://example.com/4711"', "schedule.notify_webhook is no web address"),
        ('notify_webhook = "https://me:4711@example.com"', "is no web address"),
        ('notify_webhook = "https://example.com/47 11"', "is no web address"),
        ("notify_webhooks = 4711", "is unknown; did you mean notify_webhook?"),
    ],
)
def test_a_wrong_way_of_telling_is_a_fault_and_not_shown(
    secrets: Write, line: str, said: str
) -> None:
    secrets(f"{BOT}[schedule]\n{line}\n")
    with pytest.raises(ConfigurationError) as wrong:
        load()
    assert said in str(wrong.value)
    assert "4711" not in str(wrong.value)


def test_a_webhook_is_a_secret(config: Write, secrets: Write) -> None:
    secrets(BOT)
    config('[schedule]\nnotify_webhook = "https://hooks.example.com/4711"\n')
    with pytest.raises(ConfigurationError, match=r"move it to .*secrets\.toml, it is a secret"):
        load()
