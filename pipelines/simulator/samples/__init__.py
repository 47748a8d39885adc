"""The published sample bodies of both APIs, as they were published."""

from decimal import Decimal
from importlib.resources import files
from typing import Any

import msgspec

_decode = msgspec.json.Decoder(float_hook=Decimal).decode


def sample(name: str) -> Any:  # noqa: ANN401 - JSON of any shape
    """Return a sample body, its numbers exact."""
    return _decode(files(__name__).joinpath(f"{name}.json").read_bytes())
