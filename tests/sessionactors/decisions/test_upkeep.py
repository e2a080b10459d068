from __future__ import annotations

import pytest

from sessionactors.errors import InvalidKind, InvalidValue, LoadFailed, NoBackend, NotPersistent
from sessionactors.lifecycle import (
    CRASH,
    LOAD,
    MIGRATE,
    PERSIST,
    UPDATE_CONFIG,
    WAKE,
    decide,
)
from sessionactors.session_data import SessionData, deadline, history
from sessionactors.settings import Quota, SessionOptions
from sessionactors.snapshots import restore, snapshot
from sessionactors.states import ACTIVE, AUTH, IDLE, NEW, SUSPENDED
from tests.sessionactors.session_factory import all_of, audits, refusal, session_in, transition, wake


def test_persisting_needs_a_persistent_session():
    with pytest.raises(NotPersistent) as refused:
        decide(session_in(ACTIVE), PERSIST, 101.0)
    assert refused.value.code == "not_persistent"


def test_persisting_needs_a_backend():
    with pytest.raises(NoBackend) as refused:
        decide(session_in(ACTIVE, persistent=True, backend=None), PERSIST, 101.0)
    assert refused.value.code == "no_backend"


def test_a_crash_ends_the_session_with_its_cause_in_the_log():
    effects = decide(session_in(ACTIVE), CRASH, 101.0, "ZeroDivisionError")
    assert effects[0].data == {"error": "ZeroDivisionError"}
    assert effects[1].reason == "crashed"


@pytest.mark.parametrize(("target", "error"), [(None, InvalidKind), ("", InvalidValue), ("a\0b", InvalidValue)])
def test_a_move_needs_a_target(target, error):
    with pytest.raises(error, match="target"):
        decide(session_in(ACTIVE, migration_allowed=True), MIGRATE, 101.0, target)


def test_a_shorter_idle_timeout_sets_the_timer_again():
    data = session_in(ACTIVE, idle_timeout=300.0)
    effects = decide(data, UPDATE_CONFIG, 110.0, data.options.updated({"idle_timeout": 50.0}))
    assert wake(effects) == 150.0
    assert transition(decide(data, WAKE, 150.0, 150.0)) == (ACTIVE, IDLE, "deactivated")


def test_a_longer_idle_timeout_leaves_the_timer_to_set_itself_again():
    data = session_in(ACTIVE, idle_timeout=30.0)
    assert wake(decide(data, UPDATE_CONFIG, 110.0, data.options.updated({"idle_timeout": 300.0}))) is None
    assert wake(decide(data, WAKE, 130.0, 130.0)) == 400.0


def test_a_change_of_configuration_is_audited_with_what_changed():
    data = session_in(ACTIVE)
    (audit,) = decide(data, UPDATE_CONFIG, 101.0, data.options.updated({"persistent": True, "idle_timeout": 400}))
    assert audit.data == {"persistent": True, "idle_timeout": 400.0}


def test_a_change_of_configuration_keeps_the_quota_that_was_set_meanwhile():
    data = session_in(ACTIVE)
    data.quota = Quota.unlimited()
    decide(data, UPDATE_CONFIG, 101.0, SessionOptions(quota=Quota(1, 1, 1)))
    assert data.quota == Quota.unlimited()


def test_fewer_attempts_than_were_made_already_count_as_used_up():
    data = session_in(AUTH)
    data.auth_attempts = 3
    decide(data, UPDATE_CONFIG, 101.0, SessionOptions(max_auth_attempts=2))
    assert data.auth_attempts == 2


def test_a_shorter_history_forgets_the_oldest_at_once():
    data = session_in(IDLE)
    decide(data, UPDATE_CONFIG, 101.0, SessionOptions(max_history_size=1))
    assert [entry.to_state for entry in history(data)] == [IDLE]


def test_options_are_all_that_a_configuration_can_be():
    with pytest.raises(InvalidKind, match="options"):
        decide(session_in(ACTIVE), UPDATE_CONFIG, 101.0, {"idle_timeout": 5.0})


def test_a_new_session_becomes_what_the_snapshot_describes():
    stored = snapshot(session_in(SUSPENDED, suspend_timeout=60.0), 120.0, 1_000_120.0)
    data = SessionData("s-1", SessionOptions(), 5.0)
    effects = decide(data, LOAD, 5.0, restore(stored, 5.0, 1_000_130.0))
    assert data.state == SUSPENDED
    assert audits(effects) == [("lifecycle", "session_loaded")]
    assert wake(effects) == deadline(data) == 5.0 + 60.0 - 30.0


def test_a_timer_that_ran_out_in_the_store_fires_at_once():
    stored = snapshot(session_in(SUSPENDED, suspend_timeout=60.0), 120.0, 1_000_120.0)
    data = SessionData("s-1", SessionOptions(), 5.0)
    assert wake(decide(data, LOAD, 5.0, restore(stored, 5.0, 2_000_000.0))) == 5.0
    assert transition(decide(data, WAKE, 5.0, 5.0)) == (SUSPENDED, "terminated", "session_terminated")


def test_a_snapshot_of_another_session_is_refused():
    other = SessionData("s-2", SessionOptions(), 0.0)
    data = session_in(NEW)
    before = all_of(data)
    with pytest.raises(LoadFailed, match="s-2") as refused:
        decide(data, LOAD, 101.0, other)
    assert refused.value.code == "load_failed"
    assert all_of(data) == before


def test_a_load_takes_a_restored_session_only():
    with pytest.raises(InvalidKind, match="restored"):
        decide(session_in(NEW), LOAD, 101.0, {"state": "idle"})


def test_a_refused_move_is_answered_without_stopping_the_session():
    data = session_in(ACTIVE)
    assert refusal(decide(data, MIGRATE, 101.0, "node-2")) == "migration_not_allowed"
    assert data.state == ACTIVE
