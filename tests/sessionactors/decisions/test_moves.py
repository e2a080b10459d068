from __future__ import annotations

from math import inf

import pytest

from sessionactors.decisions.moves import SHUTDOWN, end, ignore, move, wake_by
from sessionactors.effects import NOTHING, Audit, Notify, Refuse, Terminate, Transition, Wake
from sessionactors.errors import MaxAttempts
from sessionactors.states import ACTIVE, IDLE, LIVE_STATES, TERMINATED
from tests.sessionactors.session_factory import all_of, session_in

EDGE = Transition(ACTIVE, IDLE, "requested", "deactivated")


def test_a_move_changes_state_time_count_and_history_together():
    data = session_in(ACTIVE)
    move(data, EDGE, 105.0)
    assert (data.state, data.state_entered_at, data.transitions) == (IDLE, 105.0, 3)
    assert data.recorded[-2:] == [EDGE, 105.0]


@pytest.mark.parametrize("due", [101.0, 129.999])
def test_an_earlier_deadline_replaces_the_timer(due):
    data = session_in(ACTIVE, idle_timeout=30.0)
    assert wake_by(data, (EDGE,), due) == (EDGE, Wake(due))
    assert data.wake_at == due


@pytest.mark.parametrize("due", [130.0, 130.001, inf])
def test_a_later_deadline_leaves_the_timer_alone(due):
    data = session_in(ACTIVE, idle_timeout=30.0)
    effects = (EDGE,)
    assert wake_by(data, effects, due) is effects
    assert data.wake_at == 130.0


@pytest.mark.parametrize("state", LIVE_STATES)
@pytest.mark.parametrize("reason", [SHUTDOWN, "a reason in free words"])
def test_an_end_is_transition_event_and_termination_in_this_order(state, reason):
    data = session_in(state)
    before, after = Audit("error", "session_crashed"), Refuse(MaxAttempts(3))
    assert end(data, 105.0, reason, (before,), (after,)) == (
        before,
        Transition(state, TERMINATED, reason, "session_terminated"),
        Notify("session_terminated", reason),
        Terminate(reason),
        after,
    )


def test_an_end_leaves_no_timer():
    data = session_in(ACTIVE)
    end(data, 105.0, SHUTDOWN)
    assert data.wake_at == inf


def test_to_ignore_is_to_change_nothing():
    data = session_in(ACTIVE)
    before = all_of(data)
    assert ignore(data, 105.0, None) is NOTHING
    assert all_of(data) == before


@pytest.mark.parametrize("reason", [SHUTDOWN, "reaped", "a reason in free words"])
def test_two_ends_for_one_reason_are_the_same_effects(reason):
    one, other = end(session_in(ACTIVE), 105.0, reason), end(session_in(ACTIVE), 106.0, reason)
    assert all(mine is yours for mine, yours in zip(one, other, strict=True))
