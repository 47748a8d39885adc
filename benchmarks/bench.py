"""Measure Convoy beside its peers and the floor: `make bench`, `make bench ARGS="--only W1 W5"`.

Prints Markdown and writes `results.json`, `results.md` and `results.svg`. Ends with 1 where a
run failed or loaded something else than what is there. What is measured: see README.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import chart
import machine
import table
from contestants import FETCH, FLOOR, RIVALS
from peers.environments import environment
from workloads import GROUPS, NAMES, Bench

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Parse, run, print, write."""
    given = parsed()
    surroundings = machine.surroundings()
    asked = {"scale": given.scale, "rounds": given.repeat}
    prepare(peers=given.peers)
    with TemporaryDirectory(prefix="convoy-bench-", dir=given.folder) as folder:
        bench = Bench(given.only, given.scale, given.repeat, given.peers, Path(folder))
        for run, names in GROUPS.items():
            if bench.wants(*names):
                try:
                    run(bench)
                finally:  # what is done is kept, whatever fails
                    write(bench, given.output, surroundings, asked)
    print((given.output / "results.md").read_text())
    everything = [
        run for done in bench.done.values() for runs in done.runs.values() for run in runs
    ]
    sys.exit(1 if any(run.wrong for run in everything) else 0)


def parsed() -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only", nargs="+", choices=NAMES, default=NAMES, metavar="W", help=str(NAMES)
    )
    parser.add_argument("--scale", type=float, default=1.0, help="a factor on all conversations")
    parser.add_argument("--repeat", type=int, default=3, help="rounds")
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--output", type=Path, default=RESULTS, help="where results are written")
    parser.add_argument("--folder", type=Path, help="where databases are made (a few GB)")
    return parser.parse_args()


def prepare(*, peers: bool) -> None:
    """Make the environments before anything is timed."""
    for who in (FLOOR, FETCH, *(RIVALS if peers else ())):
        environment(str(who.peer))


def write(bench: Bench, to: Path, surroundings: dict[str, str], asked: dict[str, object]) -> None:
    """Write what there is so far."""
    to.mkdir(parents=True, exist_ok=True)
    done = [bench.done[name] for name in sorted(bench.done)]
    parts = "\n".join(map(table.markdown, done))
    (to / "results.md").write_text(table.whole(surroundings, asked, parts))
    (to / "results.json").write_text(
        json.dumps(table.document(surroundings, asked, done), indent=1, ensure_ascii=False) + "\n"
    )
    if "W1" in bench.done:
        (to / "results.svg").write_text(chart.svg(bench.done["W1"]))


if __name__ == "__main__":
    main()
