"""No schedule of senders and workers leaves a mailbox lying beside a worker with nothing to do, or a worker parked."""

from __future__ import annotations

import queue
import threading
from functools import partial

from supervisors import VirtualClock
from supervisors.runtime.fence import Fenced
from supervisors.runtime.roster import Roster
from supervisors.runtime.scheduler import ThreadScheduler
from tests.schedules import exploring
from tests.schedules.exploring import Explored, State

# A worker that nobody calls sleeps for ever: on a virtual clock frontrun sees that, and calls it a deadlock.
explore = partial(exploring.explore, clock="virtual")


class Forgotten(set):
    """Where a scheduler keeps its threads; whoever stops it shall not wait for the explored ones."""

    def add(self, thread):
        """Keep nothing."""


class Task:
    """Stands where a mailbox is."""

    def __init__(self, run_owned):
        self.run_owned = run_owned


class CountsTheParkedAsBusy(Roster):  # type: ignore[misc]  # final for everybody else
    """Planted: whoever puts something in believes that a parked worker will come and look."""

    __slots__ = ()

    def _running(self):
        return self._live - self._waiting


class OpensBeforeItSaysSo(Roster):  # type: ignore[misc]  # as above
    """Planted: the parked are sent to the queue before it is known that they must not be parked again."""

    __slots__ = ()

    def stop(self):
        with self._lock:
            while self._parked:
                self._call()
        with self._lock:
            self.is_stopping = True
        return True


class CountsOutAgain(Roster):  # type: ignore[misc]  # as above
    """Planted: whoever sees that a worker is no more counts it out."""

    __slots__ = ()

    def _count_out(self, turn):
        self._live -= 1
        return True


class TrustsWhoRuns(Roster):  # type: ignore[misc]  # as above
    """Planted: while somebody runs a mailbox, nobody needs to look whether that takes too long."""

    __slots__ = ()

    def is_short(self):
        return not self._running()


def pool(workers, roster_class=Roster, *, has_gil=False):
    """Return a setup: a scheduler all of whose workers have been started, and begin when they get to it."""

    def setup():
        exploring.new_system()
        scheduler = Explored(workers, VirtualClock(), has_gil=has_gil)
        scheduler._threads = Forgotten()
        scheduler._queue = queue.Queue()  # frontrun knows no SimpleQueue
        scheduler.enqueue = scheduler._queue.put
        roster = scheduler._roster
        roster.__class__ = roster_class
        roster._queued = scheduler._queue.qsize
        roster._live = roster._started = roster._beginning = workers
        return State(scheduler=scheduler, passed=threading.Semaphore(0))

    return setup


def work(state):
    ThreadScheduler._work(state.scheduler, [None])


def needing_another(roster_class=Roster, *, has_gil=False):
    """Return a setup: two workers begin; whoever gets the mailbox that waits there needs the other one for a second."""

    def setup():
        state = pool(2, roster_class, has_gil=has_gil)()

        def first():
            state.scheduler.submit(Task(state.passed.release))
            state.passed.acquire()
            state.scheduler.stop(0.0)

        state.scheduler.enqueue(Task(first))
        return state

    return setup


def all_through(state):
    facts = state.scheduler.statistics()
    return not any(facts[name] for name in ("workers", "idle", "waiting", "queued"))


def test_a_mailbox_gets_a_worker_whether_it_is_being_parked_or_not():
    assert explore(needing_another(), [work, work], all_through, affordable=0)


def test_a_worker_that_is_left_parked_beside_a_mailbox_would_be_found():
    assert explore(needing_another(CountsTheParkedAsBusy), [work, work], all_through, affordable=1) is None


def test_a_mailbox_behind_a_worker_that_is_stuck_gets_the_one_on_standby():
    assert explore(needing_another(has_gil=True), [work, work], all_through, affordable=1)


def test_a_mailbox_that_nobody_looks_after_would_be_found():
    assert explore(needing_another(TrustsWhoRuns, has_gil=True), [work, work], all_through, affordable=1) is None


def beside_one_at_the_queue(roster_class=Roster):
    """Return a setup: a worker begins while another one is at the queue; that is none of the explored threads."""

    def setup():
        state = pool(2, roster_class)()
        state.scheduler._roster.idle = 1
        state.scheduler._roster._beginning = 1
        return state

    return setup


def stop(state):
    state.scheduler.stop(0.0)


def has_ended(state):
    facts = state.scheduler.statistics()
    return (facts["workers"], facts["idle"]) == (1, 1)


def test_a_stop_ends_a_worker_that_is_about_to_be_parked():
    assert explore(beside_one_at_the_queue(), [work, stop], has_ended, affordable=1)


def test_a_worker_that_is_parked_after_the_stop_would_be_found():
    assert explore(beside_one_at_the_queue(OpensBeforeItSaysSo), [work, stop], has_ended) is None


def killed(roster_class=Roster):
    """Return a setup: as above, and the worker finds a mailbox whose actor is killed while it runs."""

    def setup():
        state = beside_one_at_the_queue(roster_class)()
        state.scheduler.enqueue(Task(be_killed))
        return state

    return setup


def be_killed():
    raise Fenced


def abandon(state):
    state.scheduler.abandon(state.turns[0])


def counted_out_once(state):
    facts = state.scheduler.statistics()
    return (facts["workers"], facts["idle"], facts["abandoned"]) == (1, 1, 1)


def test_a_killed_worker_is_counted_out_once():
    assert explore(killed(), [work, abandon], counted_out_once)


def test_a_killed_worker_that_is_counted_out_twice_would_be_found():
    assert explore(killed(CountsOutAgain), [work, abandon], counted_out_once) is None


class MarksWhoRests(Roster):  # type: ignore[misc]  # as above
    """Planted: whoever was seen in a turn that takes too long is believed to be in it still."""

    __slots__ = ()

    def is_late(self, turn):
        with self._lock:
            replies = self._members.get(turn)
            if replies is not None:
                turn.is_late = True
                self._members[turn] = replies + 1
                self._waiting += not replies
        return replies is not None


def watched(roster_class=Roster):
    """Return a setup: as above, and the worker finds a mailbox that is said to take too long."""

    def setup():
        state = beside_one_at_the_queue(roster_class)()
        state.scheduler.enqueue(Task(has_run))
        return state

    return setup


def has_run():
    """Do nothing that takes long."""


def relieve(state):
    state.scheduler.relieve(state.turns[0])
    state.counts = state.scheduler.statistics()
    state.scheduler.stop(0.0)


def counted_once(state):
    counts, facts = state.counts, state.scheduler.statistics()
    return counts["waiting"] + counts["idle"] <= counts["workers"] and (facts["workers"], facts["waiting"]) == (1, 0)


def test_a_worker_that_comes_back_while_it_is_found_late_does_not_count_as_waiting():
    assert explore(watched(), [work, relieve], counted_once, affordable=1)


def test_a_worker_that_counts_as_waiting_while_it_rests_would_be_found():
    assert explore(watched(MarksWhoRests), [work, relieve], counted_once) is None
