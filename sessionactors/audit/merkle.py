"""The Merkle tree of RFC 6962 and RFC 9162: appending, heads, and proofs.

A leaf is ``SHA-256(0x00 || bytes)``, a node ``SHA-256(0x01 || left || right)``.
The two prefixes keep anybody from passing a node off as a leaf.

Appending needs only the *frontier*: the roots of the complete subtrees along
the right edge, one for each bit that is set in the size, so at most 64 hashes.
Proofs are made from stored leaf hashes, which a reader function hands in; they
are checked by nothing but hashing. Source: RFC 9162, sections 2.1.1-2.1.5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Final, TypeAlias, final

from supervisors.errors import InvalidArgumentError

__all__ = [
    "EMPTY_ROOT",
    "HASH_SIZE",
    "Frontier",
    "HashReader",
    "consistency_proof",
    "inclusion_proof",
    "is_consistent",
    "is_included",
    "leaf_hash",
    "leaf_hashes",
    "node_hash",
    "subtree_root",
]

HASH_SIZE: Final = 32
"""Bytes of every hash."""

EMPTY_ROOT: Final = sha256().digest()
"""The root of the tree without leaves."""

HashReader: TypeAlias = Callable[[int, int], Sequence[bytes]]
"""Returns the stored leaf hashes from a first index up to, not including, a second."""

# A copy of one that has begun takes less than a new one, and shares nothing with it.
_LEAF: Final = sha256(b"\x00")
_NODE: Final = sha256(b"\x01")

_SIZE_MAX: Final = 2**63 - 1
_READ_HASHES: Final = 1 << 14


def leaf_hash(leaf: bytes) -> bytes:
    """Return the hash of an entry's bytes."""
    return sha256(b"\x00" + leaf).digest()


def leaf_hashes(leaves: Iterable[bytes]) -> list[bytes]:
    """Return the hash of each entry's bytes."""
    hashes: list[bytes] = []
    append, copy = hashes.append, _LEAF.copy
    for leaf in leaves:
        each = copy()
        each.update(leaf)
        append(each.digest())
    return hashes


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node from those of its two children."""
    return sha256(b"\x01" + left + right).digest()


@final
class Frontier:
    """A growing tree of which only the right edge is kept.

    Invariant: `_nodes[level]` is the root of a complete subtree of ``2 ** level``
    leaves exactly when that bit is set in `size`, else None.

    Attributes:
        size: how many leaves the tree has.

    Thread: one at a time; the owner's.
    """

    __slots__ = ("_nodes", "size")

    def __init__(self) -> None:
        self.size = 0
        self._nodes: list[bytes | None] = []

    def extend(self, hashes: Sequence[bytes]) -> None:
        """Append leaves by their hashes.

        Works level by level: a list of pairs costs half of what pushing the
        same leaves one by one would.
        """
        level = 0
        row = list(hashes)
        nodes = self._nodes
        copy = _NODE.copy
        while row:
            if level == len(nodes):
                nodes.append(None)
            waiting = nodes[level]
            if waiting is not None:
                row.insert(0, waiting)
            nodes[level] = row.pop() if len(row) & 1 else None
            pairs = iter(row)
            row = []
            append = row.append
            for left, right in zip(pairs, pairs, strict=True):
                node = copy()
                node.update(left + right)
                append(node.digest())
            level += 1
        self.size += len(hashes)

    def root(self) -> bytes:
        """Return the root hash of the tree as it is now."""
        root: bytes | None = None
        for node in self._nodes:
            if node is not None:
                root = node if root is None else node_hash(node, root)
        return EMPTY_ROOT if root is None else root

    def copy(self) -> Frontier:
        """Return an independent frontier of the same tree."""
        twin = Frontier()
        twin.size = self.size
        twin._nodes = self._nodes.copy()
        return twin

    def to_bytes(self) -> bytes:
        """Return the hashes of the right edge, largest subtree first."""
        return b"".join(node for node in reversed(self._nodes) if node is not None)

    @classmethod
    def from_bytes(cls, size: int, raw: bytes) -> Frontier:
        """Return the frontier of a tree of a size from what `to_bytes()` gave.

        Raises:
            InvalidArgumentError: the number of hashes does not fit the size.
        """
        _check_size("size", size, 0, _SIZE_MAX)
        if len(raw) != size.bit_count() * HASH_SIZE:
            raise InvalidArgumentError("raw", raw, f"{size.bit_count()} hashes of {HASH_SIZE} bytes")
        frontier = cls()
        frontier.size = size
        hashes = iter([raw[at : at + HASH_SIZE] for at in range(0, len(raw), HASH_SIZE)])
        nodes = [next(hashes) if size >> level & 1 else None for level in reversed(range(size.bit_length()))]
        frontier._nodes = nodes[::-1]
        return frontier

    def __repr__(self) -> str:
        return f"<Frontier of {self.size} leaves>"


def subtree_root(read: HashReader, start: int, stop: int) -> bytes:
    """Return the root over the leaves of a range, reading them in blocks."""
    frontier = Frontier()
    for at in range(start, stop, _READ_HASHES):
        frontier.extend(read(at, min(at + _READ_HASHES, stop)))
    return frontier.root()


def inclusion_proof(index: int, size: int, read: HashReader) -> list[bytes]:
    """Return the audit path that leads from a leaf to the root of a tree.

    Args:
        index: which leaf, from 0.
        size: leaves of the tree that the proof is for.
        read: gives stored leaf hashes.

    Returns:
        Sibling hashes, the one next to the leaf first.

    Raises:
        InvalidArgumentError: the leaf is not in a tree of that size.

    Blocks: reads every leaf hash of the tree once.
    """
    _check_size("size", size, 1, _SIZE_MAX)
    _check_size("index", index, 0, size - 1)
    path: list[bytes] = []
    start, stop = 0, size
    while stop - start > 1:
        middle = start + _split(stop - start)
        if index < middle:
            path.append(subtree_root(read, middle, stop))
            stop = middle
        else:
            path.append(subtree_root(read, start, middle))
            start = middle
    return path[::-1]


def consistency_proof(first: int, second: int, read: HashReader) -> list[bytes]:
    """Return the hashes that show that a tree is the beginning of a larger one.

    Args:
        first: leaves of the smaller tree.
        second: leaves of the larger tree.
        read: gives stored leaf hashes.

    Raises:
        InvalidArgumentError: the first tree is larger than the second.

    Blocks: reads every leaf hash of the larger tree once.
    """
    _check_size("second", second, 0, _SIZE_MAX)
    _check_size("first", first, 0, second)
    if first in (0, second):
        return []
    path: list[bytes] = []
    start, stop, is_whole = 0, second, True
    # `is_whole`: the subtree that we stand on is the smaller tree itself, whose
    # root the verifier has already.
    while first != stop:
        middle = start + _split(stop - start)
        if first <= middle:
            path.append(subtree_root(read, middle, stop))
            stop = middle
        else:
            path.append(subtree_root(read, start, middle))
            start = middle
            is_whole = False
    if not is_whole:
        path.append(subtree_root(read, start, stop))
    return path[::-1]


def is_included(index: int, size: int, leaf: bytes, root: bytes, proof: Sequence[bytes]) -> bool:
    """Tell whether a proof shows that a leaf hash is in the tree with a root.

    Wrong sizes and wrong proofs are answered with False, never with an error:
    proofs come from strangers.
    """
    if not 0 <= index < size:
        return False
    node, last = index, size - 1
    computed = leaf
    for sibling in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            computed = node_hash(sibling, computed)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            computed = node_hash(computed, sibling)
        node >>= 1
        last >>= 1
    return last == 0 and computed == root


def is_consistent(first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]) -> bool:
    """Tell whether a proof shows that the first tree is the beginning of the second.

    Wrong sizes and wrong proofs are answered with False, never with an error.
    """
    if not 0 <= first <= second:
        return False
    if first == second:
        return not proof and first_root == second_root
    if first == 0:
        return not proof and first_root == EMPTY_ROOT
    path = list(proof)
    if first & (first - 1) == 0:
        path.insert(0, first_root)
    if not path:
        return False
    node, last = first - 1, second - 1
    while node & 1:
        node >>= 1
        last >>= 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            old = node_hash(sibling, old)
            new = node_hash(sibling, new)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            new = node_hash(new, sibling)
        node >>= 1
        last >>= 1
    return last == 0 and old == first_root and new == second_root


def _split(size: int) -> int:
    """Return the largest power of two below a size of at least two."""
    return 1 << (size - 1).bit_length() - 1


def _check_size(field: str, given: object, least: int, most: int) -> None:
    if not isinstance(given, int) or isinstance(given, bool) or not least <= given <= most:
        raise InvalidArgumentError(field, given, f"a whole number from {least} to {most}")
