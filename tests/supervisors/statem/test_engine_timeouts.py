"""STM-25 to STM-36: time-outs as a machine sees them."""

from __future__ import annotations

import math

import pytest

from supervisors.statem.actions import (
    cancel_timeout,
    event_timeout,
    named_timeout,
    next_event,
    postpone,
    state_timeout,
    update_timeout,
)
from supervisors.statem.effects import CancelTimer, StartTimer
from supervisors.statem.events import CAST, INTERNAL, STATE_TIMEOUT, TIMEOUT, Named
from supervisors.statem.results import keep_state, next_state
from tests.supervisors.statem.scripted import Scripted, table

T = Named("t")
U = Named("u")


def running(*actions, **answers):
    """Make a machine with time-outs under way; the answers are by content."""
    machine = Scripted(table(answers), *actions)
    machine.look()
    return machine


def test_stm_25_the_kinds_are_independent_of_one_another():
    machine = Scripted(
        table({}), event_timeout(1.0), state_timeout(2.0), named_timeout("t", 3.0), named_timeout("u", 4.0)
    )
    assert machine.look() == [
        StartTimer(TIMEOUT, 1.0, False, 1),
        StartTimer(STATE_TIMEOUT, 2.0, False, 2),
        StartTimer(T, 3.0, False, 3),
        StartTimer(U, 4.0, False, 4),
    ]


def test_stm_26_starting_a_running_timeout_replaces_it():
    machine = running(named_timeout("t", 3.0, "old"), go=keep_state(named_timeout("t", 5.0, "new")))
    assert machine.cast("go")[1:] == [StartTimer(T, 5.0, False, 2)]
    assert machine.fire(T, 1) == []
    assert machine.fire(T, 2) == [(T, "new", "a", 0)]


def test_stm_26_zero_replaces_a_running_timeout():
    machine = running(named_timeout("t", 3.0, "old"), go=keep_state(named_timeout("t", 0, "new")))
    assert machine.cast("go")[1:] == [CancelTimer(T, 1), (T, "new", "a", 0)]


def test_stm_26_a_timer_replaces_a_zero_timeout_that_is_due():
    machine = running(
        go=keep_state(state_timeout(0, "due"), next_event(INTERNAL, "own")), own=keep_state(state_timeout(5.0, "new"))
    )
    assert machine.cast("go")[2:] == [StartTimer(STATE_TIMEOUT, 5.0, False, 1)]
    assert machine.fire(STATE_TIMEOUT, 1) == [(STATE_TIMEOUT, "new", "a", 0)]


@pytest.mark.parametrize("kind", [STATE_TIMEOUT, T])
@pytest.mark.parametrize("by_infinity", [False, True])
def test_stm_27_a_timeout_is_cancelled(kind, by_infinity):
    infinite = state_timeout(math.inf) if kind is STATE_TIMEOUT else named_timeout("t", math.inf)
    machine = running(
        state_timeout(5.0), named_timeout("t", 5.0), go=keep_state(infinite if by_infinity else cancel_timeout(kind))
    )
    (effect,) = machine.cast("go")[1:]
    assert isinstance(effect, CancelTimer)
    assert effect.kind == kind
    assert machine.fire(kind, effect.generation) == []


@pytest.mark.parametrize("kind", [TIMEOUT, STATE_TIMEOUT, T])
def test_stm_27_cancelling_what_does_not_run_does_nothing(kind):
    assert running(go=keep_state(cancel_timeout(kind))).cast("go") == [(CAST, "go", "a", 0)]


def test_stm_28_an_update_changes_the_content_and_leaves_the_time():
    machine = running(state_timeout(5.0, "old"), go=keep_state(update_timeout(STATE_TIMEOUT, "new")))
    assert machine.cast("go") == [(CAST, "go", "a", 0)]
    assert machine.fire(STATE_TIMEOUT, 1) == [(STATE_TIMEOUT, "new", "a", 0)]


def test_stm_28_an_update_of_what_does_not_run_fires_at_once():
    assert running(go=keep_state(update_timeout(T, "new"))).cast("go")[1:] == [(T, "new", "a", 0)]


def test_stm_28_an_update_leaves_a_due_timeout_its_place():
    machine = running(
        go=keep_state(state_timeout(0, "s"), named_timeout("t", 0, "t"), next_event(INTERNAL, "own")),
        own=keep_state(update_timeout(STATE_TIMEOUT, "S")),
    )
    assert machine.cast("go")[2:] == [(STATE_TIMEOUT, "S", "a", 0), (T, "t", "a", 0)]


def test_stm_28_an_update_of_the_event_timeout_finds_it_cancelled_by_the_event():
    machine = running(event_timeout(5.0, "old"), go=keep_state(update_timeout(TIMEOUT, "new")))
    assert machine.cast("go")[1:] == [CancelTimer(TIMEOUT, 1), (TIMEOUT, "new", "a", 0)]


def test_stm_29_only_the_last_action_of_a_kind_counts():
    machine = running(go=keep_state(named_timeout("t", 1.0), named_timeout("t", 2.0)))
    assert machine.cast("go")[1:] == [StartTimer(T, 2.0, False, 1)]


def test_stm_29_an_update_after_a_start_updates_what_was_running_before():
    machine = running(named_timeout("t", 5.0, "old"), go=keep_state(named_timeout("t", 9.0), update_timeout(T, "new")))
    assert machine.cast("go") == [(CAST, "go", "a", 0)]
    assert machine.fire(T, 1) == [(T, "new", "a", 0)]


def test_stm_30_a_timeout_that_has_fired_is_no_longer_running():
    machine = running(state_timeout(5.0, "late"), go=keep_state(cancel_timeout(STATE_TIMEOUT)))
    assert machine.fire(STATE_TIMEOUT, 1) == [(STATE_TIMEOUT, "late", "a", 0)]
    assert machine.fire(STATE_TIMEOUT, 1) == []
    assert machine.cast("go") == [(CAST, "go", "a", 0)]


def test_stm_31_zero_is_queued_behind_own_events_without_a_timer():
    machine = running(go=keep_state(state_timeout(0, "zero"), next_event(INTERNAL, "own")))
    assert machine.cast("go")[1:] == [(INTERNAL, "own", "a", 0), (STATE_TIMEOUT, "zero", "a", 0)]


def test_stm_31_a_zero_event_timeout_with_a_next_event_never_fires():
    machine = running(go=keep_state(event_timeout(0, "zero"), next_event(INTERNAL, "own")))
    assert machine.cast("go")[1:] == [(INTERNAL, "own", "a", 0)]


def test_stm_31_a_zero_event_timeout_is_cancelled_by_a_replayed_event():
    machine = Scripted(table({("a", "old"): keep_state(postpone()), "go": next_state("b", event_timeout(0))}))
    assert [entry[0] for entry in machine.cast("old", "go")] == [CAST, CAST, CAST]


def test_stm_32_zero_timeouts_fire_in_the_order_they_were_started():
    machine = running(go=keep_state(named_timeout("u", 0, 1), state_timeout(0, 2), named_timeout("t", 0, 3)))
    assert machine.send("go") == ["go", 1, 2, 3]


def test_stm_32_one_that_is_started_twice_in_a_list_has_its_later_place():
    machine = running(go=keep_state(named_timeout("t", 0, 1), state_timeout(0, 2), named_timeout("t", 0, 3)))
    assert machine.send("go") == ["go", 2, 3]


def test_stm_32_restarting_one_moves_it_to_the_back():
    machine = running(
        go=keep_state(state_timeout(0, "s"), named_timeout("t", 0, "t"), next_event(INTERNAL, "own")),
        own=keep_state(state_timeout(0, "s again")),
    )
    assert machine.cast("go")[2:] == [(T, "t", "a", 0), (STATE_TIMEOUT, "s again", "a", 0)]


def test_stm_32_cancelling_removes_a_due_one():
    machine = running(
        go=keep_state(state_timeout(0), named_timeout("t", 0, "t"), next_event(INTERNAL, "own")),
        own=keep_state(cancel_timeout(STATE_TIMEOUT)),
    )
    assert machine.cast("go")[2:] == [(T, "t", "a", 0)]


def test_stm_32_a_state_change_removes_a_due_state_timeout():
    machine = running(go=keep_state(state_timeout(0), next_event(INTERNAL, "own")), own=next_state("b"))
    assert machine.cast("go")[2:] == []


def test_stm_33_nothing_else_cancels_a_named_timeout():
    machine = running(named_timeout("t", 5.0, "late"), go=next_state("b"))
    assert machine.cast("go", "other") == [(CAST, "go", "a", 0), (CAST, "other", "b", 0)]
    assert machine.fire(T, 1) == [(T, "late", "b", 0)]


def test_stm_34_an_absolute_time_is_handed_on_as_such():
    machine = running(go=keep_state(state_timeout(17.5, absolute=True)))
    assert machine.cast("go")[1:] == [StartTimer(STATE_TIMEOUT, 17.5, True, 1)]


def test_stm_36_a_stale_timer_does_not_even_cancel_the_event_timeout():
    machine = running(named_timeout("t", 1.0), go=keep_state(cancel_timeout(T), event_timeout(5.0, "idle")))
    machine.cast("go")
    assert machine.fire(T, 1) == []
    assert machine.fire(TIMEOUT, 2) == [(TIMEOUT, "idle", "a", 0)]


def test_stm_36_a_timer_that_was_never_asked_for_delivers_nothing():
    assert running().fire(TIMEOUT, 1) == []
    assert running(state_timeout(5.0)).fire(STATE_TIMEOUT, 2) == []


def test_the_timers_that_are_wanted_can_be_listed():
    machine = running(state_timeout(5.0), named_timeout("t", 5.0), go=keep_state(cancel_timeout(STATE_TIMEOUT)))
    machine.cast("go")
    assert machine.engine.timers() == [(T, 2)]
