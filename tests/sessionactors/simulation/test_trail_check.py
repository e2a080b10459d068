from __future__ import annotations

import pytest

from sessionactors.audit.memory import MemoryAuditLog
from sessionactors.audit.record import kind_of
from sessionactors.simulation.trail_check import fault_of_trail


def trail(*told, actor="session"):
    """Return the entries of a log: `"started"`, `("loaded", state)`, or `(from, to)`, each of session a."""
    log = MemoryAuditLog()
    for each in told:
        if each == "started":
            kind, data = kind_of("lifecycle"), {"event": "session_started"}
        elif each[0] == "loaded":
            kind, data = kind_of("lifecycle"), {"event": "session_loaded", "state": each[1]}
        else:
            kind, data = kind_of("state_transition"), {"from_state": each[0], "to_state": each[1]}
        log.append_many([(1.0, 1.0, "a", kind, actor, data)])
    log.commit()
    return list(log.events())


def test_a_life_a_crash_and_another_life_are_in_order():
    entries = trail(
        "started",
        ("new", "auth"),
        ("auth", "active"),
        ("active", "terminated"),
        ("loaded", "idle"),
        ("idle", "active"),
        ("active", "terminated"),
        "started",
        ("new", "active"),
    )
    assert fault_of_trail(entries) is None


def test_where_the_beginning_is_missing_a_session_is_where_its_first_entry_says():
    assert fault_of_trail(trail(("idle", "active"), ("active", "suspended"))) is None


@pytest.mark.parametrize(
    ("told", "what"),
    [
        (["started", ("auth", "active")], "entry 1: a leaves auth, where it is new"),
        (["started", ("new", "idle")], "entry 1: a goes from new to idle, where no edge leads"),
        (["started", ("new", "zombie")], "from new to zombie"),
        ([("zombie", "active")], "from zombie to active"),
        ([("active", "idle"), ("active", "idle")], "entry 1: a leaves active, where it is idle"),
        ([("idle", "active"), ("suspended", "active")], "a leaves suspended, where it is active"),
        ([("active", "terminated"), ("terminated", "active")], "from terminated to active"),
        ([("active", "terminated"), ("new", "terminated")], "a leaves new, where it is terminated"),
        ([("loaded", "idle"), ("active", "idle")], "a leaves active, where it is idle"),
    ],
)
def test_what_cannot_follow_is_told(told, what):
    assert what in str(fault_of_trail(trail(*told)))


def test_what_others_log_about_transitions_is_their_own_word():
    assert fault_of_trail(trail(("suspended", "zombie"), actor="user")) is None
