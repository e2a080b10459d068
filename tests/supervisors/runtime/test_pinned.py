"""Actors with a thread of their own that do not get one."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from supervisors import ActorDeadError, ActorSystem, StartError
from supervisors.runtime import pinned
from tests.supervisors.actors import Doer, SharedDoer
from tests.supervisors.interrupting import interrupted


class PinnedDoer(SharedDoer):
    dispatch = "pinned"


@pytest.fixture
def no_threads(monkeypatch):
    """No thread can be started, until this is called."""

    def refuse(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    return monkeypatch.undo


def ready_system():
    """Return a system that has all the threads that it needs for inline actors."""
    system = ActorSystem(workers=1)
    system.start(Doer).stop()
    system.start(SharedDoer).stop()
    return system


def test_a_start_that_gets_no_thread_leaves_nobody(request):
    with ready_system() as system:
        allow = request.getfixturevalue("no_threads")
        with pytest.raises(StartError, match="new thread"):
            system.start(PinnedDoer, name="p")
        assert (system.actors(), system.whereis("p")) == ([], None)
        allow()
        assert system.start(PinnedDoer, name="p").ask("seen") == []


def test_whoever_is_linked_to_an_actor_that_gets_no_thread_is_told(request):
    with ready_system() as system:
        parent = system.start(Doer, trap=True)
        allow = request.getfixturevalue("no_threads")
        ref = parent.ask(lambda self: self.system.spawn(PinnedDoer, link=True, report=False))
        allow()
        assert [message.source for message in parent.ask("seen")] == [ref]
        with pytest.raises(ActorDeadError):
            ref.ask("seen")
        ref.kill()
        ref.join(timeout=10)
        assert system.actors() == [parent]
        parent.stop()  # it traps exits


def test_a_ctrl_c_while_the_thread_starts_leaves_nobody_who_cannot_end():
    position, is_reached = 1, True
    while is_reached:
        with ready_system() as system:
            is_reached = interrupted(position, partial(system.start, PinnedDoer), {pinned.__file__})
            for ref in system.actors():
                ref.stop(timeout=10)
            assert system.actors() == []
        position += 1
