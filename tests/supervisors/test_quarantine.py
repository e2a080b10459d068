from __future__ import annotations

import weakref
from typing import Any, cast

import pytest

from supervisors import ActorDeadError, ChildSpec, MonitorRef, Supervisor, server, start_named
from supervisors.quarantine import Quarantine, Quarantined, quarantined
from supervisors.runtime.signals import DownSignal
from supervisors.server import NoReply, Reply, Server, Stop
from supervisors.statem.actions import next_event, postpone, reply
from supervisors.statem.events import CALL, ENTER, INTERNAL
from supervisors.statem.machine import StateMachine
from supervisors.statem.results import initial_state, keep_state, next_state
from tests.supervisors.actors import Doer


class Parser(Doer):
    """Crashes on "poison" and on {"poison": True}."""

    def on_receive(self, message):
        if message in ("poison", {"poison": True}):
            raise ValueError("cannot parse")
        return super().on_receive(message) if isinstance(message, tuple) else f"parsed {message}"


class Counter(Server):
    dispatch = "inline"

    def handle_call(self, request):
        return Reply(request)

    def handle_cast(self, request):
        if request == "poison":
            raise ValueError("cannot count")
        return NoReply()


def supervised(system, actor_class, after=2):
    quarantine = Quarantine(after=after)
    child = ChildSpec("child", start_named, ("child", quarantined(actor_class, quarantine)))
    system.start(Supervisor, [child], max_restarts=after, max_seconds=60.0)
    return quarantine


def test_a_message_that_crashed_its_receiver_too_often_is_refused(system):
    quarantine = supervised(system, Parser)
    for _ in range(2):
        with pytest.raises(ValueError, match="parse"):
            system.whereis("child").ask("poison")
    with pytest.raises(Quarantined) as caught:
        system.whereis("child").ask("poison")
    assert caught.value.crashes == 2
    assert quarantine.holds("poison")


def test_a_tree_survives_a_sender_that_does_not_give_up(system):
    supervised(system, Parser)
    for _ in range(50):
        system.whereis("child").send("poison")
    assert system.whereis("child").ask("text") == "parsed text"
    assert system.dead_letters == 48


def test_without_a_quarantine_the_same_sender_brings_the_tree_down(system):
    system.start(Supervisor, [ChildSpec("child", start_named, ("child", Parser))], max_restarts=2, max_seconds=60.0)
    for _ in range(3):
        system.whereis("child").send("poison")
    assert system.whereis("child") is None


def test_other_messages_are_handled_as_ever(system):
    supervised(system, Parser)
    assert system.whereis("child").ask("text") == "parsed text"


def test_messages_that_cannot_be_hashed_are_told_apart_by_their_looks(system):
    supervised(system, Parser)
    for _ in range(2):
        system.whereis("child").send({"poison": True})
    with pytest.raises(Quarantined):
        system.whereis("child").ask({"poison": True})
    assert system.whereis("child").ask({"poison": False}) == "parsed {'poison': False}"


def test_one_and_true_are_different_messages():
    quarantine = Quarantine(after=1)
    quarantine.note(1)
    assert quarantine.holds(1)
    assert not quarantine.holds(True)


def test_a_cast_to_a_server_is_quarantined_as_well(system):
    supervised(system, Counter)
    for _ in range(10):
        server.cast(system.whereis("child"), "poison")
    assert system.whereis("child").ask("alive") == "alive"


def test_an_orderly_end_and_a_kill_do_not_count(system):
    quarantine = supervised(system, Parser)
    system.whereis("child").send(("exit", "shutdown"))
    system.whereis("child").kill()
    assert len(quarantine) == 0


def test_an_abnormal_exit_of_the_handlers_own_counts(system):
    quarantine = supervised(system, Parser)
    system.whereis("child").send(("exit", "boom"))
    assert quarantine.crashes(("exit", "boom")) == 1


def test_long_messages_are_told_apart_to_their_end():
    quarantine = Quarantine(after=1)
    quarantine.note([*range(2000), -1])
    assert quarantine.holds([*range(2000), -1])
    assert not quarantine.holds([*range(2000), 7])


def test_a_message_whose_ask_failed_is_not_blamed_for_a_later_crash(system):
    quarantine = Quarantine(after=1)

    class Plain(Doer):
        crash_on_ask_error = False

        def on_receive(self, message):
            if not isinstance(message, str):
                raise TypeError("a Down crashes this one")
            if message == "bad ask":
                raise ValueError(message)
            return message

    watched = system.start(Doer)
    ref = system.start(quarantined(Plain, quarantine))
    with pytest.raises(ValueError, match="bad ask"):
        ref.ask("bad ask")
    monitor = MonitorRef(ref, watched)
    ref.monitors = (monitor,)
    ref.signal(DownSignal(monitor, "boom"))
    assert not ref.is_alive()
    assert quarantine.crashes("bad ask") == 0


def test_a_released_message_is_handled_again():
    quarantine = Quarantine(after=1)
    quarantine.note("x")
    assert quarantine.release("x") is True
    assert quarantine.release("x") is False
    assert not quarantine.holds("x")


def test_the_memory_of_a_quarantine_is_bounded():
    quarantine = Quarantine(after=1, kept=3)
    for number in range(10):
        quarantine.note(number)
    assert len(quarantine) == 3
    assert not quarantine.holds(0)
    assert quarantine.holds(9)


@pytest.mark.parametrize("after", [0, -1, 1.5, True, None])
def test_a_limit_that_makes_no_sense_is_refused(after):
    with pytest.raises((ValueError, TypeError), match="after"):
        Quarantine(after=after)


def test_only_actor_classes_can_be_wrapped():
    with pytest.raises(TypeError, match="actor_class"):
        quarantined(cast("Any", int), Quarantine())
    with pytest.raises(TypeError, match="quarantine"):
        quarantined(Parser, cast("Any", None))


# Whose message it is ------------------------------------------------------------------


class Crashing(Server):
    """Crashes on every cast, and ends by every call; `handle_info` crashes, too."""

    dispatch = "inline"

    def init(self, idle=None):
        return idle

    def handle_call(self, request):
        return request() if callable(request) else Stop("boom", reply="the answer")

    def handle_cast(self, message):
        raise ValueError("cannot be cast")

    def handle_info(self, message):
        raise ValueError("cannot be told")


class Steps(StateMachine):
    """Postpones everything in state `"a"` but `"go"`; the enter call of `"bad"` raises."""

    dispatch = "inline"
    callback_mode = "state_functions"
    state_enter = True

    def init(self):
        return initial_state("a")

    def a(self, event_type, content, data):
        if event_type is ENTER:
            return keep_state()
        if content in ("go", "bad"):
            return next_state("b" if content == "go" else "bad", *([reply("gone")] if event_type is CALL else []))
        return keep_state(postpone())

    def b(self, event_type, content, data):
        if event_type is ENTER:
            return keep_state()
        if content == "fine":
            return keep_state()
        if content == "go on":
            return keep_state(next_event(INTERNAL, "own"))
        raise ValueError(content)

    def bad(self, event_type, content, data):
        raise ValueError("cannot enter")


class Thing:
    """A message that is the same only as itself, and shows its address."""

    def __init__(self, number):
        self.number = number


def test_a_stop_is_never_held_back(system):
    wrapped = quarantined(Crashing, Quarantine(after=1))
    for _ in range(20):
        server.stop(system.start(wrapped), "why", timeout=1.0)


def test_the_end_after_a_reply_is_never_held_back(system):
    wrapped = quarantined(Crashing, Quarantine(after=1))
    for number in range(20):
        ref = system.start(wrapped)
        assert ref.ask(number) == "the answer"
        assert not ref.is_alive()


def test_time_outs_and_pykkas_stops_are_neither_counted_nor_held_back(system):
    quarantine = Quarantine(after=1)
    for _ in range(20):
        ref = system.start(quarantined(Crashing, quarantine), 1.0)
        system.advance(1.0)
        assert not ref.is_alive()
        assert system.start(quarantined(Crashing, quarantine)).stop()
    assert len(quarantine) == 0


def test_a_poison_call_that_is_answered_before_the_end_counts(system):
    quarantine = Quarantine(after=2)
    for _ in range(2):
        system.start(quarantined(Crashing, quarantine)).ask("poison")
    assert quarantine.crashes("poison") == 2
    with pytest.raises(Quarantined):
        system.start(quarantined(Crashing, quarantine)).ask("poison")


def test_an_orderly_end_after_a_reply_does_not_count(system):
    quarantine = Quarantine(after=1)
    system.start(quarantined(Crashing, quarantine)).ask(lambda: Stop("shutdown", reply="x"))
    assert len(quarantine) == 0


def test_an_ask_of_a_machine_whose_enter_call_raises_counts(system):
    quarantine = Quarantine(after=1)
    assert system.start(quarantined(Steps, quarantine)).ask("bad") == "gone"
    assert quarantine.crashes("bad") == 1


@pytest.mark.parametrize("by_call", [True, False])
def test_a_postponed_message_is_in_hand_when_it_is_taken_up_again(system, by_call):
    quarantine = Quarantine(after=1)
    ref = system.start(quarantined(Steps, quarantine))
    future = ref.ask("poison", block=False)
    if by_call:
        assert ref.ask("go") == "gone"
    else:
        server.cast(ref, "go")
    with pytest.raises(ActorDeadError, match="poison"):
        future.get(timeout=0)
    assert quarantine.crashes("poison") == 1
    assert len(quarantine) == 1


def test_what_a_machine_does_by_itself_is_blamed_on_the_message_that_it_came_of(system):
    quarantine = Quarantine(after=1)
    ref = system.start(quarantined(Steps, quarantine))
    server.cast(ref, "go")
    server.cast(ref, "go on")
    system.settle()
    assert not ref.is_alive()
    assert quarantine.crashes("go on") == 1
    assert len(quarantine) == 1


def test_a_postponed_message_that_went_well_is_not_blamed_for_a_later_crash(system):
    quarantine = Quarantine(after=1)
    ref = system.start(quarantined(Steps, quarantine))
    for message in ("fine", "go", "poison"):
        server.cast(ref, message)
    system.settle()
    assert quarantine.crashes("poison") == 1
    assert len(quarantine) == 1


def test_an_ask_that_is_refused_is_a_dead_letter(system):
    quarantine = Quarantine(after=1)
    quarantine.note("poison")
    letters = []
    system.on_dead_letter(lambda ref, message: letters.append(message))
    with pytest.raises(Quarantined):
        system.start(quarantined(Parser, quarantine)).ask("poison")
    assert letters == ["poison"]


def test_a_message_counts_as_what_it_was_before_it_was_handled(system):
    quarantine = Quarantine(after=1)

    class Taking(Doer):
        def on_receive(self, message):
            del message["poison"]
            raise ValueError("half done")

    system.start(quarantined(Taking, quarantine)).send({"poison": 1})
    assert quarantine.holds({"poison": 1})
    assert not quarantine.holds({})


# The same message ---------------------------------------------------------------------


def test_an_object_at_the_address_of_one_that_has_crashed_is_another_message(system):
    quarantine = Quarantine(after=1)
    for number in range(50):
        ref = system.start(quarantined(Crashing, quarantine))
        ref.send(Thing(number))
        assert not ref.is_alive()
    assert len(quarantine) == 50


def test_an_object_that_is_sent_again_is_the_same_message(system):
    quarantine = Quarantine(after=2)
    thing = Thing(0)
    for _ in range(5):
        system.start(quarantined(Crashing, quarantine)).send(thing)
    assert quarantine.crashes(thing) == 2
    assert quarantine.release(thing)


def test_messages_that_are_forgotten_are_let_go():
    quarantine = Quarantine(after=1, kept=1)
    thing = Thing(0)
    gone = weakref.ref(thing)
    quarantine.note(thing)
    del thing
    assert gone() is not None
    quarantine.note("another")
    assert gone() is None


def test_an_object_that_looks_into_the_quarantine_as_it_dies_finds_it_open():
    quarantine = Quarantine(after=1, kept=1)
    seen = []

    class Curious:
        def __del__(self):
            seen.append(quarantine.crashes("another"))

    quarantine.note(Curious())
    quarantine.note("another")
    assert seen == [1]


@pytest.mark.parametrize("send", ["ask", "send"])
def test_an_idle_actor_keeps_no_message_alive(system, send):
    ref = system.start(quarantined(Keeper, Quarantine()))
    thing = Thing(0)
    gone = weakref.ref(thing)
    getattr(ref, send)(thing)
    del thing
    assert gone() is None


class Keeper(Doer):
    def on_receive(self, message):
        return None


@pytest.mark.parametrize(
    "actor_class", [quarantined(Parser, Quarantine()), type("Elsewhere", (Parser,), {"dispatch": "process"})]
)
def test_what_cannot_be_wrapped_is_refused(actor_class):
    with pytest.raises(ValueError, match="actor_class"):
        quarantined(actor_class, Quarantine())
