"""The audit log: append-only, a Merkle tree over every entry, signed heads, and a verifier.

`record` says what an entry is, `merkle` what a tree of them is, `checkpoint`
what is signed. `log` keeps all that in a directory, `memory` in a process,
`queries` reads it and `verify` proves it.
"""

from __future__ import annotations

__all__: list[str] = []
