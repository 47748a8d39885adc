"""`python -m pipelines` is `convoy`."""

from pipelines.cli import main

main()
