"""Coroutines in a simulation: asyncio's own part, in virtual time and in an order from the seed."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from supervisors import Actor, ActorDeadError, AskTimeoutError
from supervisors.simulation import Simulation, SimulationOptions, run_seed, run_twice
from tests.supervisors.simulation.outside_names import wall_clock


class Echo(Actor):
    """Answers with what it gets; at once, or never."""

    def on_receive(self, message):
        if message == "never":
            self.defer_reply()
        return message


def ok(workload, seed=1, **options):
    outcome = run_seed(workload, seed, SimulationOptions(**options))
    assert outcome.verdict == "ok", f"{outcome}\n{outcome.transcript}"
    return outcome


def test_sleeping_takes_virtual_time():
    async def workload(simulation):
        before = simulation.system.clock.monotonic()
        await asyncio.sleep(86400.0)
        assert simulation.system.clock.monotonic() == before + 86400.0

    assert ok(workload).virtual_seconds > 86400.0


def test_an_actor_is_asked_from_a_coroutine():
    async def workload(simulation):
        echo = simulation.system.start(Echo)
        assert await echo.ask_async("hello") == "hello"
        assert await echo.ask("again", block=False) == "again"

    ok(workload)


def test_a_reply_that_never_comes_is_given_up_in_virtual_time():
    async def workload(simulation):
        echo = simulation.system.start(Echo)
        with pytest.raises(AskTimeoutError):
            await echo.ask_async("never", timeout=1000.0)
        assert simulation.system.clock.monotonic() == 1000.0

    ok(workload)


def test_an_actor_that_ends_ends_the_wait_for_it():
    async def workload(simulation):
        echo = simulation.system.start(Echo)
        answer = asyncio.create_task(echo.ask_async("never", timeout=None))
        await asyncio.sleep(1.0)
        echo.kill()
        with pytest.raises(ActorDeadError):
            await answer

    ok(workload)


def test_waiting_for_what_can_never_come_is_no_progress():
    async def workload(simulation):
        await asyncio.get_running_loop().create_future()

    assert run_seed(workload, 1).verdict == "no progress"


def test_what_a_coroutine_raises_is_the_verdict():
    async def workload(simulation):
        await asyncio.sleep(1.0)
        raise ZeroDivisionError

    assert run_seed(workload, 1).by == "ZeroDivisionError"


def test_asyncio_run_in_plain_code_uses_virtual_time():
    ok(lambda simulation: asyncio.run(asyncio.sleep(5000.0)))


def test_a_client_may_be_a_coroutine_function():
    async def use(echo, number):
        await asyncio.sleep(10.0 * number)
        return await echo.ask_async(number)

    def workload(simulation):
        echo = simulation.system.start(Echo)
        assert [each.get(timeout=None) for each in [simulation.client(use, echo, n) for n in range(3)]] == [0, 1, 2]
        assert simulation.system.clock.monotonic() == 20.0

    ok(workload)


def orders_of(workload, seeds=range(40)):
    """Return in which orders a workload was run: what it has left in its list."""
    seen = set()
    for seed in seeds:
        with Simulation(seed) as simulation:
            simulation.left = []
            assert simulation.run(workload).verdict == "ok"
            seen.add(tuple(simulation.left))
    return seen


def test_the_seed_decides_which_of_two_loops_goes_first():
    async def use(simulation, number):
        await asyncio.sleep(1.0)
        simulation.left.append(number)

    def workload(simulation):
        for answer in [simulation.client(use, simulation, number) for number in range(2)]:
            answer.get()

    assert orders_of(workload) == {(0, 1), (1, 0)}


def test_the_seed_decides_between_a_coroutine_and_the_actor_that_it_has_told_something():
    class Noting(Actor):
        def on_receive(self, message):
            message.left.append("actor")

    async def workload(simulation):
        noting = simulation.system.start(Noting)
        noting.tell(simulation)
        await asyncio.sleep(0)
        simulation.left.append("coroutine")
        await asyncio.sleep(1.0)

    assert orders_of(workload) == {("actor", "coroutine"), ("coroutine", "actor")}


def test_a_loop_that_polls_lets_the_others_run():
    async def workload(simulation):
        heard = []
        simulation.client(heard.append, "heard")
        while not heard:  # noqa: ASYNC110 - that is what it is about
            await asyncio.sleep(0)

    ok(workload)


def test_sets_of_tasks_have_the_order_in_which_these_were_made():
    async def workload(simulation):
        order = []

        async def note(number):
            try:
                await asyncio.sleep(1000.0)
            finally:
                order.append(number)

        tasks = [asyncio.create_task(note(number)) for number in range(6)]
        await asyncio.sleep(0)
        for task in set(tasks):
            task.cancel()
        await asyncio.wait(set(tasks))
        assert order == [0, 1, 2, 3, 4, 5]
        assert [task.get_name() for task in tasks] == [f"Task-{number}" for number in range(2, 8)]

    ok(workload)


def test_a_function_on_another_thread_is_one_more_unit():
    async def workload(simulation):
        echo = simulation.system.start(Echo)
        assert await asyncio.to_thread(echo.ask, "hello") == "hello"
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(divmod, 1, 0)

    ok(workload)


def test_a_pool_of_real_threads_is_reported():
    async def workload(simulation):
        with ThreadPoolExecutor(1) as executor:
            executor.submit(len, "")

    outcome = run_seed(workload, 1)
    assert (outcome.verdict, outcome.by) == ("crash", "outside")
    assert "Thread.start() was called in" in outcome.what


def test_a_coroutine_that_reads_the_wall_clock_is_reported_with_the_place():
    async def use():
        await asyncio.sleep(1.0)
        wall_clock()

    outcome = run_seed(lambda simulation: simulation.client(use).get(), 1)
    assert (outcome.verdict, outcome.by) == ("crash", "outside")
    assert "time.time() was called in wall_clock" in outcome.what


def test_sockets_are_refused():
    async def workload(simulation):
        await asyncio.open_connection("localhost", 1)

    outcome = run_seed(workload, 1)
    assert outcome.by == "UsageError"
    assert "no sockets" in outcome.what


def test_the_loop_is_in_the_transcript_and_repeats():
    async def use(echo):
        for _ in range(3):
            await asyncio.sleep(0.5)
            await echo.ask_async("hello")

    def workload(simulation):
        echo = simulation.system.start(Echo)
        for answer in [simulation.client(use, echo) for _ in range(3)]:
            answer.get()

    outcome = run_twice(workload, 7)
    assert outcome.verdict == "ok"
    assert "loop-3" in outcome.transcript


def test_after_the_run_event_loops_are_real_again():
    ok(lambda simulation: None)
    loop = asyncio.new_event_loop()
    try:
        assert type(loop).__module__.startswith("asyncio")
    finally:
        loop.close()
