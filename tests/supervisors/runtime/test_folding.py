"""Mailboxes that are folded away while their actor sleeps."""

from __future__ import annotations

import signal
import sys
import threading

import pytest

from supervisors import Actor, ActorSystem
from supervisors.hibernation import Sleeper, fall_asleep, rebuilt
from supervisors.runtime import folding
from supervisors.runtime.cell import HAS_GIL
from supervisors.runtime.folding import Folding, fold, is_folded

pytestmark = pytest.mark.skipif(not HAS_GIL, reason="without a GIL nothing is folded")


class Counter(Actor):
    dispatch = "inline"

    def __init__(self, count=0):
        super().__init__()
        self.count = count

    def on_receive(self, message):
        if message == "sleep":
            fall_asleep(self.actor_ref, Asleep(self))
            return None
        self.count += 1
        return self.count


class Bounded(Counter):
    mailbox_capacity = 3


class Asleep(Sleeper):
    __slots__ = ("_form", "_ref")

    def __init__(self, actor):
        self._ref = actor.actor_ref
        self._form = actor.count

    def remake(self, *, killed):
        return rebuilt(self._ref, self._ref.actor_class, self._form)

    def remade(self, actor):
        """Nothing is left to do."""


@pytest.fixture
def ref(system):
    started = system.start(Counter)
    started.ask("sleep")
    return started


def test_what_is_folded_has_no_lists_of_its_own(ref):
    assert fold(ref, ref._actor) is True
    assert is_folded(ref)
    assert ref._outer is ref._actor
    assert ref._gate is folding.SHUT
    assert ref.mailbox_length == 0
    assert list(ref._outer) == []


def test_to_fold_it_twice_is_to_fold_it(ref):
    assert [fold(ref, ref._actor), fold(ref, ref._actor)] == [True, True]
    assert ref.ask("one") == 1


@pytest.mark.parametrize("send", ["ask", "tell", "send", "later"])
def test_any_message_unfolds_it(ref, send):
    fold(ref, ref._actor)
    if send == "later":
        assert ref.ask("one", block=False).get(timeout=1.0) == 1
    else:
        getattr(ref, send)("one")
    assert not is_folded(ref)
    assert ref.ask("two") == 2


def test_signals_reach_it(system, ref):
    fold(ref, ref._actor)
    ref.kill()
    system.settle()
    assert ref.exit_reason == "killed"


def test_it_can_be_folded_again_and_again(ref):
    for count in range(1, 5):
        assert fold(ref, ref._actor)
        assert ref.ask("one") == count
        ref.ask("sleep")


def test_who_is_awake_is_not_folded(system):
    awake = system.start(Counter)
    assert fold(awake, Asleep(awake._actor_weakref())) is False
    assert awake.ask("one") == 1


def test_a_mailbox_with_a_bound_is_not_folded(system):
    bounded = system.start(Bounded)
    bounded.ask("sleep")
    assert fold(bounded, bounded._actor) is False
    assert bounded.ask("one") == 1


@pytest.mark.parametrize("name", ["_outer", "_gate"])
def test_who_has_either_list_in_hand_keeps_it_from_being_folded(ref, name):
    in_hand = getattr(ref, name)
    assert fold(ref, ref._actor) is False
    assert getattr(ref, name) is in_hand
    del in_hand
    assert fold(ref, ref._actor) is True


def test_a_message_in_it_keeps_it_from_being_folded(ref):
    del ref._gate[0]  # somebody has it
    ref.tell("one")
    ref._gate.append(None)
    assert fold(ref, ref._actor) is False
    ref.look_again()
    assert ref.ask("two") == 2


def test_who_has_it_keeps_it_from_being_folded(ref):
    del ref._gate[0]
    assert fold(ref, ref._actor) is False
    ref._gate.append(None)
    assert fold(ref, ref._actor) is True


def test_what_came_while_the_lists_were_looked_at_is_handled(ref, monkeypatch):
    """As when a sender, interrupted between two steps, goes on in the middle of ours."""
    outer = ref._outer
    real = folding.getrefcount

    def and_then_it_is_sent(item):
        counted = real(item) - 1  # the argument of this function
        if item is outer:
            outer.append("one")
        return counted

    monkeypatch.setattr(folding, "getrefcount", and_then_it_is_sent)
    del outer[:]
    fold(ref, ref._actor)
    monkeypatch.undo()
    assert ref.ask("two") == 2


def test_a_signal_handler_sends_to_what_is_being_folded(ref, monkeypatch):
    real = folding.getrefcount

    def and_then_a_signal(item):
        if not folding._late:
            signal.raise_signal(signal.SIGUSR1)
        return real(item) - 1

    before = signal.signal(signal.SIGUSR1, lambda *_: ref.tell("one"))
    try:
        monkeypatch.setattr(folding, "getrefcount", and_then_a_signal)
        fold(ref, ref._actor)
    finally:
        signal.signal(signal.SIGUSR1, before)
    monkeypatch.undo()
    assert ref.ask("two") == 2
    assert folding._late == []


def test_those_before_are_folded_by_who_falls_asleep_next(system):
    queue = Folding()
    refs = [system.start(Counter) for _ in range(3)]
    for each in refs:
        each.ask("sleep")
        queue.add(each._actor)
    assert [is_folded(each) for each in refs] == [True, True, False]


def test_one_that_could_not_be_folded_gets_another_chance(system):
    queue = Folding()
    refs = [system.start(Counter) for _ in range(3)]
    for each in refs:
        each.ask("sleep")
    in_hand = refs[0]._outer
    for each in refs[:2]:
        queue.add(each._actor)
    assert not is_folded(refs[0])
    del in_hand
    queue.add(refs[2]._actor)
    assert is_folded(refs[0])


def test_one_that_has_woken_or_ended_meanwhile_is_passed_over(system):
    queue = Folding()
    refs = [system.start(Counter) for _ in range(3)]
    for each in refs:
        each.ask("sleep")
        queue.add(each._actor)
        each.ask("one")
    refs[2].stop()
    assert not any(is_folded(each) for each in refs)
    assert refs[0].ask("two") == 2


def test_a_message_that_came_before_the_lists_were_taken_out_is_handled(ref, monkeypatch):
    class Late(list):
        def append(self, cell):
            super().append(cell)
            cell._outer.append("one")

    monkeypatch.setattr(folding, "_being_folded", Late())
    assert fold(ref, ref._actor) is False
    monkeypatch.undo()
    assert ref.ask("two") == 2


def test_nothing_is_lost_between_senders_and_who_folds():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ActorSystem() as system:
            ref = system.start(Counter)
            is_over = threading.Event()
            sent = []

            def send(how):
                count = 0
                while not is_over.is_set():
                    count += 1
                    if how == "ask":
                        ref.ask(count, timeout=10.0)
                    else:
                        getattr(ref, how)(count)
                    if not count % 50:
                        ref.ask("done", timeout=10.0)  # or they would flood it
                        count += 1
                sent.append(count)

            threads = [threading.Thread(target=send, args=(how,)) for how in ("ask", "tell", "send")]
            for thread in threads:
                thread.start()
            try:
                assert fold_often(ref, 200)
            finally:
                is_over.set()
                for thread in threads:
                    thread.join()
            assert ref.ask("last", timeout=10.0) == sum(sent) + 1
    finally:
        sys.setswitchinterval(interval)


def fold_often(ref, times):
    """Have an actor sleep and fold its mailbox so many times; False if that hardly ever comes to anything."""
    folded = 0
    for _ in range(200 * times):
        ref.ask("sleep", timeout=10.0)
        inside = ref._actor
        if isinstance(inside, Asleep):
            folded += fold(ref, inside)
        if folded == times:
            return True
    return False
