"""Convoy in Dagster: an asset a bot, the tables, the models, the published file; checks of each.

Dagster runs it in the directory that holds `.dlt/`; `docs/dagster.md` explains it.
"""

import json
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from importlib.metadata import version

import dagster as dg
from dagster_dbt import DbtCliResource, DbtProject, dbt_assets

from pipelines import backfill, jobs, publish, settings, tables, verify, warehouse
from pipelines import models as dbt_models
from pipelines import sync as convoy
from pipelines.cli_models import held
from pipelines.errors import ConvoyError
from pipelines.jobs import BotName
from pipelines.outcome import BotOutcome, Outcome


def label(bot: str) -> str:
    """Return what Dagster can call a bot: a user may name it anything."""
    plain = re.sub("[^A-Za-z0-9_]", "_", bot)
    return plain if plain == bot else f"{plain}_{zlib.crc32(bot.encode()):08x}"


SETTINGS = settings.load()
BOTS = jobs.names(SETTINGS)
KEYS = {name: dg.AssetKey([name.source, label(name.bot)]) for name in BOTS}
STEPS = {name: key.to_python_identifier() for name, key in KEYS.items()}
TABLES = {table.name: dg.AssetKey([tables.DATASET, table.name]) for table in tables.ALL}
KINDS = {"dlt", "duckdb"}

# dbt finds the warehouse by this variable; what it writes goes beside the warehouse.
os.environ["CONVOY_WAREHOUSE"] = str(SETTINGS.warehouse.resolve())
PROJECT = DbtProject(
    dbt_models.project_dir(),
    target_path=(SETTINGS.work / "dagster" / version("convoy-etl")).resolve(),
)
PROJECT.prepare_if_dev()
if not PROJECT.manifest_path.exists():
    PROJECT.preparer.prepare(PROJECT)


@contextmanager
def told() -> Iterator[None]:
    """Tell what Convoy says in its own words, and leave retries to it: it has had them."""
    try:
        yield
    except ConvoyError as error:
        raise dg.Failure(str(error), allow_retries=False) from None


@dataclass
class Synced:
    """What a sync did, and in which run."""

    run_id: str
    outcome: Outcome


# ---- loaded: one sync for all chosen bots, then a step a bot that passes or fails alone


@dg.op(out=dg.Out(Synced))
def read_bots(context: dg.OpExecutionContext) -> Synced:
    """Sync the chosen bots, all where only tables are chosen; one that fails stops no other."""
    chosen = [name for name in BOTS if KEYS[name] in context.selected_asset_keys]
    with told():
        return Synced(context.run_id, convoy.sync(settings.load(), bots=chosen, models=False))


def bot_step(name: BotName) -> dg.OpDefinition:
    """Return the step that passes where a bot is complete."""

    @dg.op(name=STEPS[name], out=dg.Out(dg.Nothing))
    def loaded(context: dg.OpExecutionContext, synced: Synced) -> Iterator[dg.Output[None]]:
        if synced.run_id != context.run_id:  # "re-execute from failure" brings the former outcome
            with told():
                synced.outcome = convoy.sync(settings.load(), bots=[name], models=False)
        bot = synced.outcome.bots[name]
        if not bot.complete:
            raise dg.Failure(why(bot), metadata=measures(bot), allow_retries=False)
        yield dg.Output(None, metadata=measures(bot))

    return loaded


def why(bot: BotOutcome) -> str:
    """Return why a bot is not complete."""
    return bot.error or "; ".join(bot.failures) or "it could not be certified"


def measures(bot: BotOutcome) -> dict[str, object]:
    """Return what a sync did for a bot, as Dagster shows it."""
    names = ("rows_read", "rows_loaded", "deleted", "rejected", "requests", "windows", "certified")
    return {name: getattr(bot, name) for name in names} | {"cursor": str(bot.cursor)}


@dg.op(ins={"synced": dg.In(dg.Nothing)}, out={name: dg.Out(dg.Nothing) for name in TABLES})
def count_tables() -> Iterator[dg.Output[None]]:
    """Count the tables' rows; a bot that failed holds back none of what the others brought."""
    with told(), warehouse.connect(settings.load().warehouse, read_only=True) as connection:
        for name in TABLES:
            found = connection.table(f"{tables.DATASET}.{name}").count("*").fetchone()
            yield dg.Output(None, name, metadata={"dagster/row_count": found[0] if found else 0})


@dg.graph(out={name: dg.GraphOut() for name in (*STEPS.values(), *TABLES)})
def read() -> dict[str, object]:
    """Load what is new."""
    synced = read_bots()
    counted = count_tables(synced=synced)
    steps = {STEPS[name]: bot_step(name)(synced) for name in BOTS}
    return steps | {name: getattr(counted, name) for name in TABLES}


load = dg.AssetsDefinition.from_graph(
    read,
    keys_by_output_name={STEPS[name]: key for name, key in KEYS.items()} | TABLES,
    internal_asset_deps={name: set(KEYS.values()) for name in TABLES}
    | {step: set() for step in STEPS.values()},
    group_name="loaded",
    can_subset=True,
).map_asset_specs(lambda spec: spec.replace_attributes(kinds=KINDS))


# ---- modelled and published


@dbt_assets(manifest=PROJECT.manifest_path, project=PROJECT, name="models")
def models(context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[object]:
    """Build and test; what depends on a model whose test fails is not built."""
    with told(), held() as configured:
        zone = json.dumps({"time_zone": configured.time_zone})
        build = ["build", "--exclude-resource-type", "unit_test", "--vars", zone]
        whole = nullcontext() if context.is_subset else convoy.building(configured)
        with whole as anew:
            build += ["--full-refresh"] if anew else []  # a new version has other models
            target = PROJECT.target_path / "run"
            yield from dbt.cli(build, context=context, target_path=target).stream()


@dg.asset(deps=[models], kinds={"duckdb"}, group_name="published")
def published() -> dg.MaterializeResult[None]:
    """The file that dashboards read."""
    with told(), held() as configured:
        if not convoy.models_are_current(configured):
            raise ConvoyError("the models are behind what is loaded: materialise them first")
        if publish.is_current(configured):
            return dg.MaterializeResult(metadata={"changed": False})
        made = publish.publish(configured)
    told_of = {"changed": True, "path": str(made.path), "tables": made.tables, "bytes": made.bytes}
    return dg.MaterializeResult(metadata=told_of)


# ---- months read again: only GPTBots can be asked for a range of time

MONTHS = dg.MonthlyPartitionsDefinition(
    SETTINGS.gptbots.start_date.replace(day=1, hour=0, minute=0, second=0, microsecond=0),
    end_offset=1,  # the current month too
)
HISTORY = {key.with_prefix("history"): n for n, key in KEYS.items() if n.source == "gptbots"}


@dg.multi_asset(
    specs=[dg.AssetSpec(key, kinds=KINDS, group_name="history") for key in HISTORY],
    partitions_def=MONTHS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    can_subset=True,
)
def history(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
    """Read the chosen months again, in one go; no cursor moves, nothing newer is replaced."""
    chosen = {key: name for key, name in HISTORY.items() if key in context.selected_asset_keys}
    span, names = context.partition_time_window, [name.bot for name in chosen.values()]
    with told():
        bots = backfill.backfill(settings.load(), span.start, span.end, bots=names).bots
    for key, name in chosen.items():
        if bots[name].complete:
            yield dg.MaterializeResult(asset_key=key, metadata=measures(bots[name]))
    if failed := [f"{n}: {why(bots[n])}" for n in chosen.values() if not bots[n].complete]:
        raise dg.Failure("; ".join(failed), allow_retries=False)


# ---- checked against the APIs


def check_of(name: BotName) -> dg.AssetChecksDefinition:
    """Return the check that compares a bot's history with the API."""

    @dg.asset_check(asset=KEYS[name], name="agrees_with_the_api")
    def agrees() -> dg.AssetCheckResult:
        with told():
            found = verify.verify(settings.load(), bots=[name])
        differs, bot = found.differences[name], found.outcome.bots[name]
        counts = {kind: len(ids) for kind, ids in vars(differs).items()}
        description = None if found.agrees else (bot.error or f"differs: {counts}")
        metadata = {**counts, "requests": bot.requests, "certified": bot.certified}
        return dg.AssetCheckResult(passed=found.agrees, description=description, metadata=metadata)

    return agrees


checks = [check_of(name) for name in BOTS]

sync = dg.define_asset_job(
    "sync",
    dg.AssetSelection.assets(load, models, published) - dg.AssetSelection.checks(*checks),
    description="Load what is new, build and test the models, publish.",
)
compare = dg.define_asset_job(
    "verify",
    dg.AssetSelection.checks(*checks),
    description="Compare all history with the APIs; changes nothing.",
)
defs = dg.Definitions(
    assets=[load, models, published, *([history] if HISTORY else [])],
    asset_checks=checks,
    jobs=[sync, compare],
    schedules=[
        dg.ScheduleDefinition(job=sync, cron_schedule="*/15 * * * *"),
        dg.ScheduleDefinition(job=compare, cron_schedule="30 4 * * *"),
    ],
    resources={"dbt": DbtCliResource(project_dir=PROJECT)},
    executor=dg.in_process_executor,  # step after step: DuckDB has one writer
)
