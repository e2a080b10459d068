"""The whole replay, with the real session system, against the oracle and against itself."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessionactors.audit.log import AuditLog
from sessionactors.replay.report import ReplayReport
from sessionactors.replay.run import replay_log
from sessionactors.replay.settings import ReplaySettings
from sessionactors.replay.source import Log, read_log
from sessionactors.replay.stop import Stop
from supervisors.clock import SystemClock
from tests.sessionactors.replay.log_lines import access_line
from tests.sessionactors.replay.oracle import Options, expect

EXAMPLE = Path(__file__).parents[3] / "examples" / "access.log"

COUNTS = (
    "lines",
    "bad_lines",
    "requests",
    "clients",
    "sessions",
    "transitions",
    "rate_limited",
    "quota_exceeded",
    "errors",
    "auth_denied",
    "reaped",
    "peak_live",
    "simulated_seconds",
)

# Rates are powers of two: then the floats of a limiter and the fractions of the oracle agree to the last bit.
TIMEOUTS = [
    Options(),
    Options(idle_timeout=5, reap_after=60, reap_interval=7),
    Options(idle_timeout=1, reap_after=1, reap_interval=1),
    Options(idle_timeout=300, reap_after=400, reap_interval=200),
    Options(idle_timeout=600, reap_after=90, reap_interval=45),
    Options(idle_timeout=2.5, reap_after=10, reap_interval=2.5, capacity=3, rate=0.25),
    Options(idle_timeout=20, reap_after=45, reap_interval=13, max_requests=3),
    Options(idle_timeout=7, reap_after=7200, reap_interval=600, capacity=5, rate=0.125, max_requests=12),
]


def run(log: Log, options: Options, directory: Path | None = None, **more: int) -> ReplayReport:
    checked = ReplaySettings(
        idle_timeout=options.idle_timeout,
        reap_after=options.reap_after,
        reap_interval=options.reap_interval,
        capacity=options.capacity,
        rate=options.rate,
        max_requests=options.max_requests,
        **more,
    )
    report, is_complete = replay_log(log, checked, clock=SystemClock(), directory=directory)
    assert is_complete
    return report


def check(path: Path, options: Options) -> ReplayReport:
    report = run(read_log([str(path)]), options)
    expected = expect(path.read_text().splitlines(), options)
    assert {name: getattr(report, name) for name in COUNTS} == {name: getattr(expected, name) for name in COUNTS}
    return report


def comparable(report: ReplayReport) -> dict[str, object]:
    """Return every figure but the ones that real time has a part in."""
    return {
        name: getattr(report, name)
        for name in ReplayReport.__slots__
        if name not in ("wall_seconds", "requests_per_second")
    }


def balance(transitions: dict[str, int]) -> Counter[str]:
    """Return for each state how much oftener it was entered than left."""
    surplus: Counter[str] = Counter()
    for edge, count in transitions.items():
        source, target = edge.split("->")
        surplus[source] -= count
        surplus[target] += count
    return surplus


@pytest.mark.parametrize("options", TIMEOUTS, ids=str)
def test_the_example_comes_out_as_the_oracle_says(options):
    check(EXAMPLE, options)


@pytest.mark.parametrize("options", [TIMEOUTS[0], TIMEOUTS[1], TIMEOUTS[5], TIMEOUTS[7]], ids=str)
def test_the_real_sample_comes_out_as_the_oracle_says(shared_path, options):
    report = check(shared_path / "data" / "apache_access.log", options)
    assert (report.requests, report.clients, report.bad_lines) == (10_000, 1_753, 0)


@settings(max_examples=25)
@given(
    log=st.lists(
        st.tuples(st.integers(0, 900), st.sampled_from("abcd"), st.sampled_from([200, 403, 500])),
        min_size=1,
        max_size=30,
    ),
    idle_timeout=st.sampled_from([1, 5, 30, 60, 200]),
    reap_after=st.sampled_from([1, 5, 30, 60, 200]),
    reap_interval=st.sampled_from([1, 7, 30, 60, 200]),
    capacity=st.integers(1, 4),
    rate=st.sampled_from([1 / 64, 0.25, 1]),
    max_requests=st.none() | st.integers(1, 3),
)
def test_any_log_comes_out_as_the_oracle_says(tmp_path_factory, log, **options):
    path = tmp_path_factory.mktemp("log") / "access.log"
    path.write_text("".join(f"{access_line(at, client, status)}\n" for at, client, status in log))
    check(path, Options(**options))


def test_a_second_run_is_equal_to_the_last_digit_of_the_audit_root(tmp_path):
    log = read_log([str(EXAMPLE)])
    directories = [tmp_path / "1", tmp_path / "2"]
    for directory in directories:
        directory.mkdir()
    first, second = (run(log, Options(), directory) for directory in directories)
    assert comparable(first) == comparable(second)
    assert len(first.audit_root) == 64


def test_where_the_audit_log_is_kept_changes_no_figure(tmp_path):
    log = read_log([str(EXAMPLE)])
    assert comparable(run(log, Options())) == comparable(run(log, Options(), tmp_path))


def test_another_log_has_another_audit_root():
    log = read_log([str(EXAMPLE)])
    shorter = Log(log.format, log.events[:-1], log.lines, log.bad_lines, log.skipped)
    assert run(log, Options()).audit_root != run(shorter, Options()).audit_root


def test_every_state_that_is_entered_is_left_again():
    report = run(read_log([str(EXAMPLE)]), Options(idle_timeout=5, reap_after=60, reap_interval=7))
    surplus = balance(dict(report.transitions))
    assert surplus.pop("new") == -report.sessions
    assert surplus.pop("terminated") == report.sessions
    assert not any(surplus.values())


def test_the_audit_log_has_every_transition_and_every_denial():
    report = run(read_log([str(EXAMPLE)]), Options())
    assert report.audit_events["state_transition"] == sum(report.transitions.values())
    assert report.audit_events["security"] >= report.rate_limited > 0
    assert report.audit_events["error"] >= report.errors > 0
    assert report.audit_events["auth"] >= report.auth_denied > 0
    assert report.audit_size == sum(report.audit_events.values())


class TestCrashes:
    def crash(self, every: int, seed: int = 1) -> ReplayReport:
        return run(read_log([str(EXAMPLE)]), Options(), crash_every=every, seed=seed)

    def test_do_not_keep_the_run_from_its_end(self):
        report = self.crash(50)
        assert report.requests == 3_452
        assert balance(dict(report.transitions))["terminated"] == report.sessions
        assert report.sessions > run(read_log([str(EXAMPLE)]), Options()).sessions

    def test_stand_in_the_audit_log(self, tmp_path):
        run(read_log([str(EXAMPLE)]), Options(), tmp_path, crash_every=100)
        log = AuditLog(tmp_path)
        crashed = [event.session for event in log.events(event_type="error") if "killed" in event.data.values()]
        log.close()
        assert len(crashed) >= 3_452 // 100
        assert any(session is not None for session in crashed)

    def test_are_the_same_for_the_same_seed(self):
        assert comparable(self.crash(100)) == comparable(self.crash(100))
        assert comparable(self.crash(100)) != comparable(self.crash(100, seed=2))


class TestStop:
    def test_ends_the_run_between_two_events(self):
        log = read_log([str(EXAMPLE)])
        stop = Stop()
        report, is_complete = replay_log(
            log, ReplaySettings(), clock=SystemClock(), stop=stop, on_progress=lambda _: stop.request()
        )
        assert not is_complete
        assert 0 < report.requests < len(log.events)

    def test_leaves_no_thread(self):
        before = set(threading.enumerate())
        self.test_ends_the_run_between_two_events()
        assert not [thread for thread in set(threading.enumerate()) - before if thread.is_alive() and not thread.daemon]


def test_json_lines_drive_the_same_system(tmp_path):
    path = tmp_path / "commands.jsonl"
    path.write_text(
        """
{"t": 0, "session": "a", "op": "init_session", "metadata": {"plan": "free"}}
{"t": 1, "session": "a", "op": "authenticate", "auth_context": {"authenticated": true}}
{"t": 2, "session": "a", "op": "activate"}
{"t": 3, "session": "a", "op": "set_quota", "quota": {"max_requests": 2}}
{"t": 4, "session": "a", "op": "update_resources", "requests": 2, "bytes": 100}
{"t": 5, "session": "a", "op": "update_resources", "requests": 1}
{"t": 6, "session": "a", "op": "check_rate_limit", "cost": 5000}
{"t": 7, "session": "a", "op": "resume"}
{"t": 8, "session": "b", "op": "init_session"}
{"t": 9, "session": "b", "op": "activate"}
{"t": 10, "session": "b", "op": "authenticate", "auth_context": {"authenticated": false}}
{"t": 11, "session": "b", "op": "activate"}
{"t": 12, "session": "c", "op": "get_state"}
{"t": 13, "session": "a", "op": "suspend", "reason": "lunch"}
{"t": 14, "session": "a", "op": "resume"}
{"t": 15, "session": "a", "op": "deactivate"}
{"t": 16, "session": "a", "op": "terminate"}
{"t": 17, "session": "a", "op": "touch"}
"""
    )
    report = run(read_log([str(path)]), Options())
    assert (report.requests, report.clients, report.sessions) == (18, 3, 2)
    assert report.transitions == {
        "new->auth": 2,
        "auth->active": 1,
        "active->idle": 1,
        "active->suspended": 1,
        "suspended->active": 1,
        "idle->terminated": 1,
        "auth->terminated": 1,
    }
    assert (report.quota_exceeded, report.rate_limited) == (1, 1)
    assert report.auth_denied == 2  # activate without credentials, and with bad ones
    assert report.errors == 3  # resume of an active session, a session that never was, one that has ended


@pytest.mark.parametrize(
    ("op", "arguments"),
    [
        ("check_quota", ""),
        ("check_throttle", ""),
        ("get_history", ""),
        ("get_info", ""),
        ("get_metrics", ""),
        ("get_state", ""),
        ("touch", ""),
        ("get_rate_limit_usage", ', "type": "requests"'),
        ("record_request", ', "cost": 2'),
        ("reset_rate_limit", ', "type": "requests"'),
        ("set_rate_limit", ', "quota": {"capacity": 5, "rate": 1}'),
        ("set_rate_limit", ', "quota": 5, "type": "bytes"'),
    ],
)
def test_every_operation_can_be_called(tmp_path, op, arguments):
    path = tmp_path / "commands.jsonl"
    lines = [
        '{"t": 0, "session": "a", "op": "init_session"}',
        '{"t": 1, "session": "a", "op": "check_rate_limit"}',
        f'{{"t": 2, "session": "a", "op": "{op}"{arguments}}}',
    ]
    path.write_text("\n".join(lines))
    report = run(read_log([str(path)]), Options())
    assert (report.requests, report.errors, report.auth_denied, report.quota_exceeded) == (3, 0, 0, 0)


def test_sizes_that_no_session_can_count_cost_no_request(tmp_path):
    line = '1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 999999999999999\n'
    path = tmp_path / "sizes.log"
    path.write_text(line * 12 + line.replace("999999999999999", "9007199254740993"))
    log = read_log((str(path),), log_format="access")
    report, is_complete = replay_log(log, ReplaySettings(), clock=SystemClock())
    assert is_complete
    assert (report.requests, report.bad_lines, report.sessions) == (13, 0, 1)


def test_millennia_without_a_session_cost_nothing(tmp_path):
    path = tmp_path / "years.log"
    path.write_text(
        "".join(f'1.2.3.4 - - [17/May/{year}:10:05:03 +0000] "GET / HTTP/1.1" 200 5\n' for year in (2015, 9999))
    )
    report, is_complete = replay_log(read_log((str(path),), log_format="access"), ReplaySettings(), clock=SystemClock())
    assert is_complete
    assert (report.sessions, report.reaped) == (2, 2)
