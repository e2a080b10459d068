import queue
import threading

import pytest

from sessionactors import SessionSystem
from sessionactors.effects import Verify
from sessionactors.errors import SessionRefusal
from sessionactors.verification import AuthenticatorStatistics, Verifier
from tests.sessionactors.session_world import virtual


class Answers:
    """Stands where a session is, and keeps what it is told."""

    def __init__(self):
        self.verdicts = queue.SimpleQueue()

    def send(self, message):
        self.verdicts.put(message[1])

    def next(self):
        return self.verdicts.get(timeout=10.0)


class Clock:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self):
        return self.now


class Hanging:
    """An authenticator that hangs for all that is called so, and accepts the others."""

    def __init__(self):
        self.asked = []
        self.entered, self.leave = threading.Semaphore(0), threading.Event()

    def __call__(self, credentials):
        self.asked.append(credentials)
        if credentials == "hangs":
            self.entered.release()
            self.leave.wait(30.0)
        return True


@pytest.fixture
def hanging():
    made = Hanging()
    yield made
    made.leave.set()


def holding(hanging, clock, calls, **options):
    """Return a verifier with so many calls that hang; nobody waits for them after a second."""
    made = Verifier(hanging, clock, threads_max=2, **options)
    for _ in range(calls):
        made.ask(Verify("hangs"), Answers(), 1.0)
        assert hanging.entered.acquire(timeout=10.0)
    return made


def test_calls_that_hang_and_that_nobody_waits_for_hold_up_nobody(hanging):
    clock, session = Clock(), Answers()
    verifier = holding(hanging, clock, 2)
    clock.now += 1.0
    verifier.ask(Verify("good"), session, 1.0)
    assert session.next().accepted
    assert verifier.statistics() == AuthenticatorStatistics(overdue=2, overdue_ever=2)
    verifier.stop()


def test_a_question_that_came_before_they_were_overdue_is_asked_when_they_are(hanging):
    session = Answers()
    with SessionSystem() as system:
        verifier = holding(hanging, system.actors.clock.monotonic, 0)
        for _ in range(2):
            verifier.ask(Verify("hangs"), Answers(), 0.05)
        verifier.ask(Verify("good"), session, 30.0)
        assert session.next().accepted
        verifier.stop()


def test_there_is_a_limit_to_the_calls_that_hang(hanging):
    clock, late, session = Clock(), Answers(), Answers()
    verifier = holding(hanging, clock, 2, overdue_max=1)
    clock.now += 1.0
    verifier.ask(Verify("hangs"), late, 1.0)  # takes the place of one of the two
    assert hanging.entered.acquire(timeout=10.0)
    clock.now += 1.0
    verifier.ask(Verify("good"), session, 0.01)
    clock.now += 1.0
    verdict = session.next()
    assert (verdict.accepted, verdict.failure) == (False, "TimeoutError")
    assert verifier.statistics() == AuthenticatorStatistics(overdue=3, overdue_ever=1, dropped=1)
    hanging.leave.set()
    verifier.ask(Verify("good"), session, 1.0)
    assert session.next().accepted
    verifier.stop()


def test_what_nobody_waits_for_any_more_is_not_asked(hanging):
    clock, late, good = Clock(), Answers(), Answers()
    verifier = holding(hanging, clock, 2)
    for _ in range(50):
        verifier.ask(Verify("too late"), late, 1.0)
    clock.now += 1.0
    verifier.ask(Verify("good"), good, 1.0)
    hanging.leave.set()
    assert good.next().accepted
    assert hanging.asked == ["hangs", "hangs", "good"]
    assert {late.next().failure for _ in range(50)} == {"TimeoutError"}
    assert verifier.statistics().dropped == 50
    verifier.stop()


def test_a_dead_directory_server_denies_those_who_asked_it_and_nobody_else(hanging):
    with SessionSystem(authenticator=hanging, session={"auth_timeout": 0.2}) as system:

        def login(session_id, credentials):
            system.start_session(session_id, {"auth_timeout": 0.2 if credentials == "hangs" else 30.0})
            system.authenticate(session_id, credentials)
            return system.activate(session_id)

        def is_refused(session_id):
            with pytest.raises(SessionRefusal):
                login(session_id, "hangs")

        threads = [threading.Thread(target=is_refused, args=(f"bad{number}",)) for number in range(40)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(30.0)
        assert login("good", "good") == "active"
        assert system.live_sessions() == ["good"]
        assert system.authenticator_statistics().overdue >= 32


def test_without_an_authenticator_of_its_own_a_system_counts_nothing():
    for options in ({}, {"authenticator": bool}):
        with virtual(**options) as system:
            assert system.authenticator_statistics() == AuthenticatorStatistics()
