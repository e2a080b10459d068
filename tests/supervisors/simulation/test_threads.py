"""Threads and locks of a simulated machine, and parts of it that are held still or ended."""

from __future__ import annotations

import pytest

from supervisors import Actor
from supervisors.runtime.fence import Fenced
from supervisors.runtime.futures import ScheduledFuture
from supervisors.simulation import Simulation, run_seed
from supervisors.simulation.threads import PartScheduler


def ok(workload, seed=1):
    outcome = run_seed(workload, seed)
    assert outcome.verdict == "ok", f"{outcome}\n{outcome.transcript}"
    return outcome


def a_part(simulation):
    scheduler = simulation.system.scheduler
    return PartScheduler(scheduler, scheduler.machine.new_part(), scheduler.machine)


class Noting(Actor):
    """Writes into a list when its timer comes."""

    def __init__(self, notes, seconds):
        super().__init__()
        self.notes = notes
        self.send_after(seconds, "now")

    def on_receive(self, message):
        self.notes.append((message, self.system.clock.monotonic()))


def test_the_seed_decides_which_of_two_threads_goes_first():
    def order_of(seed):
        with Simulation(seed) as simulation:
            order = []

            def workload(simulation):
                threads = [simulation.system.machine.thread(lambda n=n: order.append(n), "test") for n in range(2)]
                assert all(thread.join(None) for thread in threads)

            assert simulation.run(workload).verdict == "ok"
        return tuple(order)

    assert {order_of(seed) for seed in range(20)} == {(0, 1), (1, 0)}


def test_a_thread_that_never_ends_is_a_leak():
    def workload(simulation):
        gate = ScheduledFuture(simulation.system.scheduler)
        simulation.system.machine.thread(lambda: gate.settle(None), "test")

    outcome = run_seed(workload, 1)
    assert (outcome.verdict, outcome.by) == ("leak", "NothingLeft")


def test_timers_of_a_system_in_a_part_come_in_their_order_among_all_others():
    def workload(simulation):
        notes = []
        inner = a_part(simulation).system()
        for system, seconds in ((inner, 2.0), (simulation.system, 3.0), (inner, 4.0), (simulation.system, 1.0)):
            system.start(Noting, notes, seconds)
        simulation.sleep(10.0)
        assert notes == [("now", 1.0), ("now", 2.0), ("now", 3.0), ("now", 4.0)]

    ok(workload)


def test_what_is_held_still_goes_on_where_it_was():
    def workload(simulation):
        notes = []
        part = a_part(simulation)
        part.system().start(Noting, notes, 2.0)
        part.stop()
        simulation.sleep(10.0)
        assert part.is_held
        assert notes == []
        part.go_on()
        simulation.sleep(0.0)
        assert notes == [("now", 10.0)]

    ok(workload)


def test_nothing_of_a_part_that_was_ended_runs_again():
    def workload(simulation):
        notes = []
        part = a_part(simulation)

        def work():
            try:
                ScheduledFuture(part).settle(5.0)
            except Fenced:
                notes.append("ended")
                raise
            notes.append("went on")

        part.thread(work, "test")
        part.system().start(Noting, notes, 2.0)
        simulation.sleep(1.0)
        part.kill()
        part.kill()
        simulation.sleep(10.0)
        assert notes == ["ended"]
        with pytest.raises(Fenced):
            part.wait(ScheduledFuture(), 1.0)

    ok(workload)


def test_a_lock_goes_to_who_has_waited_longest():
    def workload(simulation):
        lock, order = simulation.system.machine.lock(), []
        assert lock.acquire()

        def take(number):
            simulation.sleep(float(number))
            assert lock.acquire()
            order.append(number)
            lock.release()

        answers = [simulation.client(take, number) for number in (3, 1, 2)]
        simulation.sleep(10.0)
        lock.release()
        for answer in answers:
            answer.get()
        assert order == [1, 2, 3]

    ok(workload)


def test_who_gives_up_a_lock_does_not_get_it_later():
    def workload(simulation):
        lock = simulation.system.machine.lock()
        assert lock.acquire()
        assert not lock.acquire(timeout=1.0)
        lock.release()
        assert lock.acquire(timeout=0.0)

    ok(workload)
