"""What is asked for, and contestants run in turn on one upstream."""

from __future__ import annotations

import shutil
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from time import monotonic
from typing import TYPE_CHECKING

from contestants import OURS, Contestant, backfill, sync
from simulated import Upstream

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from checks import Run
    from figures import Workload


@dataclass
class Bench:
    """What is asked for, where it is made, what is done so far."""

    only: Collection[str]
    scale: float
    repeat: int
    peers: bool
    folder: Path
    done: dict[str, Workload] = field(default_factory=dict)

    def wants(self, *names: str) -> bool:
        """Tell whether any of these workloads is asked for."""
        return bool({*names} & {*self.only})

    def many(self, conversations: int) -> int:
        """Return so many, scaled."""
        return max(1, round(conversations * self.scale))

    def fresh(self) -> Path:
        """Return an empty folder."""
        return Path(mkdtemp(dir=self.folder))

    @contextmanager
    def upstream(
        self, bots: Mapping[str, int], chatbots: Mapping[str, int] | None = None
    ) -> Iterator[Upstream]:
        """Serve a world within the block; what was loaded of it is forgotten after."""
        started, size = monotonic(), sum([*bots.values(), *(chatbots or {}).values()])
        with Upstream(bots, chatbots) as upstream:
            tell(f"a world of {size:,} conversations took {monotonic() - started:.0f} s to make")
            yield upstream
        for made in self.folder.iterdir():
            shutil.rmtree(made)


def tell(text: str) -> None:
    """Say how far it is."""
    print(text, file=sys.stderr, flush=True)


def told(name: str, who: str, run: Run) -> Run:
    """Say how a run went."""
    used = f"{run.usage.wall:.1f} s, {run.usage.memory:.0f} MB, {run.requests:,} requests"
    tell(f"{name} {who}: {used}{f'; WRONG: {run.wrong}' if run.wrong else ''}")
    return run


def rounds(
    bench: Bench, name: str, contestants: Sequence[Contestant], upstream: Upstream
) -> tuple[dict[str, list[Run]], Path]:
    """Run everyone in turn, every other round backwards; return the runs and our last folder."""
    runs: dict[str, list[Run]] = {who.name: [] for who in contestants}
    kept = bench.folder
    for number in range(bench.repeat):
        for who in contestants[:: -1 if number % 2 else 1]:
            if who.slow and number:
                continue
            folder = bench.fresh()
            runs[who.name].append(told(name, who.name, backfill(who, upstream, folder)))
            done_with = kept if who is OURS else folder
            kept = folder if who is OURS else kept
            if done_with != bench.folder:
                shutil.rmtree(done_with)
    return runs, kept


def load(bench: Bench, upstream: Upstream) -> Path:
    """Load everything, as a start for what is measured."""
    folder = bench.fresh()
    run = told("to begin with,", OURS.name, sync(upstream, folder))
    if run.wrong:
        sys.exit(f"nothing to begin with: {run.wrong}")
    return folder
