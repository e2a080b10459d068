"""No schedule of senders, owners and killers loses a message, or runs an actor twice at a time."""

from __future__ import annotations

from functools import partial

import pytest

from supervisors import Actor, ActorDeadError, MailboxFullError
from supervisors.runtime import cell
from supervisors.runtime.bounded import BoundedRef
from supervisors.runtime.cell import TOKEN
from supervisors.runtime.futures import ScheduledFuture
from supervisors.runtime.ref import ActorRef
from supervisors.runtime.signals import Ask
from supervisors.runtime.turn import QUANTUM_MESSAGES, thread_turn
from tests.schedules import exploring
from tests.schedules.exploring import SeenDeque, State, new_system, seen

# Two threads in a mailbox meet so often that two preemptions take minutes.
explore = partial(exploring.explore, affordable=1)


class Keeper(Actor):
    """Keeps what it gets, and notes if it ever runs twice at a time."""

    dispatch = "shared"

    def __init__(self):
        super().__init__()
        self.got = []
        self.inside = False
        self.overlaps = 0

    def on_receive(self, message):
        self.overlaps += self.inside
        self.inside = True
        self.got.append(message)
        self.inside = False
        return message


class InlineKeeper(Keeper):
    dispatch = "inline"


class SmallKeeper(Keeper):
    mailbox_capacity = 1


class NeverLooksAgain(ActorRef):
    """Planted: the owner releases the mailbox and goes."""

    __slots__ = ()

    def _run(self, turn, until=None, *, owned=False):
        if not owned:
            try:
                del self._gate[0]
            except IndexError:
                return
        self._run_quantum(QUANTUM_MESSAGES, until)
        self._gate += TOKEN


class LooksBeforeItReleases(ActorRef):
    """Planted: the owner looks for the last time while the mailbox is still its own."""

    __slots__ = ()

    def _run(self, turn, until=None, *, owned=False):
        if not owned:
            try:
                del self._gate[0]
            except IndexError:
                return
        while self._outer or self._inner:
            self._run_quantum(QUANTUM_MESSAGES, until)
            self._inner = None
        self._gate += TOKEN


class TriesBeforeItAppends(ActorRef):
    """Planted: the sender asks whether somebody owns the mailbox, then appends."""

    __slots__ = ()

    def send(self, message):
        owned = not self._gate
        self._outer.append(message)
        if not owned:
            self._hand_over()


class TakesWithoutTaking(ActorRef):
    """Planted: seeing the token and taking it are two steps."""

    __slots__ = ()

    def _hand_over(self):
        if len(self._gate):
            del self._gate[:]
            self.system.scheduler.enqueue(self)


class LeavesTheDeadAlone(ActorRef):
    """Planted: nobody answers what comes into a dead mailbox."""

    __slots__ = ()

    def _run_quantum(self, budget, until):
        if self._actor is None:
            del self._outer[:]
            return 1
        return super()._run_quantum(budget, until)


class ClearsAfterLooking(ActorRef):
    """Planted: the flag is cleared when the signals have been taken, not before."""

    __slots__ = ()

    def take(self):
        super().take()
        self._urgent = False


class AsksAndGoes(ActorRef):
    """Planted: an ask that has run an idle actor does not look again."""

    __slots__ = ()

    def ask(self, message, **options):
        if self._inner is None and not self._outer:
            try:
                del self._gate[0]
            except IndexError:
                pass
            else:
                reply = self._actor.receive_ask(message)
                self._gate += TOKEN
                return reply
        return self._ask_queued(message, True, None)


class CountsThenPuts(BoundedRef):
    """Planted: the count and the put are two steps that nothing holds together."""

    __slots__ = ()

    def _put(self, item, *, may_block=True):
        if not self._has_room(0):
            return False
        with self._guard:
            self._enter([(None, item, 0)])
        self._wake(thread_turn.turn)
        return True


def mailbox(actor_class=Keeper, ref_class=None, first=()):
    """Return a setup: an actor that has come up, with messages in a mailbox that is queued if there are any."""

    def setup():
        system = new_system()
        ref = system.spawn(actor_class, link=False, report=False)
        system.scheduler.work()
        keeper = ref._actor_weakref()
        seen(ref, ref_class)
        for message in first:
            ref.send(message)
        ask = Ask("ask", ScheduledFuture(system.scheduler, ref))
        return State(system=system, ref=ref, keeper=keeper, ask=ask, future=None, got=[], refused=[])

    return setup


def work(state):
    state.system.scheduler.work()


def send(message):
    return lambda state: state.ref.send(message)


def put_ask(state):
    """What `ask(block=False)` does, without the look-ups that are no business of the mailbox."""
    state.ref._outer.append(state.ask)
    state.ref._wake(thread_turn.turn)


def settled(state):
    """Run what is queued; tell whether then nothing waits, and no two threads were in the actor at a time."""
    state.system.scheduler.work()
    return not state.ref._outer and list(state.ref._gate) == [None] and not state.keeper.overlaps


def got(*messages):
    return lambda state: settled(state) and sorted(state.keeper.got) == sorted(messages)


@pytest.mark.parametrize("has_gil", [True, False])
def test_a_message_sent_while_the_owner_releases_is_handled(monkeypatch, has_gil):
    monkeypatch.setattr(cell, "HAS_GIL", has_gil)
    assert explore(mailbox(first=["a"]), [work, send("b")], got("a", "b"), affordable=2)


@pytest.mark.parametrize("planted", [NeverLooksAgain, LooksBeforeItReleases, TriesBeforeItAppends])
def test_a_lost_message_would_be_found(planted):
    assert explore(mailbox(ref_class=planted, first=["a"]), [work, send("b")], got("a", "b"), affordable=2) is None


def test_two_senders_and_an_owner_that_releases_hand_the_mailbox_over():
    setup, workers = mailbox(first=["a"]), [work, send("b"), send("c")]
    assert explore(setup, workers, got("a", "b", "c"))


def test_a_mailbox_handed_to_nobody_would_be_found():
    setup, workers = mailbox(ref_class=NeverLooksAgain, first=["a"]), [work, send("b"), send("c")]
    assert explore(setup, workers, got("a", "b", "c")) is None


def handed_over_once(state):
    return state.system.scheduler.statistics()["queued"] == 1 and got("a", "b")(state)


def test_two_senders_hand_an_idle_mailbox_over_once():
    assert explore(mailbox(), [send("a"), send("b")], handed_over_once, affordable=2)


def test_a_mailbox_with_two_owners_would_be_found():
    setup = mailbox(ref_class=TakesWithoutTaking)
    assert explore(setup, [send("a"), send("b")], handed_over_once, affordable=2) is None


def ask_inline(message):
    return lambda state: state.got.append(state.ref.ask(message, timeout=None))


def both_answered(state):
    return settled(state) and sorted(state.got) == ["a", "b"]


def test_two_asks_of_an_idle_inline_actor_are_both_answered():
    assert explore(mailbox(InlineKeeper), [ask_inline("a"), ask_inline("b")], both_answered)


def ask_later(state):
    state.future = state.ref.ask("b", block=False)


def both_are_settled(state):
    return settled(state) and state.got == ["a"] and state.future.is_done() and state.future.get() == "b"


def test_of_two_asks_of_an_idle_inline_actor_one_need_not_wait():
    assert explore(mailbox(InlineKeeper), [ask_inline("a"), ask_later], both_are_settled)


def test_a_message_that_comes_during_an_inline_ask_is_handled():
    assert explore(mailbox(InlineKeeper), [ask_inline("a"), send("b")], got("a", "b"))


def test_an_inline_ask_that_does_not_look_again_would_be_found():
    setup = mailbox(InlineKeeper, AsksAndGoes)
    assert explore(setup, [ask_inline("a"), send("b")], got("a", "b")) is None


def answered(state):
    if not (settled(state) and state.ask.reply_to.is_done()):
        return False
    try:
        return state.ask.reply_to.get() == "ask"
    except ActorDeadError:
        return True


def die(state):
    state.ref.exit("over")
    state.system.scheduler.work()


def test_an_ask_that_races_a_death_is_answered():
    assert explore(mailbox(), [put_ask, die], answered)


def test_an_ask_put_into_a_dying_mailbox_is_answered():
    def setup():
        state = mailbox()()
        state.ref.exit("over")
        return state

    assert explore(setup, [put_ask, work], answered)


def test_an_ask_that_nobody_answers_after_the_death_would_be_found():
    def setup():
        state = mailbox(ref_class=LeavesTheDeadAlone)()
        state.ref.exit("over")
        return state

    assert explore(setup, [put_ask, work], answered) is None


def kill_and_note(state):
    state.ref.exit("kill")
    state.handled_before = len(state.keeper.got)


def killed_in_time(state):
    # The message whose turn has come when the signal arrives may still be handled.
    return settled(state) and not state.ref.is_alive() and len(state.keeper.got) <= state.handled_before + 1


def test_a_signal_overtakes_the_messages_that_wait():
    assert explore(mailbox(first=["a", "b", "c"]), [work, kill_and_note], killed_in_time)


def test_a_signal_that_waits_for_its_turn_would_be_found():
    setup = mailbox(ref_class=ClearsAfterLooking, first=["a", "b", "c"])
    assert explore(setup, [work, kill_and_note], killed_in_time) is None


def tell(message):
    def worker(state):
        try:
            state.ref.tell(message)
        except MailboxFullError:
            state.refused.append(message)

    return worker


def bounded(ref_class=None):
    def setup():
        state = mailbox(SmallKeeper, ref_class)()
        state.ref._waiting = SeenDeque()
        return state

    return setup


def within_the_bound(state):
    waiting = len(state.ref._waiting)
    return waiting <= 1 and settled(state) and len(state.keeper.got) + len(state.refused) == 2


def test_two_senders_never_put_more_into_a_mailbox_than_its_bound():
    assert explore(bounded(), [tell("a"), tell("b")], within_the_bound, affordable=2)


def test_a_bound_that_two_senders_pass_together_would_be_found():
    assert explore(bounded(CountsThenPuts), [tell("a"), tell("b")], within_the_bound, affordable=2) is None
