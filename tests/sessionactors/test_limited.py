import asyncio
import threading

import pytest

from sessionactors import SessionSystem
from sessionactors.errors import InvalidKind, InvalidValue, RateLimited
from tests.sessionactors.session_world import virtual


@pytest.fixture
def system():
    with virtual(limiter={"capacity": 2.0, "rate": 1.0, "delay_max": 100.0}) as made:
        yield made


def tokens(system, session_id="a", quota_type="requests"):
    return system.get_rate_limit(session_id, quota_type).tokens


# --- Threads ----------------------------------------------------------------------------------------------------------


def test_a_block_takes_before_it_begins_and_gives_nothing_back(system):
    with system.limited("bytes", session_id="a", cost=2):
        assert tokens(system, quota_type="bytes") == 0.0
    assert tokens(system, quota_type="bytes") == 0.0


def test_a_block_waits_for_its_turn(system):
    limited = system.limited(session_id="a", cost=2)
    for turn in (0.0, 2.0, 4.0):
        with limited:
            assert system.actors.clock.monotonic() == turn


def test_a_block_that_is_not_admitted_does_not_begin(system):
    limited = system.limited(session_id="a", cost=2, deadline=1.0)
    begun = []
    with limited:
        begun.append("first")
    with pytest.raises(RateLimited), limited:
        begun.append("second")
    assert begun == ["first"]


def test_an_error_in_the_block_goes_on(system):
    with pytest.raises(ZeroDivisionError), system.limited(session_id="a"):
        1 / 0  # noqa: B018


def test_a_function_names_the_session_by_its_argument(system):
    @system.limited()
    def handle(number, session_id="a"):
        """Handle."""
        return number

    assert [handle(1), handle(2, "b"), handle(3, session_id="b")] == [1, 2, 3]
    assert (tokens(system, "a"), tokens(system, "b")) == (1.0, 0.0)
    assert handle.__doc__ == "Handle."


def test_a_method_can_name_it_by_another_parameter(system):
    class Endpoint:
        @system.limited("messages", by="user")
        def push(self, user):
            return user

    assert Endpoint().push("u") == "u"
    assert tokens(system, "u", "messages") == 1.0


def test_a_function_can_be_limited_for_one_session(system):
    limited = system.limited(session_id="a")(len)
    assert limited("abc") == 3
    assert tokens(system) == 1.0


def test_a_call_with_wrong_arguments_takes_nothing(system):
    @system.limited()
    def handle(session_id):
        return session_id

    with pytest.raises(TypeError):
        handle("a", "b")
    assert system.limiter_statistics().total_sessions == 0


def test_a_function_without_that_parameter_is_refused_when_it_is_decorated(system):
    with pytest.raises(InvalidValue) as refused:
        system.limited(by="user")(lambda session_id: session_id)
    assert refused.value.field == "by"


@pytest.mark.parametrize(
    ("options", "field"),
    [({"priority": "urgent"}, "priority"), ({"by": ""}, "by"), ({"deadline": 0}, "deadline"), ({"type": 5}, "type")],
)
def test_wrong_options_are_refused_at_once(system, options, field):
    with pytest.raises((InvalidKind, InvalidValue)) as refused:
        system.limited(**options)
    assert refused.value.field == field


def test_a_block_needs_a_session(system):
    with pytest.raises(InvalidValue) as refused, system.limited():
        raise AssertionError
    assert refused.value.field == "session_id"


def test_only_functions_can_be_limited(system):
    with pytest.raises(InvalidKind):
        system.limited(session_id="a")(5)


def test_waiting_threads_are_admitted_one_by_one():
    with SessionSystem(limiter={"capacity": 1.0, "rate": 200.0}) as system:
        waited = []

        def use():
            waited.extend(system.acquire("a", deadline=30.0) for _ in range(5))

        threads = [threading.Thread(target=use) for _ in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(30.0)
        assert len(waited) == 20
        assert system.limiter_statistics().admitted == 20


# --- asyncio ----------------------------------------------------------------------------------------------------------


def run(main):
    """Run a coroutine function with a real system."""

    async def bounded(system):
        return await asyncio.wait_for(main(system), 30.0)

    with SessionSystem(limiter={"capacity": 1.0, "rate": 100.0, "queue_max": 100}) as system:
        return asyncio.run(bounded(system))


def test_many_tasks_wait_without_holding_up_the_loop():
    async def main(system):
        beats = 0

        async def beat():
            nonlocal beats
            while True:
                await asyncio.sleep(0)
                beats += 1

        beating = asyncio.create_task(beat())
        waited = await asyncio.gather(*(system.acquire_async("a") for _ in range(10)))
        beating.cancel()
        return waited, beats

    waited, beats = run(main)
    assert max(waited) >= 0.089
    assert beats > 10


def test_blocks_and_functions_of_asyncio_are_limited_too():
    async def main(system):
        @system.limited()
        async def handle(session_id):
            return session_id

        async with system.limited("bytes", session_id="a"):
            pass
        return await handle("a"), tokens(system, quota_type="bytes") < 1.0

    assert run(main) == ("a", True)


def test_a_cancelled_task_leaves_the_line():
    async def main(system):
        system.set_rate_limit("a", {"capacity": 1.0, "rate": 0.01})
        await system.acquire_async("a")
        system.set_rate_limit("a", {"capacity": 1.0, "rate": 0.1})
        waits = asyncio.create_task(system.acquire_async("a"))
        await asyncio.sleep(0)  # it has asked, and waits
        assert system.limiter_statistics().waiting == 1
        waits.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waits
        return system.limiter_statistics().waiting

    assert run(main) == 0


def test_a_refusal_arrives_in_the_task():
    async def main(system):
        await system.acquire_async("a")
        with pytest.raises(RateLimited):
            await system.acquire_async("a", deadline=0.001)

    run(main)
