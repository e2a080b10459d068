"""The oracle itself, on logs small enough to be worked out by hand."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.sessionactors.replay import oracle
from tests.sessionactors.replay.log_lines import access_line
from tests.sessionactors.replay.oracle import Options, expect


def transitions(*lines: str, **options: float) -> dict[str, int]:
    return dict(expect(lines, Options(**options)).transitions)  # type: ignore[arg-type]


def test_it_imports_nothing_of_ours():
    tree = ast.parse(Path(oracle.__file__).read_text())
    imported = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    imported += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert not [name for name in imported if name and name.startswith(("sessionactors", "supervisors", "tests"))]


def test_one_request_lives_through_every_state():
    # Idle at 300, suspended at 600; the first sweep over 1,800 is the 31st, at 1,860.
    found = expect([access_line(0)], Options())
    assert found.transitions == {
        "new->auth": 1,
        "auth->active": 1,
        "active->idle": 1,
        "idle->suspended": 1,
        "suspended->terminated": 1,
    }
    assert (found.sessions, found.reaped, found.peak_live, found.clients) == (1, 1, 1, 1)
    assert found.simulated_seconds == 1860


def test_exactly_reap_after_is_not_yet_more_than_it():
    # The sweep at 1,800 finds an activity exactly 1,800 old and lets it be.
    assert expect([access_line(0)], Options(reap_interval=1800)).simulated_seconds == 3600
    assert expect([access_line(0)], Options(reap_interval=1801)).simulated_seconds == 1801


def test_a_request_at_the_idle_deadline_comes_after_the_timer():
    assert transitions(access_line(0), access_line(299)).get("idle->active") is None
    assert transitions(access_line(0), access_line(300))["idle->active"] == 1


def test_a_request_at_the_suspend_deadline_resumes_from_suspended():
    assert transitions(access_line(0), access_line(599))["idle->active"] == 1
    assert transitions(access_line(0), access_line(600))["suspended->active"] == 1


def test_a_request_at_the_sweep_starts_the_next_session():
    assert expect([access_line(0), access_line(1859)], Options()).sessions == 1
    assert expect([access_line(0), access_line(1860)], Options()).sessions == 2


def test_a_timer_fires_before_the_sweep_of_the_same_instant():
    # Sweeps at 200, 400, 600; over 400 old first at 600, where it is also suspended.
    found = transitions(access_line(0), idle_timeout=300, reap_after=400, reap_interval=200)
    assert found["suspended->terminated"] == 1


def test_a_session_that_is_reaped_before_its_idle_timer_ends_active():
    assert transitions(access_line(0), idle_timeout=300, reap_after=60)["active->terminated"] == 1


def test_one_that_is_reaped_between_its_timers_ends_idle():
    assert transitions(access_line(0), idle_timeout=300, reap_after=400)["idle->terminated"] == 1


def test_sweeps_count_from_the_first_event_of_all_clients():
    # Sweeps at 50, 100, ...; b is over 60 old first at 100 (activity at 30).
    found = expect(
        [access_line(0, "a"), access_line(30, "b")], Options(idle_timeout=5, reap_after=60, reap_interval=50)
    )
    assert found.simulated_seconds == 100


def test_the_order_of_the_lines_does_not_matter():
    lines = [access_line(at, client) for client in "ab" for at in (700, 0, 350)]
    assert expect(lines, Options()) == expect(sorted(lines), Options())


def test_the_bucket_refills_with_time():
    # Two tokens, one every 2 s: 0 and 0 pass, 1 is denied, 2 passes, 3 is denied.
    lines = [access_line(at) for at in (0, 0, 1, 2, 3)]
    assert expect(lines, Options(capacity=2, rate=0.5)).rate_limited == 2


def test_a_denied_request_is_no_activity_and_has_no_status():
    lines = [access_line(0), access_line(200, status=500)]
    found = expect(lines, Options(capacity=1, rate=1 / 1024))
    assert (found.rate_limited, found.errors) == (1, 0)
    assert found.simulated_seconds == 1860


def test_a_refused_update_is_no_activity_but_keeps_its_status():
    found = expect([access_line(0), access_line(200, status=503)], Options(max_requests=1))
    assert (found.quota_exceeded, found.errors) == (1, 1)
    assert found.simulated_seconds == 1860


def test_resuming_is_activity_also_when_the_request_is_then_denied():
    found = expect([access_line(0), access_line(400)], Options(capacity=1, rate=1 / 1024))
    assert found.transitions["idle->active"] == 1
    assert found.simulated_seconds == 2220


def test_every_session_has_a_bucket_of_its_own():
    lines = [access_line(0), access_line(0), access_line(5000), access_line(5000)]
    found = expect(lines, Options(capacity=1, rate=1 / 8192))
    assert (found.sessions, found.rate_limited) == (2, 2)


def test_peak_live_lets_go_before_it_takes_in():
    # a ends at the sweep at 1,860, the instant at which b begins.
    assert expect([access_line(0, "a"), access_line(1860, "b")], Options()).peak_live == 1
    assert expect([access_line(0, "a"), access_line(1859, "b")], Options()).peak_live == 2


def test_bad_lines_are_counted_and_blank_ones_are_not():
    found = expect([access_line(0), "", "nonsense", "   "], Options())
    assert (found.lines, found.bad_lines, found.requests) == (2, 1, 1)
