"""Verify a log together with all that were sealed before it.

A log that follows others proves nothing about them, but its hand-overs say which they
were and how each of them ended. So each is looked for in the archive and verified on
its own, and has to end where the hand-over says. What is missing, or is another log
under the name of one of them, is found by that.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from sessionactors.audit.checkpoint import Verifier, parse_body, signatures_of
from sessionactors.audit.errors import AuditReadError
from sessionactors.audit.files import LogPaths
from sessionactors.audit.handover import Handover, follow, read_handovers
from sessionactors.audit.trail import sealed_log
from sessionactors.audit.verdict import Finding, Outcome, Verification
from sessionactors.audit.verify import verify
from supervisors.errors import SupervisorsError

__all__ = ["Verified", "verify_row", "worst_of"]

_SEVERITY: Final[tuple[Outcome, ...]] = ("valid", "torn", "usage", "key", "tampered")


class Verified(NamedTuple):
    """One log of a row.

    Attributes:
        name: where it is, from the directory of the row on; "." for the last one.
        verification: what verifying it has given.
    """

    name: str
    verification: Verification


def verify_row(
    directory: str | os.PathLike[str],
    *,
    public_key: Verifier | None = None,
    known_head: bytes | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Verified, ...]:
    """Verify the logs that were sealed before one, oldest first, and then that one.

    Args:
        directory: the last log of the row.
        public_key: the key to trust, of whichever of them; those before it are
            checked with their own, because trust does not go back.
        known_head: a signed head of one of them that was kept elsewhere.
        progress: called now and then with entries done and entries in all, for each log.

    Blocks: for about two microseconds for each entry, and to unpack what is packed.
    """
    home = Path(directory)
    paths = LogPaths.for_reading(home)
    try:
        handovers = read_handovers(paths.handovers)
    except (AuditReadError, SupervisorsError):
        handovers = ()  # the last log says what is wrong with them
    known_of = None if known_head is None else _origin_of(known_head)
    found = [
        Verified(
            *_verify_sealed(
                home,
                number,
                handover,
                trusted=_trusted(public_key, handover, handovers),
                known_head=known_head if known_of == handover.old.name else None,
                progress=progress,
            )
        )
        for number, handover in enumerate(handovers, 1)
    ]
    is_of_earlier = any(handover.old.name == known_of for handover in handovers)
    last = verify(directory, public_key=public_key, known_head=None if is_of_earlier else known_head, progress=progress)
    return (*found, Verified(".", last))


def worst_of(row: tuple[Verified, ...]) -> Verification:
    """Return the result that decides: of the first log that is the worst."""
    return max((each.verification for each in row), key=lambda found: _SEVERITY.index(found.outcome))


def _verify_sealed(
    home: Path,
    number: int,
    handover: Handover,
    *,
    trusted: bool,
    known_head: bytes | None,
    progress: Callable[[int, int], None] | None,
) -> tuple[str, Verification]:
    expected = f"log {number} of the row, {handover.old.name}, sealed with {handover.final.size} entries"
    try:
        path = sealed_log(home, number)
    except AuditReadError as error:
        finding = Finding("log", None, "an archive that can be read", str(error))
        return "archive", Verification("usage", findings=(finding,))
    if path is None:
        return "archive", Verification("tampered", findings=(Finding("log", None, expected, "none in the archive"),))
    found = verify(path, public_key=handover.old, known_head=known_head, progress=progress, home=home)
    name = str(path.relative_to(home))
    if found.outcome == "key":
        return name, replace(found, outcome="tampered", findings=(Finding("log", None, expected, "another log"),))
    end = (found.last_good_head, found.root)
    if found.exit_code in (0, 2) and end != (handover.final.size, handover.final.root.hex()):
        finding = Finding("log", found.last_good_head, expected, f"one of {found.last_good_head} entries")
        found = replace(found, outcome="tampered", findings=(finding,))
    return name, replace(found, is_key_given=trusted)


def _trusted(public_key: Verifier | None, handover: Handover, handovers: tuple[Handover, ...]) -> bool:
    """Tell whether a key that somebody trusts leads to that of a sealed log."""
    return public_key is not None and follow(public_key, handover.old, handovers) is not None


def _origin_of(note: bytes) -> str | None:
    try:
        return parse_body(note, signatures_of(note)[0]).origin
    except SupervisorsError:
        return None
