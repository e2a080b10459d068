from __future__ import annotations

import logging
import math

import pytest

from supervisors import InvalidArgumentError
from supervisors.supervision.backoff import Backoff, RestartDelays
from supervisors.supervision.calls import restart_child, start_child, terminate_child, which_children
from supervisors.supervision.dynamic import DynamicSupervisor
from supervisors.supervision.flags import InvalidFlags, SupervisorFlags
from supervisors.supervision.supervisor import Supervisor
from tests.supervisors.supervision.children import crash, refs, worker


@pytest.fixture
def events():
    return []


def delays(**fields):
    return RestartDelays(Backoff(**fields), lambda: 0.5)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("min_seconds", 0),
        ("min_seconds", True),
        ("min_seconds", math.nan),
        ("min_seconds", 10**400),
        ("max_seconds", 10**400),
        ("max_seconds", 1e300),
        ("factor", 10**400),
        ("reset_after", 10**400),
        ("min_seconds", "1"),
        ("max_seconds", 0.05),
        ("max_seconds", math.inf),
        ("factor", 0.9),
        ("factor", None),
        ("jitter", 1.1),
        ("jitter", -0.1),
        ("reset_after", -1),
        ("reset_after", math.inf),
    ],
)
def test_a_field_that_is_not_allowed_is_named(field, value):
    with pytest.raises(InvalidArgumentError) as caught:
        Backoff(**{field: value})
    assert caught.value.field == field


def test_each_wait_is_longer_by_the_factor_up_to_the_longest():
    made = delays(min_seconds=1, max_seconds=5, factor=2)
    assert [made.next("a", 0.0) for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_very_many_restarts_are_no_overflow():
    assert Backoff(factor=10.0).delay(10_000, 0.0) == 30.0


def test_jitter_moves_a_wait_both_ways_by_its_share():
    backoff = Backoff(min_seconds=10, jitter=0.2)
    assert [backoff.delay(0, draw) for draw in (0.0, 0.5, 1.0)] == [8.0, 10.0, 12.0]


def test_children_wait_each_for_itself():
    made = delays(min_seconds=1)
    made.next("a", 0.0)
    assert made.next("b", 0.0) == 1.0


def test_a_child_that_ran_long_enough_starts_anew():
    made = delays(min_seconds=1, reset_after=10)
    made.next("a", 0.0)
    made.started("a", 1.0)
    assert made.next("a", 11.0) == 1.0


def test_a_child_that_ran_too_short_does_not():
    made = delays(min_seconds=1, reset_after=10)
    made.next("a", 0.0)
    made.started("a", 1.0)
    assert made.next("a", 10.9) == 2.0


def test_a_child_that_never_failed_takes_no_space():
    made = delays()
    made.started("a", 1.0)
    assert len(made) == 0


def test_a_child_is_known_by_its_new_name_after_a_restart():
    made = delays(min_seconds=1)
    made.next("a1", 0.0)
    made.started("a2", 1.0, "a1")
    assert made.next("a2", 1.5) == 2.0
    assert made.next("a1", 1.5) == 1.0


# In a supervisor


def test_without_a_backoff_a_restart_does_not_wait(system, events):
    made = system.start(Supervisor, [worker(events, "a")])
    crash(refs(made)["a"])
    assert events == ["+a", "-a", "+a"]


def test_a_child_waits_as_restarting_and_is_then_started(system, events):
    made = system.start(Supervisor, [worker(events, "a")], backoff=Backoff(min_seconds=2))
    crash(refs(made)["a"])
    system.advance(1.9)
    assert refs(made) == {"a": "restarting"}
    system.advance(0.2)
    assert refs(made)["a"].is_alive()


def test_siblings_run_on_until_the_group_is_restarted(system, events):
    flags = {"strategy": "one_for_all", "backoff": Backoff(min_seconds=2)}
    made = system.start(Supervisor, [worker(events, "a"), worker(events, "b")], **flags)
    crash(refs(made)["a"])
    system.advance(1)
    assert events == ["+a", "+b", "-a"]
    system.advance(1)
    assert events == ["+a", "+b", "-a", "-b", "+a", "+b"]


def test_a_wait_counts_as_a_restart_when_it_is_over(system, events):
    made = system.start(Supervisor, [worker(events, "a")], max_restarts=0, backoff=Backoff(min_seconds=2))
    crash(refs(made)["a"])
    system.advance(1)
    assert made.is_alive()
    system.advance(1)
    assert made.exit_reason == "shutdown"


def test_a_start_that_fails_waits_longer_each_time(system):
    starts = []

    def start():
        starts.append(system.clock.monotonic())
        if len(starts) == 1:
            return system.start(Supervisor, [])
        return "no"

    backoff = Backoff(min_seconds=1, max_seconds=100)
    made = system.start(Supervisor, [{"id": "a", "start": start}], max_restarts=10, backoff=backoff)
    first = starts[0]
    refs(made)["a"].stop()
    system.advance(8)
    assert [at - first for at in starts[1:]] == [1.0, 3.0, 7.0]


def test_a_wait_that_was_called_off_restarts_nobody(system, events):
    made = system.start(Supervisor, [worker(events, "a")], backoff=Backoff(min_seconds=2))
    crash(refs(made)["a"])
    terminate_child(made, "a")
    system.advance(3)
    assert refs(made) == {"a": "stopped"}


def test_a_wait_that_was_called_off_does_not_cut_a_later_one_short(system, events):
    made = system.start(Supervisor, [worker(events, "a")], backoff=Backoff(min_seconds=2))
    crash(refs(made)["a"])
    system.advance(1)
    terminate_child(made, "a")
    restart_child(made, "a")
    crash(refs(made)["a"])
    system.advance(1.5)
    assert refs(made) == {"a": "restarting"}
    system.advance(0.5)
    assert refs(made)["a"].is_alive()


@pytest.mark.parametrize("kind", ["dynamic", "simple"])
def test_a_dynamic_child_waits_too_and_longer_the_second_time(system, events, kind):
    backoff = Backoff(min_seconds=2)
    if kind == "dynamic":
        made = system.start(DynamicSupervisor, backoff=backoff)
        start_child(made, worker(events, "a"))
    else:
        made = system.start(
            Supervisor, [worker(events, "a")], strategy="simple_one_for_one", max_restarts=3, backoff=backoff
        )
        start_child(made, ())
    crash(which_children(made)[0].ref)
    assert [record.state for record in which_children(made)] == ["restarting"]
    system.advance(2)
    crash(which_children(made)[0].ref)
    system.advance(3.9)
    assert [record.state for record in which_children(made)] == ["restarting"]
    system.advance(0.2)
    assert [record.state for record in which_children(made)] == ["running"]


def test_an_end_for_good_is_not_remembered(system, events):
    made = system.start(DynamicSupervisor, backoff=Backoff(min_seconds=2))
    ref = start_child(made, worker(events, "a")).ref
    crash(ref)
    terminate_child(made, ref)
    system.advance(3)
    assert which_children(made) == ()
    assert events == ["+a", "-a"]


def test_the_jitter_is_the_systems_chance(system, events):
    made = system.start(Supervisor, [worker(events, "a")], backoff=Backoff(min_seconds=10, jitter=1.0))
    expected = 20.0 * system.entropy.stream(f"restart-{made.id}").random()
    crash(refs(made)["a"])
    system.advance(expected - 0.001)
    assert refs(made) == {"a": "restarting"}
    system.advance(0.002)
    assert refs(made)["a"].is_alive()


# Giving up


def test_giving_up_is_told_with_the_child_at_fault(system, events):
    told = []
    made = system.start(Supervisor, [worker(events, "a")], max_restarts=0, on_give_up=told.append)
    crash(refs(made)["a"])
    [report] = told
    assert report.error_context == "shutdown"
    assert report.reason == "reached_max_restart_intensity"
    assert report.offender.spec.id == "a"


def test_giving_up_is_told_before_the_others_are_ended(system, events):
    told = []
    children = [worker(events, "a"), worker(events, "b")]
    made = system.start(Supervisor, children, max_restarts=0, on_give_up=lambda _report: told.extend(events))
    crash(refs(made)["a"])
    assert told == ["+a", "+b", "-a"]
    assert events[-1] == "-b"


def test_a_dynamic_supervisor_tells_too(system, events):
    told = []
    made = system.start(DynamicSupervisor, max_restarts=0, on_give_up=told.append)
    crash(start_child(made, worker(events, "a")).ref)
    assert len(told) == 1


def test_a_listener_that_raises_does_not_keep_the_supervisor_from_ending(system, events, caplog):
    def listener(_report):
        raise ValueError("no")

    made = system.start(Supervisor, [worker(events, "a")], max_restarts=0, on_give_up=listener)
    with caplog.at_level(logging.ERROR):
        crash(refs(made)["a"])
    assert made.exit_reason == "shutdown"
    assert "on_give_up raised" in caplog.text


def test_an_ordinary_end_is_not_told(system, events):
    told = []
    system.start(Supervisor, [worker(events, "a")], on_give_up=told.append).stop()
    assert not told


@pytest.mark.parametrize(("field", "value"), [("backoff", 3.0), ("on_give_up", "call me")])
def test_options_beyond_otp_are_checked(field, value):
    with pytest.raises(InvalidFlags) as caught:
        SupervisorFlags(**{field: value})
    assert caught.value.field == field
