import asyncio

import pytest

from sessionactors import Session, SessionOptions, SessionSystem
from supervisors.runtime.outcomes import DeadlockError


class Asking(Session):
    """Is told whom to ask in turn, and how; the last one answers."""

    async def handle_request(self, request):
        how, (first, *rest) = request
        if not rest:
            return f"{first} answers"
        return await how(SYSTEM[0], rest[0], (how, rest))


class Plain(Session):
    """Answers in its turn."""

    def handle_request(self, request):
        return "plain"


class AskingInTask(Session):
    """Leaves its question to a task, and goes on."""

    async def handle_request(self, request):
        if request == "second":
            return "second"
        TASKS.append(asyncio.create_task(SYSTEM[0].request_async("a", "second")))
        await asyncio.sleep(0)
        return "first"


SYSTEM: list[SessionSystem] = []
TASKS: list[asyncio.Task[object]] = []


@pytest.fixture
def system():
    with SessionSystem(session=SessionOptions(auth_required=False)) as system:
        SYSTEM[:] = [system]
        yield system
    SYSTEM.clear()
    TASKS.clear()


def start(system, names, session_class=Asking):
    for name in names:
        system.start_session(name, session_class=session_class)
        system.activate(name)


async def awaiting(system, name, request):
    return await system.request_async(name, request, timeout=None)


async def blocking(system, name, request):
    return system.request(name, request, timeout=None)


def chain_of(error):
    return [ref.actor_class for ref in error.chain], error.chain[0] is error.chain[-1]


@pytest.mark.parametrize("how", [awaiting, blocking])
def test_a_handler_that_asks_its_own_session_is_told_at_once(system, how):
    start(system, "a")
    with pytest.raises(DeadlockError) as told:
        system.request("a", (how, "aa"), timeout=None)
    assert chain_of(told.value) == ([Asking, Asking], True)


def test_a_handler_that_asks_whoever_waits_for_it_is_told_at_once(system):
    start(system, "abc")
    with pytest.raises(DeadlockError) as told:
        system.request("a", (awaiting, "abca"), timeout=None)
    assert chain_of(told.value) == ([Asking] * 4, True)


def test_a_handler_that_blocks_the_loop_of_the_one_it_asks_is_told_at_once(system):
    start(system, "ab")
    with pytest.raises(DeadlockError, match="request_async"):
        system.request("a", (blocking, "ab"), timeout=None)


def test_a_handler_that_is_a_coroutine_may_block_for_one_that_is_none(system):
    start(system, "a")
    start(system, "b", Plain)
    assert system.request("a", (blocking, "ab")) == "plain"


def test_handlers_that_ask_each_other_in_one_direction_are_answered(system):
    start(system, "abc")
    assert system.request("a", (awaiting, "abc")) == "c answers"
    assert system.request("c", (awaiting, "cba")) == "a answers"


def test_a_task_of_the_handler_waits_until_it_is_over(system):
    start(system, "a", AskingInTask)
    assert system.request("a", "first") == "first"

    async def second():
        return await TASKS[0]

    assert asyncio.run_coroutine_threadsafe(second(), TASKS[0].get_loop()).result(30) == "second"
