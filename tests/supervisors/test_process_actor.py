from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from supervisors import Actor, ActorDeadError, ActorSystem, Crashed, Down, IgnoreStart, MailboxFullError, StartError
from supervisors.process_actor import ProcessEnded, RemoteError, RemoteRefusal
from tests.supervisors.actors import SharedDoer
from tests.supervisors.process_workers import Declining, FailingStart, Narrow, Point, Worker


@pytest.fixture
def worker(real):
    return real.start(Worker)


def test_it_runs_in_a_process_of_its_own(worker):
    assert worker.ask("pid") != os.getpid()
    assert worker.actor_class is Worker


def test_it_keeps_its_state_and_the_order_of_messages(worker):
    for _ in range(100):
        worker.tell(1)
    assert worker.ask(1) == 101


def test_constructor_arguments_travel(real):
    assert real.start(Worker, start=41).ask(1) == 42


@pytest.mark.parametrize("value", [None, True, 2**40, 1.5, "text", b"bytes", [1, [2]], {"a": {"b": 1}}])
def test_what_msgpack_knows_travels_both_ways(worker, value):
    assert worker.ask(["echo", value]) == value


def test_a_type_with_a_coder_travels_both_ways(worker):
    swapped = worker.ask(Point(1, 2))
    assert (swapped.x, swapped.y) == (2, 1)


def test_a_message_that_cannot_travel_is_refused_and_the_actor_lives_on(worker):
    with pytest.raises(TypeError, match="message_coders"):
        worker.ask(["echo", object()])
    assert worker.ask(1) == 1


def test_a_reply_that_cannot_travel_is_an_error_and_the_actor_lives_on(worker):
    with pytest.raises(RemoteError, match="message_coders"):
        worker.ask("unpackable")
    assert worker.ask(1) == 1


def test_what_it_prints_does_not_disturb(worker):
    assert worker.ask("shout") is None
    assert worker.ask(1) == 1


def test_there_is_nothing_to_read_and_no_message_is_lost_by_that(worker):
    assert worker.ask("typed") == ["", b""]
    assert worker.ask(1) == 1


def test_a_signal_to_the_group_of_its_parent_does_not_reach_it(worker):
    pid = worker.ask("pid")
    assert os.getpgid(pid) == os.getsid(pid) == pid != os.getpgid(0)  # as a Ctrl-C in the terminal is


def test_a_refusal_keeps_its_code_and_the_actor_lives_on(worker):
    with pytest.raises(RemoteRefusal, match="no room") as caught:
        worker.ask("refuse")
    assert caught.value.code == "full"
    assert worker.ask(1) == 1


def test_a_crash_there_is_a_crash_here_with_the_traceback(worker):
    with pytest.raises(RemoteError, match="ValueError: broken") as raised:
        worker.ask("fail")
    reason = worker.join(timeout=10)
    assert reason == Crashed(raised.value)
    assert str(reason.error) == "ValueError: broken"
    assert "in fail" in reason.error.trace


def test_an_exit_there_gives_its_reason_here(worker):
    with pytest.raises(ActorDeadError) as caught:
        worker.ask(["leave", "done"])
    assert caught.value.reason == "done"


@pytest.mark.parametrize(
    ("message", "reason"), [(["quit", 3], ProcessEnded(3, None)), ("die", ProcessEnded(None, "SIGSEGV"))]
)
def test_the_death_of_the_process_is_a_down_that_tells_how(worker, real, message, reason):
    watcher = real.start(SharedDoer)
    watcher.ask(lambda self: self.monitor(worker))
    with pytest.raises(ActorDeadError) as caught:
        worker.ask(message)
    assert caught.value.reason == reason
    worker.join(timeout=10)  # who asked may hear of it before who watches
    (down,) = watcher.ask("seen")
    assert isinstance(down, Down)
    assert down.reason == reason


def test_the_death_of_an_idle_process_is_noticed_too(worker):
    os.kill(worker.ask("pid"), signal.SIGTERM)
    assert worker.join(timeout=10) == ProcessEnded(None, "SIGTERM")


def test_kill_kills_the_process_in_the_middle_of_a_turn(worker):
    pid = worker.ask("pid")
    future = worker.ask("hang", block=False)
    worker.kill()
    with pytest.raises(ActorDeadError):
        future.get(timeout=10)
    assert worker.join(timeout=10) == "killed"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.fixture
def forked(worker):
    """The worker, whose process has a child that holds its pipes."""
    child = worker.ask("fork")
    yield worker, child
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)


def test_the_death_of_a_process_that_has_forked_ends_the_ask_in_hand(forked):
    worker, _ = forked
    pid = worker.ask("pid")
    hanging = worker.ask("hang", block=False)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(ActorDeadError):
        hanging.get(timeout=10)
    assert worker.join(timeout=10) == ProcessEnded(None, "SIGKILL")


def test_kill_ends_a_process_that_has_forked_and_what_it_has_started(forked):
    worker, child = forked
    hanging = worker.ask("hang", block=False)
    worker.kill()
    assert worker.join(timeout=10) == "killed"
    with pytest.raises(ActorDeadError):
        hanging.get(timeout=10)
    wait_until_gone(child)


def test_a_system_stops_in_time_though_a_process_has_forked():
    system = ActorSystem()
    worker = system.start(Worker)
    worker.ask("fork")
    worker.tell("hang")
    while worker.mailbox_length:
        os.sched_yield()
    thread = threading.Thread(target=system.stop, args=(0.1,), daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    assert worker.join(timeout=10) == "killed"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel of Linux kills it")
def test_a_busy_process_dies_with_its_parent():
    program = (
        "import os, sys\n"
        "from supervisors import ActorSystem\n"
        "from tests.supervisors.process_workers import Worker\n"
        "worker = ActorSystem().start(Worker)\n"
        "print(worker.ask('pid'), flush=True)\n"
        "worker.tell('hang_and_say_so')\n"
        "sys.stdin.read()\n"
        "os.kill(os.getpid(), 9)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    ) as parent:
        pid = int(parent.stdout.readline())
        assert parent.stderr.readline() == b"hangs\n"
        assert not is_gone(pid)
        parent.stdin.close()
        parent.wait(20.0)
    wait_until_gone(pid)


def wait_until_gone(pid):
    end = time.monotonic() + 20.0
    while not is_gone(pid):
        assert time.monotonic() < end, "it lives"
        os.sched_yield()


def is_gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_stop_runs_the_cleanup_there(real, tmp_path):
    path = tmp_path / "mark"
    real.start(Worker, str(path)).stop()
    assert path.read_text() == "stopped"


def test_a_start_that_fails_there_is_a_start_error_here(real):
    with pytest.raises(StartError, match="not today"):
        real.start(FailingStart)
    assert real.actors() == []


def test_a_start_that_declines_there_declines_here(real):
    with pytest.raises(IgnoreStart):
        real.start(Declining)


def test_a_class_that_cannot_be_imported_is_refused(real):
    class Local(Actor):
        dispatch = "process"

    with pytest.raises((ValueError, StartError), match="actor_class"):
        real.start(Local)


def test_there_are_no_processes_in_virtual_time(system):
    with pytest.raises(ValueError, match="virtual time"):
        system.start(Worker)


@pytest.fixture
def little_memory():
    """A control group with 64 MiB, of version 1 or 2."""
    for root, limit in (
        (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
        (Path("/sys/fs/cgroup"), "memory.max"),
    ):
        group = root / f"supervisors-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / limit).write_text(str(64 << 20))
        except OSError:
            group.rmdir()
            continue
        yield group
        group.rmdir()
        return
    pytest.skip("needs the right to make a control group with a limit of memory")


def test_a_process_that_the_kernel_kills_for_its_memory_is_told_apart(worker, little_memory):
    with pytest.raises(ActorDeadError) as caught:
        worker.ask(["devour", str(little_memory)], timeout=60)
    assert caught.value.reason == ProcessEnded(None, "SIGKILL", out_of_memory=True)


def test_a_process_that_somebody_kills_was_not_out_of_memory(worker):
    os.kill(worker.ask("pid"), signal.SIGKILL)
    assert worker.join(timeout=10) == ProcessEnded(None, "SIGKILL", out_of_memory=False)


def test_memory_that_a_limit_refuses_is_a_crash_that_says_so(worker):
    with pytest.raises(RemoteError, match="MemoryError"):
        worker.ask("starve", timeout=60)
    reason = worker.join(timeout=10)
    assert isinstance(reason, Crashed)
    assert reason.error.kind == "MemoryError"


def test_a_mailbox_in_front_of_a_process_has_its_bound(real):
    narrow = real.start(Narrow)
    hanging = narrow.ask("hang", block=False)
    while narrow.mailbox_length:
        pass
    narrow.tell(1)
    with pytest.raises(MailboxFullError):
        narrow.tell(2)
    narrow.kill()
    with pytest.raises(ActorDeadError):
        hanging.get(timeout=10)


def test_a_process_that_is_made_after_its_actor_was_killed_is_killed_as_well(real, monkeypatch):
    begun, gate, made = threading.Event(), threading.Event(), queue.SimpleQueue()
    proper = subprocess.Popen

    def late(*args, **options):
        begun.set()
        assert gate.wait(30)
        process = proper(*args, **options)
        made.put(process)
        return process

    monkeypatch.setattr(subprocess, "Popen", late)
    ref = real.spawn(Worker, link=False, report=False)
    assert begun.wait(30)
    ref.kill()
    assert ref.join(30) == "killed"
    gate.set()
    assert made.get(timeout=30).wait(30) == -signal.SIGKILL
