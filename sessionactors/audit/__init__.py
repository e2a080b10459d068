"""The audit log: append-only, a Merkle tree over every entry, signed heads, and a verifier.

`record` says what an entry is, `merkle` what a tree of them is, `checkpoint`
what is signed. `log` keeps all that in a directory, `memory` in a process,
`queries` reads it and `verify` proves it.

Source: session system 1.5 and 3.4; RFC 9162 for the tree, C2SP for heads and proofs (decision 15).
"""

from __future__ import annotations

__all__: list[str] = []
