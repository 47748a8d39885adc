"""What each step of `upgrade.py` does to a lakehouse.

Each must bear being done twice, also by two workers at once: it has no transaction.
"""

from collections.abc import Callable

from pipelines.lake.place import Lake

Step = Callable[[Lake], None]


def nothing(_: Lake) -> None:
    """Leave all as it is: what the step mends was never written to a lakehouse."""


STEPS: tuple[Step, ...] = (nothing,)
"""As many as `upgrade.STEPS`, in the same order."""
