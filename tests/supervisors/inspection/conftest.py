from __future__ import annotations

import threading

import pytest

from supervisors import ActorSystem
from supervisors.inspection import Inspector
from tests.supervisors.inspection.watched import Held


@pytest.fixture
def system():
    with ActorSystem(shutdown_timeout=5.0) as system:
        yield system


@pytest.fixture
def inspector(system):
    with Inspector(system) as inspector:
        yield inspector


@pytest.fixture
def let_go():
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def hold(system, let_go):
    """Start an actor that is in the middle of a message; return its ref."""

    def start(name="held"):
        entered = threading.Event()
        ref = system.start(Held, entered, let_go, name=name)
        ref.tell("stay")
        assert entered.wait(10.0)
        return ref

    yield start
    let_go.set()
