"""Session systems for tests, and what can be read off their audit logs."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager

from sessionactors import Session, SessionSystem
from supervisors.clock import VirtualClock
from supervisors.entropy import Entropy

TRUSTED = {"authenticated": True}


def virtual(**options):
    """Return a session system in virtual time, which starts at 0."""
    return SessionSystem(clock=VirtualClock(), entropy=Entropy(7), **options)


def start_active(system, *session_ids, **options):
    """Start sessions and bring them to active."""
    for session_id in session_ids:
        system.start_session(session_id, options or None)
        system.authenticate(session_id, TRUSTED)
        system.activate(session_id)


def entries(system, session_id=None):
    """Return what the log holds by now, of one session or of all."""
    system.commit_audit()
    return list(system._ledger.log.events(session=session_id))


def names(system, session_id):
    """Return what happened to a session, in the words of the log."""
    return [each.data["event"] for each in entries(system, session_id)]


def edges(records):
    """Return `(session, from, to)` of all transitions in order."""
    return [
        (each.session, each.data["from_state"], each.data["to_state"])
        for each in records
        if each.type == "state_transition" and "event" in each.data and "reason" in each.data
    ]


def imbalance(records, live):
    """Return the states whose ins are not their outs plus who is in them; `live` maps sessions to states.

    Every start counts as an edge into `new`.
    """
    count = Counter()
    for each in records:
        if each.data.get("event") == "session_started":
            count["new"] += 1
    for _, source, target in edges(records):
        count[source] -= 1
        count[target] += 1
    count.subtract(live.values())
    del count["terminated"]
    return {state: excess for state, excess in count.items() if excess}


def ends(records):
    """Return how often each session has ended."""
    return Counter(session for session, _, target in edges(records) if target == "terminated")


def kill(system, name):
    """Kill a service or a session."""
    ref = system.actors.whereis(name) or system.directory.get(name)
    ref.kill()
    return ref


class Blocking(Session):
    """Has a handler that enters, and leaves when it may."""

    def handle_request(self, request):
        entered, leave = request
        entered.set()
        leave.wait(60.0)


@contextmanager
def without_workers(**options):
    """Give a system on threads whose only worker is in a handler that blocks."""
    entered, leave = threading.Event(), threading.Event()
    with SessionSystem(workers=1, **options) as system:
        system.start_session("blocks", {"auth_required": False}, session_class=Blocking)
        system.activate("blocks")
        asker = threading.Thread(target=system.request, args=("blocks", (entered, leave)), kwargs={"timeout": 60.0})
        asker.start()
        assert entered.wait(10.0)
        try:
            yield system
            assert asker.is_alive()
        finally:
            leave.set()
            asker.join(10.0)
