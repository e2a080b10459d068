"""How one log passes on to the next: a statement that both of their keys sign.

A log that is sealed is followed by another, which is another tree and so has
another name. The name is that of the first log with a number behind it, and the
key may be the same or a new one::

    example.com/sessions                                  whose end this is
    sealed and continued
    old example.com/sessions+9b1c0f2e+AWiV...             its public key
    new example.com/sessions/segment-2+5c0d9a11+AWiV...   that of the next log
    size 1048576                                          its last head
    root CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
                                                          (an empty line)
    — example.com/sessions ...                            the old key
    — example.com/sessions/segment-2 ...                  the new key

The `handovers` file of a log has all of them since the first log, so whoever
trusts any earlier key can follow it to the log's own. Its second line is no number,
so no such statement can be taken for a checkpoint.
"""

from __future__ import annotations

import base64
import io
import itertools
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sessionactors.audit.checkpoint import Checkpoint, Signer, Verifier, open_note, sign_note, signatures_of
from sessionactors.audit.errors import AuditReadError
from sessionactors.audit.merkle import HASH_SIZE
from sessionactors.audit.statements import split_notes
from supervisors.errors import InvalidArgumentError, SupervisorsError

__all__ = [
    "Handover",
    "base_name",
    "follow",
    "next_name",
    "open_handover",
    "read_handovers",
    "segment_number",
    "sign_handover",
]

_TITLE: Final = "sealed and continued"
_SEGMENT: Final = re.compile(r"(.+)/segment-([2-9]|[1-9][0-9]{1,8})")
_FILE_SIZE_MAX: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Handover:
    """That one log ended and another goes on from there.

    Attributes:
        old: the key and name of the log that ended.
        new: the key and name of the one that follows.
        final: the last head of the log that ended.
    """

    old: Verifier
    new: Verifier
    final: Checkpoint

    def body(self) -> str:
        """Return the text that is signed."""
        root = base64.b64encode(self.final.root).decode()
        lines = (self.old.name, _TITLE, f"old {self.old}", f"new {self.new}", f"size {self.final.size}", f"root {root}")
        return "".join(f"{line}\n" for line in lines)


def base_name(name: str) -> str:
    """Return the name of the first log of the row that a log belongs to."""
    match = _SEGMENT.fullmatch(name)
    return name if match is None else match[1]


def segment_number(name: str) -> int:
    """Return which log of its row one is, from 1."""
    match = _SEGMENT.fullmatch(name)
    return 1 if match is None else int(match[2])


def next_name(base: str, number: int) -> str:
    """Return the name of a log of a row; the first has no number in it."""
    return base if number == 1 else f"{base}/segment-{number}"


def sign_handover(handover: Handover, old: Signer, new: Signer) -> bytes:
    """Return a hand-over as a note that both keys have signed."""
    return sign_note(handover.body(), old, new)


def open_handover(note: bytes) -> Handover:
    """Return the hand-over that a note is, after checking both signatures.

    Raises:
        InvalidArgumentError: it is none, or one of its two keys has not signed it.
    """
    body, _ = signatures_of(note)
    allowed = "a hand-over: two keys, and the last head of the older log"
    lines = body.removesuffix("\n").split("\n")
    words = ("", "", "old ", "new ", "size ", "root ")
    if len(lines) != len(words) or not all(map(str.startswith, lines, words)) or lines[1] != _TITLE:
        raise InvalidArgumentError("handover", note, allowed)
    values = [line.removeprefix(word) for line, word in zip(lines, words, strict=True)]
    try:
        old, new = Verifier.parse(values[2]), Verifier.parse(values[3])
        root = base64.b64decode(values[5], validate=True)
        handover = Handover(old, new, Checkpoint(old.name, int(values[4]), root))
    except (SupervisorsError, ValueError) as error:
        raise InvalidArgumentError("handover", note, allowed) from error
    # What says the same in other words is refused: one statement, one text.
    if handover.body() != body or len(root) != HASH_SIZE or old == new:
        raise InvalidArgumentError("handover", note, allowed)
    open_note(note, old)
    open_note(note, new)
    return handover


def read_handovers(path: Path) -> tuple[Handover, ...]:
    """Return the hand-overs in a file, the first log's first; a log that follows no other has no such file.

    Raises:
        InvalidArgumentError: something in it is no hand-over, or does not go on
            where the one before it ended.
        AuditReadError: it cannot be read.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would keep us waiting
            raise AuditReadError("audit handovers", "that is no file", "take another copy", path)
        with path.open("rb") as file:
            raw = file.read(_FILE_SIZE_MAX + 1)
    except FileNotFoundError:
        return ()
    except OSError as error:
        problem = f"it cannot be read ({error.strerror})"
        raise AuditReadError("audit handovers", problem, "check its permissions", path) from error
    if len(raw) > _FILE_SIZE_MAX:
        raise InvalidArgumentError("handover", raw, f"at most {_FILE_SIZE_MAX} bytes of them")
    found = tuple(open_handover(note) for note in split_notes(io.BytesIO(raw), len(raw)))
    for before, after in itertools.pairwise(found):
        if before.new != after.old:
            raise InvalidArgumentError("handover", raw, "a row in which each goes on where the last ended")
    return found


def follow(trusted: Verifier, own: Verifier, handovers: Iterable[Handover]) -> int | None:
    """Return over how many hand-overs trust in one key reaches another, or None if it does not.

    Args:
        trusted: the key that somebody trusts.
        own: the key that a log has.
        handovers: in their order, their signatures checked.
    """
    steps = 0
    for handover in handovers:
        if trusted == own:
            break
        if handover.old == trusted:
            trusted = handover.new
            steps += 1
    return steps if trusted == own else None
