from __future__ import annotations

import copy
import inspect
import math
import pickle

import pytest

from sessionactors import errors
from sessionactors.errors import (
    AuditUnavailable,
    AuthBlocked,
    AuthenticationFailed,
    AuthenticationPending,
    CapacityExceeded,
    CollectionFailed,
    ConnectionExists,
    InvalidAction,
    InvalidBackend,
    InvalidKind,
    InvalidLimit,
    InvalidOption,
    InvalidQuota,
    InvalidSessionId,
    InvalidState,
    InvalidTransition,
    InvalidValue,
    LimitExceedsGlobal,
    LoadFailed,
    ManagerNotRunning,
    MaxAttempts,
    MigrationFailed,
    MigrationNotAllowed,
    NoBackend,
    NoProcess,
    NotAuthenticated,
    NotFound,
    NotPersistent,
    OperationFailed,
    PersistFailed,
    ProcessDied,
    QuotaExceeded,
    RateLimited,
    RecordExists,
    RequestDropped,
    ResumeBlocked,
    SessionActorsError,
    SessionExists,
    SessionRecovering,
    SessionRefusal,
    SessionTerminated,
    TooManySessions,
    UnknownRequest,
    UnsupportedFormat,
    UpdateFailed,
    WakeFailed,
)
from supervisors.errors import InvalidArgumentError, InvalidTypeError, Refusal

# Each refusal, and the code that the specification has for it.
REFUSALS = [
    (InvalidTransition("idle", "activate"), "invalid_transition"),
    (InvalidState("idle", "update_resources"), "invalid_state"),
    (AuthenticationPending("activate"), "authentication_pending"),
    (SessionTerminated("s-1"), "session_terminated"),
    (SessionRecovering("s-1"), "session_recovering"),
    (NotAuthenticated(), "not_authenticated"),
    (AuthenticationFailed(2), "authentication_failed"),
    (AuthBlocked(), "auth_blocked"),
    (MaxAttempts(3), "max_attempts"),
    (ResumeBlocked(), "resume_blocked"),
    (QuotaExceeded("requests", 10, 10, 1), "quota_exceeded"),
    (RateLimited(0.5), "rate_limited"),
    (RequestDropped(), "request_dropped"),
    (AuditUnavailable("activate"), "audit_unavailable"),
    (CapacityExceeded("the queue", 1000), "capacity_exceeded"),
    (TooManySessions("ada", 3), "too_many_sessions"),
    (SessionExists("s-1"), "already_exists"),
    (ConnectionExists("c-1"), "connection_exists"),
    (RecordExists("s-1"), "session_exists"),
    (NotFound("s-1"), "not_found"),
    (NoProcess("s-1"), "no_pid"),
    (ManagerNotRunning(), "session_manager_not_running"),
    (NotPersistent(), "not_persistent"),
    (NoBackend(), "no_backend"),
    (MigrationNotAllowed(), "migration_not_allowed"),
    (OperationFailed("why"), "operation_failed"),
    (PersistFailed("why"), "persist_failed"),
    (LoadFailed("why"), "load_failed"),
    (MigrationFailed("why"), "migration_failed"),
    (ProcessDied("out_of_memory"), "process_died"),
    (UpdateFailed("why"), "update_failed"),
    (WakeFailed("why"), "wake_failed"),
    (CollectionFailed("why"), "collection_failed"),
    (InvalidKind("field", 7, "text"), "invalid_type"),
    (InvalidValue("field", 7, "1 to 6"), "invalid_value"),
    (InvalidSessionId("session_id", "", "text"), "invalid_session_id"),
    (InvalidOption("option", "idle", "idle_timeout"), "invalid_option"),
    (InvalidQuota("max_requests", -1, "0 or more"), "invalid_quota"),
    (InvalidLimit("memory_limit", -1, "1 or more"), "invalid_limit"),
    (LimitExceedsGlobal("memory_limit", 2, "at most 1"), "limit_exceeds_global"),
    (InvalidAction("action", "shout", "drop"), "invalid_action"),
    (InvalidBackend("backend", "leveldb", "memory"), "invalid_backend"),
    (UnknownRequest("operation", "connect", "one of"), "unknown_request"),
    (UnsupportedFormat("format", "xml", "json"), "unsupported_format"),
]
_NAMES = [type(refusal).__name__ for refusal, _ in REFUSALS]


@pytest.mark.parametrize(("refusal", "code"), REFUSALS, ids=_NAMES)
def test_a_refusal_has_the_code_of_the_specification(refusal, code):
    assert refusal.code == code


@pytest.mark.parametrize(("refusal", "code"), REFUSALS, ids=_NAMES)
def test_a_refusal_does_not_crash_its_actor(refusal, code):
    assert isinstance(refusal, Refusal)
    assert isinstance(refusal, SessionActorsError)


@pytest.mark.parametrize(("refusal", "code"), REFUSALS, ids=_NAMES)
@pytest.mark.parametrize("trip", [copy.copy, copy.deepcopy, lambda refusal: pickle.loads(pickle.dumps(refusal))])
def test_a_refusal_arrives_whole_elsewhere(refusal, code, trip):
    arrived = trip(refusal)
    assert type(arrived) is type(refusal)
    assert str(arrived) == str(refusal)
    assert vars(arrived) == vars(refusal)
    assert arrived.code == code


def test_every_refusal_is_in_the_list_and_in_the_drawing():
    classes = [
        each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, errors.SessionActorsError)
    ]
    assert {each.__name__ for each in classes} == {*_NAMES, "SessionActorsError", "SessionRefusal"}
    assert all(f"{each.__name__} " in str(errors.__doc__) for each in classes)


def test_no_two_refusals_share_a_code():
    codes = [code for _, code in REFUSALS]
    assert len(set(codes)) == len(codes)


def test_usage_errors_are_also_pythons_own():
    assert isinstance(InvalidValue("field", 7, "1 to 6"), (ValueError, InvalidArgumentError))
    assert isinstance(InvalidKind("field", 7, "text"), (TypeError, InvalidTypeError))
    assert not isinstance(InvalidKind("field", 7, "text"), ValueError)


def test_an_illegal_transition_tells_state_and_operation():
    error = InvalidTransition("idle", "activate")
    assert (error.state, error.operation) == ("idle", "activate")
    assert "activate" in str(error)
    assert "'idle'" in str(error)


def test_an_exceeded_quota_tells_all_numbers():
    error = QuotaExceeded("requests", 998, 1000, 5)
    assert (error.dimension, error.used, error.limit, error.wanted) == ("requests", 998, 1000, 5)
    assert "998" in str(error)
    assert "set_quota" in str(error)


def test_a_rate_limit_tells_when_to_come_back():
    assert RateLimited(0.25).wait == 0.25
    assert RateLimited(0.25).retry_after_ms == 250.0
    assert "0.250 s" in str(RateLimited(0.25))


def test_what_never_fits_is_not_told_to_come_back():
    assert "retry" not in str(RateLimited(math.inf))


def test_a_failed_authentication_does_not_tell_why():
    assert str(AuthenticationFailed(2)) == "the credentials were not accepted; call authenticate again (2 left)"


def test_the_last_failed_authentication_does_not_invite_another():
    assert "again" not in str(AuthenticationFailed(0))


def test_a_wrong_value_of_the_wrong_kind_is_not_shown():
    assert "secret" not in str(InvalidKind("user_id", "secret", "a number"))


def test_a_session_refusal_of_no_kind_still_has_a_code():
    assert SessionRefusal("no").code == "refused"
