"""Which bots a worker reads, where several share them: the same ones on every machine."""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Shard:
    """One of so many parts, counted from 1."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}_of_{self.of}"

    def has(self, name: str) -> bool:
        """Tell whether something is in this part; not by Python's hash, which each run salts."""
        digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
        return int.from_bytes(digest) % self.of == self.number - 1


def read(text: str) -> Shard:
    """Read a shard like "1/4".

    Raises:
        ValueError: it is none.
    """
    number, _, of = text.partition("/")
    if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
        raise ValueError('is no shard; write it like "1/4", the first of four')
    return Shard(int(number), int(of))
