"""STM-8 to STM-17: which event comes next."""

from __future__ import annotations

import pytest

from supervisors.statem.actions import (
    event_timeout,
    hibernate,
    named_timeout,
    next_event,
    postpone,
    reply,
    state_timeout,
)
from supervisors.statem.effects import CancelTimer, StartTimer
from supervisors.statem.engine import Engine
from supervisors.statem.events import CALL, CAST, ENTER, INTERNAL, STATE_TIMEOUT, TIMEOUT, Named
from supervisors.statem.results import (
    initial_state,
    keep_state,
    next_state,
    repeat_state,
)
from tests.supervisors.statem.scripted import Module, Scripted, table


def test_stm_8_own_events_go_before_zero_timeouts():
    machine = Scripted(table({"go": keep_state(named_timeout("t", 0, "zero"), next_event(INTERNAL, "own"))}))
    assert machine.cast("go")[1:] == [(INTERNAL, "own", "a", 0), (Named("t"), "zero", "a", 0)]


def test_stm_8_the_mailbox_is_not_asked_while_own_events_wait():
    engine = Engine(Module(table({"go": keep_state(next_event(INTERNAL, "own"))})))
    engine.start(initial_state("a"))
    engine.handle(CAST, "go")
    assert engine.is_ready
    engine.proceed()
    assert not engine.is_ready


def test_stm_9_actions_are_done_before_the_enter_call_and_the_next_event():
    answers = {"go": next_state("b", next_event(INTERNAL, "own"), reply(1, to="x"), named_timeout("t", 5.0))}
    log = Scripted(table(answers), enter=True).cast("go")
    assert log[1:] == [
        (CAST, "go", "a", 0),
        reply(1, to="x"),
        (ENTER, "a", "b", 0),
        StartTimer(Named("t"), 5.0, False, 1),
        (INTERNAL, "own", "b", 0),
    ]


def test_stm_10_inserted_events_keep_their_order_and_go_in_front():
    machine = Scripted(
        table(
            {
                "go": keep_state(next_event(INTERNAL, 1), next_event(INTERNAL, 2)),
                1: keep_state(next_event(INTERNAL, 3), next_event(INTERNAL, 4)),
            }
        )
    )
    assert machine.send("go") == ["go", 1, 3, 4, 2]


def test_stm_10_inserted_events_go_before_replayed_ones():
    machine = Scripted(
        table({("a", "old"): keep_state(postpone()), "go": next_state("b", next_event(INTERNAL, "new"))})
    )
    assert machine.send("old", "go") == ["old", "go", "new", "old"]


def test_stm_11_an_inserted_timeout_event_has_nothing_to_do_with_a_timer():
    machine = Scripted(table({"go": keep_state(next_event(STATE_TIMEOUT, "inserted"))}), state_timeout(5.0, "real"))
    machine.look()
    assert machine.cast("go")[1:] == [(STATE_TIMEOUT, "inserted", "a", 0)]
    assert machine.fire(STATE_TIMEOUT, 1) == [(STATE_TIMEOUT, "real", "a", 0)]


def test_stm_11_an_inserted_call_can_be_answered():
    machine = Scripted(table({"go": keep_state(next_event(CALL, "ask", caller="x")), "ask": keep_state(reply(1))}))
    assert machine.cast("go")[1:] == [(CALL, "ask", "a", 0), reply(1)]
    assert machine.engine.caller == "x"


def test_stm_12_postponed_events_come_back_after_a_state_change():
    machine = Scripted(
        table({("a", 1): keep_state(postpone()), ("a", 2): keep_state(postpone()), "go": next_state("b")})
    )
    machine.cast(1, 2, "other")
    assert machine.cast("go") == [(CAST, "go", "a", 0), (CAST, 1, "b", 0), (CAST, 2, "b", 0)]


def test_stm_12_postponed_events_go_in_front_of_the_rest_of_the_queue():
    machine = Scripted(
        table(
            {
                "start": keep_state(next_event(INTERNAL, "go"), next_event(INTERNAL, "rest")),
                ("a", "old"): keep_state(postpone()),
                "go": next_state("b"),
            }
        )
    )
    assert machine.send("old", "start") == ["old", "start", "go", "old", "rest"]


def test_stm_12_a_postponed_call_keeps_its_caller():
    machine = Scripted(
        table({("a", "ask"): keep_state(postpone()), ("b", "ask"): keep_state(reply(1)), "go": next_state("b")})
    )
    machine.call("ask", "x")
    assert machine.cast("go")[-1] == reply(1)
    assert machine.engine.caller == "x"


def test_stm_13_the_event_in_hand_is_replayed_too():
    machine = Scripted(table({("a", "go"): next_state("b", postpone())}))
    assert machine.cast("go") == [(CAST, "go", "a", 0), (CAST, "go", "b", 0)]


@pytest.mark.parametrize("result", [keep_state(data=1), repeat_state(), next_state("a"), keep_state(hibernate())])
def test_stm_13_without_a_state_change_nothing_is_replayed(result):
    machine = Scripted(table({"old": keep_state(postpone()), "go": result}))
    assert machine.send("old", "go") == ["old", "go"]


def test_stm_14_a_replayed_event_can_be_postponed_again():
    machine = Scripted(
        table(
            {
                ("a", "old"): keep_state(postpone()),
                ("b", "old"): keep_state(postpone()),
                ("a", "go"): next_state("b"),
                ("b", "go"): next_state("c"),
            }
        )
    )
    assert [entry[1:3] for entry in machine.cast("old", "go", "go")] == [
        ("old", "a"),
        ("go", "a"),
        ("old", "b"),
        ("go", "b"),
        ("old", "c"),
    ]


@pytest.mark.parametrize("result", [keep_state(), next_state("b"), repeat_state(), keep_state(postpone())])
def test_stm_15_every_event_cancels_the_event_timeout(result):
    machine = Scripted(table({"go": result}), event_timeout(5.0))
    machine.look()
    assert machine.cast("go")[1:] == [CancelTimer(TIMEOUT, 1)]
    assert machine.fire(TIMEOUT, 1) == []


def test_stm_15_an_enter_call_does_not_cancel_the_event_timeout():
    machine = Scripted(table({"go": next_state("b", event_timeout(5.0))}), enter=True)
    assert machine.cast("go")[1:] == [(CAST, "go", "a", 0), (ENTER, "a", "b", 0), StartTimer(TIMEOUT, 5.0, False, 1)]


def test_stm_15_the_old_one_is_cancelled_before_the_new_actions_count():
    machine = Scripted(table({"go": keep_state(event_timeout(6.0, "new"))}), event_timeout(5.0, "old"))
    machine.look()
    assert machine.cast("go")[1:] == [StartTimer(TIMEOUT, 6.0, False, 2)]
    assert machine.fire(TIMEOUT, 1) == []
    assert machine.fire(TIMEOUT, 2) == [(TIMEOUT, "new", "a", 0)]


def test_stm_16_a_state_change_cancels_the_state_timeout():
    machine = Scripted(table({"go": next_state("b")}), state_timeout(5.0))
    machine.look()
    assert machine.cast("go")[1:] == [CancelTimer(STATE_TIMEOUT, 1)]


def test_stm_16_a_state_timeout_of_the_new_state_replaces_the_old_timer():
    machine = Scripted(table({"go": next_state("b", state_timeout(6.0))}), state_timeout(5.0))
    machine.look()
    assert machine.cast("go")[1:] == [StartTimer(STATE_TIMEOUT, 6.0, False, 2)]


@pytest.mark.parametrize("result", [keep_state(), next_state("a"), repeat_state()])
def test_stm_16_without_a_change_the_state_timeout_goes_on(result):
    machine = Scripted(table({"go": result}), state_timeout(5.0, "late"))
    machine.cast("go")
    assert machine.fire(STATE_TIMEOUT, 1) == [(STATE_TIMEOUT, "late", "a", 0)]


@pytest.mark.parametrize(
    ("actions", "is_replayed"),
    [((postpone(), postpone(False)), False), ((postpone(False), postpone()), True), ((postpone(True),), True)],
)
def test_stm_17_the_last_postpone_counts(actions, is_replayed):
    machine = Scripted(table({("a", "old"): keep_state(*actions), "go": next_state("b")}))
    assert (machine.send("old", "go") == ["old", "go", "old"]) is is_replayed
