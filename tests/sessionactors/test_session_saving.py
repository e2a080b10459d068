"""What becomes of the stored copy when a session ends, and of the end when the session's code raises."""

from typing import Any

import pytest

from sessionactors import Session, SessionSystem
from sessionactors.errors import NotFound
from supervisors.clock import VirtualClock
from tests.sessionactors.session_world import ends, entries

STORED = {"persistent": True, "auth_required": False}
RAISED = [ValueError, NotFound, SystemExit, GeneratorExit]


class Writer(Session):
    """Raises while it describes itself, if it is to."""

    raises: tuple[Any, ...] = ()  # what, one after the other; the last one for ever

    def snapshot(self):
        cls = type(self)
        error, cls.raises = cls.raises[:1], cls.raises[1:] or cls.raises
        if error not in ((), (None,)):
            raise error[0]("boom")
        return "as it was"


@pytest.fixture(autouse=True)
def _nobody_raises():
    Writer.raises = ()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "sessions.db"


def opened(path):
    return SessionSystem(path=path, clock=VirtualClock(), session=STORED, session_classes=[Writer])


def kept(system, *raised, heard=None, **options):
    """Start a session and store it, and have it raise from now on."""
    system.start_session("a", options, session_class=Writer)
    system.activate("a")
    system.persist("a")
    if heard is not None:
        system.subscribe("a", heard.append)
    Writer.raises = raised


ENDS = {
    "terminate": lambda system: system.terminate("a"),
    "force_terminate": lambda system: system.force_terminate("a", admin="root"),
    "timer": lambda system: system.actors.advance(10.0),
}


@pytest.mark.parametrize("raised", RAISED)
@pytest.mark.parametrize("how", ENDS)
def test_a_session_whose_code_cannot_describe_it_ends_all_the_same(path, how, raised):
    heard = []
    with opened(path) as system:
        kept(system, raised, heard=heard, keep_persistent=True, absolute_timeout=10.0)
        ENDS[how](system)
        assert system.state_of("a") == "terminated"
        assert system.live_sessions() == []
        assert [each.event for each in heard].count("session_terminated") == 1
        records = entries(system, "a")
        assert ends(records) == {"a": 1}
        failed = [each.data for each in records if each.data.get("event") == "persist_failed"]
        assert [each["reason"] for each in failed] == [f"snapshot() raised {raised.__name__}"]
        assert system.start_session("a") == "a"


def test_what_was_stored_of_it_before_stays(path):
    with opened(path) as system:
        kept(system, ValueError, keep_persistent=True)
        system.terminate("a")
    Writer.raises = ()
    with opened(path) as system:
        assert system.get_session_data("a")["user_state"] == "as it was"


@pytest.mark.parametrize("raised", RAISED)
def test_a_system_that_stops_audits_the_end_of_each_session_whatever_its_code_raises(path, raised):
    heard = []
    system = opened(path)
    log = system._ledger.log
    for session_id in ("a", "b"):
        system.start_session(session_id, session_class=Writer)
        system.activate(session_id)
        system.persist(session_id)
        system.subscribe(session_id, heard.append)
    Writer.raises = (raised,)
    assert system.stop() == []
    assert ends(log.events()) == {"a": 1, "b": 1}
    assert sorted((each.session_id, each.event) for each in heard) == [
        ("a", "session_terminated"),
        ("b", "session_terminated"),
    ]
    Writer.raises = ()
    with opened(path) as again:
        assert [again.get_session_data(each)["user_state"] for each in ("a", "b")] == ["as it was"] * 2


INTERRUPTED = {
    "terminate": lambda system: system.terminate("a"),
    "shutdown": lambda system: system.directory.get("a").exit("shutdown"),
}


@pytest.mark.parametrize("raised", [(KeyboardInterrupt, None), (KeyboardInterrupt,)], ids=["once", "always"])
@pytest.mark.parametrize("how", INTERRUPTED)
def test_an_end_that_is_interrupted_while_the_session_describes_itself_is_completed(path, how, raised):
    heard = []
    with opened(path) as system:
        kept(system, *raised, heard=heard, keep_persistent=True)
        with pytest.raises(KeyboardInterrupt):
            INTERRUPTED[how](system)
        assert ends(entries(system, "a")) == {"a": 1}
        assert [each.event for each in heard] == ["session_terminated"]
        Writer.raises = ()
        system.actors.settle()
        assert system.live_sessions() == ([] if how == "terminate" else ["a"])


class LeavesLoudly(Session):
    raises = SystemExit

    def on_terminated(self, reason):
        raise self.raises(reason)


class LeavesWithARefusal(LeavesLoudly):
    raises = NotFound


@pytest.mark.parametrize("session_class", [LeavesLoudly, LeavesWithARefusal])
def test_a_hook_that_wants_to_end_something_does_not_hold_the_end_up(path, session_class):
    with opened(path) as system:
        system.start_session("a", session_class=session_class)
        system.terminate("a")
        assert system.state_of("a") == "terminated"
        assert ends(entries(system, "a")) == {"a": 1}
