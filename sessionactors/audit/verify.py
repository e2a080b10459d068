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
from sessionactors.audit.checkpoint import Verifier, open_checkpoint
from sessionactors.audit.errors import AuditError, AuditKeyError, AuditReadError, AuditWriteError
from sessionactors.audit.files import LogPaths
from sessionactors.audit.keys import load_public_key
from sessionactors.audit.verdict import FINDINGS_MAX, Finding, Outcome, Part, Verification
from sessionactors.audit.walk import Walk
from supervisors.errors import SupervisorsError

__all__ = ["verify"]

# What decides if several things are wrong.
_ORDER: Final[tuple[Part, ...]] = ("entry", "log", "head", "checkpoints", "hashes", "index", "tip", "database", "key")


def verify(
    directory: str | os.PathLike[str],
    *,
    public_key: Verifier | None = None,
    known_head: bytes | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Verification:
    """Verify a log; anything can be wrong with it, and no error is raised for that.

    Args:
        directory: the log, or a copy of it. A writer may have it open.
        public_key: the key to trust; None takes `audit.pub` in the directory,
            which whoever forged the log may have forged as well.
        known_head: a signed checkpoint of this log that was kept elsewhere; the
            log must contain it, so it shows whether something was cut off.
        progress: called now and then with entries done and entries in all.

    Blocks: for about two microseconds for each entry.
    """
    paths = LogPaths(Path(directory))
    early = _nothing_to_read(paths)
    if early is not None:
        return early
    verifier = public_key
    try:
        if verifier is None:
            verifier = load_public_key(paths.public_key)
        if known_head is not None:
            open_checkpoint(known_head, verifier)
    except AuditKeyError as error:
        return Verification("key", findings=(Finding("key", None, "a public key", str(error)),))
    except SupervisorsError as error:
        expected = "a head signed by the public key"
        return Verification("key", public_key=str(verifier), findings=(Finding("key", None, expected, str(error)),))
    walk = Walk(paths, verifier, progress)
    try:
        with ExitStack() as stack:
            walk.run(stack, known_head)
    except (AuditReadError, AuditWriteError, OSError) as error:
        return Verification("usage", findings=(Finding("log", None, "files that can be read", str(error)),))
    if public_key is not None:
        _compare_own_key(paths, public_key, walk)
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
    )


def _nothing_to_read(paths: LogPaths) -> Verification | None:
    """Return the result for a directory without entries to look at, or None if there is a database."""
    try:
        if _has_tables(paths.database):
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


def _has_tables(path: Path) -> bool:
    """Tell whether there is a database with anything in it, be it only damage."""
    if not path.is_file() or not path.stat().st_size:
        return False
    try:
        connection = database.open_for_reading(path)
    except AuditError:
        return True  # what is wrong with it is found out later
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
