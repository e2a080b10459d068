"""Requests to the user's own code in sessions, with real sessions and services."""

from __future__ import annotations

import asyncio
import threading

import pytest

from sessionactors.errors import (
    InvalidKind,
    InvalidState,
    InvalidValue,
    NotFound,
    QuotaExceeded,
    RateLimited,
    SessionTerminated,
    UnknownRequest,
)
from sessionactors.session import Session
from sessionactors.system import SessionSystem
from supervisors import AskTimeoutError, InvalidTypeError, Refusal, VirtualClock


class No(Refusal):
    code = "no"


class Chat(Session):
    """Does as the request says, and remembers what it was told."""

    def __init__(self, *given):
        super().__init__(*given)
        self.heard = []

    def handle_request(self, request):
        if isinstance(request, Exception):
            raise request
        if callable(request):
            return request(self)
        self.heard.append(request)
        return list(self.heard)

    def on_activated(self):
        self.heard.append("activated")

    def on_resumed(self):
        self.heard.append("resumed")

    def on_suspended(self, reason):
        self.heard.append(("suspended", reason))

    def on_terminated(self, reason):
        ENDED.append((self.data.session_id, reason))


class AsyncChat(Chat):
    async def handle_request(self, request):
        if asyncio.iscoroutinefunction(request):
            return await request(self)
        return Chat.handle_request(self, request)


ENDED: list[tuple[str, str | None]] = []


@pytest.fixture(autouse=True)
def _nobody_has_ended():
    ENDED.clear()


@pytest.fixture(params=["virtual", "real"])
def either(request):
    with SessionSystem(clock=VirtualClock() if request.param == "virtual" else None) as system:
        yield system


@pytest.fixture
def virtual():
    with SessionSystem(clock=VirtualClock()) as system:
        yield system


@pytest.fixture
def real():
    with SessionSystem() as system:
        yield system


def active(system, session_id="a", session_class=Chat, **options):
    system.start_session(session_id, options or None, session_class=session_class)
    system.authenticate(session_id, {"authenticated": True})
    system.activate(session_id)
    return session_id


def names(system, session_id):
    system.commit_audit()
    return [entry.data.get("event") for entry in system._ledger.log.events(session=session_id)]


def has_crashed(system, session_id):
    """Wait for the end of a session; return whether it was a crash."""
    if isinstance(system.actors.clock, VirtualClock):
        system.actors.settle()
    ref = system.directory.get(session_id)
    if ref is not None:
        ref.join(timeout=10)
    return system.state_of(session_id) == "terminated" and "session_crashed" in names(system, session_id)


@pytest.mark.parametrize("session_class", [Chat, AsyncChat])
def test_a_session_answers_requests_in_order(either, session_class):
    active(either, session_class=session_class)
    assert either.request("a", "x") == ["activated", "x"]
    assert either.request("a", "y") == ["activated", "x", "y"]


def test_a_request_counts_and_is_activity(virtual):
    active(virtual)
    virtual.actors.advance(5.0)
    virtual.request("a", "x", size=100)
    info = virtual.get_info("a")
    assert (info.resources_used.requests, info.resources_used.bytes) == (1, 100)
    assert virtual.get_metrics("a").idle_time == 0.0


def test_a_request_makes_an_idle_session_active_again(virtual):
    active(virtual)
    virtual.deactivate("a")
    assert virtual.request("a", "x") == ["activated", "resumed", "x"]
    assert virtual.get_state("a") == "active"


def test_a_suspended_session_refuses_requests(virtual):
    active(virtual)
    virtual.suspend("a", "too loud")
    with pytest.raises(InvalidState):
        virtual.request("a", "x")
    virtual.resume("a")
    assert virtual.request("a", "x") == ["activated", ("suspended", "too loud"), "resumed", "x"]


def test_a_new_session_refuses_requests(virtual):
    virtual.start_session("a", session_class=Chat)
    with pytest.raises(InvalidState):
        virtual.request("a", "x")


def test_a_plain_session_has_no_answer_and_lives_on(virtual):
    active(virtual, session_class=Session)
    with pytest.raises(UnknownRequest, match="handle_request"):
        virtual.request("a", "x")
    assert virtual.get_state("a") == "active"


@pytest.mark.parametrize("session_class", [Chat, AsyncChat])
def test_a_refusal_of_the_handler_goes_to_the_asker_and_the_session_lives_on(either, session_class):
    active(either, session_class=session_class)
    with pytest.raises(No):
        either.request("a", No("not you"))
    assert either.request("a", "x") == ["activated", "x"]


@pytest.mark.parametrize("session_class", [Chat, AsyncChat])
def test_a_crash_of_the_handler_ends_this_session_and_no_other(either, session_class):
    active(either, session_class=session_class)
    active(either, "b", session_class=session_class)
    with pytest.raises(ZeroDivisionError):
        either.request("a", ZeroDivisionError("oops"))
    assert either.request("b", "x") == ["activated", "x"]
    assert has_crashed(either, "a")


def test_the_rate_limit_comes_first(virtual):
    active(virtual)
    virtual.set_rate_limit("a", {"capacity": 2, "rate": 1})
    virtual.request("a", "x")
    virtual.request("a", "y")
    with pytest.raises(RateLimited) as refused:
        virtual.request("a", "z")
    assert refused.value.wait == 1.0
    assert virtual.get_info("a").resources_used.requests == 2
    assert "rate_limited" in names(virtual, "a")


def test_the_quota_comes_before_the_handler(virtual):
    active(virtual, quota={"max_requests": 1})
    virtual.request("a", "x")
    with pytest.raises(QuotaExceeded):
        virtual.request("a", "y")
    virtual.set_quota("a", {"max_requests": 3})
    assert virtual.request("a", "z") == ["activated", "x", "z"]


def test_a_request_over_the_quota_leaves_an_idle_session_idle(virtual):
    active(virtual, quota={"max_requests": 1})
    virtual.request("a", "x")
    virtual.deactivate("a")
    virtual.actors.advance(5.0)
    before = virtual.get_metrics("a"), virtual.get_history("a")
    with pytest.raises(QuotaExceeded):
        virtual.request("a", "y")
    assert (virtual.get_metrics("a"), virtual.get_history("a")) == before
    assert names(virtual, "a")[-1] == "quota_exceeded"


def test_refused_requests_keep_no_session_from_being_suspended(virtual):
    active(virtual, quota={"max_requests": 1}, idle_timeout=10.0)
    virtual.request("a", "x")
    for _ in range(5):
        virtual.actors.advance(6.0)
        with pytest.raises((QuotaExceeded, InvalidState)):
            virtual.request("a", "y")
    assert virtual.get_state("a") == "suspended"


def test_a_request_that_resumes_a_session_is_told_of_before_what_it_used(virtual):
    active(virtual, audit_requests_every=1)
    virtual.deactivate("a")
    assert virtual.request("a", "x") == ["activated", "resumed", "x"]
    assert names(virtual, "a")[-2:] == ["resumed", "resources_updated"]


def test_the_hooks_are_told_of_the_end_and_why(virtual):
    active(virtual)
    virtual.terminate("a", "enough")
    assert ENDED == [("a", "enough")]


def test_who_is_killed_runs_none_of_its_code(virtual):
    active(virtual)
    virtual.directory.get("a").kill()
    virtual.actors.settle()
    assert virtual.state_of("a") == "terminated"
    assert ENDED == []


class Stubborn(Chat):
    def on_terminated(self, reason):
        super().on_terminated(reason)
        raise RuntimeError("never")


def test_a_hook_that_raises_at_the_end_does_not_hold_it_up(virtual, caplog):
    active(virtual, session_class=Stubborn)
    virtual.terminate("a")
    assert virtual.state_of("a") == "terminated"
    assert "on_terminated() raised" in caplog.text


class Shy(Chat):
    def on_suspended(self, reason):
        raise RuntimeError("not me")


def test_a_hook_that_raises_crashes_the_session(virtual):
    active(virtual, session_class=Shy)
    with pytest.raises(RuntimeError, match="not me"):
        virtual.suspend("a")
    assert virtual.state_of("a") == "terminated"


def test_a_handler_that_may_block_runs_on_the_pool(real):
    active(real)
    assert real.directory.get("a").dispatch == "shared"
    assert real.request("a", lambda _: threading.current_thread().name).startswith("sessionactors-worker")


def test_a_class_chooses_its_dispatch_itself():
    class Quick(Chat):
        dispatch = "inline"

        def handle_request(self, request):
            return request

    class Async(Session):
        async def handle_request(self, request):
            return request

    assert (Quick.dispatch, Async.dispatch, Session.dispatch) == ("inline", "inline", "inline")


def test_a_request_that_takes_too_long_times_out_and_the_session_goes_on(real):
    active(real)
    gate = threading.Event()
    with pytest.raises(AskTimeoutError):
        real.request("a", lambda _: gate.wait(10), timeout=0.01)
    gate.set()
    assert real.request("a", "x") == ["activated", "x"]


def test_a_coroutine_that_takes_too_long_is_cancelled(real):
    active(real, session_class=AsyncChat)
    cancelled = threading.Event()

    async def never(_):
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            cancelled.set()

    with pytest.raises(AskTimeoutError):
        real.request("a", never, timeout=0.01)
    assert cancelled.wait(10)
    assert real.request("a", "x", timeout=10) == ["activated", "x"]


@pytest.mark.parametrize("timeout", [5.0, None])
@pytest.mark.parametrize("session_class", [Chat, AsyncChat])
def test_a_handler_for_which_something_else_took_too_long_has_crashed_its_session(either, session_class, timeout):
    active(either, session_class=session_class)
    with pytest.raises(TimeoutError, match="the database") as caught:
        either.request("a", TimeoutError("the database timed out"), timeout=timeout)
    assert not isinstance(caught.value, AskTimeoutError)
    assert has_crashed(either, "a")


def test_a_session_is_suspended_while_its_coroutine_waits(real):
    active(real, session_class=AsyncChat)
    entered, gate = threading.Event(), []

    async def slow(session):
        gate.append((asyncio.get_running_loop(), asyncio.Event()))
        entered.set()
        await gate[0][1].wait()
        return session.data.state

    answers = []
    thread = threading.Thread(target=lambda: answers.append(real.request("a", slow, timeout=10)))
    thread.start()
    assert entered.wait(10)
    assert real.suspend("a") == "suspended"
    gate[0][0].call_soon_threadsafe(gate[0][1].set)
    thread.join(10)
    assert answers == ["suspended"]


def test_the_end_of_a_session_cancels_its_coroutine_and_answers_everybody(real):
    active(real, session_class=AsyncChat)
    entered, cancelled, outcomes = threading.Event(), threading.Event(), []

    async def never(_):
        entered.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            cancelled.set()

    def ask(payload):
        try:
            outcomes.append(real.request("a", payload, timeout=10))
        except SessionTerminated as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=ask, args=(payload,)) for payload in (never, "x", "y")]
    threads[0].start()
    assert entered.wait(10)
    for thread in threads[1:]:
        thread.start()
    ref = real.directory.get("a")
    while len(ref._pending or ()) < 3:
        pass
    real.terminate("a")
    for thread in threads:
        thread.join(10)
    assert outcomes == ["session_terminated"] * 3
    assert cancelled.wait(10)


def test_asyncio_programs_ask_without_blocking_their_loop(real):
    active(real, session_class=AsyncChat)

    async def ask():
        return await asyncio.gather(*(real.request_async("a", number, timeout=10) for number in range(3)))

    assert max(asyncio.run(ask()), key=len)[0] == "activated"
    assert len(real.request("a", "x")) == 5


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"size": -1}, InvalidValue),
        ({"size": 1.5}, InvalidKind),
        ({"size": True}, InvalidKind),
        ({"timeout": "1"}, InvalidTypeError),
        ({"cost": 0}, ValueError),
        ({"cost": float("nan")}, ValueError),
    ],
)
def test_bad_arguments_are_refused_before_anything_happens(virtual, given, error):
    active(virtual)
    with pytest.raises(error):
        virtual.request("a", "x", **given)
    assert virtual.get_info("a").resources_used.requests == 0


def test_a_session_that_is_not_there_is_not_found(virtual):
    with pytest.raises(NotFound):
        virtual.request("nobody", "x")
    active(virtual)
    virtual.terminate("a")
    with pytest.raises(SessionTerminated):
        virtual.request("a", "x")


class Counting(Session):
    total = 0

    def handle_request(self, request):
        self.total += request
        return self.total

    def snapshot(self):
        return {"total": self.total}

    def restore(self, state):
        self.total = state["total"]


def test_what_the_user_s_code_remembers_survives_a_restart_of_the_program(tmp_path):
    options = {"persistent": True, "backend": "sqlite"}
    with SessionSystem(path=tmp_path / "sessions.db", session_classes=[Counting], clock=VirtualClock()) as system:
        active(system, session_class=Counting, **options)
        assert system.request("a", 5) == 5
        assert system.request("a", 2) == 7
    with SessionSystem(path=tmp_path / "sessions.db", session_classes=[Counting], clock=VirtualClock()) as system:
        assert system.request("a", 1) == 8


def test_what_the_user_s_code_remembers_survives_a_crash_of_its_session(tmp_path):
    options = {"persistent": True, "backend": "sqlite"}
    with SessionSystem(path=tmp_path / "sessions.db", session_classes=[Counting], clock=VirtualClock()) as system:
        active(system, session_class=Counting, **options)
        system.request("a", 5)
        system.persist("a")
        with pytest.raises(TypeError):
            system.request("a", "five")
        system.actors.settle()
        assert system.request("a", 1) == 6


async def cancels_itself(_):
    asyncio.current_task().cancel()
    await asyncio.sleep(0)


async def is_cancelled_by_what_it_awaits(_):
    raise asyncio.CancelledError


@pytest.mark.parametrize("handler", [cancels_itself, is_cancelled_by_what_it_awaits])
def test_a_coroutine_that_is_cancelled_and_not_by_its_session_has_crashed_it(either, handler):
    active(either, session_class=AsyncChat)
    with pytest.raises(RuntimeError, match="was cancelled"):
        either.request("a", handler)
    assert either.state_of("a") == "terminated"


async def stops_the_loop(_):
    asyncio.get_running_loop().stop()


async def leaves_a_task_that_exits(session):
    async def exits():
        raise SystemExit(3)

    session.task = asyncio.get_running_loop().create_task(exits())
    session.task.add_done_callback(asyncio.Task.exception)  # somebody has seen it
    await asyncio.sleep(0)


@pytest.mark.parametrize("handler", [stops_the_loop, leaves_a_task_that_exits])
def test_user_code_that_ends_the_loop_of_all_sessions_does_not(real, handler):
    for session_id in ("a", "b"):
        active(real, session_id, AsyncChat)
    real.request("a", handler)
    for _ in range(3):
        real.request("b", "x")
    assert real.get_state("b") == "active"


def test_a_request_that_nobody_can_answer_changes_nothing(virtual):
    active(virtual, session_class=Session)
    virtual.deactivate("a")
    before = virtual.get_info("a")
    with pytest.raises(UnknownRequest):
        virtual.request("a", "x")
    assert virtual.get_info("a") == before


def test_handlers_that_block_hold_up_neither_the_store_nor_the_log():
    with SessionSystem(workers=2, session={"persistent": True}, session_classes=[Chat]) as system:
        system.start_session("b", {"auth_required": False})
        system.activate("b")
        entered, gate = threading.Semaphore(0), threading.Event()

        def block(_):
            entered.release()
            gate.wait(30.0)

        names = [active(system, f"a-{number}") for number in range(8)]
        askers = [
            threading.Thread(target=system.request, args=(each, block), kwargs={"timeout": 30.0}) for each in names
        ]
        for asker in askers:
            asker.start()
        for _ in range(2):
            assert entered.acquire(timeout=10.0)
        try:
            system.persist("b")
            assert system.commit_audit().size > 0
        finally:
            gate.set()
            for asker in askers:
                asker.join(10.0)
