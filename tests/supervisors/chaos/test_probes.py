"""What probes find."""

from __future__ import annotations

import pytest

from supervisors import ActorSystem
from supervisors.chaos import Alive, Answers, Call, Counter, Ready
from supervisors.errors import InvalidArgumentError
from supervisors.health.health import Health
from tests.supervisors.chaos.shop import opened

world: dict[str, object] = {}


def number():
    return world["number"]


def health():
    return world["health"]


def fine(system):
    return system.whereis("clerk") is not None


def broken():
    raise ZeroDivisionError("broken")


@pytest.fixture
def system():
    with ActorSystem() as system:
        yield system


def test_an_actor_that_answers_passes(system):
    opened(system, "clerk")
    assert Answers(name="a", target="clerk", message="x", expect="x").begin(system)() is None


def test_an_actor_that_answers_something_else_fails(system):
    opened(system, "clerk")
    assert "answers 'ping'" in str(Answers(name="a", target="clerk", expect="pong").begin(system)())


def test_a_name_that_nobody_has_fails(system):
    assert "nobody" in str(Answers(name="a", target="clerk").begin(system)())


def test_an_actor_that_does_not_answer_in_time_fails(system):
    clerk = opened(system, "clerk")
    clerk.suspend()
    assert "does not answer" in str(Answers(name="a", target="clerk", within=0.01).begin(system)())
    clerk.resume()


def test_a_counter_may_rise_by_no_more_than_it_may(system):
    world["number"] = 10
    look = Counter(name="c", counter=f"{__name__}:number", rise_max=2).begin(system)
    world["number"] = 12
    assert look() is None
    world["number"] = 13
    assert "risen by 3" in str(look())


def test_the_counters_of_the_system_are_known(system):
    look = Counter(name="c", counter="dead_letters").begin(system)
    clerk = opened(system, "clerk")
    clerk.kill()
    clerk.join(timeout=5)
    clerk.send("too late")
    assert look() is not None


def test_so_many_actors_must_live(system):
    opened(system, "one", "two")
    assert Alive(name="a", target="class:Clerk", at_least=2).begin(system)() is None
    assert "2 of 3" in str(Alive(name="a", target="class:Clerk", at_least=3).begin(system)())


def test_health_must_say_that_it_is_ready(system):
    world["health"] = health = Health(system)
    look = Ready(name="r", health=f"{__name__}:health").begin(system)
    assert look() is not None
    health.set_ready()
    assert look() is None


def test_a_function_says_what_is_well(system):
    look = Call(name="c", function=f"{__name__}:fine").begin(system)
    assert look() is not None
    opened(system, "clerk")
    assert look() is None
    assert "broken" in str(Call(name="c", function=f"{__name__}:broken").begin(system)())


def test_what_cannot_be_imported_or_called_is_refused(system):
    for function in ("no.such:thing", f"{__name__}:nothing", f"{__name__}:world"):
        with pytest.raises(InvalidArgumentError) as caught:
            Call(name="c", function=function).begin(system)
        assert caught.value.field == "function"
