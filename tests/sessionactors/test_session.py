import asyncio
import enum
import functools
import threading

import pytest

from sessionactors import SessionSystem
from sessionactors.effects import Verdict, Verify, effect_of
from sessionactors.errors import (
    AuthenticationFailed,
    AuthenticationPending,
    InvalidKind,
    MaxAttempts,
    SessionExists,
    SessionTerminated,
    UnknownRequest,
)
from sessionactors.lifecycle import VERDICT
from sessionactors.session import Session, SessionEvent
from supervisors import Actor
from supervisors.errors import Exit
from supervisors.runtime.outcomes import DeadlockError
from supervisors.supervision.requests import ChildStartFailed
from tests.sessionactors.incomparable import Incomparable
from tests.sessionactors.session_world import TRUSTED, edges, ends, entries, kill, names, start_active, virtual


@pytest.fixture
def system():
    with virtual() as made:
        yield made


class Listener(Actor):
    def __init__(self):
        super().__init__()
        self.heard = []

    def on_receive(self, message):
        if message == "heard":
            return list(self.heard)
        self.heard.append(message)
        return None


class AsyncListener:
    async def __call__(self, event):
        raise AssertionError(event)


async def _hears_later(event):
    raise AssertionError(event)


async def _hears_bit_by_bit(event):
    yield event


class UnhashableListener:
    __hash__ = None

    def __call__(self, event):
        raise AssertionError(event)


# --- Its end, however it comes ---------------------------------------------------------------------------------------


class Faulty(Session):
    def on_receive(self, message):
        raise KeyError(message)

    def receive_ask(self, message):
        if message == "crash":
            raise ZeroDivisionError
        if message == "exit":
            raise Exit("a reason\nof two lines\ud800")
        if message == "leave":
            raise Exit(("any", object))
        return super().receive_ask(message)


def _end(system, how):
    ref = system.directory.get("a")
    if how in ("crash", "exit", "leave"):
        with pytest.raises(Exception):  # noqa: B017 - each way has its own
            ref.ask(how)
    elif how == "kill":
        ref.kill()
    elif how == "stop":
        ref.stop()
    elif how == "signal":
        ref.exit("some\nreason")
    elif how == "reap":
        assert system.reap("all") == 1
    elif how == "timer":
        system.actors.advance(31.0)
    elif how == "kill sessions":
        kill(system, "sessions")
    elif how == "kill audit":
        kill(system, "audit")
    elif how == "terminate":
        system.terminate("a")
    elif how == "force_terminate":
        system.force_terminate("a", admin="root")
    elif how == "attempts":
        for _ in range(2):
            system.authenticate("a", TRUSTED)
        with pytest.raises(MaxAttempts):
            system.authenticate("a", TRUSTED)
    system.actors.settle()


WAYS = (
    "crash",
    "exit",
    "leave",
    "kill",
    "stop",
    "signal",
    "reap",
    "timer",
    "kill sessions",
    "kill audit",
    "terminate",
    "force_terminate",
    "attempts",
)


@pytest.mark.parametrize("how", WAYS)
def test_every_end_is_in_the_log_exactly_once_and_last(system, how):
    heard = []
    system.start_session("a", session_class=Faulty)
    system.subscribe("a", heard.append)
    system.authenticate("a", TRUSTED)
    _end(system, how)
    records = entries(system, "a")
    assert edges(records) == [("a", "new", "auth"), ("a", "auth", "terminated")]
    assert records[-1].data["to_state"] == "terminated"
    assert [each.event for each in heard].count("session_terminated") == 1
    assert heard[-1].event == "session_terminated"
    assert system.state_of("a") == "terminated"
    assert len(system.directory) == 0


@pytest.mark.parametrize("how", WAYS)
def test_every_service_forgets_a_session_however_it_ends(system, how):
    system.start_session("a", session_class=Faulty)
    system.authenticate("a", TRUSTED)
    system.isolate("a")
    system.check_rate_limit("a")
    _end(system, how)
    assert system.limiter_statistics().total_sessions == 0
    assert system.actors.whereis("isolation").ask(("list_sessions",)) == []


@pytest.mark.parametrize("how", WAYS)
def test_an_ended_session_leaves_no_timer(system, how):
    before = system.actors.timers.pending()
    system.start_session("a", session_class=Faulty)
    system.authenticate("a", TRUSTED)
    _end(system, how)
    system.commit_audit()  # nothing waits for the log any more
    # The reaper's look at the session may still come; it finds nothing.
    assert system.actors.timers.pending() <= before + 1


def test_a_system_that_stops_ends_its_sessions_in_the_log(system):
    start_active(system, "a", "b")
    log = system._ledger.log
    system.stop()
    records = list(log.events())
    assert ends(records) == {"a": 1, "b": 1}
    assert {each.data["reason"] for each in records if each.data.get("to_state") == "terminated"} == {"shutdown"}


class FailsToStart(Session):
    def on_start(self):
        raise RuntimeError("no")


def test_a_session_whose_start_fails_has_ended(system):
    with pytest.raises(Exception, match="no"):
        system.start_session("a", session_class=FailsToStart)
    assert edges(entries(system, "a")) == [("a", "new", "terminated")]
    assert system.state_of("a") == "terminated"


class InterruptedLog:
    """A queue in front of the log whose first event of a kind is interrupted, as Ctrl-C would."""

    is_failing = False

    def __init__(self, queue, name):
        self._queue = queue
        self._name = name

    def put(self, event):
        taken = self._queue.put(event)
        what = event[2]
        if (effect_of(what) if isinstance(what, int) else what).name == self._name:
            self._name = None
            raise KeyboardInterrupt
        return taken


def test_an_end_that_is_interrupted_is_completed(system):
    heard = []
    start_active(system, "a")
    system.check_rate_limit("a")
    system.subscribe("a", heard.append)
    system._around.audit = InterruptedLog(system._intake, "terminate_requested")
    with pytest.raises(KeyboardInterrupt):
        system.terminate("a")
    assert names(system, "a")[-2:] == ["terminate_requested", "session_terminated"]
    assert [each.event for each in heard] == ["session_terminated"]
    assert system.limiter_statistics().total_sessions == 0


def test_a_question_that_was_on_its_way_finds_the_session_terminated(system):
    start_active(system, "a")
    ref = system.directory.get("a")
    ref.suspend()
    ended = ref.ask(("terminate", None), block=False)
    asked = [ref.ask(question, block=False) for question in ("get_state", "get_info", ["subscribe", print])]
    ref.resume()
    system.actors.settle()
    assert ended.get() == "terminated"
    for each in asked:
        with pytest.raises(SessionTerminated):
            each.get()


def test_a_duplicate_leaves_the_first_session_alone(system):
    system.start_session("a")
    with pytest.raises(SessionExists):
        system.start_session("a")
    assert names(system, "a") == ["session_started"]
    assert system.get_state("a") == "new"


def test_an_id_can_be_used_again_after_the_end_and_nothing_is_inherited(system):
    start_active(system, "a")
    system.check_rate_limit("a", cost=1000)
    system.isolate("a")
    system.record_usage("a", memory=5)
    system.terminate("a")
    start_active(system, "a")
    assert system.check_rate_limit("a") == (True, 0.0)
    system.isolate("a")
    assert system.get_resource_usage("a").memory.used == 0
    assert ends(entries(system)) == {"a": 1}


# --- Messages that it does not know -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        (),
        ("suspend",),
        (1, 2, 3),
        ("nonsense", None),
        "nonsense",
        ["subscribe"],
        ["nonsense", print],
        (5, None),
        ([], None),
        (Incomparable(), None),
        [Incomparable(), print],
        Incomparable(),
        5,
        None,
    ],
)
def test_an_unknown_message_is_refused_and_the_session_lives(system, message):
    system.start_session("a")
    with pytest.raises(UnknownRequest):
        system.directory.get("a").ask(message)
    system.directory.get("a").tell(message)
    system.actors.settle()
    assert system.get_state("a") == "new"


def test_an_operation_may_be_a_member_of_an_enumeration(system):
    class Verb(enum.StrEnum):
        SUSPEND = "suspend"

    start_active(system, "a")
    assert system.directory.get("a").ask((Verb.SUSPEND, None)) == "suspended"


def test_a_timer_of_an_earlier_state_changes_nothing(system):
    start_active(system, "a")
    system.directory.get("a").tell(("wake", 30.0))
    assert system.get_state("a") == "active"


# --- Subscribers ------------------------------------------------------------------------------------------------------


def test_a_function_gets_each_event_once_and_in_order(system):
    heard = []
    system.start_session("a")
    system.subscribe("a", heard.append)
    system.subscribe("a", heard.append)
    system.init_session("a", {})
    system.authenticate("a", TRUSTED)
    system.activate("a")
    system.deactivate("a")
    system.resume("a")
    system.suspend("a", "lunch")
    system.terminate("a", "enough")
    assert heard == [
        SessionEvent("a", "session_initialized", None),
        SessionEvent("a", "session_activated", None),
        SessionEvent("a", "session_deactivated", None),
        SessionEvent("a", "session_resumed", None),
        SessionEvent("a", "session_suspended", "lunch"),
        SessionEvent("a", "session_terminated", "enough"),
    ]


def test_an_actor_gets_each_event_once_and_in_order(system):
    listener = system.actors.start(Listener)
    start_active(system, "a")
    system.subscribe("a", listener)
    system.subscribe("a", listener)
    system.actors.advance(600.0)
    system.terminate("a")
    heard = [each.event for each in listener.ask("heard")]
    assert heard == ["session_deactivated", "session_idle_timeout", "session_suspended", "session_terminated"]


def test_who_has_unsubscribed_hears_nothing(system):
    heard = []
    listener = system.actors.start(Listener)
    start_active(system, "a")
    for each in (heard.append, listener):
        system.unsubscribe("a", each)
        system.subscribe("a", each)
        system.unsubscribe("a", each)
    system.deactivate("a")
    assert heard == listener.ask("heard") == []


def test_a_subscriber_that_has_died_is_dropped(system):
    listener = system.actors.start(Listener)
    start_active(system, "a")
    system.subscribe("a", listener)
    listener.stop()
    system.actors.settle()
    assert system.directory.get("a")._actor._subscribers is None


def test_a_subscriber_that_raises_is_dropped_and_harms_nobody(system):
    heard, calls = [], []

    def raises(event):
        calls.append(event)
        raise RuntimeError("no")

    start_active(system, "a")
    system.subscribe("a", raises)
    system.subscribe("a", heard.append)
    assert system.deactivate("a") == "idle"
    assert system.resume("a") == "active"
    assert len(calls) == 1
    assert len(heard) == 2


def test_a_subscriber_can_use_other_sessions_and_services_in_its_turn(system):
    answers = []
    start_active(system, "a", "b")
    system.subscribe("a", lambda event: answers.append((system.deactivate("b"), system.check_rate_limit("b"))))
    system.deactivate("a")
    assert answers == [("idle", (True, 0.0))]


def test_a_subscriber_that_calls_its_own_session_is_told_of_the_cycle(system):
    errors = []

    def calls_back(event):
        try:
            system.get_state("a")
        except DeadlockError as error:
            errors.append(error)

    start_active(system, "a")
    system.subscribe("a", calls_back)
    assert system.deactivate("a") == "idle"
    assert len(errors) == 1


@pytest.mark.parametrize(
    "subscriber",
    [
        None,
        5,
        "print",
        UnhashableListener(),
        AsyncListener(),
        _hears_later,
        _hears_bit_by_bit,
        functools.partial(_hears_later),
        AsyncListener().__call__,
    ],
)
def test_what_cannot_subscribe_is_refused_and_the_session_lives(system, subscriber):
    system.start_session("a")
    for verb in (system.subscribe, system.unsubscribe):
        with pytest.raises(InvalidKind) as refused:
            verb("a", subscriber)
        assert refused.value.field == "subscriber"
    assert system.get_state("a") == "new"


# --- The authenticator ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [True, "alice"])
def test_an_authenticator_that_accepts_lets_in(answer):
    with virtual(authenticator=lambda context: answer) as system:
        system.start_session("a")
        system.authenticate("a", {"token": 1})
        assert system.activate("a") == "active"
        user = "anonymous" if answer is True else answer
        assert [each.data["user_id"] for each in entries(system, "a") if "user_id" in each.data] == [user]


@pytest.mark.parametrize("answer", [False, None, 1, "", "a\nb", [], object(), NotImplemented])
def test_an_authenticator_that_answers_anything_else_denies(answer):
    with virtual(authenticator=lambda context: answer) as system:
        system.start_session("a")
        system.authenticate("a", {"token": 1})
        with pytest.raises(AuthenticationFailed):
            system.activate("a")
        assert system.get_state("a") == "auth"


@pytest.mark.parametrize("error", [ValueError("secret"), SystemExit(3)])
def test_an_authenticator_that_raises_denies(error):
    def raises(context):
        raise error

    with SessionSystem(authenticator=raises) as system:
        for session_id in "abc":
            system.start_session(session_id)
            system.authenticate(session_id, {"token": 1})
            with pytest.raises(AuthenticationFailed):
                system.activate(session_id)


@pytest.mark.parametrize("is_virtual", [True, False])
def test_an_authenticator_may_be_a_coroutine_function(is_virtual):
    async def looks_up(context):
        await asyncio.sleep(0)
        return "alice" if context["token"] == 1 else False

    make = virtual if is_virtual else SessionSystem
    with make(authenticator=looks_up) as system:
        for session_id, token in (("a", 1), ("b", 2)):
            system.start_session(session_id)
            system.authenticate(session_id, {"token": token})
        assert system.activate("a") == "active"
        with pytest.raises(AuthenticationFailed):
            system.activate("b")


def test_a_coroutine_that_never_answers_is_cancelled_when_the_session_has_no_more_time():
    cancelled = threading.Event()

    async def never(context):
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            cancelled.set()

    with SessionSystem(authenticator=never) as system:
        system.start_session("a", {"auth_timeout": 0.05})
        system.authenticate("a", {"token": 1})
        with pytest.raises((AuthenticationFailed, SessionTerminated)):
            system.activate("a")
        assert cancelled.wait(10.0)


def test_a_slow_authenticator_keeps_nobody_waiting_but_its_own_asker():
    asked, answer = threading.Event(), threading.Event()

    def slow(context):
        asked.set()
        return answer.wait(10.0)

    with SessionSystem(authenticator=slow, workers=1) as system:
        system.start_session("a")
        system.authenticate("a", {"token": 1})
        states = []
        asker = threading.Thread(target=lambda: states.append(system.activate("a")))
        asker.start()
        assert asked.wait(10.0)
        assert system.get_state("a") == "auth"
        with pytest.raises(AuthenticationPending):
            system.activate("a")
        with pytest.raises(AuthenticationPending):
            system.authenticate("a", {"token": 2})
        # The only worker of the system is free: the audit actor needs one.
        assert system.commit_audit().size > 0
        answer.set()
        asker.join()
        assert states == ["active"]


def test_an_answer_after_the_end_changes_nothing():
    asked, answer = threading.Event(), threading.Event()

    def slow(context):
        asked.set()
        return answer.wait(10.0)

    with SessionSystem(authenticator=slow) as system:
        system.start_session("a")
        system.authenticate("a", {"token": 1})
        errors = []

        def activate():
            try:
                system.activate("a")
            except SessionTerminated as error:
                errors.append(error)

        asker = threading.Thread(target=activate)
        asker.start()
        assert asked.wait(10.0)
        system.terminate("a")
        asker.join()
        assert len(errors) == 1
        answer.set()
        assert edges(entries(system, "a"))[-1] == ("a", "auth", "terminated")
        assert ends(entries(system, "a")) == {"a": 1}


def test_an_asker_waits_for_the_authenticator_until_the_session_times_out():
    with virtual(authenticator=lambda context: True) as system:
        # Longer than any ask waits by itself; nobody has the question answered.
        system._around.verifier = Forgetful()
        system.start_session("a", {"auth_timeout": 120.0})
        system.authenticate("a", {"token": 1})
        with pytest.raises(SessionTerminated):
            system.activate("a")
        assert system.actors.clock.monotonic() == 120.0


class Forgetful:
    """A verifier that never gets an answer."""

    def ask(self, question, session, seconds):
        pass

    def stop(self):
        pass


def test_a_verdict_on_another_question_answers_nobody(system):
    system._around.verifier = system._verifier = Forgetful()
    system.start_session("a")
    system.authenticate("a", {"token": 1})
    ref = system.directory.get("a")
    activation = ref.ask(("activate", None), block=False)
    ref.tell((VERDICT, Verdict(Verify("another"), accepted=True)))
    system.actors.settle()
    assert not activation.is_done()
    assert system.get_state("a") == "auth"


def test_who_cannot_be_told_apart_from_another_is_refused_and_the_session_lives(system):
    system.start_session("a")
    first = Incomparable()
    system.subscribe("a", first)
    for verb in (system.subscribe, system.unsubscribe):
        verb("a", first)
        system.subscribe("a", first)
        with pytest.raises(InvalidKind) as refused:
            verb("a", Incomparable())
        assert refused.value.field == "subscriber"
    assert system.get_state("a") == "new"


@pytest.mark.parametrize("error", [SystemExit, GeneratorExit, asyncio.CancelledError])
def test_a_subscriber_that_wants_to_end_something_ends_only_its_subscription(system, error):
    calls = []

    def raises(event):
        calls.append(event)
        raise error

    start_active(system, "a")
    system.subscribe("a", raises)
    assert (system.deactivate("a"), system.resume("a")) == ("idle", "active")
    assert len(calls) == 1


class StillBorn(Session):
    """Raises before it has begun, as often as is wanted."""

    times = 0

    def starting(self):
        if StillBorn.times:
            StillBorn.times -= 1
            raise MemoryError
        super().starting()


def test_nothing_ends_with_a_session_that_never_began(monkeypatch):
    monkeypatch.setattr("sessionactors.system.SessionSystem._gives_way", lambda *_: True)
    monkeypatch.setattr(StillBorn, "times", 1)
    with virtual(limiter={"capacity": 1, "rate": 0.001}) as system:
        start_active(system, "a")
        assert system.check_rate_limit("a") == (True, 0.0)
        before = names(system, "a")
        with pytest.raises(ChildStartFailed):
            system.start_session("a", session_class=StillBorn)
        system.actors.settle()
        assert system.get_state("a") == "active"
        assert not system.check_rate_limit("a")[0]
        assert [each for each in names(system, "a") if each != "rate_limited"] == before


def test_one_that_was_to_come_back_and_does_not_begin_stays_stored_and_has_not_ended_twice(monkeypatch):
    with virtual(session_classes=[StillBorn]) as system:
        system.start_session("a", {"persistent": True}, session_class=StillBorn)
        system.authenticate("a", TRUSTED)
        system.activate("a")
        system.persist("a")
        monkeypatch.setattr(StillBorn, "times", 1)
        kill(system, "a")
        system.actors.advance(10.0)
        assert system.stored_session("a")["state"] == "active"
        assert edges(entries(system, "a")) == [
            ("a", "new", "auth"),
            ("a", "auth", "active"),
            ("a", "active", "terminated"),
        ]
