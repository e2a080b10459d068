"""The plugin, in pytest runs of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

COUNTER = """
import pytest
from supervisors import Actor

class Counter(Actor):
    count = 0
    def on_receive(self, message):
        if message == "read":
            return self.count
        self.count = message

def add(counter):
    counter.ask(counter.ask("read") + 1)
"""

RACE = (
    COUNTER
    + """
def test_two_additions_make_two(simulation):
    counter = simulation.system.start(Counter)
    for answer in [simulation.client(add, counter) for _ in range(2)]:
        answer.get()
    assert counter.ask("read") == 2
"""
)


@pytest.fixture
def run(pytester):
    """Write a test file, run it in this process, and return the result."""

    def run(source, *arguments):
        pytester.makepyfile(source)
        return pytester.runpytest_inprocess(
            "-p", "supervisors.pytest_plugin", "-p", "no:cacheprovider", "--strict-markers", *arguments
        )

    return run


def test_the_system_of_a_test_is_on_virtual_time(run):
    run(
        COUNTER
        + """
def test_time(actor_system, virtual_clock, probe):
    actor_system.timers.send_after(3600.0, probe.ref, "due")
    actor_system.advance(3600.0)
    assert virtual_clock.monotonic() == 3600.0
    assert probe.expect_message() == "due"
"""
    ).assert_outcomes(passed=1)


def test_the_system_of_a_test_has_real_time_on_request(run):
    run(
        COUNTER
        + """
@pytest.mark.actor_system(real_time=True, workers=2)
def test_time(actor_system, probe):
    actor_system.start(Counter).ask(1)
    actor_system.timers.send_after(0.0, probe.ref, "due")
    probe.expect_message("due")
    assert "SystemClock" in repr(actor_system.clock)
"""
    ).assert_outcomes(passed=1)


def test_an_actor_that_does_not_end_fails_the_test(run):
    result = run("""
from supervisors import Actor

class Stubborn(Actor):
    def on_start(self):
        self.trap_exit()
    def on_receive(self, message):
        pass

def test_left(actor_system):
    actor_system.start(Stubborn)
""")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*did not end when they were told to: Stubborn*"])


LEAK = """
import pytest
from supervisors import ActorSystem, VirtualClock
from supervisors.testing import Probe

{marker}
def test_left():
    system = ActorSystem(clock=VirtualClock())
    Probe(system)
    pytest.kept.append(system)
"""


@pytest.fixture
def kept(monkeypatch):
    """A list in which inner tests keep their systems beyond their end."""
    monkeypatch.setattr(pytest, "kept", [], raising=False)
    yield
    for system in pytest.kept:
        system.stop()


def test_actors_of_a_system_that_nobody_stops_fail_the_test(run, monkeypatch, kept):
    monkeypatch.setattr("supervisors.pytest_plugin.GRACE", 0.0)
    result = run(LEAK.format(marker=""))
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*left behind: _ProbeActor*"])


def test_a_test_may_say_that_it_leaves_actors(run, kept):
    run(LEAK.format(marker="@pytest.mark.leaves_actors")).assert_outcomes(passed=1)


def test_a_system_that_nobody_can_reach_is_no_leak(run):
    run(LEAK.format(marker="").replace("    pytest.kept.append(system)\n", "")).assert_outcomes(passed=1)


def test_a_thread_that_goes_on_fails_the_test(run, monkeypatch):
    monkeypatch.setattr("supervisors.pytest_plugin.GRACE", 0.0)
    result = run("""
import threading

over = threading.Event()
thread = threading.Thread(target=over.wait, name="supervisors-of-mine", daemon=True)

def test_left():
    thread.start()

def test_next():
    over.set()
    thread.join()
""")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*left behind: supervisors-of-mine*"])


def test_a_system_of_a_wider_fixture_may_start_its_threads_in_any_test(run, monkeypatch):
    monkeypatch.setattr("supervisors.pytest_plugin.GRACE", 0.0)
    run("""
import pytest
from supervisors import Actor, ActorSystem

@pytest.fixture(scope="module")
def system():
    with ActorSystem() as system:
        yield system

class Shared(Actor):
    dispatch = "shared"

    def on_receive(self, message):
        return message

def test_first(system):
    pass

def test_starts_a_worker(system):
    ref = system.start(Shared)
    assert ref.ask(1) == 1
    ref.stop()
""").assert_outcomes(passed=2)


def test_a_simulated_test_runs_once_for_each_seed(run):
    run("""
import pytest
seen = []

@pytest.mark.seeds(4711, 2, count=3)
def test_many(simulation):
    seen.append(simulation.seed)

def test_seen():
    assert seen == [4711, 2, 0, 1]
""").assert_outcomes(passed=2)


def test_a_failing_simulated_test_tells_its_seed_and_what_repeats_it(run):
    result = run(RACE)
    result.assert_outcomes(failed=1)
    text = result.stdout.str()
    seed = int(re.search(r"seed (\d+): wrong result", text).group(1))
    assert f"again: pytest '{result_name(result)}::test_two_additions_make_two' --simulation-seed {seed}".replace(
        "'", ""
    ) in text.replace("'", "")
    assert "FAULT" not in text
    assert "handles ask 'read'" in text
    assert "assert 1 == 2" in text


def result_name(result):
    return re.search(r"(test_\w+\.py)", result.stdout.str()).group(1)


def test_the_command_of_a_failure_repeats_it_in_another_process(run, pytester):
    text = run(RACE).stdout.str()
    command = re.search(r"again: pytest (\S+) --simulation-seed (\d+)", text)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "supervisors.pytest_plugin",
            command[1],
            "--simulation-seed",
            command[2],
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=pytester.path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert f"seed {command[2]}: wrong result" in done.stdout
    assert hash_in(done.stdout) == hash_in(text)


def hash_in(text):
    return re.search(r"transcript ([0-9a-f]{16})", text).group(1)


def test_one_seed_and_a_number_of_seeds_can_be_chosen(run):
    source = """
import pytest

@pytest.mark.seeds(77)
def test_seed(simulation):
    print("ran", simulation.seed)
"""
    assert re.findall(r"ran \d+", run(source, "-s", "--simulation-seed", "5").stdout.str()) == ["ran 5"]
    many = run(source, "-s", "--simulation-runs", "2").stdout.str()
    assert re.findall(r"ran \d+", many) == ["ran 77", "ran 0", "ran 1"]


def test_the_transcript_is_printed_on_request(run):
    text = run(RACE, "-s", "--simulation-transcript", "--simulation-seed", "1").stdout.str()
    assert "Counter#1" in text


def test_options_of_a_simulation_come_from_its_marker(run):
    run("""
import pytest
from supervisors import Actor, ChildSpec, Supervisor

class Child(Actor):
    pass

@pytest.mark.simulation(faults={"kill": 0.3}, arming=1.0, schedule="round robin")
@pytest.mark.seeds(count=3)
def test_faults(simulation):
    simulation.system.start(Supervisor, [ChildSpec("one", Child)], max_restarts=1000)
    simulation.sleep(1.0)
    assert simulation.options.schedule == "round robin"
    assert simulation.options.faults == {"kill": 0.3}
""").assert_outcomes(passed=1)


def test_other_fixtures_and_parameters_reach_a_simulated_test(run):
    run("""
import pytest

@pytest.fixture
def three():
    return 3

@pytest.mark.parametrize("number", [1, 2])
class TestClass:
    def test_more(self, simulation, three, number):
        assert three > number and simulation.system.actors() == []
""").assert_outcomes(passed=2)


def test_a_failed_expectation_of_pytest_has_its_seed_too(run):
    result = run("""
import pytest

def test_raises(simulation):
    with pytest.raises(ValueError):
        pass
""")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*seed 0: wrong result*", "*--simulation-seed 0*"])


def test_a_skipped_simulated_test_is_skipped(run):
    run("""
import pytest

def test_skipped(simulation):
    pytest.skip("not here")
""").assert_outcomes(skipped=1)


def test_another_fixture_cannot_use_the_simulation(run):
    result = run("""
import pytest

@pytest.fixture
def early(simulation):
    return simulation.system

def test_early(early):
    pass
""")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*simulation is for the test itself*"])


@pytest.mark.parametrize(
    ("source", "arguments", "said"),
    [
        ("", ["--simulation-runs", "0"], "*0 is not allowed; allowed: at least 1*"),
        ("@pytest.mark.seeds(count='many')", [], "*count='many' is not allowed*"),
        ("@pytest.mark.seeds('first')", [], "*seed*'first'*"),
        ("@pytest.mark.simulation(schedule='chaos')", [], "*schedule*'chaos'*"),
    ],
)
def test_bad_usage_is_named(run, source, arguments, said):
    result = run(f"import pytest\n{source}\ndef test_one(simulation): pass\n", *arguments)
    assert result.ret != 0
    (result.stderr if arguments else result.stdout).fnmatch_lines([said])


def test_the_markers_are_known(run):
    text = run("", "--markers").stdout.str()
    assert {"seeds", "simulation", "actor_system", "leaves_actors"} <= set(re.findall(r"@pytest\.mark\.(\w+)", text))


def test_a_test_makes_an_experiment_on_its_system(run):
    result = run(
        """
        import pytest
        from supervisors import Actor, ChildSpec, Supervisor
        from supervisors.errors import UsageError

        @pytest.mark.actor_system(real_time=True)
        def test_stands(actor_system, chaos):
            actor_system.start(Supervisor, [ChildSpec("one", Actor)])
            with chaos({"method": [{"kind": "kill", "at": [0.0]}]}, seed=3) as experiment:
                experiment.wait()
            assert experiment.report.struck == (("kill", 1),)

        def test_virtual_time(chaos):
            with pytest.raises(UsageError):
                chaos({"method": [{"kind": "kill", "at": [0.0]}]})
        """
    )
    result.assert_outcomes(passed=2)
