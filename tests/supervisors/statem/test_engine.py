"""STM-1 to STM-7, STM-42 to STM-49: callbacks, start and end; the fast path."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from supervisors.callbacks import BadReturnError, Throw, UnaskedRefusalError
from supervisors.errors import Exit, Refusal
from supervisors.exits import Crashed
from supervisors.statem.actions import (
    BadActionError,
    event_timeout,
    hibernate,
    named_timeout,
    next_event,
    postpone,
    refuse,
    reply,
    state_timeout,
)
from supervisors.statem.effects import CancelTimer, Terminate
from supervisors.statem.engine import BadCallbackModeError, Engine
from supervisors.statem.events import CALL, CAST, ENTER, INFO, INTERNAL, STATE_TIMEOUT, TIMEOUT, Named
from supervisors.statem.results import (
    initial_state,
    keep_state,
    next_state,
    repeat_state,
    stop,
    stop_and_reply,
)
from tests.supervisors.statem.scripted import Scripted, ends, table

# Basics --------------------------------------------------------------------------


def test_stm_1_with_state_functions_the_function_named_like_the_state_is_called():
    module = SimpleNamespace(
        callback_mode="state_functions",
        locked=lambda event_type, content, data: next_state("open", data=(event_type, content, data)),
    )
    engine = Engine(module)
    engine.start(initial_state("locked", data=1))
    engine.handle(CAST, "push")
    assert (engine.state, engine.data) == ("open", (CAST, "push", 1))


def test_stm_1_with_handle_event_function_the_state_may_be_any_value():
    machine = Scripted(table({"go": next_state(("open", 2))}), state=("locked", 1))
    machine.cast("go", "see")
    assert machine.engine.state == ("open", 2)


def test_stm_1_a_module_that_names_no_callback_mode_is_refused():
    with pytest.raises(BadCallbackModeError, match="state_functions"):
        Engine(SimpleNamespace())


def test_stm_1_a_state_without_a_function_ends_the_machine():
    engine = Engine(SimpleNamespace(callback_mode="state_functions"))
    engine.start(initial_state("nowhere"))
    assert isinstance(ends(engine.handle(CAST, 1)).reason.error, AttributeError)


@pytest.mark.parametrize("event_type", [CAST, INFO, INTERNAL, TIMEOUT, STATE_TIMEOUT, Named("blink")])
def test_stm_2_the_callback_is_told_the_type_of_the_event(event_type):
    assert Scripted(table({})).event(event_type, "content") == [(event_type, "content", "a", 0)]


def test_stm_2_the_caller_of_a_call_is_known_while_it_is_in_hand():
    seen = []
    machine = Scripted(lambda *_: seen.append(machine.engine.caller))
    machine.call("question", "somebody")
    machine.cast("news")
    assert seen == ["somebody", None]


@pytest.mark.parametrize(
    ("result", "state", "data"),
    [
        (next_state("b"), "b", 0),
        (next_state("b", data=1), "b", 1),
        (next_state("b", data=None), "b", None),
        (keep_state(), "a", 0),
        (keep_state(data=1), "a", 1),
        (repeat_state(), "a", 0),
        (repeat_state(data=1), "a", 1),
        (keep_state(hibernate(), data=1), "a", 1),
        (next_state("b", hibernate(), data=1), "b", 1),
    ],
)
def test_stm_3_a_result_gives_the_next_state_and_data(result, state, data):
    machine = Scripted(table({"go": result}))
    machine.cast("go")
    assert (machine.engine.state, machine.engine.data) == (state, data)


def test_stm_4_going_to_an_equal_state_is_no_change():
    equal, as_equal = ("door", [1]), ("door", [1])
    machine = Scripted(table({"hold": keep_state(postpone()), "same": next_state(as_equal)}), state=equal)
    assert machine.send("hold", "same") == ["hold", "same"]


def test_stm_5_stop_ends_with_normal():
    assert Scripted(table({"go": stop()})).cast("go")[-1] == Terminate("normal", "a", 0)


def test_stm_6_a_thrown_result_counts_as_returned():
    def throw(data):
        raise Throw(next_state("b", data=7))

    machine = Scripted(table({"go": throw}))
    machine.cast("go")
    assert (machine.engine.state, machine.engine.data) == ("b", 7)


def test_stm_6_a_thrown_result_counts_as_returned_by_an_enter_call():
    def answers(event_type, *_):
        if event_type is ENTER:
            raise Throw(keep_state(data=7))

    assert Scripted(answers, enter=True).engine.data == 7


@pytest.mark.parametrize("value", ["nonsense", 3, ("next_state", "b"), [keep_state()], initial_state("b")])
def test_stm_7_any_other_return_ends_the_machine(value):
    end = ends(Scripted(table({"go": value})).cast("go"))
    assert isinstance(end.reason.error, BadReturnError)
    assert end.reason.error.value is value
    assert (end.state, end.data) == ("a", 0)


# Start and end ----------------------------------------------------------------------


def test_stm_42_the_actions_of_init_are_done():
    machine = Scripted(table({}), next_event(INTERNAL, "own"), named_timeout("t", 0, "zero"), data=5)
    assert machine.look() == [(INTERNAL, "own", "a", 5), (Named("t"), "zero", "a", 5)]


def test_stm_42_postpone_from_init_has_no_effect():
    machine = Scripted(table({"go": next_state("b")}), postpone())
    assert machine.cast("go") == [(CAST, "go", "a", 0)]


def test_stm_42_a_bad_action_of_init_ends_the_machine():
    assert isinstance(ends(Scripted(table({}), "nonsense").look()).reason.error, BadActionError)


def test_stm_44_queued_and_postponed_events_are_lost_at_the_end():
    machine = Scripted(table({"old": keep_state(postpone()), "go": stop("done")}), next_event(INTERNAL, "old"))
    machine.cast("go")
    assert not machine.engine.is_ready


@pytest.mark.parametrize(
    ("result", "data"), [(stop("done"), 0), (stop("done", data=9), 9), (stop("done", data=None), None)]
)
def test_stm_45_terminate_sees_the_current_state_and_the_data_of_stop(result, data):
    assert Scripted(table({"go": result})).cast("go")[-1] == Terminate("done", "a", data)


def test_stm_46_replies_go_out_in_order_before_terminate():
    machine = Scripted(table({"go": stop_and_reply("done", reply(1), reply(2, to="y"), data=9)}))
    assert machine.call("go", "x")[1:] == [reply(1), reply(2, to="y"), Terminate("done", "a", 9)]


def test_stm_46_anything_but_a_reply_is_refused():
    not_only_replies = stop_and_reply("done", reply(1), postpone())  # type: ignore[arg-type]  # the point
    log = Scripted(table({"go": not_only_replies})).call("go", "x")
    assert log[1] == reply(1)
    assert isinstance(ends(log).reason.error, BadActionError)


def test_stm_47_an_exception_is_the_reason():
    error = KeyError("gone")

    def crash(data):
        raise error

    assert Scripted(table({"go": crash})).cast("go")[-1] == Terminate(Crashed(error), "a", 0)


def test_stm_47_an_exit_gives_its_bare_reason():
    def leave(data):
        raise Exit("enough")

    assert Scripted(table({"go": leave})).cast("go")[-1] == Terminate("enough", "a", 0)


def test_stm_47_an_interrupt_ends_the_machine_like_any_exception():
    def interrupt(data):
        raise KeyboardInterrupt

    end = ends(Scripted(table({"go": interrupt})).cast("go"))
    assert isinstance(end.reason.error, KeyboardInterrupt)


def test_stm_49_an_end_from_outside_shows_terminate_the_current_state_and_data():
    machine = Scripted(table({"go": next_state("b", data=3)}))
    machine.cast("go")
    assert list(machine.engine.terminate("shutdown")) == [Terminate("shutdown", "b", 3)]


# Refusals: ours, not OTP's -------------------------------------------------------------


class NotNow(Refusal):
    pass


def test_a_refusal_answers_the_caller_and_keeps_the_state():
    refusal = NotNow()

    def refuse_it(data):
        raise refusal

    machine = Scripted(table({"ask": refuse_it}), state_timeout(5.0))
    machine.look()
    assert machine.call("ask", "x") == [(CALL, "ask", "a", 0), refuse(refusal)]


def test_a_refused_call_still_cancels_the_event_timeout():
    def refuse_it(data):
        raise NotNow

    machine = Scripted(table({"ask": refuse_it}), event_timeout(5.0))
    assert CancelTimer(TIMEOUT, 1) in machine.call("ask", "x")


def test_stm_47_a_refusal_that_nobody_has_asked_for_ends_the_machine():
    def refuse_it(data):
        raise NotNow

    *_, last = Scripted(table({"go": refuse_it})).cast("go")
    assert isinstance(last.reason, Crashed)
    assert isinstance(last.reason.error, UnaskedRefusalError)


def test_a_refused_enter_call_is_a_crash():
    def answers(*_):
        raise NotNow

    assert isinstance(ends(Scripted(answers, enter=True).look()).reason.error, NotNow)


# The fast path ------------------------------------------------------------------------


def test_a_plain_result_after_a_postponed_event_still_replays_it():
    machine = Scripted(table({("a", "old"): keep_state(postpone()), "go": next_state("b")}))
    machine.cast("plain", "old", "plain")
    assert machine.cast("go")[-1] == (CAST, "old", "b", 0)


def test_a_plain_change_makes_the_enter_call():
    machine = Scripted(table({"go": next_state("b")}), enter=True)
    machine.look()
    assert machine.cast("plain", "go")[-1] == (ENTER, "a", "b", 0)


def test_a_plain_result_touches_nothing_else():
    machine = Scripted(table({"go": next_state("b", reply(1), data=2)}), named_timeout("t", 5.0, "late"))
    machine.look()
    assert machine.call("go", "x") == [(CALL, "go", "a", 0), reply(1)]
    assert machine.fire(Named("t"), 1) == [(Named("t"), "late", "b", 2)]
