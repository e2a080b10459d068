"""The only module that draws random numbers.

A seeded source splits into named streams: what one part of a program draws does
not depend on how much another part has drawn.

Source: decision 4.
"""

from __future__ import annotations

import hashlib
import os
import random
from typing import final

__all__ = ["Entropy"]


@final
class Entropy:
    """A source of random numbers, from a seed or from the operating system.

    Args:
        seed: any integer or text; None takes 128 bits from the system.

    Thread: a stream belongs to one owner; `stream()` is safe anywhere.
    """

    __slots__ = ("_key", "seed")

    def __init__(self, seed: int | str | None = None) -> None:
        self.seed: int | str = int.from_bytes(os.urandom(16), "big") if seed is None else seed
        self._key = hashlib.sha256(repr(self.seed).encode()).digest()

    def stream(self, name: str) -> random.Random:
        """Return a fresh generator for a name; the same seed and name give the same numbers."""
        return random.Random(self._derive(name))  # noqa: S311 - simulation and jitter, never secrets

    def token(self, name: str, size_bytes: int = 16) -> bytes:
        """Return bytes that belong to a name under this seed.

        For identifiers that a replay must repeat. Secrets come from the
        standard library's `secrets`, never from here.
        """
        return hashlib.shake_256(self._key + name.encode()).digest(size_bytes)

    def _derive(self, name: str) -> int:
        return int.from_bytes(hashlib.sha256(self._key + name.encode()).digest(), "big")

    def __repr__(self) -> str:
        return f"<Entropy seed={self.seed!r}>"
