"""Verify a log directory: every entry, every hash, every signed head.

Needs the directory and nothing else: no writer, no private key. What the result
proves, and what it does not, is part of the result.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

from sessionactors.audit import database
from sessionactors.audit.archives import is_archive, unpacked
from sessionactors.audit.checkpoint import Verifier, open_checkpoint
from sessionactors.audit.errors import (
    AuditDamagedError,
    AuditError,
    AuditKeyError,
    AuditReadError,
    AuditWriteError,
)
from sessionactors.audit.files import LogPaths
from sessionactors.audit.handover import Handover, follow, read_handovers, segment_number
from sessionactors.audit.keys import load_public_key
from sessionactors.audit.record import decode
from sessionactors.audit.verdict import FINDINGS_MAX, Finding, Outcome, Part, Verification
from sessionactors.audit.walk import Walk
from supervisors.errors import SupervisorsError

__all__ = ["verify"]

_TRIES: Final = 3

# What decides if several things are wrong.
_ORDER: Final[tuple[Part, ...]] = (
    "entry",
    "log",
    "head",
    "checkpoints",
    "hashes",
    "index",
    "tip",
    "database",
    "personal",
    "handovers",
    "key",
)


def verify(
    directory: str | os.PathLike[str],
    *,
    public_key: Verifier | None = None,
    known_head: bytes | None = None,
    progress: Callable[[int, int], None] | None = None,
    home: Path | None = None,
) -> Verification:
    """Verify a log; anything can be wrong with it, and no error is raised for that.

    Args:
        directory: the log, or a copy of it. A writer may have it open. Or the
            packed file of a sealed log.
        public_key: the key to trust; None takes `audit.pub` in the directory,
            which whoever forged the log may have forged as well. The key of an
            earlier log of the row will do: the hand-overs are followed from there.
        known_head: a signed checkpoint of this log that was kept elsewhere; the
            log must contain it, so it shows whether something was cut off.
        progress: called now and then with entries done and entries in all.
        home: the directory with the personal data; None for the one that the log belongs to.

    Blocks: for about two microseconds for each entry.
    """
    if is_archive(Path(directory)):
        try:
            with unpacked(Path(directory)) as log:
                home = LogPaths(Path(directory)).home if home is None else home
                return verify(log, public_key=public_key, known_head=known_head, progress=progress, home=home)
        except AuditDamagedError as error:
            finding = Finding("log", None, "the whole archive of a sealed log", str(error))
            return Verification("tampered", findings=(finding,))
        except AuditReadError as error:
            return Verification("usage", findings=(Finding("log", None, "an archive to unpack", str(error)),))
    for _ in range(_TRIES):
        paths = LogPaths.for_reading(Path(directory), home)
        seen = _identity(paths)
        verification = _verify(paths, public_key, known_head, progress)
        # Of a log that is sealed meanwhile, parts of two logs may have been looked at.
        if verification.exit_code == 0 or _identity(paths) == seen:
            break
    return verification


def _verify(
    paths: LogPaths,
    public_key: Verifier | None,
    known_head: bytes | None,
    progress: Callable[[int, int], None] | None,
) -> Verification:
    early = _nothing_to_read(paths)
    if early is not None:
        return early
    handovers, fault = _handovers(paths)
    steps = 0
    verifier = public_key
    try:
        if verifier is None:
            verifier = load_public_key(paths.public_key)
        else:
            verifier, steps = _own_key(paths, verifier, handovers)
        if known_head is not None:
            open_checkpoint(known_head, verifier)
    except AuditKeyError as error:
        return Verification("key", findings=(Finding("key", None, "a public key", str(error)),))
    except SupervisorsError as error:
        earlier = next((each.old.name for each in handovers if _is_head_of(known_head, each.old)), None)
        if earlier is not None:
            found = f"one of {earlier}, which was sealed: --sealed looks there as well"
            finding = Finding("key", None, "a head of this log", found)
            return Verification("key", public_key=str(verifier), findings=(finding,))
        expected = "a head signed by the public key"
        return Verification("key", public_key=str(verifier), findings=(Finding("key", None, expected, str(error)),))
    walk = Walk(paths, verifier, progress)
    try:
        with ExitStack() as stack:
            walk.run(stack, known_head)
    except (AuditReadError, AuditWriteError, OSError) as error:
        return Verification("usage", findings=(Finding("log", None, "files that can be read", str(error)),))
    if public_key is not None:
        _compare_own_key(paths, verifier, walk)
    if fault is not None:
        walk.report(Finding("handovers", None, "hand-overs that both keys have signed", fault))
    elif not walk.is_over:
        _check_handovers(verifier, handovers, walk)
    personal = walk.personal
    walk.is_behind = walk.is_behind or paths.overlay is not None
    outcome, findings = _judged(walk, verifier)
    return Verification(
        outcome,
        size=walk.frontier.size,
        root=walk.last_root.hex(),
        last_good_head=walk.last_good,
        heads=walk.heads,
        findings=findings,
        origin=verifier.name,
        public_key=str(verifier),
        is_key_given=public_key is not None,
        is_head_given=known_head is not None,
        is_live=walk.is_live,
        handovers=steps,
        sealed=segment_number(verifier.name) - 1,
        goes_on_as=next((each.new.name for each in handovers if each.old == verifier), None),
        personal_open=personal.open,
        personal_erased=personal.erased,
        personal_absent=personal.absent,
    )


def _is_head_of(note: bytes | None, verifier: Verifier) -> bool:
    try:
        return note is not None and bool(open_checkpoint(note, verifier))
    except SupervisorsError:
        return False


def _identity(paths: LogPaths) -> tuple[object, ...]:
    """Return what changes when a log is sealed."""
    found: list[object] = [paths.sealing.exists()]
    for path in (paths.database, paths.hashes, paths.checkpoints, paths.public_key):
        try:
            found.append(path.stat().st_ino)
        except OSError:
            found.append(None)
    return tuple(found)


def _handovers(paths: LogPaths) -> tuple[tuple[Handover, ...], str | None]:
    """Return the hand-overs beside a log, and what is wrong with them."""
    try:
        return read_handovers(paths.handovers), None
    except (AuditReadError, SupervisorsError) as error:
        return (), str(error)


def _own_key(paths: LogPaths, trusted: Verifier, handovers: tuple[Handover, ...]) -> tuple[Verifier, int]:
    """Return the log's own key if the trusted one leads to it, and over how many hand-overs; else the trusted one."""
    try:
        own = load_public_key(paths.public_key)
    except AuditKeyError:
        return trusted, 0
    steps = follow(trusted, own, handovers)
    return (trusted, 0) if steps is None else (own, steps)


def _check_handovers(own: Verifier, handovers: tuple[Handover, ...], walk: Walk) -> None:
    """Check that the log begins where the one before it ended, and ends where it handed over."""
    before = next((each for each in handovers if each.new == own), None)
    after = next((each for each in handovers if each.old == own), None)
    if before is None and (segment_number(own.name) > 1 or (handovers and after is None)):
        walk.report(Finding("handovers", None, f"a hand-over to {own.name}", "none"))
    if before is not None and walk.first_leaf is not None:
        expected = f"the last head of {before.old.name}, {before.final.size} entries"
        try:
            note = str(decode(walk.first_leaf).data.get("checkpoint")).encode()
            is_right = open_checkpoint(note, before.old) == before.final
        except SupervisorsError:
            is_right = False
        if not is_right:
            walk.report(Finding("handovers", 0, expected, "another entry 0"))
    if after is not None and (walk.last_good, walk.last_root) != (after.final.size, after.final.root):
        expected = f"the head of {after.final.size} entries, with which it was sealed"
        walk.report(Finding("entry", walk.last_good, expected, f"the end at {walk.last_good} entries"))


def _nothing_to_read(paths: LogPaths) -> Verification | None:
    """Return the result for a directory without entries to look at, or None if there is a database."""
    try:
        # A log gets its public key before its tables. Without both, what cannot be
        # read as a database is the half of one that a crash has left.
        if _has_tables(paths.database, otherwise=paths.public_key.exists()):
            return None
        knows = [path.name for path in (paths.checkpoints, paths.hashes) if path.is_file() and path.stat().st_size]
        is_begun = any(path.is_file() for path in (paths.checkpoints, paths.public_key, paths.database))
    except OSError as error:
        return Verification("usage", findings=(Finding("log", None, "a directory that can be read", str(error)),))
    if knows:
        found = f"an empty database or none, beside {' and '.join(knows)} with content"
        return Verification("tampered", findings=(Finding("entry", 0, "the database with the entries", found),))
    if is_begun:
        return Verification("torn", findings=(Finding("log", None, "a log", "one that was about to be made"),))
    return Verification("usage", findings=(Finding("log", None, "a directory with audit.db in it", "none"),))


def _has_tables(path: Path, *, otherwise: bool) -> bool:
    """Tell whether there is a database with anything in it; where that cannot be found out, what is said otherwise."""
    if not path.is_file() or not path.stat().st_size:
        return False
    try:
        connection = database.open_for_reading(path)
    except AuditError:
        return otherwise  # what is wrong with it is found out later
    with closing(connection):
        return not database.is_empty(connection)


def _compare_own_key(paths: LogPaths, given: Verifier, walk: Walk) -> None:
    """Check that the log's own copy of the public key is the one that was given."""
    try:
        own = str(load_public_key(paths.public_key))
    except AuditKeyError as error:
        own = str(error)
    if own != str(given):
        walk.report(Finding("key", None, str(given), own))


def _judged(walk: Walk, verifier: Verifier) -> tuple[Outcome, tuple[Finding, ...]]:
    """Return what follows from a walk, and its findings, the decisive one first."""
    findings = sorted(walk.findings, key=lambda finding: _ORDER.index(finding.part))[:FINDINGS_MAX]
    if walk.statements.bad and not walk.statements.good:
        found = f"{walk.statements.bad} heads, none of them signed by it"
        return "key", (Finding("key", None, f"heads signed by {verifier}", found), *findings)
    if findings:
        return "tampered", tuple(findings)
    return ("torn" if walk.is_behind and not walk.is_live else "valid"), ()
