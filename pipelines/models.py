"""Builds the dbt models of `sql/` in this process: offline, silent, every handle closed after."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.engine import Engine, run
from pipelines.errors import ModelsFailed
from pipelines.lake.place import MODELS_ELSEWHERE
from pipelines.postgres import dbt as postgres
from pipelines.postgres.server import Server
from pipelines.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbt.artifacts.schemas.results import NodeResult
    from dbt.cli.main import dbtRunnerResult

    from pipelines.settings import Place

_PLACES = {"build_path", "compiled_path", "root_path"}
_FAILED = {"error", "fail", "runtime error", "partial success"}


@dataclass(frozen=True)
class Built:
    """What one build did, and how long it took."""

    models: int
    tests: int
    warnings: int
    seconds: float


@dataclass(frozen=True)
class Tested:
    """How many tests ran, and what those say that only warn."""

    tests: int
    warnings: list[str]


def project_dir() -> Path:
    """The dbt project: inside the package when installed, else the checkout's."""
    packaged = Path(__file__).parent / "_sql"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "sql"


def build(
    where: Place | Engine,
    work: Path,
    *,
    zone: str = "UTC",
    full_refresh: bool = False,
    tests: bool = False,
) -> Built:
    """Build seeds and models of a warehouse, and run the data tests when asked.

    Everything that dbt writes goes to `work / "dbt"`. Midnight in `zone` ends a day.

    Raises:
        ModelsFailed: names each failed model or test, with dbt's message in one line.
    """
    started = time.monotonic()
    chosen = _selection(tests, full_refresh)
    results = _results(invoke("build", where, work, chosen, zone=zone))
    kinds = Counter(result.node.resource_type.value for result in results)
    return Built(
        models=kinds["model"],
        tests=kinds["test"],
        warnings=sum(result.status.value == "warn" for result in results),
        seconds=time.monotonic() - started,
    )


def run_tests(warehouse: Place, work: Path, *, zone: str = "UTC") -> Tested:
    """Run the data tests, and look how fresh the sources are.

    Raises:
        ModelsFailed: names each test that failed. What only warns is returned.
        WarehouseBusy: another program holds the file.
    """
    _free(warehouse)
    command = "test --exclude-resource-type unit_test"
    tests = _results(invoke(command, warehouse, work, zone=zone))
    sources = _results(invoke("source freshness", warehouse, work, zone=zone))
    late = [result for result in sources if result.status.value == "warn"]
    warnings = [_failure(result) for result in tests if result.status.value == "warn"]
    warnings += [f"{result.node.name}: nothing was added for a day" for result in late]
    return Tested(len(tests) + len(sources), warnings)


def document(warehouse: Place, work: Path, to: Path, *, zone: str = "UTC") -> None:
    """Write dbt's browsable documentation of the models as one HTML file.

    Raises:
        WarehouseBusy: another program holds the file.
    """
    _free(warehouse)
    _results(invoke("docs generate --static", warehouse, work, ["--write-json"], zone=zone))
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_text(_without_paths(work / "dbt" / "target"), encoding="utf-8", newline="\n")


def invoke(
    command: str,
    where: Place | Engine,
    work: Path,
    arguments: Sequence[str] = (),
    *,
    zone: str = "UTC",
) -> dbtRunnerResult:
    """Run one dbt command on a warehouse, and let go of it whatever comes of it."""
    engine = where if isinstance(where, Engine) else _engine(where)
    scratch = work / "dbt"
    return run(engine, command, arguments, project=project_dir(), scratch=scratch, zone=zone)


def _engine(warehouse: Place) -> Engine:
    if isinstance(warehouse, Path):
        return Engine("warehouse", {"CONVOY_WAREHOUSE": str(warehouse.resolve())})
    if isinstance(warehouse, Server):
        return Engine(postgres.TARGET, postgres.variables(warehouse))
    raise ModelsFailed(MODELS_ELSEWHERE)


def _free(warehouse: Place) -> None:
    """Tell an open file as such: dbt would tell it in DuckDB's words, as a test that failed."""
    with connect(warehouse):
        pass


def _without_paths(target: Path) -> str:
    """Return dbt's page without the places of this machine that its manifest names."""
    page = (target / "static_index.html").read_text(encoding="utf-8")
    written = (target / "manifest.json").read_text(encoding="utf-8")
    return page.replace(written, json.dumps(json.loads(written, object_hook=_placeless)))


def _placeless(found: dict[str, object]) -> dict[str, object]:
    return {name: None if name in _PLACES else value for name, value in found.items()}


def _selection(tests: bool, full_refresh: bool) -> list[str]:  # noqa: FBT001 - of build's own
    kinds = ["seed", "model", *(["test"] if tests else [])]
    chosen = [argument for kind in kinds for argument in ("--resource-type", kind)]
    return [*chosen, *(["--full-refresh"] if full_refresh else [])]


def _results(outcome: dbtRunnerResult) -> Sequence[NodeResult]:
    """The results of a run in which nothing failed."""
    results: Sequence[NodeResult] = getattr(outcome.result, "results", ())
    failures = [_failure(result) for result in results if result.status.value in _FAILED]
    if outcome.success and not failures:
        return results
    raise ModelsFailed("; ".join(failures) or f"dbt: {_one_line(outcome.exception)}")


def _failure(result: NodeResult) -> str:
    return f"{result.node.name}: {_one_line(result.message)}"


def _one_line(message: object) -> str:
    return " ".join(str(message).split())
