"""Faults of real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig

import psutil
import pytest

from supervisors import ActorSystem
from supervisors.chaos.processes import named_process
from supervisors.errors import InvalidArgumentError
from supervisors.pools import WorkerPool
from tests.supervisors.chaos.shop import experiment, struck
from tests.supervisors.process_workers import Worker

EATER = """
import sys
for line in sys.stdin:
    try:
        kept = bytearray(int(line))
        answer = "got it"
    except MemoryError:
        answer = "no memory"
    print(answer, flush=True)
"""


@pytest.fixture
def system():
    with ActorSystem() as system:
        yield system


@pytest.fixture
def eater():
    process = subprocess.Popen([sys.executable, "-c", EATER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    ask(process, 1)
    yield process
    process.kill()
    process.communicate()


def ask(process, size):
    process.stdin.write(f"{size}\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def on_eater(system, eater, kind, count=1, **fault):
    return experiment(
        system,
        {"kind": kind, "targets": ["process:eater"], **fault},
        processes={"eater": eater.pid},
        on_event=struck(count),
    )


def test_a_process_is_killed(system, eater):
    with on_eater(system, eater, "process_kill") as chaos:
        assert eater.wait(10) == -9
    assert chaos.report.struck == (("process_kill", 1),)


def test_a_process_stands_still_and_goes_on_with_the_end_at_the_latest(system, eater):
    with on_eater(system, eater, "process_stop", seconds=3600.0) as chaos:
        chaos._on_event.wait()
        os.waitpid(eater.pid, os.WUNTRACED)  # returns once it stands still
        assert psutil.Process(eater.pid).status() == psutil.STATUS_STOPPED
    assert ask(eater, 1) == "got it"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can limit another process")
@pytest.mark.skipif(
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")), reason="its allocator has reserved more than that beforehand"
)
def test_a_process_gets_no_more_memory_for_a_while(system, eater):
    with on_eater(system, eater, "process_memory", seconds=3600.0, size=1 << 20) as chaos:
        chaos._on_event.wait()
        assert ask(eater, 1 << 28) == "no memory"
    assert ask(eater, 1 << 28) == "got it"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can limit another process")
def test_a_process_can_open_no_more_files_for_a_while(system, eater):
    import resource

    before = resource.prlimit(eater.pid, resource.RLIMIT_NOFILE)
    with on_eater(system, eater, "process_files", seconds=3600.0, size=2) as chaos:
        chaos._on_event.wait()
        assert resource.prlimit(eater.pid, resource.RLIMIT_NOFILE)[0] < 20
    assert resource.prlimit(eater.pid, resource.RLIMIT_NOFILE) == before


def test_a_worker_process_of_a_pool_is_killed_and_replaced(system):
    with WorkerPool(abs, 1, kind="process") as pool:
        assert pool.submit(-3).result(timeout=30) == 3
        with experiment(system, {"kind": "process_kill", "targets": ["pool"]}, on_event=struck()) as chaos:
            chaos._on_event.wait()
        assert pool.submit(-4).result(timeout=30) == 4


def test_an_actor_in_a_process_of_its_own_is_killed(system):
    worker = system.start(Worker)
    radius = {"roots": True}
    fault = {"kind": "process_kill", "targets": ["class:Worker"]}
    with experiment(system, fault, blast_radius=radius, on_event=struck()):
        assert worker.join(timeout=10).signal_name == "SIGKILL"


def test_a_process_that_does_not_run_is_spared(system, tmp_path):
    plan = {"kind": "process_kill", "targets": ["process:gone"]}
    report = experiment(system, plan, processes={"gone": str(tmp_path / "pid")}).run()
    assert report.spared == 1
    assert report.verdict == "ok"


def test_a_process_is_found_by_the_file_with_its_number(eater, tmp_path):
    path = tmp_path / "pid"
    path.write_text(f"{eater.pid}\n")
    assert named_process("eater", str(path)).pid == eater.pid


@pytest.mark.parametrize("pid", [1, 0, -1, os.getpid()])
def test_nobody_hits_this_process_or_the_first_one(pid):
    with pytest.raises(InvalidArgumentError):
        named_process("mine", pid)
