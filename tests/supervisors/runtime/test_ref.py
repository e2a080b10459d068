from __future__ import annotations

import asyncio
import contextlib
import threading

import pykka
import pytest

from supervisors import (
    Actor,
    ActorDeadError,
    ActorSystem,
    AskTimeoutError,
    Crashed,
    DeadlockError,
    Exit,
    Refusal,
    StartError,
    UsageError,
)
from tests.supervisors.actors import Doer, Echo, Recorder, SharedDoer, SharedEcho


@pytest.fixture(params=["inline", "shared"])
def doer(request, real):
    return real.start({"inline": Doer, "shared": SharedDoer}[request.param])


def test_a_ref_is_a_pykka_ref_and_an_actor_a_pykka_actor(system):
    ref = system.start(Echo)
    assert isinstance(ref, pykka.ActorRef)
    assert issubclass(ref.actor_class, pykka.Actor)


def test_an_ask_gets_the_handlers_return_value(doer):
    assert doer.ask(lambda _: 42) == 42


def test_a_non_blocking_ask_gives_a_future(doer):
    assert doer.ask(lambda _: 42, block=False).get(timeout=5) == 42


def test_messages_of_one_sender_are_handled_in_order(doer):
    for number in range(500):
        doer.tell(number)
    assert doer.ask("seen") == list(range(500))


def test_an_exception_in_an_ask_reaches_the_asker_and_crashes_the_actor(doer):
    def fail(_):
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        doer.ask(fail)
    reason = doer.join(timeout=5)
    assert isinstance(reason, Crashed)
    assert str(reason) == "ValueError: broken"


def test_an_exception_in_an_ask_leaves_a_plain_actor_alive(system):
    class Plain(Actor):
        dispatch = "inline"

        def on_receive(self, message):
            if message == "fail":
                raise ValueError("broken")
            return message

    ref = system.start(Plain)
    with pytest.raises(ValueError, match="broken"):
        ref.ask("fail")
    assert ref.ask("still there") == "still there"


def test_a_refusal_reaches_the_asker_and_the_actor_lives_on(doer):
    class NotNow(Refusal):
        code = "not_now"

    def refuse(_):
        raise NotNow("later")

    with pytest.raises(NotNow):
        doer.ask(refuse)
    assert doer.ask(lambda _: "alive") == "alive"


def test_a_refused_tell_is_dropped_and_the_actor_lives_on(doer):
    def refuse(_):
        raise Refusal

    doer.tell(refuse)
    assert doer.ask(lambda _: "alive") == "alive"


def test_an_exception_in_a_tell_crashes_the_actor(doer):
    doer.tell(lambda _: 1 / 0)
    assert isinstance(doer.join(timeout=5).error, ZeroDivisionError)


def test_exit_in_an_ask_ends_the_actor_and_tells_the_asker_the_reason(doer):
    with pytest.raises(ActorDeadError) as caught:
        doer.ask(("exit", "done"))
    assert caught.value.reason == "done"
    assert doer.join(timeout=5) == "done"


def test_an_ask_of_a_dead_actor_is_an_error_at_once(doer):
    doer.stop()
    with pytest.raises(ActorDeadError):
        doer.ask("anyone?")
    assert isinstance(ActorDeadError.of(doer, "x"), pykka.ActorDeadError)


def test_a_tell_to_a_dead_actor_raises_and_a_send_does_not(system):
    ref = system.start(Echo)
    ref.stop()
    with pytest.raises(ActorDeadError):
        ref.tell("anyone?")
    ref.send("anyone?")
    assert system.dead_letters == 1


def test_stop_is_handled_after_the_messages_before_it(doer):
    handled = []
    for number in range(50):
        doer.tell(lambda _, number=number: handled.append(number))
    assert doer.stop() is True
    assert handled == list(range(50))


def test_stopping_twice_says_that_it_was_dead(doer):
    assert doer.stop() is True
    assert doer.stop() is False


def test_asks_behind_a_stop_are_answered_with_actor_dead(real):
    ref = real.start(SharedDoer)
    gate = threading.Event()
    ref.tell(lambda _: gate.wait(5))
    stopped = ref.stop(block=False)
    late = ref.ask("seen", block=False)
    gate.set()
    assert stopped.get(timeout=5) is True
    with pytest.raises(ActorDeadError):
        late.get(timeout=5)


def test_on_stop_has_ended_before_the_ref_reads_dead(real):
    alive_in_on_stop = []

    class Slow(SharedEcho):
        def on_stop(self):
            alive_in_on_stop.append(self.actor_ref.is_alive())

    ref = real.start(Slow)
    ref.stop()
    assert alive_in_on_stop == [True]
    assert not ref.is_alive()


def test_a_system_exit_in_a_handler_ends_that_actor_only(real):
    def leave(_):
        raise SystemExit(3)

    victim, bystander = real.start(SharedDoer), real.start(SharedEcho)
    victim.tell(leave)
    assert isinstance(victim.join(timeout=5).error, SystemExit)
    assert bystander.ask("here") == "here"


def test_a_keyboard_interrupt_on_the_asking_thread_crashes_the_actor_and_goes_on_to_the_asker(system):
    def interrupt(_):
        raise KeyboardInterrupt

    ref = system.start(Doer)
    with pytest.raises(KeyboardInterrupt):
        ref.ask(interrupt)
    assert isinstance(ref.exit_reason.error, KeyboardInterrupt)
    with pytest.raises(ActorDeadError):
        ref.ask("seen")


def test_an_ask_of_oneself_is_a_deadlock_error_at_once(doer):
    with pytest.raises(DeadlockError) as caught:
        doer.ask(lambda self: self.actor_ref.ask("me"))
    assert caught.value.chain == (doer, doer)


def test_a_cycle_of_asks_is_a_deadlock_error_with_the_chain(real):
    first, second = real.start(Doer), real.start(SharedDoer)
    with pytest.raises(DeadlockError) as caught:
        first.ask(lambda _: second.ask(lambda _: first.ask("hello")))
    assert caught.value.chain == (second, first, second)


def test_a_reply_can_be_deferred_and_given_by_another_message(doer):
    owed = []
    future = doer.ask(lambda self: owed.append(self.defer_reply()), block=False)
    assert doer.ask(lambda _: owed[0].set("late")) is True
    assert future.get(timeout=5) == "late"


def test_a_deferred_reply_of_a_blocking_ask_is_waited_for(real):
    ref = real.start(Doer)
    owed = []
    got = []
    asker = threading.Thread(target=lambda: got.append(ref.ask(lambda self: owed.append(self.defer_reply()))))
    asker.start()
    while not owed:
        pass
    owed[0].set("late")
    asker.join(5)
    assert got == ["late"]


def test_a_deferred_reply_can_be_given_once(doer):
    owed = []
    doer.ask(lambda self: owed.append(self.defer_reply()), block=False)
    doer.ask(lambda _: None)
    assert owed[0].set(1) is True
    assert owed[0].set(2) is False


def test_the_death_of_the_actor_answers_its_deferred_replies(doer):
    future = doer.ask(lambda self: self.defer_reply(), block=False)
    doer.ask(lambda _: None)
    doer.stop()
    with pytest.raises(ActorDeadError):
        future.get(timeout=5)


def test_a_start_has_no_reply_to_defer(real):
    class Early(SharedDoer):
        def on_start(self):
            self.defer_reply()

    for dispatch in ("inline", "shared"):
        with pytest.raises(StartError) as caught:
            real.start(type("Early", (Early,), {"dispatch": dispatch}))
        assert isinstance(caught.value.reason.error, UsageError)


def test_a_deferred_reply_whose_asker_has_given_up_is_forgotten(real):
    ref, owed = real.start(Doer), []
    with pytest.raises(AskTimeoutError):
        ref.ask(lambda self: owed.append(self.defer_reply()), timeout=0.001)
    assert not ref._pending
    assert not owed[0].set("late")


@pytest.mark.parametrize("error", [asyncio.CancelledError, GeneratorExit])
def test_what_ends_one_coroutine_does_not_reach_whoever_only_told(real, error):
    def end(_):
        raise error

    ref = real.start(Doer)
    ref.tell(end)
    assert isinstance(ref.join(timeout=5).error, error)


def test_a_tell_has_no_reply_to_defer(system):
    ref = system.start(Doer)
    ref.tell(lambda self: self.defer_reply())
    assert isinstance(ref.exit_reason.error, UsageError)


def test_an_ask_times_out_in_virtual_time_and_the_late_reply_is_a_dead_letter(system):
    ref = system.start(Doer)
    owed = []
    with pytest.raises(AskTimeoutError):
        ref.ask(lambda self: owed.append(self.defer_reply()), timeout=7.5)
    assert system.clock.monotonic() == 7.5
    assert owed[0].set("too late") is False


def test_an_ask_has_a_default_deadline_of_five_seconds(system):
    ref = system.start(Doer)
    with pytest.raises(AskTimeoutError):
        ref.ask(lambda self: self.defer_reply())
    assert system.clock.monotonic() == 5.0


def test_waiting_without_end_for_what_can_never_come_is_an_error_in_virtual_time(system):
    ref = system.start(Doer)
    with pytest.raises(UsageError, match="can never come"):
        ref.ask(lambda self: self.defer_reply(), timeout=None)


def test_a_send_never_runs_the_receiver_inside_the_senders_turn(system):
    receiver = system.start(Recorder)

    def send_and_look(_):
        receiver.tell("x")
        return receiver.messages_handled

    assert system.start(Doer).ask(send_and_look) == 0
    assert receiver.ask("seen") == ["x"]


def test_an_actor_may_ask_what_it_has_just_told(system):
    receiver = system.start(Recorder)

    def tell_then_ask(_):
        receiver.tell("x")
        return receiver.ask("seen")

    assert system.start(Doer).ask(tell_then_ask) == ["x"]


def test_a_told_actor_may_ask_its_teller_back(real):
    # The receiver must not run inside the teller's turn, or this would hang.
    teller, receiver = real.start(SharedDoer), real.start(Doer)
    answers = []
    done = threading.Event()

    def ask_back(_):
        answers.append(teller.ask(lambda _: "hello"))
        done.set()

    teller.ask(lambda _: receiver.tell(ask_back))
    assert done.wait(5)
    assert answers == ["hello"]


def test_asks_nest_deeper_than_the_inline_limit(real):
    def dive(depth):
        def handler(_):
            return depth if depth == 0 else real.start(Doer).ask(dive(depth - 1)) + 1

        return handler

    assert real.start(Doer).ask(dive(60), timeout=30) == 60


def test_a_suspended_actor_handles_signals_only_until_resumed(system):
    ref = system.start(Recorder)
    ref.suspend()
    ref.tell("held back")
    assert ref.messages_handled == 0
    ref.resume()
    assert ref.ask("seen") == ["held back"]


def test_a_suspended_actor_can_be_ended_by_a_signal(system):
    ref = system.start(Recorder)
    ref.suspend()
    ref.tell("held back")
    ref.exit("boom")
    assert ref.exit_reason == "boom"


def test_an_exit_signal_overtakes_waiting_messages(system):
    ref = system.start(Recorder)
    ref.suspend()
    ref.tell("never handled")
    ref.exit("boom")
    ref.resume()
    assert ref.exit_reason == "boom"
    assert ref.messages_handled == 0
    assert system.dead_letters == 1


def test_kill_runs_none_of_the_actors_code(system):
    ran = []

    class Careful(Echo):
        def on_stop(self):
            ran.append("stop")

        def on_failure(self, *_):
            ran.append("failure")

    ref = system.start(Careful)
    ref.kill()
    assert ref.exit_reason == "killed"
    assert ran == []


def test_an_ordinary_exit_signal_runs_on_stop(system):
    ran = []

    class Careful(Echo):
        def on_stop(self):
            ran.append("stop")

    system.start(Careful).exit("shutdown")
    assert ran == ["stop"]


def test_an_error_in_on_stop_becomes_the_reason(system):
    class Clumsy(Echo):
        def on_stop(self):
            raise RuntimeError("cleanup")

    ref = system.start(Clumsy)
    ref.stop()
    assert str(ref.exit_reason) == "RuntimeError: cleanup"


def test_a_proxy_reads_sets_and_calls(real):
    class Counter(Actor):
        value = 1

        def add(self, number):
            self.value += number
            return self.value

    proxy = real.start(Counter).proxy()
    assert proxy.add(2).get(timeout=5) == 3
    proxy.value = 10
    assert proxy.value.get(timeout=5) == 10
    proxy.stop().get(timeout=5)


def test_many_threads_asking_many_actors_all_get_their_own_answer(real):
    refs = [real.start(Echo if number % 2 else SharedEcho) for number in range(20)]
    wrong = []

    def hammer(seed):
        for step in range(300):
            token = (seed, step)
            if refs[(seed * 7 + step) % len(refs)].ask(token, timeout=30) != token:
                wrong.append(token)

    threads = [threading.Thread(target=hammer, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []


def test_every_ask_that_races_a_stop_ends(real):
    for dispatch in (Echo, SharedEcho):
        for _ in range(50):
            ref = real.start(dispatch)
            futures = []
            asker = threading.Thread(
                target=lambda ref=ref, futures=futures: futures.extend(ref.ask(n, block=False) for n in range(20))
            )
            asker.start()
            ref.stop()
            asker.join(5)
            for number, future in enumerate(futures):
                with contextlib.suppress(ActorDeadError):
                    assert future.get(timeout=5) == number


def test_exit_outside_the_reserved_reasons_can_be_any_value(system):
    ref = system.start(Doer)
    reason = {"why": ["anything"]}

    def leave(_):
        raise Exit(reason)

    ref.tell(leave)
    assert ref.exit_reason is reason


@pytest.mark.parametrize("timeout", ["1", [], True, float("nan")])
@pytest.mark.parametrize("actor_class", [Doer, SharedDoer])
def test_a_timeout_that_is_none_is_refused_before_anything_happens(system, actor_class, timeout):
    ref = system.start(actor_class)
    with pytest.raises((TypeError, ValueError), match="timeout"):
        ref.ask(lambda self: self.seen.append("done"), timeout=timeout)
    with pytest.raises((TypeError, ValueError), match="timeout"):
        asyncio.run(ref.ask_async(lambda self: self.seen.append("done"), timeout=timeout))
    assert ref.ask("seen") == []


def test_who_waits_inside_a_turn_for_pykkas_event_lets_others_work_meanwhile():
    def wait_for(other):
        other.stop(block=False)
        return other.actor_stopped.wait(1)

    with ActorSystem(workers=1) as system:
        other = system.start(SharedEcho)
        assert system.start(SharedDoer).ask(lambda _: wait_for(other), timeout=5) is True


def test_whoever_has_waited_in_vain_for_pykkas_event_is_forgotten(real):
    ref = real.start(SharedEcho)
    assert ref.actor_stopped.wait(0.001) is False
    assert ref.ask("x") == "x"  # what came before it has been taken in
    assert not ref.watchers
