"""`python -m pipelines` is `convoy`: a process of its own."""

import sys

from pipelines.cli import main


class _NoPandas:
    """Refuses pandas, which is there for Spark; Arrow and dlt would load 200 MB for nothing."""

    def find_spec(self, name: str, *_: object) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name, name=name)


def run() -> None:
    """Run a command, without pandas."""
    sys.meta_path.insert(0, _NoPandas())
    main()


if __name__ == "__main__":
    run()
