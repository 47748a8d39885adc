"""`python -m pipelines` is `convoy`: a process of its own."""

from pipelines import pandas_refused
from pipelines.cli import main


def run() -> None:
    """Run a command, without pandas."""
    pandas_refused.refuse()
    main()


if __name__ == "__main__":
    run()
