"""A directory that a user runs syncs in: its configuration, its warehouse."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import truth
from dlt.common.configuration.container import Container
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext

from pipelines import settings
from pipelines.sync import sync

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from pipelines.outcome import BotOutcome, Outcome
    from pipelines.settings import Place, Settings
    from pipelines.simulator import Simulator, World

Row = dict[str, Any]
MANY = 5_000
"""Requests a minute that no test reaches."""


class Project:
    """The working directory, with `.dlt/` in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.warehouse = folder / "warehouse.duckdb"
        self.published = folder / "published" / "convoy.duckdb"
        self.dying = Path(__file__).parent / "dying.py"

    @property
    def at(self) -> Place:
        """Where the warehouse is."""
        return self.warehouse

    def back_up(self) -> bool:
        """Copy the warehouse; tell if there was one."""
        return self._copy(self.warehouse, self.folder / "backup")

    def go_back(self) -> bool:
        """Put the copy in its place; tell if there was one."""
        return self._copy(self.folder / "backup", self.warehouse)

    def _copy(self, of: Path, to: Path) -> bool:
        if of.exists():
            shutil.copy(of, to)
        return of.exists()

    def await_alone(self) -> None:
        """Wait until nothing is left of a process that was killed: it held the file alone."""

    def configure(
        self,
        upstream: Simulator,
        *,
        bots: Iterable[str] | None = None,
        keys: Mapping[str, str] | None = None,
        gptbots: Mapping[str, object] | None = None,
        okchat: Mapping[str, object] | None = None,
    ) -> None:
        """Write the TOML files: all bots of the world, or those named.

        `keys` replaces keys; `gptbots` and `okchat` are further settings of the sources.
        """
        world, given = upstream.world, keys or {}
        names = set(world.accounts if bots is None else bots)
        usual = {"base_url": upstream.url, "requests_per_minute": MANY}
        config = [
            *_section("sources.gptbots", {"start_date": "2020-01-01", **usual, **(gptbots or {})}),
            *_section("sources.okchat", {**usual, **(okchat or {})}),
        ]
        secrets = []
        for name, account in world.accounts.items():
            if name in names:
                is_bot = account.api == "gptbots"
                table = "gptbots.bots" if is_bot else "okchat.chatbots"
                fields = {"api_key": given.get(name, account.key)}
                fields |= {} if is_bot else {"chatbot_id": account.id}
                secrets += _section(f"sources.{table}.{json.dumps(name)}", fields)
        (self.folder / ".dlt" / "config.toml").write_text("\n".join(config), encoding="utf-8")
        (self.folder / ".dlt" / "secrets.toml").write_text("\n".join(secrets), encoding="utf-8")

    def settings(self, *, need_bots: bool = True) -> Settings:
        """Read the files as they are now, as a new process would."""
        Container()[PluggableRunContext].reload_providers()
        return settings.load(need_bots=need_bots)

    def sync(
        self, *, sources: Iterable[str] = (), patience: float = 20.0, yes: bool = False
    ) -> Outcome:
        """Sync as a new process would."""
        return sync(
            self.settings(), sources=list(sources), models=False, patience=patience, yes=yes
        )

    def rows(self, query: str, *parameters: object) -> list[Row]:
        """Ask the warehouse; instants come in UTC."""
        with duckdb.connect(str(self.warehouse), read_only=True) as connection:
            connection.execute("set TimeZone = 'UTC'")
            found = connection.execute(query, list(parameters))
            names = [column[0] for column in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def count(self, table: str) -> int:
        """Rows of a table of `chat`."""
        return int(self.rows(f"select count(*) as n from chat.{table}")[0]["n"])

    def marked(self) -> set[str]:
        """Conversations that are marked as gone upstream."""
        rows = self.rows("from chat.conversations where deleted_at is not null")
        return {row["conversation_id"] for row in rows}

    def counts(self) -> dict[str, int]:
        """Rows of the tables that a sync with nothing new leaves alone."""
        names = ("conversations", "last_messages", "conversation_changes", "rejected_rows")
        return {name: self.count(name) for name in names}


def bot(outcome: Outcome, name: str) -> BotOutcome:
    """Return what a sync did for the bot of that name."""
    return next(of for key, of in outcome.bots.items() if key.bot == name)


def ids(world: World, name: str) -> list[str]:
    """Return the ids of a bot's conversations, newest first."""
    api = world.accounts[name].api
    return [
        str(row["conversation_id" if api == "gptbots" else "id"]) for row in world.truth(api, name)
    ]


def assert_equal_to_truth(
    project: Project, world: World, *names: str, gone: Collection[str] = ()
) -> None:
    """Compare the warehouse with the world (or only its named bots), field by field.

    `gone` are conversations that the world has no more, and the warehouse keeps.
    """
    conversations, messages = {}, {}
    for account in world.accounts.values():
        if names and account.name not in names:
            continue
        for row in world.truth(account.api, account.name):
            wanted = truth.conversation(account.api, row) | {"bot": account.name}
            conversations[account.api, wanted["conversation_id"]] = wanted
            message = truth.last_message(row) if account.api == "okchat" else None
            if message:
                messages["okchat", message["conversation_id"]] = message
    found = _keyed(project.rows("from chat.conversations"), gone)
    assert all(row.pop("observed_at") is not None for row in found.values())
    _assert_same(found, conversations)
    _assert_same(_keyed(project.rows("from chat.last_messages"), gone), messages)


def _keyed(rows: list[Row], but: Collection[str]) -> dict[tuple[str, str], Row]:
    found = {}
    for row in rows:
        if row["conversation_id"] in but:
            continue
        kept = {key: value for key, value in row.items() if not key.startswith("_dlt")}
        for name in ("metadata", "extra"):
            if name in kept:
                kept[name] = truth.parsed(kept[name])
        key = row["source"], row["conversation_id"]
        assert key not in found, f"{key} is there twice"
        found[key] = kept
    return found


def _assert_same(found: Mapping[Any, Row], wanted: Mapping[Any, Row]) -> None:
    assert not wanted.keys() - found.keys(), "rows are missing"
    assert not found.keys() - wanted.keys(), "rows are there that should not be"
    for key, row in wanted.items():
        assert found[key] == row


def _section(name: str, values: Mapping[str, object]) -> list[str]:
    # A JSON string or number is a TOML one too.
    return [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
