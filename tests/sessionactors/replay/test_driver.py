from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionactors.replay.access_log import AccessLogParser
from sessionactors.replay.driver import EVENTS_BETWEEN_REPORTS, Handled, ReplayDriver
from sessionactors.replay.events import AccessRequest, Command
from sessionactors.replay.pacer import Pacer
from sessionactors.replay.settings import ReplaySettings
from sessionactors.replay.stop import Stop
from supervisors.clock import VirtualClock
from supervisors.errors import InternalError, Refusal
from tests.sessionactors.replay.log_lines import BASE, access_line
from tests.sessionactors.replay.model_system import ModelSystem
from tests.sessionactors.replay.oracle import Options, expect

FIRST = "10.0.0.1#1"
SECOND = "10.0.0.1#2"


def requests(*lines: str) -> list[AccessRequest]:
    parser = AccessLogParser()
    parsed = [parser.parse(line, number) for number, line in enumerate(lines, 1)]
    events = [event for event in parsed if isinstance(event, AccessRequest)]
    assert len(events) == len(parsed)
    return sorted(events, key=lambda event: event.time)


def drive(*lines: str, **settings: float) -> tuple[ModelSystem, Handled]:
    checked = ReplaySettings(**settings)  # type: ignore[arg-type]
    system = ModelSystem(checked, BASE)
    return system, ReplayDriver(system, checked, start=BASE).run(requests(*lines))


def calls(system: ModelSystem) -> list[tuple[object, ...]]:
    """Return the calls about sessions, without the movements of the clock."""
    return [call for call in system.calls if call[0] != "advance_to"]


class TestFirstRequest:
    def test_signs_the_client_in_before_it_is_handled(self):
        system, _ = drive(access_line(0, size=512))
        assert calls(system) == [
            ("start_session", FIRST),
            ("init_session", FIRST, {"user_agent": "Tester/1.0"}),
            ("authenticate", FIRST, {"authenticated": True, "user_id": "anonymous"}),
            ("activate", FIRST),
            ("check_rate_limit", FIRST, "requests", 1),
            ("update_resources", FIRST, 1, 512),
        ]

    def test_authenticates_as_the_user_of_the_line(self):
        system, _ = drive(access_line(0, user="frank"))
        assert ("authenticate", FIRST, {"authenticated": True, "user_id": "frank"}) in calls(system)

    def test_takes_an_empty_user_for_nobody(self):
        system, _ = drive(access_line(0, user='""'))
        assert ("authenticate", FIRST, {"authenticated": True, "user_id": "anonymous"}) in calls(system)

    def test_shortens_a_user_agent_of_any_length(self):
        line = access_line(0).replace("Tester/1.0", "x" * 5000)
        system, _ = drive(line)
        assert ("init_session", FIRST, {"user_agent": "x" * 2048}) in calls(system)


class TestLaterRequest:
    def test_goes_straight_to_an_active_session(self):
        system, _ = drive(access_line(0), access_line(299))
        assert calls(system)[6:] == [
            ("check_rate_limit", FIRST, "requests", 1),
            ("update_resources", FIRST, 1, 100),
        ]

    @pytest.mark.parametrize("at", [300, 600])
    def test_resumes_a_session_before_anything_else(self, at):
        system, _ = drive(access_line(0), access_line(at))
        assert calls(system)[6:8] == [("resume", FIRST), ("check_rate_limit", FIRST, "requests", 1)]

    def test_starts_the_next_session_when_the_last_one_has_ended(self):
        system, handled = drive(access_line(0), access_line(1860))
        assert calls(system)[6] == ("start_session", SECOND)
        assert (handled.clients, system.started) == (1, 2)

    def test_comes_after_the_timers_of_its_instant(self):
        system, _ = drive(access_line(0), access_line(300))
        moved = system.calls.index(("advance_to", BASE + 300))
        assert moved < system.calls.index(("resume", FIRST))


class TestDeniedRequest:
    def test_is_audited_as_security_and_nothing_else_happens(self):
        system, handled = drive(access_line(0), access_line(1, status=500), capacity=1, rate=0.25)
        assert calls(system)[6:] == [
            ("check_rate_limit", FIRST, "requests", 1),
            (
                "log_event",
                FIRST,
                "security",
                {"action": "rate_limited", "wait": 3.0, "request": "GET / HTTP/1.1"},
                "warning",
            ),
        ]
        assert (handled.rate_limited, handled.errors) == (1, 0)

    def test_has_no_wait_when_it_can_never_pass(self):
        class Stingy(ModelSystem):
            def check_rate_limit(self, session_id, bucket, cost):
                return False, float("inf")

        system = Stingy(ReplaySettings(), BASE)
        ReplayDriver(system, ReplaySettings(), start=BASE).run(requests(access_line(0)))
        (note,) = [call for call in calls(system) if call[0] == "log_event"]
        assert isinstance(note[3], dict)
        assert note[3]["wait"] is None


class TestRefusedUpdate:
    def test_is_counted(self):
        _, handled = drive(*[access_line(at) for at in range(5)], max_requests=2)
        assert handled.quota_exceeded == 3

    def test_still_has_its_status_noted(self):
        _, handled = drive(access_line(0), access_line(1, status=500), access_line(2, status=401), max_requests=1)
        assert (handled.errors, handled.auth_denied) == (1, 1)

    def test_for_any_other_reason_stops_the_run(self):
        class Odd(ModelSystem):
            def update_resources(self, session_id, requests, size_bytes):
                raise Refusal("odd")

        with pytest.raises(Refusal, match="odd"):
            ReplayDriver(Odd(ReplaySettings(), BASE), ReplaySettings(), start=BASE).run(requests(access_line(0)))


class TestStatus:
    @pytest.mark.parametrize(
        ("status", "event_type", "severity"),
        [(401, "auth", "warning"), (403, "auth", "warning"), (500, "error", "error"), (599, "error", "error")],
    )
    def test_of_a_failure_is_audited(self, status, event_type, severity):
        system, _ = drive(access_line(0, status=status))
        data = {"status": status, "request": "GET / HTTP/1.1"}
        assert calls(system)[6:] == [("log_event", FIRST, event_type, data, severity)]

    @pytest.mark.parametrize("status", [200, 302, 400, 402, 404, 499])
    def test_of_anything_else_is_not(self, status):
        system, handled = drive(access_line(0, status=status))
        assert len(calls(system)) == 6
        assert (handled.errors, handled.auth_denied) == (0, 0)


class TestEnd:
    def test_comes_when_every_session_has_ended(self):
        system, handled = drive(access_line(0), access_line(10, "b"))
        assert not system.live_sessions()
        assert (handled.is_complete, handled.end) == (True, BASE + 1860)

    def test_comes_at_once_when_nobody_is_live(self):
        command = [Command(BASE, "a", "init_session", {}), Command(BASE + 5, "a", "terminate", {})]
        system = ModelSystem(ReplaySettings(), BASE)
        assert ReplayDriver(system, ReplaySettings(), start=BASE).run(command).end == BASE + 5

    def test_that_never_comes_is_a_fault_of_ours(self):
        class Immortal(ModelSystem):
            def _sweep(self):
                pass

        with pytest.raises(InternalError, match="outlive the reaper"):
            ReplayDriver(Immortal(ReplaySettings(), BASE), ReplaySettings(), start=BASE).run(requests(access_line(0)))

    def test_is_reached_sweep_by_sweep(self):
        system, _ = drive(access_line(7), reap_after=60, reap_interval=25)
        # The driver is told that the log begins at BASE, so sweeps are at 25, 50, 75 after it.
        moves = [call[1] for call in system.calls if call[0] == "advance_to"]
        assert moves == [BASE + 7, BASE + 25, BASE + 50, BASE + 75]


class TestStop:
    def test_ends_the_run_after_the_event_in_hand(self):
        stop = Stop()

        class Impatient(ModelSystem):
            def update_resources(self, session_id, requests, size_bytes):
                stop.request()
                return super().update_resources(session_id, requests, size_bytes)

        system = Impatient(ReplaySettings(), BASE)
        events = requests(access_line(0), access_line(1))
        handled = ReplayDriver(system, ReplaySettings(), start=BASE, stop=stop).run(events)
        assert (handled.requests, handled.is_complete) == (1, False)

    def test_is_heeded_in_a_quiet_year_too(self):
        stop = Stop()

        class Slow(ModelSystem):
            def advance_to(self, time):
                super().advance_to(time)
                stop.request()

        system = Slow(ReplaySettings(), BASE)
        events = requests(access_line(0), access_line(365 * 86_400))
        handled = ReplayDriver(system, ReplaySettings(), start=BASE, stop=stop).run(events)
        assert handled.requests == 1
        assert handled.end == BASE + 480

    def test_is_heeded_while_sessions_run_out(self):
        stop = Stop()

        class Slow(ModelSystem):
            def advance_to(self, time):
                super().advance_to(time)
                if time > BASE + 100:
                    stop.request()

        system = Slow(ReplaySettings(reap_interval=10), BASE)
        driver = ReplayDriver(system, ReplaySettings(reap_interval=10), start=BASE, stop=stop)
        handled = driver.run(requests(access_line(0)))
        assert (handled.is_complete, handled.end) == (False, BASE + 110)


class TestCommands:
    def drive(self, *commands: tuple[float, str, str]) -> tuple[ModelSystem, Handled]:
        system = ModelSystem(ReplaySettings(), BASE)
        events = [Command(BASE + at, session, op, {}) for at, session, op in commands]
        return system, ReplayDriver(system, ReplaySettings(), start=BASE).run(events)

    def test_init_session_starts_the_session(self):
        system, _ = self.drive((0, "a", "init_session"))
        assert calls(system) == [("start_session", "a"), ("perform", "a", "init_session", {})]

    def test_init_session_of_a_live_session_starts_none(self):
        system, _ = self.drive((0, "a", "init_session"), (1, "a", "init_session"))
        assert system.started == 1

    def test_init_session_of_an_ended_session_starts_it_anew(self):
        system, _ = self.drive((0, "a", "init_session"), (1, "a", "terminate"), (2, "a", "init_session"))
        assert system.started == 2

    def test_a_refused_call_is_counted_and_the_run_goes_on(self):
        _, handled = self.drive((0, "a", "touch"), (1, "b", "init_session"))
        assert (handled.errors, handled.requests, handled.clients) == (1, 2, 2)

    @pytest.mark.parametrize(
        ("code", "counter"),
        [
            ("quota_exceeded", "quota_exceeded"),
            ("authentication_failed", "auth_denied"),
            ("not_authenticated", "auth_denied"),
            ("max_attempts", "auth_denied"),
            ("auth_blocked", "auth_denied"),
            ("invalid_transition", "errors"),
            ("session_terminated", "errors"),
        ],
    )
    def test_refusals_are_counted_by_code(self, code, counter):
        class Refusing(ModelSystem):
            def perform(self, session_id, op, arguments):
                refusal = Refusal(code)
                refusal.code = code
                raise refusal

        system = Refusing(ReplaySettings(), BASE)
        handled = ReplayDriver(system, ReplaySettings(), start=BASE).run([Command(BASE, "a", "touch", {})])
        assert getattr(handled, counter) == 1
        assert handled.quota_exceeded + handled.auth_denied + handled.errors == 1

    def test_check_rate_limit_asks_the_limiter_and_notes_a_denial(self):
        system = ModelSystem(ReplaySettings(capacity=2.0), BASE)
        events = [Command(BASE, "a", "check_rate_limit", {"type": "bytes", "cost": 3})]
        handled = ReplayDriver(system, ReplaySettings(), start=BASE).run(events)
        assert calls(system)[0] == ("check_rate_limit", "a", "bytes", 3)
        assert calls(system)[1][:3] == ("log_event", "a", "security")
        assert handled.rate_limited == 1

    def test_check_rate_limit_costs_one_request_unless_it_says_more(self):
        system, _ = self.drive((0, "a", "check_rate_limit"))
        assert calls(system)[0] == ("check_rate_limit", "a", "requests", 1)


class TestCrashes:
    def crashed(self, seed: int, every: int = 2) -> ModelSystem:
        lines = [access_line(at, client) for at in range(20) for client in "abc"]
        system, handled = drive(*lines, seed=seed, crash_every=every)
        crashes = [call for call in calls(system) if str(call[0]).startswith("crash_")]
        assert len(crashes) == handled.crashes == 60 // every
        assert handled.is_complete
        return system

    def test_hit_sessions_and_services(self):
        kinds = {call[0] for call in self.crashed(1).calls}
        assert {"crash_session", "crash_service"} <= kinds

    def test_are_the_same_for_the_same_seed(self):
        assert self.crashed(7).calls == self.crashed(7).calls
        assert self.crashed(7).calls != self.crashed(8).calls

    def test_come_after_each_so_many_events(self):
        system = self.crashed(3, every=30)
        handled_before = 0
        for call in system.calls:
            handled_before += call[0] == "check_rate_limit"
            if str(call[0]).startswith("crash_"):
                assert handled_before % 30 == 0

    def test_hit_a_service_when_no_session_is_live(self):
        system = ModelSystem(ReplaySettings(crash_every=1), BASE)
        ReplayDriver(system, system.settings, start=BASE).run([Command(BASE, "a", "touch", {})])
        assert len(system.restarts) == 1


class TestProgress:
    def test_is_told_now_and_then_and_at_the_end(self):
        told: list[int] = []
        events = requests(*[access_line(at) for at in range(EVENTS_BETWEEN_REPORTS + 3)])
        system = ModelSystem(ReplaySettings(), BASE)
        ReplayDriver(system, ReplaySettings(), start=BASE, on_progress=told.append).run(events)
        assert told == [EVENTS_BETWEEN_REPORTS, EVENTS_BETWEEN_REPORTS + 3]


class TestRealtime:
    def test_fires_timers_while_it_waits(self, monkeypatch):
        clock = VirtualClock()
        stop = Stop()

        class Waiter:
            def wait(self, seconds: float) -> bool:
                clock.move_to(clock.monotonic() + seconds)
                return False

        monkeypatch.setattr(stop, "_never", Waiter())
        system = ModelSystem(ReplaySettings(), BASE)
        pacer = Pacer(clock, start=BASE, speed=60.0)
        events = requests(access_line(0), access_line(12))
        driver = ReplayDriver(system, ReplaySettings(), start=BASE, stop=stop, pacer=pacer)
        handled = driver.run(events)
        moves = [call[1] for call in system.calls if call[0] == "advance_to"]
        assert moves[:3] == pytest.approx([BASE + 6, BASE + 12, BASE + 12])
        assert handled.end == BASE + 1860
        assert clock.monotonic() == pytest.approx(1860 / 60)

    def test_can_be_stopped_while_it_waits(self):
        stop = Stop()

        class Waiter:
            def wait(self, seconds: float) -> bool:
                stop.request()
                return True

        stop._never = Waiter()  # type: ignore[assignment]
        system = ModelSystem(ReplaySettings(), BASE)
        pacer = Pacer(VirtualClock(), start=BASE)
        events = requests(access_line(0), access_line(3600))
        handled = ReplayDriver(system, ReplaySettings(), start=BASE, stop=stop, pacer=pacer).run(events)
        assert (handled.requests, handled.is_complete) == (1, False)


DURATIONS = st.sampled_from([1, 5, 7, 30, 60, 61, 200, 300, 400])
REQUESTS = st.lists(
    st.tuples(st.integers(0, 1500), st.sampled_from("abc"), st.sampled_from([200, 200, 404, 401, 500])),
    min_size=1,
    max_size=40,
)


def agree(found: object, expected: object, names: Sequence[str]) -> None:
    assert {name: getattr(found, name) for name in names} == {name: getattr(expected, name) for name in names}


@given(
    log=REQUESTS,
    idle_timeout=DURATIONS,
    reap_after=DURATIONS,
    reap_interval=DURATIONS,
    capacity=st.integers(1, 5),
    rate=st.sampled_from([1 / 64, 0.25, 1, 10]),
    max_requests=st.none() | st.integers(1, 4),
)
def test_a_driven_model_and_the_oracle_agree_on_everything(log, **options):
    lines = [access_line(at, client, status) for at, client, status in log]
    events = requests(*lines)
    settings = ReplaySettings(**options)
    start = events[0].time
    system = ModelSystem(settings, start)
    handled = ReplayDriver(system, settings, start=start).run(events)
    expected = expect(lines, Options(**options))
    agree(handled, expected, ("requests", "clients", "rate_limited", "quota_exceeded", "errors", "auth_denied"))
    agree(system, expected, ("transitions", "reaped"))
    assert (system.started, system.peak) == (expected.sessions, expected.peak_live)
    assert handled.end - start == expected.simulated_seconds


def test_what_was_handled_is_a_value():
    _, handled = drive(access_line(0))
    assert dataclasses.replace(handled) == handled
