"""The contract of a machine, for the one that this process runs on and for the simulated one."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from itertools import chain

import pytest

from supervisors.runtime.futures import ScheduledFuture
from supervisors.runtime.machine import Program
from tests.supervisors.worlds import in_both_worlds, in_own_world

PROGRAM = Program("tests.supervisors.machine_programs")
LEADER = Program("tests.supervisors.machine_programs", own_session=True)


def order(process, what, count=8):
    process.writer.write(what)
    process.writer.flush()
    return process.reader.read(count)


@pytest.fixture(params=[PROGRAM, LEADER], ids=["process", "leader"])
def program(request):
    return request.param


# --- Processes --------------------------------------------------------------------------------------------------------


def in_process(run, program, body):
    def with_process(system):
        process = system.machine.process(program)
        try:
            body(process)
        finally:
            process.signal(signal.SIGKILL)
            assert process.wait(20.0) is not None
            process.close()

    run(with_process)


@in_both_worlds
def test_bytes_travel_both_ways_in_order(run):
    def body(process):
        assert [order(process, b"e12345678"), order(process, b"eabcdefgh")] == [b"87654321", b"hgfedcba"]
        assert process.poll() is None

    in_process(run, PROGRAM, body)


@in_both_worlds
def test_code_in_a_process_has_the_number_that_its_parent_knows(run):
    def body(process):
        assert int.from_bytes(order(process, b"p"), "big") == process.pid != os.getpid()

    in_process(run, PROGRAM, body)


@in_both_worlds
@pytest.mark.parametrize(("what", "code"), [(b"x", 7), (b"s", 9), (b"r", 1), (b"k", -signal.SIGTERM)])
def test_how_it_has_ended_is_told(run, what, code):
    def body(process):
        assert order(process, what) == b""
        assert process.wait(20.0) == code == process.poll()

    in_process(run, PROGRAM, body)


@in_both_worlds
def test_a_process_whose_parent_writes_no_more_ends_by_itself(run):
    def body(process):
        process.writer.close()
        assert process.wait(20.0) == 3

    in_process(run, PROGRAM, body)


@in_both_worlds
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_signal_ends_it(run, program, number):
    def body(process):
        order(process, b"e12345678")
        process.signal(number)
        assert process.wait(20.0) == -number
        process.signal(number)  # nobody is there any more

    in_process(run, program, body)


@in_both_worlds
def test_who_writes_to_one_that_has_ended_is_told(run):
    def body(process):
        process.signal(signal.SIGKILL)
        process.wait(20.0)
        with pytest.raises(OSError, match=r"pipe|read"):
            order(process, b"p" * 100_000)

    in_process(run, PROGRAM, body)


@in_both_worlds
def test_one_that_is_stopped_answers_when_it_goes_on(run, program):
    def body(process):
        order(process, b"e12345678")
        process.signal(signal.SIGSTOP)
        process.writer.write(b"eabcdefgh")
        process.writer.flush()
        assert process.wait(0.2) is None
        process.signal(signal.SIGCONT)
        assert process.reader.read(8) == b"hgfedcba"

    in_process(run, program, body)


@in_both_worlds
def test_one_that_is_stopped_can_be_killed(run, program):
    def body(process):
        process.signal(signal.SIGSTOP)
        process.signal(signal.SIGKILL)
        assert process.wait(20.0) == -signal.SIGKILL

    in_process(run, program, body)


@in_both_worlds
def test_more_than_a_pipe_holds_arrives_whole(run):
    def body(process):
        assert order(process, b"l", 1 << 18) == bytes(1 << 18)

    in_process(run, PROGRAM, body)


def test_a_read_ends_with_the_process_though_its_child_has_the_pipe():
    def body(process):
        order(process, b"fe12345678")
        os.kill(process.pid, signal.SIGKILL)
        assert process.reader.read(1) == b""

    in_process(in_own_world, LEADER, body)


def test_a_write_ends_with_the_process_though_its_child_has_the_pipe():
    def body(process):
        order(process, b"fe12345678")
        os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(OSError, match="pipe"):
            process.writer.write(bytes(1 << 20))

    in_process(in_own_world, LEADER, body)


def test_the_pipes_can_be_closed_while_somebody_waits_at_one():
    def body(process):
        order(process, b"fe12345678")
        with process.reader:  # as somebody does who is in the middle of a read
            process.close()
            others = [os.pipe() for _ in range(4)]  # which take the numbers that are free
            with pytest.raises(ValueError, match="closed"):
                process.reader.read(1)
            with pytest.raises(ValueError, match="closed"):
                process.writer.write(b"x")
        for number in chain.from_iterable(others):
            os.close(number)  # all are there, so nobody else has closed them

    in_process(in_own_world, LEADER, body)


def test_where_the_kernel_has_no_descriptors_of_processes_a_read_ends_as_well(monkeypatch):
    def refused(pid):
        raise OSError(errno.ENOSYS, "no such call")

    monkeypatch.setattr(os, "pidfd_open", refused, raising=False)

    def body(process):
        order(process, b"fe12345678")
        os.kill(process.pid, signal.SIGKILL)
        assert process.reader.read(1) == b""

    in_process(in_own_world, LEADER, body)


@in_both_worlds
def test_its_end_is_told_once(run):
    def body(system):
        process = system.machine.process(PROGRAM)
        told = []
        end = ScheduledFuture(system.scheduler)

        def tell():
            told.append(process.poll())
            end.offer()

        process.when_ended(tell)
        process.signal(signal.SIGKILL)
        assert end.settle(20.0)
        assert told == [-signal.SIGKILL]
        process.close()

    run(body)


@in_both_worlds
def test_what_it_uses_is_known_while_it_lives(run):
    def body(process):
        order(process, b"p")
        usage = process.usage()
        assert usage.virtual >= usage.resident > 0 <= usage.cpu
        process.limit(None)

    in_process(run, PROGRAM, body)


# --- Threads, locks and loops -----------------------------------------------------------------------------------------


@in_both_worlds
def test_a_thread_runs_beside_its_starter_until_its_work_is_done(run):
    def body(system):
        gate = ScheduledFuture(system.scheduler)
        thread = system.machine.thread(lambda: gate.settle(None), "test")
        assert not thread.join(0.01)
        assert not thread.is_current()
        gate.offer()
        assert thread.join(20.0)

    run(body)


@in_both_worlds
def test_a_lock_is_had_by_one(run):
    def body(system):
        lock = system.machine.lock()
        assert lock.acquire()
        assert not lock.acquire(timeout=0.01)
        had = []
        thread = system.machine.thread(lambda: had.append(lock.acquire(timeout=20.0)), "test")
        assert not thread.join(0.01)
        lock.release()
        assert thread.join(20.0)
        assert had == [True]
        assert not lock.acquire(timeout=0.01)
        lock.release()
        assert lock.acquire(timeout=0.01)

    run(body)


@in_both_worlds
def test_who_waits_for_something_to_be_true_is_woken_when_it_is(run):
    def body(system):
        signals, facts = system.machine.signals(), []

        def wait():
            with signals:
                facts.append(signals.wait_for(lambda: "now" in facts, 20.0))

        thread = system.machine.thread(wait, "test")
        with signals:
            facts.append("now")
            signals.notify_all()
        assert thread.join(20.0)
        assert facts == ["now", True]
        with signals:
            assert not signals.wait(0.01)
            assert not signals.wait_for(lambda: False, 0.01)

    run(body)


@in_both_worlds
def test_a_loop_runs_coroutines_and_hears_from_other_threads(run):
    def body(system):
        loop = system.machine.event_loop()
        heard = []

        async def main():
            answer = loop.create_future()
            thread = system.machine.thread(lambda: loop.call_soon_threadsafe(answer.set_result, "called"), "test")
            heard.append(await answer)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(loop.create_future(), 0.01)
            assert thread.join(20.0)

        try:
            loop.run_until_complete(main())
        finally:
            loop.close()
        assert heard == ["called"]

    run(body)
