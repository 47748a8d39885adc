"""Try Superset on the published file while syncs run and publish.

`make try-superset` runs it: it makes an environment for Superset (hundreds of MB), a simulated
upstream, a project, syncs, and asks Superset's own REST API all the time for charts and SQL Lab.
It fails where a query fails, a sync ends with anything but 0, Superset and DuckDB differ, or a
publication does not show.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
from server import Row, Superset, environment, outside, running

from pipelines import demo
from pipelines.simulator import Simulator, World

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
STEP = timedelta(hours=6)
LOOKS = 20  # at most, until a publication shows
SQL = "select sum(credits) as value, count(*) as days from marts.credit_spend_daily"
CHART = "select platform, sum(credits) as value from marts.credit_spend_daily group by all"


@dataclass
class Asker:
    """Somebody who looks at dashboards without a pause; two do, so that their queries overlap."""

    superset: Superset
    database: int
    dataset: int
    seconds: list[float] = field(default_factory=list)
    seen: set[Decimal] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> None:
        """Ask for the chart and in SQL Lab by turns until told to stop."""
        session = self.superset.session()
        while not self.done.is_set():
            began = time.monotonic()
            try:
                chart = self.superset.chart(self.dataset, "platform", "sum(credits)", session)
                self.seen.add(total(chart))
                self.seconds.append(time.monotonic() - began)
                began = time.monotonic()
                self.seen.add(total(self.superset.lab(self.database, SQL, session)))
                self.seconds.append(time.monotonic() - began)
            except Exception as error:  # noqa: BLE001 - counted and told at the end
                self.failures.append(str(error))


def total(rows: list[Row]) -> Decimal:
    """Sum up what was answered, to the digits that JSON's floats hold."""
    return sum((Decimal(str(row["value"])) for row in rows), Decimal()).quantize(Decimal("1e-6"))


def own(published: Path, sql: str) -> list[Row]:
    """Return DuckDB's own answer."""
    with duckdb.connect(str(published), read_only=True) as connection:
        return list(connection.execute(sql).to_arrow_table().to_pylist())


def sync(folder: Path) -> dict[str, object]:
    """Run the command; it ends with 0 and says that it published."""
    command = [sys.executable, "-m", "pipelines", "sync", "--json"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, check=True, cwd=folder, env=environ, stdout=subprocess.PIPE)
    said: dict[str, object] = json.loads(done.stdout)
    assert said["publish"] == "published", said
    return said


def project(folder: Path, upstream: Simulator) -> Path:
    """Configure a project that reads the simulator; return where it publishes."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / ".dlt").mkdir(parents=True)
    for name, text in (
        ("config", demo.config(upstream.url)),
        ("secrets", demo.secrets(upstream.world)),
    ):
        (folder / ".dlt" / f"{name}.toml").write_text(text, encoding="utf-8")
    return folder / "published" / "convoy.duckdb"


def try_driver(tools: Path, uri: str, published: Path) -> None:
    """Ask through SQLAlchemy in Superset's environment, without Superset."""
    command = [str(tools / "python"), str(HERE / "driver.py"), uri, SQL]
    done = subprocess.run(command, check=True, env=outside(), stdout=subprocess.PIPE)
    said = json.loads(done.stdout.splitlines()[-1])
    assert Decimal(said["value"]) == own(published, SQL)[0]["value"], said
    assert said["access"] == "read_only", said
    print(f"driver: {said['spec']}, {', '.join(f'{n} {v}' for n, v in said['versions'].items())}")
    print(f"driver: tables {', '.join(sorted(said['tables']))}")


def play(asker: Asker, world: World, folder: Path, published: Path, syncs: int) -> list[int]:
    """Sync while others ask; return with which look each publication showed."""
    expected, shown, took = {total(own(published, SQL))}, [], []
    until_it_shows(asker, published)  # the first two of a process must not come at once: Celery
    askers = [threading.Thread(target=asker.ask) for _ in range(2)]
    for thread in askers:
        thread.start()
    try:
        for _ in range(syncs):
            world.advance(STEP)
            took.append(float(str(sync(folder)["seconds"])))
            shown.append(until_it_shows(asker, published))
            expected.add(total(own(published, SQL)))
    finally:
        asker.done.set()
        for thread in askers:
            thread.join()
    assert not asker.failures, asker.failures[:3]
    assert asker.seen <= expected, "a query saw what was never published"
    assert len(expected) == syncs + 1, "a sync brought nothing new"
    print(f"syncs: {syncs}, all ended with 0 and published; the slowest took {max(took):.1f} s")
    return shown


def until_it_shows(asker: Asker, published: Path) -> int:
    """Return with which look chart and SQL Lab both answer what DuckDB does; 1 is the first."""
    session, wanted = asker.superset.session(), total(own(published, CHART))
    for look in range(1, LOOKS + 1):
        lab = total(asker.superset.lab(asker.database, SQL, session))
        chart = total(asker.superset.chart(asker.dataset, "platform", "sum(credits)", session))
        if lab == chart == wanted:
            return look
    message = f"the publication does not show: {lab}, {chart}, not {wanted}"
    raise RuntimeError(message)


def main() -> None:
    """Try it, and say what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=Path, default=Path("superset-trial"), help="where to put it")
    parser.add_argument("--syncs", type=int, default=8, help="syncs while queries run")
    given = parser.parse_args()
    folder = given.dir.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    tools = environment(folder)
    shutil.rmtree(folder / "home", ignore_errors=True)
    ago = STEP * (given.syncs + 1)
    world = demo.Size(gptbots=4_000, bots=2, okchat=600, chatbots=1).world(7, days=120, ago=ago)
    with Simulator(world) as upstream:
        published = project(folder / "project", upstream)
        sync(folder / "project")
        uri = f"duckdb:///{published}?access_mode=read_only"
        try_driver(tools, uri, published)
        with running(tools, folder / "home") as superset:
            database = superset.add_database(uri)
            print(f"schemas: {', '.join(sorted(superset.schemas(database)))}")
            print(f"tables of marts: {', '.join(superset.tables(database, 'marts'))}")
            asker = Asker(superset, database, superset.add_dataset(database, "credit_spend_daily"))
            shown = play(asker, world, folder / "project", published, given.syncs)
    seconds = sorted(asker.seconds)
    print(
        f"queries: {len(seconds)}, none failed; median {seconds[len(seconds) // 2]:.2f} s, "
        f"slowest {seconds[-1]:.2f} s\n"
        f"publications: {len(shown)}, of which {shown.count(1)} showed at the first look after "
        f"the sync, all by look {max(shown)}"
    )


if __name__ == "__main__":
    main()
