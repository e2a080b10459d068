"""A signal that comes while the main thread writes the log in memory, at every call at which it can come."""

from __future__ import annotations

import gc
import sys
from collections import Counter

from sessionactors.audit.merkle import Frontier, leaf_hashes
from sessionactors.audit.service import AuditLedger
from supervisors.errors import SupervisorsError
from tests.sessionactors.session_world import virtual

WRITE = AuditLedger.write_here.__code__


class Interruption:
    """Raises `KeyboardInterrupt` once, at the n-th moment of a write at which a signal would be handled.

    Those are the begin of a function and the return from one that is written in C.
    """

    def __init__(self, moment):
        self.left = moment
        self.write = None

    def __call__(self, frame, event, argument):
        if event == "call" and frame.f_code is WRITE:
            self.write = frame
        if self.write is None or event not in ("call", "c_return"):
            if event == "return" and frame is self.write:
                self.write = None
            return
        self.left -= 1
        if not self.left:
            sys.setprofile(None)
            raise KeyboardInterrupt


def interrupted(system, moment):
    """Log the event that makes a batch full; return whether that was interrupted."""
    interruption = Interruption(moment)
    before = sys.getprofile()
    gc.disable()  # what is raised in the end of other objects comes to nobody
    sys.setprofile(interruption)
    try:
        system.log_event("a", "resource", {"n": 2})
    except KeyboardInterrupt:
        return True
    finally:
        sys.setprofile(before)
        gc.enable()
    return False


def written(system):
    """Return what is wrong with the log, or None."""
    log = system._ledger.log
    found = list(log.events())
    numbers = [each.data["n"] for each in found]
    if numbers != list(range(len(found))) or [each.sequence for each in found] != numbers:
        return numbers
    frontier = Frontier()
    frontier.extend(leaf_hashes(log._recent.between(0, None)))
    if (frontier.size, frontier.root()) != (log.size, log.head().root):
        return "the tree is another one"
    kinds = Counter(each.type for each in found)
    if kinds != system.audit_counts().by_type or kinds != log.statistics().by_type():
        return system.audit_counts()
    return None


def test_an_interrupted_write_in_memory_loses_and_doubles_nothing():
    wrong = {}
    moment, goes_on = 0, True
    while goes_on:
        moment += 1
        with virtual(audit={"batch_max": 3, "queue_max": 100}) as system:
            for number in range(2):
                system.log_event("a", "resource", {"n": number})
            goes_on = interrupted(system, moment)
            if system._ledger._writing.locked():
                wrong[moment] = "the log is not given back"
                system._ledger._writing.release()
            for number in range(3, 7):
                system.log_event("a", "resource", {"n": number})
            system.actors.advance(0.05)
            waiting = len(system._intake)
            try:
                system.commit_audit()
            except SupervisorsError as error:
                wrong[moment] = str(error)
            fault = f"{waiting} wait" if waiting else written(system)
            if fault is not None:
                wrong.setdefault(moment, fault)
    assert moment > 50
    assert wrong == {}
