"""Event loops that run inside a turn: they wait with the turn, so they close cycles and hold up their thread."""

from __future__ import annotations

import asyncio

import pytest

from supervisors import ActorSystem, DeadlockError, ScheduledFuture
from tests.supervisors.actors import Doer, SharedDoer


class PinnedDoer(SharedDoer):
    dispatch = "pinned"


ONE = pytest.mark.parametrize("one_class", [Doer, SharedDoer, PinnedDoer])
OTHER = pytest.mark.parametrize("other_class", [Doer, SharedDoer, PinnedDoer])


def awaiting(ref, message):
    """Return what an actor does that asks another one in a loop of its own."""
    return lambda _: asyncio.run(ref.ask_async(message, timeout=20))


def asking(ref, message):
    """Return the same without a loop."""
    return lambda _: ref.ask(message, timeout=20)


@ONE
@OTHER
def test_whoever_is_asked_in_a_loop_inside_a_turn_is_run(real, one_class, other_class):
    one, other = real.start(one_class), real.start(other_class)
    assert one.ask(awaiting(other, lambda _: "reply"), timeout=10) == "reply"


@ONE
@OTHER
@pytest.mark.parametrize(("there", "back"), [(awaiting, asking), (asking, awaiting), (awaiting, awaiting)])
def test_a_cycle_through_a_loop_is_an_error_at_once(real, one_class, other_class, there, back):
    one, other = real.start(one_class), real.start(other_class)
    with pytest.raises(DeadlockError) as caught:
        one.ask(there(other, back(one, "x")), timeout=10)
    assert caught.value.chain[0] is caught.value.chain[-1]


def test_two_replies_that_are_awaited_together_both_come(real):
    one, others = real.start(SharedDoer), [real.start(SharedDoer) for _ in range(2)]

    async def both():
        return await asyncio.gather(*(other.ask_async(lambda _: "reply", timeout=20) for other in others))

    assert one.ask(lambda _: asyncio.run(both()), timeout=10) == ["reply", "reply"]
    assert one.waits_for is None


def test_whoever_has_awaited_may_be_asked_again(real):
    one, other = real.start(SharedDoer), real.start(SharedDoer)
    one.ask(awaiting(other, lambda _: "reply"), timeout=10)
    assert other.ask(asking(one, "seen"), timeout=10) == []


def test_a_worker_that_awaits_is_compensated_for_once():
    with ActorSystem(workers=1) as system:
        one, others = system.start(SharedDoer), [system.start(SharedDoer) for _ in range(3)]

        async def all_of_them():
            return await asyncio.gather(*(other.ask_async(lambda _: "reply", timeout=20) for other in others))

        assert one.ask(lambda _: asyncio.run(all_of_them()), timeout=10) == ["reply"] * 3
        facts = system.scheduler.statistics()
    assert facts["waiting"] == 0
    assert facts["compensated"] == 1


def test_a_worker_that_awaits_what_is_no_actors_is_compensated_for_as_well():
    with ActorSystem(workers=1) as system:
        one, other, future = system.start(SharedDoer), system.start(SharedDoer), ScheduledFuture()

        async def wait():
            other.tell(lambda _: future.set("set"))
            return await future.get_async(timeout=20)

        assert one.ask(lambda _: asyncio.run(wait()), timeout=10) == "set"
        assert system.scheduler.statistics()["waiting"] == 0
