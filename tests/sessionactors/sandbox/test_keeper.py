import contextlib
import os
import subprocess
import sys
import threading
import time

import psutil
import pytest

from sessionactors import SessionSystem
from sessionactors.errors import (
    InvalidKind,
    InvalidLimit,
    InvalidOption,
    InvalidValue,
    LimitExceedsGlobal,
    NoProcess,
    NotFound,
    OperationFailed,
    ProcessDied,
)
from tests.sessionactors.sandbox.handlers import Counter, Refusing, Worker
from tests.sessionactors.session_world import entries, kill, virtual

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def shared():
    with SessionSystem(session={"auth_required": False}, isolation={"sample_interval": 0.05}, max_restarts=100) as made:
        yield made


@pytest.fixture
def system(shared):
    """A system with one active session `s`, made anew for each test."""
    shared.start_session("s")
    shared.activate("s")
    yield shared
    if shared.directory.get("s") is not None:
        shared.terminate("s")
    eventually(lambda: "s" not in shared.list_isolated())


def isolate(system, handler=Worker, **options):
    heard = []
    system.isolate("s", isolated="process", handler=handler, **options)
    system.subscribe_isolation("s", lambda event: heard.append((event.event, event.value)))
    return heard


def call(system, *request, **options):
    return system.call_isolated("s", list(request), **options)


def eventually(condition, seconds=20.0):
    pause = threading.Event()
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never became true"
        pause.wait(0.005)


def is_gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


# --- Requests ---------------------------------------------------------------------------------------------------------


def test_the_code_runs_in_a_process_of_its_own_and_keeps_its_state(system):
    isolate(system, Counter, arguments=[40])
    assert [system.call_isolated("s", 1), system.call_isolated("s", 1)] == [41, 42]


def test_what_msgpack_knows_travels_both_ways(system):
    isolate(system)
    values = [None, True, 2**40, 1.5, "text", b"bytes", [1, [2]], {"a": 1}]
    assert [call(system, "echo", each) for each in values] == values
    assert call(system, "pid") != os.getpid()


def test_requests_count_as_messages(system):
    isolate(system, Counter, message_limit=5)
    for _ in range(5):
        system.call_isolated("s", 1)
    assert system.get_state("s") == "active"
    with contextlib.suppress(ProcessDied):  # it may have answered before it was ended
        system.call_isolated("s", 1)
    eventually(lambda: system.state_of("s") == "terminated")


def test_a_handler_that_raises_goes_on(system):
    isolate(system)
    with pytest.raises(OperationFailed, match="ValueError: broken"):
        call(system, "fail")
    with pytest.raises(OperationFailed):
        call(system, "unpackable")
    assert call(system, "shout") is None
    assert call(system, "echo", 1) == 1


def test_a_request_that_cannot_travel_is_refused_and_the_process_lives(system):
    isolate(system)
    with pytest.raises(InvalidKind):
        call(system, "echo", object())
    assert call(system, "echo", 1) == 1


def test_requests_of_many_threads_are_handled_one_by_one(system):
    isolate(system, Counter)
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.extend(system.call_isolated("s", 1) for _ in range(20)))
        for _ in range(4)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join(20.0)
    assert sorted(answers) == list(range(1, 81))


def test_a_request_that_finds_no_turn_in_time_is_refused_and_kills_nobody(system):
    isolate(system, deadline=60.0)
    busy = threading.Thread(target=call, args=(system, "spin", 1.0))
    sandbox = system.actors.whereis("isolation").ask(("find_sandbox", "s"))
    busy.start()
    eventually(lambda: sandbox.deadline < float("inf"))
    with pytest.raises(OperationFailed, match="too long"):
        call(system, "echo", 1, deadline=0.05)
    busy.join(20.0)
    assert call(system, "echo", 1) == 1
    assert "runs" in repr(sandbox)


# --- Ends -------------------------------------------------------------------------------------------------------------


def ended(system, heard, reason):
    """Check that the process and the session have ended for this reason, told and audited."""
    eventually(lambda: system.state_of("s") == "terminated")
    assert ("process_ended", {"reason": reason, "enforced": True}) in heard
    last = [each for each in entries(system, "s") if each.data["event"] == "process_ended"][-1]
    assert (last.type, last.data["reason"]) == ("security", reason)


def test_a_call_into_c_that_never_returns_is_killed_at_its_deadline(system):
    heard = isolate(system)
    pid = call(system, "pid")
    begun = time.monotonic()
    with pytest.raises(ProcessDied, match="deadline_exceeded"):
        call(system, "hang", deadline=0.3)
    assert time.monotonic() - begun < 10.0
    ended(system, heard, "deadline_exceeded")
    eventually(lambda: is_gone(pid))


def test_the_deadline_of_the_account_holds_for_requests_that_name_none(system):
    heard = isolate(system, deadline=0.3)
    with pytest.raises(ProcessDied):
        call(system, "spin", 60)
    ended(system, heard, "deadline_exceeded")


def test_more_memory_than_is_allowed_is_an_out_of_memory_death(system):
    heard = isolate(system, memory_limit=64 * MIB)
    assert call(system, "hoard", 16 * MIB) == 16 * MIB
    with pytest.raises(ProcessDied, match="out_of_memory"):
        call(system, "hoard", 256 * MIB)
    ended(system, heard, "out_of_memory")


@pytest.mark.parametrize(("request_", "reason"), [(["leave", 3], "exit code 3"), (["crash"], "killed by SIGSEGV")])
def test_a_process_that_ends_by_itself_ends_its_session(system, request_, reason):
    heard = isolate(system)
    with pytest.raises(ProcessDied, match=reason):
        system.call_isolated("s", request_)
    ended(system, heard, reason)


def test_without_strict_enforcement_the_session_outlives_its_process(system):
    heard = isolate(system)
    system.unisolate_session("s")
    with pytest.raises(ProcessDied):
        call(system, "leave", 3)
    eventually(lambda: ("process_ended", {"reason": "exit code 3", "enforced": False}) in heard)
    with pytest.raises(NoProcess):
        call(system, "pid")
    assert system.get_state("s") == "active"


@pytest.mark.parametrize("how", ["terminate", "leave"])
def test_what_the_process_has_started_ends_with_it(system, how):
    isolate(system)
    pids = [call(system, "pid"), call(system, "child")]
    if how == "terminate":
        system.terminate("s")
    else:
        with pytest.raises(ProcessDied):
            call(system, "leave", 1)
    for each in pids:
        eventually(lambda each=each: is_gone(each))


def test_closing_the_account_ends_the_process_and_not_the_session(system):
    isolate(system)
    pid = call(system, "pid")
    system.destroy_isolation("s")
    eventually(lambda: is_gone(pid))
    assert system.get_state("s") == "active"


def test_a_process_outlives_a_crash_of_isolation_and_its_end_is_noticed(system):
    isolate(system)
    assert call(system, "echo", 1) == 1
    old = kill(system, "isolation")
    eventually(lambda: system.actors.whereis("isolation") not in (None, old))
    assert call(system, "echo", 2) == 2
    with pytest.raises(ProcessDied):
        call(system, "leave", 1)
    eventually(lambda: system.state_of("s") == "terminated")


def test_a_stopped_system_leaves_no_process():
    with SessionSystem(session={"auth_required": False}) as system:
        system.start_session("s")
        system.isolate("s", isolated="process", handler=Worker)
        pid = call(system, "pid")
    assert is_gone(pid)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel of Linux kills it")
def test_processes_die_with_their_parent_even_while_they_spin():
    program = (
        "import os, sys, threading\n"
        "from sessionactors import SessionSystem\n"
        "from tests.sessionactors.sandbox.handlers import Worker\n"
        "system = SessionSystem(session={'auth_required': False})\n"
        "system.start_session('s')\n"
        "system.isolate('s', isolated='process', handler=Worker)\n"
        "print(system.call_isolated('s', ['pid']), flush=True)\n"
        "threading.Thread(target=system.call_isolated, args=('s', ['hang'], 60.0), daemon=True).start()\n"
        "sys.stdin.read()\n"
        "os.kill(os.getpid(), 9)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as parent:
        pid = int(parent.stdout.readline())
        assert not is_gone(pid)
        parent.stdin.close()
        parent.wait(20.0)
    eventually(lambda: is_gone(pid))


# --- Measuring --------------------------------------------------------------------------------------------------------


def test_memory_and_cpu_of_the_process_are_in_the_account(system):
    isolate(system, memory_limit=200 * MIB, measure_cpu=True)
    call(system, "spin", 0.2)
    # The meter of its turns and the process have counters of their own.
    eventually(lambda: system.get_resource_usage("s").cpu.used >= 1.0)
    assert system.get_resource_usage("s").cpu.used < 50.0
    assert system.get_resource_usage("s").memory.used > 0


def test_a_process_whose_resident_memory_is_too_large_is_killed(system, monkeypatch):
    # As where the operating system does not limit it.
    monkeypatch.delattr(psutil.Process, "rlimit", raising=False)
    heard = isolate(system, memory_limit=32 * MIB, deadline=60.0)
    with pytest.raises(ProcessDied, match="out_of_memory"):
        call(system, "hold", 128 * MIB, 30.0)
    ended(system, heard, "out_of_memory")


def test_a_cpu_limit_slows_down_and_ends_nobody(system):
    isolate(system, cpu_limit=25.0, deadline=60.0)
    used = call(system, "spin", 1.5)
    assert used < 1.0
    assert call(system, "echo", 1) == 1
    assert system.get_state("s") == "active"


# --- Starts -----------------------------------------------------------------------------------------------------------


def test_a_handler_that_cannot_be_made_leaves_no_account(system):
    with pytest.raises(OperationFailed, match="not today"):
        isolate(system, Refusing)
    assert system.list_isolated() == []
    system.isolate("s")
    with pytest.raises(NoProcess):
        call(system, "pid")


def test_only_isolated_sessions_can_be_called(system):
    with pytest.raises(NotFound):
        call(system, "pid")


class Here:
    handle_request = None


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"handler": None}, InvalidKind),
        ({"handler": Worker()}, InvalidKind),
        ({"handler": Here}, InvalidKind),
        ({"handler": Worker, "arguments": 5}, InvalidKind),
        ({"handler": Worker, "deadline": 0}, InvalidValue),
        ({"handler": Worker, "deadline": float("inf")}, InvalidValue),
        ({"handler": Worker, "memory_limit": -1}, InvalidLimit),
        ({"handler": Worker, "cpu_limit": 0}, InvalidLimit),
        ({"handler": Worker, "cpu_limit": 90.0}, LimitExceedsGlobal),
        ({"handler": Worker, "colour": 1}, InvalidOption),
    ],
)
def test_wrong_options_start_nothing(system, options, error):
    with pytest.raises(error) as refused:
        system.isolate("s", isolated="process", **options)
    assert refused.value.code
    assert system.list_isolated() == []


def test_a_handler_has_to_be_importable(system):
    class Local:
        def handle_request(self, request):
            return request

    with pytest.raises(InvalidOption):
        isolate(system, Local)


def test_a_wrong_deadline_of_a_request_kills_nobody(system):
    isolate(system)
    for deadline in (0, -1, float("nan"), True, "5"):
        with pytest.raises((InvalidKind, InvalidValue), match="deadline"):
            call(system, "echo", 1, deadline=deadline)
    assert call(system, "echo", 1) == 1


def test_there_are_no_processes_in_virtual_time():
    with virtual() as system:
        system.start_session("s")
        with pytest.raises(InvalidOption):
            system.isolate("s", isolated="process", handler=Worker)
