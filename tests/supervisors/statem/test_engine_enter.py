"""STM-18 to STM-24, STM-48: state enter calls."""

from __future__ import annotations

import pytest

from supervisors.callbacks import BadReturnError
from supervisors.exits import Crashed
from supervisors.statem.actions import (
    BadActionError,
    BadEnterActionError,
    cancel_timeout,
    change_callback_module,
    hibernate,
    next_event,
    pop_callback_module,
    postpone,
    push_callback_module,
    reply,
    state_timeout,
    update_timeout,
)
from supervisors.statem.effects import CancelTimer, StartTimer, Terminate
from supervisors.statem.events import CALL, CAST, ENTER, INTERNAL, STATE_TIMEOUT
from supervisors.statem.results import (
    BadEnterReturnError,
    keep_state,
    next_state,
    repeat_state,
    stop,
    stop_and_reply,
)
from tests.supervisors.statem.scripted import Scripted, ends


def entering(on_enter, on_event=None):
    """Make a machine that has started in a; on_enter(data) answers the enter calls of b."""

    def answers(event_type, content, state, data):
        if event_type is ENTER:
            return on_enter(data) if state == "b" else None
        return (on_event or next_state("b", data=1)) if event_type in (CAST, CALL) else None

    machine = Scripted(answers, enter=True)
    machine.look()
    return machine


def test_stm_18_an_enter_call_is_made_at_the_start_with_the_initial_state_as_previous():
    assert Scripted(lambda *_: None, enter=True).look() == [(ENTER, "a", "a", 0)]


def test_stm_18_an_enter_call_is_made_at_a_change_with_the_previous_state():
    assert entering(lambda data: None).cast("go") == [(CAST, "go", "a", 0), (ENTER, "a", "b", 1)]


def test_stm_18_an_enter_call_is_made_at_repeat_state():
    machine = Scripted(lambda event_type, *_: repeat_state() if event_type is CAST else None, enter=True)
    machine.look()
    assert machine.cast("go") == [(CAST, "go", "a", 0), (ENTER, "a", "a", 0)]


def test_stm_18_no_enter_call_is_made_for_the_same_state():
    machine = Scripted(lambda event_type, *_: next_state("a") if event_type is CAST else None, enter=True)
    machine.look()
    assert machine.cast("go") == [(CAST, "go", "a", 0)]


def test_stm_18_without_state_enter_no_enter_call_is_made():
    machine = Scripted(lambda *_: next_state("b"))
    assert machine.cast("go") == [(CAST, "go", "a", 0)]


def test_stm_19_the_enter_call_at_the_start_comes_after_the_actions_of_init_and_before_events():
    machine = Scripted(lambda *_: None, next_event(INTERNAL, "own"), reply(1, to="x"), enter=True)
    assert machine.look() == [reply(1, to="x"), (ENTER, "a", "a", 0), (INTERNAL, "own", "a", 0)]


def test_stm_20_what_was_noted_takes_effect_after_the_enter_call():
    machine = entering(lambda data: keep_state(reply(2, to="y")), next_state("b", state_timeout(5.0), reply(1, to="x")))
    assert machine.cast("go") == [
        (CAST, "go", "a", 0),
        reply(1, to="x"),
        (ENTER, "a", "b", 0),
        reply(2, to="y"),
        StartTimer(STATE_TIMEOUT, 5.0, False, 1),
    ]


def test_stm_21_the_enter_call_sees_the_new_state_and_data():
    machine = entering(lambda data: keep_state(data=data + 10))
    assert machine.cast("go")[1] == (ENTER, "a", "b", 1)
    assert machine.engine.data == 11


def test_stm_22_an_enter_call_may_reply_set_timeouts_and_hibernate():
    machine = entering(lambda data: keep_state(reply(1, to="x"), state_timeout(5.0), hibernate()))
    assert machine.cast("go")[2:] == [reply(1, to="x"), StartTimer(STATE_TIMEOUT, 5.0, False, 1)]


def test_stm_22_an_enter_call_may_go_to_the_state_it_is_in():
    machine = entering(lambda data: next_state("b", data=5))
    assert len(machine.cast("go")) == 2
    assert (machine.engine.state, machine.engine.data) == ("b", 5)


def test_stm_22_an_enter_call_may_not_change_the_state():
    end = ends(entering(lambda data: next_state("c", data=5)).cast("go"))
    assert isinstance(end.reason.error, BadEnterReturnError)
    assert (end.state, end.data) == ("b", 1)


@pytest.mark.parametrize(
    "action",
    [
        postpone(),
        next_event(INTERNAL),
        push_callback_module(None),
        change_callback_module(None),
    ],
)
def test_stm_22_an_enter_call_may_not_ask_for_what_only_an_event_may(action):
    end = ends(entering(lambda data: keep_state(action, data=5)).cast("go"))
    assert isinstance(end.reason.error, BadEnterActionError)
    assert end.reason.error.action == action


def test_stm_40_popping_the_only_module_is_any_bad_action_in_an_enter_call_too():
    end = ends(entering(lambda data: keep_state(pop_callback_module())).cast("go"))
    assert type(end.reason.error) is BadActionError


def test_stm_22_postpone_true_is_refused_as_any_bad_action():
    end = ends(entering(lambda data: keep_state(postpone(True))).cast("go"))
    assert type(end.reason.error) is BadActionError


def test_stm_22_postpone_false_undoes_that_of_the_state_callback():
    machine = entering(lambda data: keep_state(postpone(False)), next_state("b", postpone()))
    assert machine.cast("go") == [(CAST, "go", "a", 0), (ENTER, "a", "b", 0)]


def test_stm_22_an_enter_call_has_no_call_in_hand():
    machine = entering(lambda data: keep_state(reply(1)))
    assert isinstance(ends(machine.call("go", "x")).reason.error, BadActionError)


def test_stm_23_repeat_state_makes_the_enter_call_again_with_the_same_previous_state():
    machine = entering(lambda data: repeat_state(data=data + 1) if data < 3 else keep_state())
    assert machine.cast("go")[1:] == [(ENTER, "a", "b", 1), (ENTER, "a", "b", 2), (ENTER, "a", "b", 3)]


def test_stm_24_without_state_enter_repeat_state_keeps_the_state():
    machine = Scripted(lambda *_: repeat_state(data=4))
    assert machine.cast("go") == [(CAST, "go", "a", 0)]
    assert machine.engine.data == 4


def test_stm_29_the_actions_of_the_enter_call_count_after_those_of_the_state_callback():
    machine = entering(lambda data: keep_state(cancel_timeout(STATE_TIMEOUT)), next_state("b", state_timeout(5.0)))
    assert machine.cast("go") == [(CAST, "go", "a", 0), (ENTER, "a", "b", 0)]


def test_stm_29_an_update_in_the_enter_call_does_not_see_the_start_before_it():
    machine = entering(
        lambda data: keep_state(update_timeout(STATE_TIMEOUT, 2)), next_state("b", state_timeout(5.0, 1))
    )
    assert machine.cast("go")[2:] == [(STATE_TIMEOUT, 2, "b", 0)]


@pytest.mark.parametrize("result", [stop("done"), stop("done", data=8), stop_and_reply("done", data=8)])
def test_stm_45_stop_in_an_enter_call_shows_terminate_the_new_state(result):
    data = 8 if result != stop("done") else 1
    assert entering(lambda _: result).cast("go")[-1] == Terminate("done", "b", data)


def test_stm_48_an_exception_in_an_enter_call_shows_terminate_what_was_before_the_event():
    error = KeyError("gone")

    def crash(data):
        raise error

    assert entering(crash).cast("go")[-1] == Terminate(Crashed(error), "a", 0)


def test_stm_48_so_it_is_when_the_enter_call_was_repeated():
    def crash(data):
        if data == 1:
            return repeat_state(data=2)
        raise KeyError

    end = ends(entering(crash).cast("go"))
    assert (end.state, end.data) == ("a", 0)


def test_stm_48_a_refused_action_shows_terminate_the_new_state_and_data():
    end = ends(entering(lambda data: keep_state(next_event(INTERNAL), data=5)).cast("go"))
    assert (end.state, end.data) == ("b", 5)


def test_stm_48_a_bad_return_shows_terminate_the_new_state():
    end = ends(entering(lambda data: "nonsense").cast("go"))
    assert isinstance(end.reason.error, BadReturnError)
    assert (end.state, end.data) == ("b", 1)


def test_an_enter_call_of_a_call_is_still_told_no_caller():
    callers = []

    def note(data: object) -> None:
        callers.append(machine.engine.caller)

    machine: Scripted = entering(note)
    assert machine.call("go", "x")[0] == (CALL, "go", "a", 0)
    assert callers == [None]


def test_a_timeout_that_the_change_cancels_is_cancelled_after_the_enter_call():
    machine = Scripted(
        lambda event_type, *_: next_state("b") if event_type is CAST else None, state_timeout(5.0), enter=True
    )
    machine.look()
    assert machine.cast("go") == [(CAST, "go", "a", 0), (ENTER, "a", "b", 0), CancelTimer(STATE_TIMEOUT, 1)]
