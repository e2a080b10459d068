from __future__ import annotations

import asyncio
import queue
import threading

import pykka
import pytest

from supervisors import ActorSystem, AskTimeoutError, ScheduledFuture
from supervisors.runtime.futures import checked_timeout
from tests.supervisors.actors import Doer, Echo, SharedDoer, SharedEcho


def test_a_value_can_be_read_again_and_again():
    future = ScheduledFuture()
    future.set(42)
    assert [future.get(), future.get(timeout=0)] == [42, 42]


def test_an_outcome_is_set_once():
    future = ScheduledFuture()
    future.set(1)
    with pytest.raises(queue.Full):
        future.set(2)
    with pytest.raises(queue.Full):
        future.set_exception((ValueError, ValueError("late"), None))
    with pytest.raises(queue.Full):
        future.set_get_hook(lambda timeout: 3)
    assert future.get() == 1


def test_of_many_threads_that_offer_exactly_one_wins():
    for _ in range(50):
        future = ScheduledFuture()
        won = []
        threads = [threading.Thread(target=lambda n=n, f=future, w=won: w.append((f.offer(n), n))) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [number for wins, number in won if wins] == [future.get()]


def test_an_exception_that_is_raised_often_keeps_the_traceback_that_it_had(real):
    def depths(future):
        for _ in range(5):
            with pytest.raises(ZeroDivisionError) as caught:
                future.get(timeout=5)
            yield len(caught.traceback)

    future = real.start(SharedDoer).ask(lambda _: 1 / 0, block=False)
    first, *later = depths(future)
    assert later == [first] * 4
    assert first > 2  # where it was raised is still seen


def test_set_exception_takes_the_running_one():
    future = ScheduledFuture()
    try:
        raise ValueError("broken")
    except ValueError:
        future.set_exception()
    with pytest.raises(ValueError, match="broken"):
        future.get()


def test_set_exception_makes_an_exception_of_a_bare_type():
    future = ScheduledFuture()
    future.set_exception((KeyError, None, None))
    with pytest.raises(KeyError):
        future.get()


def test_set_exception_without_any_exception_names_the_field():
    with pytest.raises(TypeError) as caught:
        ScheduledFuture().set_exception()
    assert caught.value.field == "exc_info"


@pytest.mark.parametrize("timeout", ["1", True, [1]])
def test_a_timeout_that_is_no_number_is_refused(timeout):
    with pytest.raises(TypeError) as caught:
        ScheduledFuture().get(timeout=timeout)
    assert caught.value.field == "timeout"


def test_a_timeout_that_is_not_a_number_of_seconds_is_refused():
    with pytest.raises(ValueError, match="timeout"):
        ScheduledFuture().get(timeout=float("nan"))


@pytest.mark.parametrize("timeout", [0, -1, 0.001])
def test_waiting_ends_with_the_time(timeout):
    future = ScheduledFuture()
    with pytest.raises(AskTimeoutError) as caught:
        future.get(timeout=timeout)
    assert isinstance(caught.value, pykka.Timeout)
    assert future._callbacks == []


def test_a_set_wakes_whoever_waits_however_the_two_meet():
    for _ in range(200):
        future = ScheduledFuture()
        setter = threading.Thread(target=future.set, args=("x",))
        setter.start()
        assert future.get(timeout=5) == "x"
        setter.join()


def test_many_threads_can_wait_for_one_future():
    future, got = ScheduledFuture(), []
    waiters = [threading.Thread(target=lambda: got.append(future.get(timeout=5))) for _ in range(4)]
    for waiter in waiters:
        waiter.start()
    future.set("x")
    for waiter in waiters:
        waiter.join()
    assert got == ["x"] * 4


def test_a_callback_runs_at_once_on_what_is_done():
    future, ran = ScheduledFuture(), []
    future.set(1)
    future.when_done(lambda: ran.append("late"))
    assert ran == ["late"]


def test_a_callback_taken_back_does_not_run():
    future, ran = ScheduledFuture(), []

    def callback():
        ran.append(1)

    future.when_done(callback)
    future.forget(callback)
    future.forget(callback)
    future.set(1)
    assert ran == []


def test_a_callback_that_raises_harms_neither_the_setter_nor_other_callbacks(caplog):
    future, ran = ScheduledFuture(), []
    future.when_done(lambda: 1 / 0)
    future.when_done(lambda: ran.append(1))
    future.set(1)
    assert ran == [1]
    assert "callback" in caplog.text


def test_a_hook_is_asked_once_and_its_answer_kept_also_none():
    calls = []
    future = ScheduledFuture()
    future.set_get_hook(lambda timeout: calls.append(timeout))
    assert future.get(timeout=3) is None
    assert future.get() is None
    assert calls == [3]


def test_a_hook_set_while_somebody_waits_wakes_him():
    future, got = ScheduledFuture(), []
    waiter = threading.Thread(target=lambda: got.append(future.get(timeout=5)))
    waiter.start()
    while not future._callbacks:
        pass
    future.set_get_hook(lambda timeout: "hooked")
    waiter.join()
    assert got == ["hooked"]


def test_map_and_join_of_replies_work(real):
    ref = real.start(SharedEcho)
    one, two = ref.ask(1, block=False), ref.ask(2, block=False)
    assert one.join(two).map(sum).get(timeout=5) == 3


def test_await_gives_the_reply_of_an_actor_on_the_pool(real):
    ref = real.start(SharedEcho)

    async def main():
        return await ref.ask("x", block=False)

    assert asyncio.run(main()) == "x"


def test_await_does_not_block_the_loop(real):
    ref, gate = real.start(SharedDoer), threading.Event()

    async def main():
        waiting = asyncio.ensure_future(_await(ref.ask(lambda _: gate.wait(5), block=False)))
        await asyncio.sleep(0)
        gate.set()  # only a loop that is not blocked gets here
        return await waiting

    assert asyncio.run(main()) is True


def test_await_of_a_hook_that_blocks_does_not_block_the_loop():
    gate, future = threading.Event(), ScheduledFuture()
    future.set_get_hook(lambda timeout: gate.wait(5))

    async def main():
        waiting = asyncio.ensure_future(_await(future))
        await asyncio.sleep(0)
        gate.set()
        return await waiting

    assert asyncio.run(main()) is True


def made_of(future, other):
    """Return one future of each kind that is made of another one."""
    return [future.map(len), future.filter(bool), future.reduce(max), other.join(future), future.map(list).join(other)]


def test_what_is_made_of_a_reply_that_never_comes_holds_no_thread_when_the_await_is_given_up():
    future, other = ScheduledFuture(), ScheduledFuture()
    other.set("there")

    async def main():
        before = threading.active_count()
        try:
            for made in made_of(future, other):
                waiting = asyncio.ensure_future(_await(made))
                await asyncio.sleep(0)
                waiting.cancel()
                await asyncio.wait([waiting])
                assert threading.active_count() == before
                with pytest.raises(AskTimeoutError):
                    await made.get_async(timeout=0)
            assert future._callbacks == []
        finally:
            future.set([3, 0, 4])  # else a thread that waits for it would hold up the loop's end

    asyncio.run(main())


def test_what_is_made_of_replies_can_be_awaited_before_they_are_there():
    future, other = ScheduledFuture(), ScheduledFuture()
    other.set("there")

    async def main():
        waiting = [asyncio.ensure_future(_await(made)) for made in made_of(future, other)]
        await asyncio.sleep(0)
        future.set([3, 0, 4])
        return await asyncio.gather(*waiting)

    assert asyncio.run(main()) == [3, [3, 4], 4, ["there", [3, 0, 4]], [[3, 0, 4], "there"]]


def test_of_replies_that_are_awaited_together_one_that_fails_ends_the_wait():
    failed, never = ScheduledFuture(), ScheduledFuture()
    failed.offer(error=KeyError("failed"))
    with pytest.raises(KeyError, match="failed"):
        asyncio.run(failed.join(never).get_async(timeout=5))


def test_await_of_stop_gives_pykkas_answer(real):
    ref = real.start(SharedEcho)

    async def main():
        return await ref.stop(block=False), await ref.stop(block=False)

    assert asyncio.run(main()) == (True, False)


def test_await_works_in_virtual_time_where_nobody_else_works(system):
    ref = system.start(SharedEcho)

    async def main():
        return await ref.ask("x", block=False)

    assert asyncio.run(main()) == "x"


def test_a_reply_after_the_loop_has_closed_is_ignored():
    future = ScheduledFuture()

    async def main():
        task = asyncio.ensure_future(_await(future))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(main())
    future.set(1)
    assert future.get() == 1


@pytest.mark.parametrize("actor_class", [Echo, SharedEcho])
def test_ask_async_gets_the_reply(real, actor_class):
    ref = real.start(actor_class)
    assert asyncio.run(ref.ask_async("x")) == "x"


def test_ask_async_raises_what_the_handler_raises(real):
    ref = real.start(SharedDoer)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(ref.ask_async(lambda _: 1 / 0))


def test_ask_async_times_out_and_the_late_reply_is_a_dead_letter(real):
    ref, owed = real.start(Doer), []
    with pytest.raises(AskTimeoutError):
        asyncio.run(ref.ask_async(lambda self: owed.append(self.defer_reply()), timeout=0.01))
    assert owed[0].set("late") is False


def test_cancelling_an_ask_async_forgets_the_reply(real):
    ref, owed = real.start(Doer), []

    async def main():
        task = asyncio.ensure_future(ref.ask_async(lambda self: owed.append(self.defer_reply())))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert owed[0].set("late") is False


def test_a_turn_that_waits_for_a_foreign_future_lets_go_of_what_it_has_sent():
    answer = ScheduledFuture()
    with ActorSystem(workers=2) as system:
        setter = system.start(Doer)

        def tell_and_wait(_):
            setter.tell(lambda _: answer.set("x"))
            return answer.get(timeout=5)

        assert system.start(Doer).ask(tell_and_wait) == "x"


async def _await(future):
    return await future


@pytest.mark.parametrize(("given", "seconds"), [(0, 0.0), (-1, 0.0), (-(10**400), 0.0), (2, 2.0), (0.5, 0.5)])
def test_a_time_to_wait_is_seconds_of_at_least_none(given, seconds):
    assert checked_timeout(given) == seconds


@pytest.mark.parametrize("given", [None, float("inf"), 1e300, 10**400])
def test_a_wait_that_nobody_lives_to_see_the_end_of_is_one_without_end(given):
    assert checked_timeout(given) is None
