from __future__ import annotations

import contextlib

import pytest

from sessionactors import SessionOptions, SessionSystem
from sessionactors.verbs import verb_of
from supervisors.clock import VirtualClock
from supervisors.errors import Refusal

NO_VERBS = [
    None,
    7,
    "what",
    (),
    [],
    {},
    object(),
    ("what",),
    ([],),
    (None, "a"),
    ("forget",),
    ("get_stats", 1),
    ("check",),
    ("check", "a"),
    ("reap", "all", 1, 2),
    ("answered",),
    ("late",),
    ("sweep_due",),
    ("sweep_due", 1, 2),
    ("set_policy",),
]
BAD_ARGUMENTS = [
    ("forget", []),
    ("set_pressure", [], True),
    ("withdraw", "a", None),
    ("acquire", "a", None),
    ("check", [], "requests", 1),
    ("check", "a", [], 1),
    ("check", "a", "requests", None),
    ("create_session", {}),
    ("answered", None),
    ("late", "x"),
    ("sweep_due", None),
]


class Service:
    def plain(self, first, second):
        return first, second

    def lenient(self, first, second=None):
        return first, second


VERBS = {"plain": Service.plain, "lenient": Service.lenient}


@pytest.fixture(scope="module")
def system():
    with SessionSystem(session=SessionOptions(auth_required=False, idle_timeout=None), clock=VirtualClock()) as made:
        yield made


@pytest.mark.parametrize("message", [("plain", 1, 2), ("lenient", 1), ("lenient", 1, 2)])
def test_a_verb_with_its_arguments_has_its_function(message):
    assert verb_of(message, VERBS) is VERBS[message[0]]


@pytest.mark.parametrize(
    "message", [None, "plain", ["plain", 1, 2], (), ([], 1), ("plain",), ("plain", 1), ("plain", 1, 2, 3), ("lenient",)]
)
def test_anything_else_has_none(message):
    assert verb_of(message, VERBS) is None


@pytest.mark.parametrize("name", ["rate_limiter", "isolation", "reaper"])
@pytest.mark.parametrize("message", NO_VERBS, ids=repr)
def test_what_is_no_message_of_a_service_is_refused_and_harms_nobody(system, name, message):
    service = system.actors.whereis(name)
    with pytest.raises(Refusal):
        service.ask(message)
    service.send(message)
    system.actors.settle()
    assert service.is_alive()


@pytest.mark.parametrize("name", ["rate_limiter", "isolation", "reaper"])
@pytest.mark.parametrize("message", BAD_ARGUMENTS, ids=repr)
def test_arguments_that_are_none_harm_nobody(system, name, message):
    service = system.actors.whereis(name)
    with contextlib.suppress(Refusal):
        service.ask(message)
    service.send(message)
    system.actors.settle()
    assert service.is_alive()
