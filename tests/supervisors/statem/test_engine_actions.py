"""STM-37 to STM-41: replies, hibernation, callback modules, bad actions."""

from __future__ import annotations

from types import SimpleNamespace

from supervisors.statem.actions import (
    BadActionError,
    change_callback_module,
    hibernate,
    named_timeout,
    pop_callback_module,
    push_callback_module,
    reply,
)
from supervisors.statem.engine import BadCallbackModeError
from supervisors.statem.events import CALL, CAST, ENTER
from supervisors.statem.results import (
    keep_state,
    next_state,
)
from tests.supervisors.statem.scripted import Module, Scripted, ends, table


def test_stm_37_a_reply_goes_out_before_the_enter_call():
    machine = Scripted(table({"ask": next_state("b", reply(1))}), enter=True)
    machine.look()
    assert machine.call("ask", "x") == [(CALL, "ask", "a", 0), reply(1), (ENTER, "a", "b", 0)]


def test_stm_37_a_reply_may_come_from_a_later_callback():
    machine = Scripted(table({"go": keep_state(reply("late", to="x"))}))
    machine.call("ask", "x")
    assert machine.cast("go")[1:] == [reply("late", to="x")]


def test_stm_37_several_replies_keep_their_order():
    machine = Scripted(table({"go": keep_state(reply(1, to="x"), reply(2), reply(3, to="y"))}))
    assert machine.call("go", "z")[1:] == [reply(1, to="x"), reply(2), reply(3, to="y")]


def test_stm_37_a_reply_to_nobody_is_refused():
    end = ends(Scripted(table({"go": keep_state(reply(1))})).cast("go"))
    assert isinstance(end.reason.error, BadActionError)


def test_stm_38_hibernate_has_no_effect_that_shows():
    machine = Scripted(table({"go": keep_state(hibernate(), hibernate(False))}), hibernate())
    assert machine.cast("go", "go") == [(CAST, "go", "a", 0)] * 2


def test_stm_39_a_changed_module_handles_the_next_event():
    other = Module(table({}), name="other")
    machine = Scripted(table({"go": keep_state(change_callback_module(other))}))
    machine.cast("go", "see")
    assert other.log == [("other", CAST, "see", "a", 0)]


def test_stm_39_the_new_module_makes_the_enter_call_of_the_same_transition():
    other = Module(table({}), name="other", enter=True)
    Scripted(table({"go": next_state("b", change_callback_module(other))})).cast("go")
    assert other.log == [("other", ENTER, "a", "b", 0)]


def test_stm_39_a_module_with_another_callback_mode_is_called_its_own_way():
    other = SimpleNamespace(
        callback_mode="state_functions", a=lambda event_type, content, data: keep_state(data=content)
    )
    machine = Scripted(table({"go": keep_state(push_callback_module(other))}))
    machine.cast("go", "see")
    assert machine.engine.data == "see"


def test_stm_39_pop_goes_back_to_the_module_before_the_push():
    other = Module(table({"back": keep_state(pop_callback_module())}), name="other")
    machine = Scripted(table({"go": keep_state(push_callback_module(other))}), name="first")
    machine.cast("go", "back", "see")
    assert machine.engine.module is machine.module


def test_stm_39_a_change_leaves_what_lies_below():
    third = Module(table({"back": keep_state(pop_callback_module())}))
    second = Module(table({"go": keep_state(change_callback_module(third))}))
    machine = Scripted(table({"go": keep_state(push_callback_module(second))}))
    machine.cast("go", "go")
    assert machine.engine.module is third
    machine.cast("back")
    assert machine.engine.module is machine.module


def test_stm_39_a_module_without_a_mode_ends_the_machine():
    end = ends(Scripted(table({"go": next_state("b", push_callback_module(object()))})).cast("go"))
    assert isinstance(end.reason.error, BadCallbackModeError)
    assert end.state == "b"


def test_stm_40_popping_the_only_module_is_refused():
    end = ends(Scripted(table({"go": keep_state(pop_callback_module())})).cast("go"))
    assert isinstance(end.reason.error, BadActionError)
    assert end.reason.error.action == pop_callback_module()


def test_stm_41_an_unknown_action_ends_the_machine_and_earlier_replies_are_out():
    answers = {"go": keep_state(reply(1, to="x"), named_timeout("t", 5.0), "nonsense", reply(2, to="y"))}  # type: ignore[arg-type]  # the point
    log = Scripted(table(answers)).cast("go")
    assert log[1:-1] == [reply(1, to="x")]
    assert ends(log).reason.error.action == "nonsense"
