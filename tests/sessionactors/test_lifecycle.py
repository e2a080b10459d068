"""The transition table of the specification, row by row, and everything that is not in it."""

from __future__ import annotations

import pytest

from sessionactors.effects import Migrate, Persist, Refuse, Verdict, Verify
from sessionactors.errors import (
    InvalidState,
    InvalidTransition,
    SessionRefusal,
    SessionTerminated,
    UnknownRequest,
)
from sessionactors.lifecycle import (
    ACTIVATE,
    AUTHENTICATE,
    CRASH,
    DEACTIVATE,
    FORCE_RESUME,
    FORCE_SUSPEND,
    FORCE_TERMINATE,
    INIT_SESSION,
    LOAD,
    LOCK,
    MIGRATE,
    MIGRATION_FAILED,
    OPERATIONS,
    OVERRIDE_QUOTA,
    PERSIST,
    RATE_LIMIT_EXCEEDED,
    RESOURCE_VIOLATION,
    RESUME,
    SET_QUOTA,
    SUSPEND,
    TERMINATE,
    TOUCH,
    UNLOCK,
    UPDATE_CONFIG,
    UPDATE_RESOURCES,
    VERDICT,
    WAKE,
    Deltas,
    Override,
    accepts_flag,
    decide,
    is_legal,
    start,
)
from sessionactors.session_data import SessionData
from sessionactors.settings import Quota, SessionOptions
from sessionactors.states import ACTIVE, AUTH, EDGES, IDLE, LIVE_STATES, NEW, STATES, SUSPENDED, TERMINATED
from tests.sessionactors.session_factory import (
    GOOD,
    all_of,
    audits,
    ends,
    events,
    refusal,
    session_in,
    transition,
    wake,
)

PRE = {"metadata": {"pre_authenticated": True}}
SMALL = {"quota": Quota(max_requests=10, max_connections=5, max_message_size=100)}
ADMIN = Override("root")
ONE = Deltas(requests=1)
TOO_MANY = Deltas(requests=11)

# state, options, operation, argument -> next state, code of the refusal, audit entries besides
# the transition, the transition's own audit name, events
# fmt: off
ROWS = [
    (NEW, {}, INIT_SESSION, {"a": 1},
     NEW, None, [("lifecycle", "session_initialized")], None, ["session_initialized"]),
    (NEW, {}, AUTHENTICATE, GOOD,
     AUTH, None, [("auth", "auth_attempt")], "auth_attempt", []),
    (NEW, {"locked_out": True}, AUTHENTICATE, GOOD,
     NEW, "auth_blocked", [("security", "auth_blocked")], None, []),
    (NEW, PRE, ACTIVATE, None,
     ACTIVE, None, [], "activated_pre_auth", ["session_activated"]),
    (NEW, {"auth_required": False}, ACTIVATE, None,
     ACTIVE, None, [], "activated_pre_auth", ["session_activated"]),
    (NEW, {}, ACTIVATE, None,
     NEW, "not_authenticated", [("auth", "activation_denied")], None, []),
    (NEW, {**PRE, "locked_out": True}, ACTIVATE, None,
     NEW, "auth_blocked", [("security", "auth_blocked")], None, []),
    (AUTH, {}, AUTHENTICATE, GOOD,
     AUTH, None, [("auth", "auth_retry")], None, []),
    (AUTH, {"max_auth_attempts": 1}, AUTHENTICATE, GOOD,
     TERMINATED, "max_attempts", [("security", "max_auth_attempts_exceeded")], "session_terminated",
     ["session_terminated"]),
    (AUTH, {}, ACTIVATE, accepts_flag,
     ACTIVE, None, [("auth", "auth_success")], "auth_success", ["session_activated"]),
    (AUTH, {}, ACTIVATE, lambda _: False,
     AUTH, "authentication_failed", [("auth", "auth_failed")], None, []),
    (AUTH, {"max_auth_attempts": 1}, ACTIVATE, lambda _: False,
     TERMINATED, "max_attempts", [("auth", "auth_failed"), ("security", "max_auth_attempts_exceeded")],
     "session_terminated", ["session_terminated"]),
    (AUTH, {"strict_authentication": True}, ACTIVATE, lambda _: False,
     TERMINATED, "authentication_failed", [("auth", "auth_failed")], "session_terminated", ["session_terminated"]),
    (ACTIVE, {}, DEACTIVATE, None,
     IDLE, None, [], "deactivated", ["session_deactivated"]),
    (ACTIVE, {}, SUSPEND, None,
     SUSPENDED, None, [], "suspended", ["session_suspended"]),
    (ACTIVE, {}, SUSPEND, RATE_LIMIT_EXCEEDED,
     SUSPENDED, None, [], "suspended", ["session_suspended"]),
    (ACTIVE, {}, TERMINATE, RESOURCE_VIOLATION,
     TERMINATED, None, [("security", "resource_violation")], "session_terminated", ["session_terminated"]),
    (ACTIVE, {}, UPDATE_RESOURCES, ONE,
     ACTIVE, None, [], None, []),
    (ACTIVE, {"audit_requests_every": 1}, UPDATE_RESOURCES, ONE,
     ACTIVE, None, [("resource", "resources_updated")], None, []),
    (ACTIVE, SMALL, UPDATE_RESOURCES, TOO_MANY,
     ACTIVE, "quota_exceeded", [("resource", "quota_exceeded")], None, []),
    (ACTIVE, {"migration_allowed": True}, MIGRATE, "node-2",
     ACTIVE, None, [("lifecycle", "migration_started")], None, ["session_migrating"]),
    (ACTIVE, {}, MIGRATE, "node-2",
     ACTIVE, "migration_not_allowed", [("lifecycle", "migration_failed")], None, []),
    (ACTIVE, {}, MIGRATION_FAILED, "unreachable",
     ACTIVE, "migration_failed", [("lifecycle", "migration_failed")], None, []),
    (ACTIVE, {}, FORCE_SUSPEND, ADMIN,
     SUSPENDED, None, [("security", "force_suspend")], "suspended", ["session_suspended"]),
    (IDLE, {}, RESUME, None,
     ACTIVE, None, [], "resumed", ["session_resumed"]),
    (IDLE, {}, SUSPEND, None,
     SUSPENDED, None, [], "suspended_from_idle", ["session_suspended"]),
    (IDLE, {}, FORCE_SUSPEND, ADMIN,
     SUSPENDED, None, [("security", "force_suspend")], "suspended_from_idle", ["session_suspended"]),
    (IDLE, {}, FORCE_RESUME, ADMIN,
     ACTIVE, None, [("security", "force_resume")], "resumed", ["session_resumed"]),
    (SUSPENDED, {}, RESUME, None,
     ACTIVE, None, [], "resumed", ["session_resumed"]),
    (SUSPENDED, {"resume_allowed": False}, RESUME, None,
     SUSPENDED, "resume_blocked", [("security", "resume_blocked")], None, []),
    (SUSPENDED, {"resume_allowed": False}, FORCE_RESUME, ADMIN,
     ACTIVE, None, [("security", "force_resume")], "resumed", ["session_resumed"]),
    (SUSPENDED, {"migration_allowed": True}, MIGRATE, "node-2",
     SUSPENDED, None, [("lifecycle", "migration_started")], None, ["session_migrating"]),
    (SUSPENDED, {}, MIGRATE, "node-2",
     SUSPENDED, "migration_not_allowed", [("lifecycle", "migration_failed")], None, []),
]
IN_EVERY_LIVE_STATE = [
    ({}, TERMINATE, None, TERMINATED, None, [("lifecycle", "terminate_requested")], "session_terminated",
     ["session_terminated"]),
    ({}, TERMINATE, "shutdown", TERMINATED, None, [], "session_terminated", ["session_terminated"]),
    ({}, CRASH, "ValueError", TERMINATED, None, [("error", "session_crashed")], "session_terminated",
     ["session_terminated"]),
    ({}, FORCE_TERMINATE, ADMIN, TERMINATED, None, [("security", "force_terminate")], "session_terminated",
     ["session_terminated"]),
    ({}, TOUCH, None, None, None, [], None, []),
    ({}, SET_QUOTA, Quota(1, 1, 1), None, None, [("resource", "quota_updated")], None, []),
    ({}, UPDATE_CONFIG, SessionOptions(), None, None, [("lifecycle", "config_updated")], None, []),
    ({"persistent": True}, PERSIST, None, None, None, [], None, []),
    ({}, LOCK, ADMIN, None, None, [("security", "lock")], None, []),
    ({}, UNLOCK, ADMIN, None, None, [("security", "unlock")], None, []),
    ({}, OVERRIDE_QUOTA, Override("root", quota=Quota()), None, None, [("security", "override_quota")], None, []),
    ({}, VERDICT, Verdict(Verify("of another session"), accepted=True), None, None, [], None, []),
    ({}, WAKE, 1e9, None, None, [], None, []),
]
# fmt: on
ROWS += [
    (state, row[0], row[1], row[2], row[3] or state, *row[4:]) for state in LIVE_STATES for row in IN_EVERY_LIVE_STATE
]


def _title(row: tuple) -> str:
    state, options, operation, *_ = row
    guard = "".join(f" {name}={value}" for name, value in options.items() if isinstance(value, (bool, int)))
    return f"{state} {operation}{guard} -> {row[5] or row[4]}"


@pytest.mark.parametrize("row", ROWS, ids=_title)
def test_the_table_holds(row):
    state, options, operation, argument, next_state, code, audited, name, told = row
    data = session_in(state, **options)
    effects = decide(data, operation, 101.0, argument)
    assert data.state == next_state
    assert refusal(effects) == code
    assert audits(effects) == audited
    assert transition(effects) == (None if name is None else (state, next_state, name))
    assert events(effects) == told
    assert (ends(effects) is not None) == (next_state == TERMINATED)


# What is not legal anywhere else, and where it is.
LEGAL_IN = {
    INIT_SESSION: {NEW},
    AUTHENTICATE: {NEW, AUTH},
    ACTIVATE: {NEW, AUTH},
    LOAD: {NEW},
    DEACTIVATE: {ACTIVE},
    UPDATE_RESOURCES: {ACTIVE},
    SUSPEND: {ACTIVE, IDLE},
    FORCE_SUSPEND: {ACTIVE, IDLE},
    RESUME: {IDLE, SUSPENDED},
    FORCE_RESUME: {IDLE, SUSPENDED},
    MIGRATE: {ACTIVE, SUSPENDED},
    MIGRATION_FAILED: {ACTIVE, SUSPENDED},
}
ILLEGAL = [
    (state, operation)
    for operation in OPERATIONS
    for state in LIVE_STATES
    if state not in LEGAL_IN.get(operation, LIVE_STATES)
]


@pytest.mark.parametrize(("state", "operation"), ILLEGAL)
def test_an_illegal_operation_answers_with_its_code_and_changes_nothing(state, operation):
    data = session_in(state)
    before = all_of(data)
    with pytest.raises(SessionRefusal) as refused:
        decide(data, operation, 200.0)
    assert refused.value.code == ("invalid_state" if operation == UPDATE_RESOURCES else "invalid_transition")
    assert isinstance(refused.value, InvalidState if operation == UPDATE_RESOURCES else InvalidTransition)
    assert (refused.value.state, refused.value.operation) == (state, operation)
    assert all_of(data) == before


@pytest.mark.parametrize("operation", [name for name in OPERATIONS if name not in (WAKE, VERDICT)])
def test_a_terminated_session_refuses_everything_alike(operation):
    data = session_in(TERMINATED)
    before = all_of(data)
    with pytest.raises(SessionTerminated) as refused:
        decide(data, operation, 200.0, GOOD)
    assert refused.value.code == "session_terminated"
    assert refused.value.session_id == "s-1"
    assert all_of(data) == before


@pytest.mark.parametrize("operation", [WAKE, VERDICT])
def test_a_terminated_session_ignores_what_was_under_way(operation):
    assert decide(session_in(TERMINATED), operation, 200.0) == ()


@pytest.mark.parametrize("operation", ["connect", "", None, 7, ["activate"]])
@pytest.mark.parametrize("state", STATES)
def test_an_unknown_operation_is_told_apart_from_an_illegal_one(state, operation):
    with pytest.raises(UnknownRequest, match="operation") as refused:
        decide(session_in(state), operation, 200.0)
    assert refused.value.code == "unknown_request"


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("state", LIVE_STATES)
def test_is_legal_agrees_with_the_table(state, operation):
    assert is_legal(state, operation) == (state in LEGAL_IN.get(operation, LIVE_STATES))


def test_the_table_goes_along_every_edge_and_no_other():
    taken = {(row[0], row[4]) for row in ROWS if row[0] != row[4]}
    # Active to idle and idle to suspended are there by request; the timer takes no other edges.
    assert taken == {(origin, target) for origin, targets in EDGES.items() for target in targets}


def test_a_start_is_audited_and_needs_no_timer():
    data = SessionData("s-1", SessionOptions(), 5.0)
    effects = start(data)
    assert audits(effects) == [("lifecycle", "session_started")]
    assert wake(effects) is None


def test_a_start_with_an_absolute_timeout_sets_the_timer():
    data = SessionData("s-1", SessionOptions(absolute_timeout=60.0), 5.0)
    assert wake(start(data)) == 65.0


def test_the_state_is_there_before_the_answer_can_be():
    # Note (a): the record is changed when the decision is returned, so whoever
    # gets the answer and asks again reads the new state.
    data = session_in(ACTIVE)
    decide(data, DEACTIVATE, 101.0)
    assert data.state == IDLE


def test_persisting_and_moving_are_left_to_the_actor():
    assert decide(session_in(IDLE, persistent=True), PERSIST, 101.0) == (Persist(),)
    effects = decide(session_in(ACTIVE, migration_allowed=True), MIGRATE, 101.0, "node-2")
    assert effects[-1] == Migrate("node-2")


def test_the_usual_decisions_return_the_same_objects_every_time():
    data = session_in(ACTIVE)
    first = decide(data, DEACTIVATE, 101.0)
    decide(data, RESUME, 102.0)
    assert decide(data, DEACTIVATE, 103.0) is first


@pytest.mark.parametrize("state", LIVE_STATES)
def test_the_last_event_is_the_end_and_the_last_effect_before_the_answer_stops_the_session(state):
    effects = decide(session_in(state), TERMINATE, 101.0)
    assert events(effects)[-1] == "session_terminated"
    assert ends(effects[-1:]) == "requested"
    strict = decide(session_in(AUTH, max_auth_attempts=1), ACTIVATE, 101.0, lambda _: False)
    assert isinstance(strict[-1], Refuse)
    assert ends(strict[-2:-1]) == "max_attempts"


def test_the_ten_steps_of_the_specification_that_concern_the_session():
    data = SessionData("s-1", SessionOptions(idle_timeout=300, auth_timeout=30, persistent=True), 0.0)
    start(data)
    decide(data, INIT_SESSION, 0.0, {})
    decide(data, AUTHENTICATE, 1.0, GOOD)
    decide(data, ACTIVATE, 2.0, accepts_flag)
    assert (data.state, data.user_id) == (ACTIVE, "ada")
    decide(data, DEACTIVATE, 3.0)
    decide(data, RESUME, 4.0)
    assert ends(decide(data, TERMINATE, 5.0)) == "requested"
    with pytest.raises(SessionTerminated):
        decide(data, RESUME, 6.0)
