"""Randomness that repeats: generators and identifiers derived from names and numbers."""

from hashlib import blake2b
from random import Random


def generator(*parts: object) -> Random:
    """Return a generator that gives the same numbers for the same parts."""
    return Random(":".join(map(str, parts)))  # noqa: S311 - a seeded world holds no secrets


def hexed(*parts: object, size: int = 16) -> str:
    """Return `size` bytes in hex, the same for the same parts."""
    return blake2b(":".join(map(str, parts)).encode(), digest_size=size).hexdigest()


def as_uuid(digits: str) -> str:
    """Return 32 hex digits in the shape of a version 4 UUID."""
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
