"""pandas is there for Spark alone: Arrow and dlt would load 200 MB of it for nothing."""

import sys


class _Refusal:
    def find_spec(self, name: str, *_: object) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name, name=name)


_REFUSAL = _Refusal()


def refuse() -> None:
    """Let nothing find it, for as long as it is not allowed."""
    sys.meta_path.insert(0, _REFUSAL)


def allow() -> None:
    """Let it be found again; where it is not refused, nothing changes."""
    if _REFUSAL in sys.meta_path:
        sys.meta_path.remove(_REFUSAL)
