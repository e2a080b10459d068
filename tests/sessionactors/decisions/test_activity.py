from __future__ import annotations

import pytest

from sessionactors.effects import Wake
from sessionactors.errors import InvalidKind, InvalidValue
from sessionactors.lifecycle import (
    ACTIVATE,
    AUTHENTICATE,
    DEACTIVATE,
    INIT_SESSION,
    LOCK,
    PERSIST,
    RATE_LIMIT_EXCEEDED,
    RESUME,
    SET_QUOTA,
    SUSPEND,
    TERMINATE,
    TOUCH,
    UPDATE_RESOURCES,
    WAKE,
    Deltas,
    Override,
    accepts_flag,
    decide,
)
from sessionactors.session_data import check_quota, deadline, history, info, metrics
from sessionactors.settings import Quota
from sessionactors.states import ACTIVE, AUTH, IDLE, LIVE_STATES, NEW, SUSPENDED, TERMINATED
from tests.sessionactors.session_factory import (
    GOOD,
    all_of,
    ends,
    events,
    session_in,
    transition,
    wake,
)


def test_an_active_session_without_activity_becomes_idle():
    data = session_in(ACTIVE, idle_timeout=300.0)
    effects = decide(data, WAKE, 400.0, 400.0)
    assert transition(effects) == (ACTIVE, IDLE, "deactivated")
    assert events(effects) == ["session_deactivated"]
    assert effects[0].reason == "idle_timeout"


def test_the_idle_time_ends_exactly_when_it_is_over():
    data = session_in(ACTIVE, idle_timeout=300.0)
    decide(data, TOUCH, 150.0)
    assert decide(data, WAKE, 400.0, 400.0) == (Wake(450.0),)
    assert transition(decide(data, WAKE, 450.0, 450.0)) == (ACTIVE, IDLE, "deactivated")


def test_an_idle_session_without_activity_is_suspended_another_timeout_later():
    data = session_in(ACTIVE, idle_timeout=300.0)
    assert wake(decide(data, WAKE, 400.0, 400.0)) == 700.0
    effects = decide(data, WAKE, 700.0, 700.0)
    assert transition(effects) == (IDLE, SUSPENDED, "idle_timeout")
    assert events(effects) == ["session_idle_timeout", "session_suspended"]
    assert data.suspend_reason == "idle_timeout"


def test_the_timer_alone_is_no_activity():
    data = session_in(ACTIVE, idle_timeout=300.0)
    decide(data, WAKE, 400.0, 400.0)
    decide(data, WAKE, 700.0, 700.0)
    assert data.last_activity == 100.0


def test_a_suspended_session_stays_so_for_ever_by_default():
    data = session_in(SUSPENDED)
    assert deadline(data) == float("inf")


def test_a_suspend_timeout_ends_the_session_when_it_is_configured():
    data = session_in(SUSPENDED, suspend_timeout=10.0)
    effects = decide(data, WAKE, 110.0, data.wake_at)
    assert ends(effects) == "suspend_timeout"
    assert data.wake_at == float("inf")


def test_a_suspension_by_the_idle_timer_starts_the_suspend_timer():
    data = session_in(IDLE, idle_timeout=20.0, suspend_timeout=10.0)
    assert wake(decide(data, WAKE, 120.0, 120.0)) == 130.0


def test_a_suspension_by_the_idle_timer_minds_the_absolute_timeout_too():
    data = session_in(IDLE, idle_timeout=20.0, suspend_timeout=100.0, absolute_timeout=50.0)
    assert wake(decide(data, WAKE, 120.0, 120.0)) == 150.0


@pytest.mark.parametrize("state", LIVE_STATES)
def test_the_absolute_timeout_ends_a_session_in_any_state(state):
    data = session_in(state, absolute_timeout=25.0)
    decide(data, TOUCH, 120.0)
    effects = decide(data, WAKE, 125.0, 125.0)
    assert ends(effects) == "absolute_timeout"
    assert events(effects) == ["session_terminated"]


def test_the_absolute_timeout_is_not_moved_by_activity_nor_by_changes_of_state():
    data = session_in(ACTIVE, absolute_timeout=600.0, idle_timeout=300.0)
    decide(data, WAKE, 400.0, 400.0)
    decide(data, RESUME, 650.0)
    assert deadline(data) == 700.0


def test_a_timer_that_was_replaced_is_ignored():
    # Note (b): the message of the timer for 130 was under way when it was set to 105.
    data = session_in(SUSPENDED, suspend_timeout=5.0)
    assert data.wake_at == 105.0
    before = all_of(data)
    assert decide(data, WAKE, 130.0, 130.0) == ()
    assert all_of(data) == before


def test_the_timer_of_an_earlier_state_is_ignored():
    # Note (b): the timer was set for the end of auth, but the session is active by now.
    data = session_in(ACTIVE, auth_timeout=30.0, idle_timeout=300.0)
    assert data.wake_at == 400.0
    assert decide(data, WAKE, 130.0, 130.0) == ()
    assert data.wake_at == 400.0


def test_the_timer_of_a_suspended_session_runs_out_without_a_successor():
    data = session_in(SUSPENDED, idle_timeout=30.0)
    assert decide(data, WAKE, 130.0, 130.0) == ()
    assert data.wake_at == float("inf")
    assert data.state == SUSPENDED


def test_activity_leaves_the_timer_alone_and_moves_the_deadline():
    data = session_in(ACTIVE, idle_timeout=30.0)
    assert decide(data, UPDATE_RESOURCES, 120.0, Deltas(requests=1)) == ()
    assert data.wake_at == 130.0
    assert wake(decide(data, WAKE, 130.0, 130.0)) == 150.0


def test_the_round_through_idle_and_suspended_sets_no_timer():
    data = session_in(ACTIVE)
    for operation in (DEACTIVATE, RESUME, SUSPEND, RESUME, DEACTIVATE, SUSPEND, RESUME):
        assert wake(decide(data, operation, 110.0)) is None


def test_a_resumed_session_gets_a_timer_when_none_is_set():
    data = session_in(SUSPENDED, idle_timeout=30.0)
    decide(data, WAKE, 130.0, 130.0)
    assert wake(decide(data, RESUME, 200.0)) == 230.0


def test_without_an_idle_timeout_nothing_happens_by_itself():
    data = session_in(ACTIVE, idle_timeout=None)
    assert data.wake_at == deadline(data) == float("inf")


def test_a_touch_keeps_an_idle_session_idle():
    data = session_in(IDLE, idle_timeout=30.0)
    decide(data, TOUCH, 120.0)
    assert wake(decide(data, WAKE, 130.0, 130.0)) == 150.0
    assert data.state == IDLE


ACTIVITIES = [
    (NEW, INIT_SESSION, {}),
    (NEW, AUTHENTICATE, GOOD),
    (AUTH, AUTHENTICATE, GOOD),
    (AUTH, ACTIVATE, accepts_flag),
    (ACTIVE, DEACTIVATE, None),
    (ACTIVE, UPDATE_RESOURCES, Deltas(requests=1)),
    (IDLE, RESUME, None),
    (SUSPENDED, RESUME, None),
    *[(state, TOUCH, None) for state in LIVE_STATES],
]
NO_ACTIVITIES = [
    (ACTIVE, SUSPEND, None),
    (IDLE, SUSPEND, None),
    *[
        (state, operation, argument)
        for state in LIVE_STATES
        for operation, argument in (
            (SET_QUOTA, Quota()),
            (PERSIST, None),
            (LOCK, Override("root")),
            (TERMINATE, None),
        )
    ],
]


@pytest.mark.parametrize(("state", "operation", "argument"), ACTIVITIES)
def test_activity_is_remembered(state, operation, argument):
    # Note (c).
    data = session_in(state)
    decide(data, operation, 101.0, argument)
    assert data.last_activity == 101.0


@pytest.mark.parametrize(("state", "operation", "argument"), NO_ACTIVITIES)
def test_what_is_no_activity_does_not_keep_a_session_alive(state, operation, argument):
    # Note (c).
    data = session_in(state, persistent=True)
    decide(data, operation, 101.0, argument)
    assert data.last_activity == 100.0


@pytest.mark.parametrize("state", LIVE_STATES)
def test_questions_change_nothing(state):
    # Note (c).
    data = session_in(state)
    before = all_of(data)
    for question in (info, history, check_quota, deadline):
        question(data)
    metrics(data, 500.0)
    assert all_of(data) == before


def test_a_refused_update_is_no_activity():
    data = session_in(ACTIVE, quota=Quota(max_requests=0))
    decide(data, UPDATE_RESOURCES, 110.0, Deltas(requests=1))
    assert data.last_activity == 100.0


def test_a_blocked_resume_is_no_activity():
    data = session_in(SUSPENDED, resume_allowed=False)
    decide(data, RESUME, 110.0)
    assert data.last_activity == 100.0


@pytest.mark.parametrize(("given", "kept"), [(None, "admin_action"), (RATE_LIMIT_EXCEEDED,) * 2, ("quarantine",) * 2])
def test_the_reason_of_a_suspension_is_kept_until_it_is_over(given, kept):
    data = session_in(ACTIVE)
    effects = decide(data, SUSPEND, 101.0, given)
    assert data.suspend_reason == kept
    assert effects[1].detail == kept
    decide(data, RESUME, 102.0)
    assert data.suspend_reason is None


def test_the_end_clears_the_reason_of_the_suspension():
    data = session_in(SUSPENDED)
    decide(data, TERMINATE, 101.0)
    assert data.suspend_reason is None
    assert data.state == TERMINATED


@pytest.mark.parametrize(("reason", "error"), [(7, InvalidKind), ("", InvalidValue), ("a\nb", InvalidValue)])
@pytest.mark.parametrize("operation", [SUSPEND, TERMINATE])
def test_a_bad_reason_is_refused_and_changes_nothing(operation, reason, error):
    data = session_in(ACTIVE)
    before = all_of(data)
    with pytest.raises(error, match="reason"):
        decide(data, operation, 101.0, reason)
    assert all_of(data) == before


def test_the_history_remembers_the_last_transitions_only():
    data = session_in(ACTIVE, max_history_size=3)
    for moment, operation in enumerate((DEACTIVATE, RESUME, SUSPEND, RESUME), start=101):
        decide(data, operation, float(moment))
    kept = [(entry.from_state, entry.to_state, entry.timestamp) for entry in history(data)]
    assert kept == [
        (IDLE, ACTIVE, 1_000_102.0),
        (ACTIVE, SUSPENDED, 1_000_103.0),
        (SUSPENDED, ACTIVE, 1_000_104.0),
    ]
    assert data.transitions == 6


def test_a_history_of_size_zero_remembers_nothing():
    data = session_in(IDLE, max_history_size=0)
    assert history(data) == []
    assert data.transitions == 3
