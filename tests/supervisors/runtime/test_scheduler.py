from __future__ import annotations

import queue
import threading
from functools import partial

import pytest

from supervisors import ActorDeadError, ActorSystem, SystemClock, UsageError
from supervisors.runtime import cell as cell_module
from supervisors.runtime import roster as roster_module
from supervisors.runtime import scheduler as scheduler_module
from supervisors.runtime.fence import Fenced
from supervisors.runtime.scheduler import ThreadScheduler
from supervisors.runtime.turn import thread_turn
from tests.supervisors.actors import Doer, SharedDoer, SharedEcho
from tests.supervisors.interrupting import interrupted

OURS = {scheduler_module.__file__, roster_module.__file__}


def until(condition):
    """Wait for what another thread is about to do; a test that fails hangs for 10 s."""
    clock = SystemClock()
    deadline = clock.monotonic() + 10
    while not condition():
        assert clock.monotonic() < deadline


@pytest.mark.parametrize("workers", [0, 257, -1])
def test_the_number_of_workers_has_bounds(workers):
    with pytest.raises(ValueError, match="workers") as caught:
        ActorSystem(workers=workers)
    assert caught.value.field == "workers"


@pytest.mark.parametrize("workers", [True, 1.5, "4"])
def test_the_number_of_workers_is_a_whole_number(workers):
    with pytest.raises(TypeError) as caught:
        ActorSystem(workers=workers)
    assert caught.value.field == "workers"


def test_workers_max_cannot_be_below_workers():
    with pytest.raises(ValueError, match="workers_max"):
        ThreadScheduler(4, SystemClock(), workers_max=3)


def test_workers_are_started_when_there_is_work_for_them():
    with ActorSystem() as system:
        system.start(Doer).ask("seen")
        assert system.scheduler.statistics()["started"] == 0
        system.start(SharedEcho).ask("x")
        assert system.scheduler.statistics()["started"] == 1


def test_workers_that_wait_do_not_stop_the_pool():
    with ActorSystem(workers=1) as system:

        def chain(depth):
            return lambda _: depth if not depth else system.start(SharedDoer).ask(chain(depth - 1)) + 1

        assert system.start(SharedDoer).ask(chain(20), timeout=20) == 20
        facts = system.scheduler.statistics()
        assert facts["compensated"] >= 20
        assert facts["waiting"] == 0


def test_the_pool_shrinks_back_after_compensating():
    with ActorSystem(workers=1) as system:
        gate = threading.Event()
        last = system.start(SharedDoer)
        refs = [system.start(SharedDoer) for _ in range(10)]
        futures = [ref.ask(lambda _: last.ask(lambda _: gate.wait(10)), block=False) for ref in refs]
        until(lambda: system.scheduler.statistics()["waiting"] == 10)
        until(lambda: system.scheduler.statistics()["workers"] == 11)  # the last one is started after it is counted
        gate.set()
        assert [future.get(timeout=10) for future in futures] == [True] * 10
        until(lambda: system.scheduler.statistics()["workers"] == 1)
        assert system.scheduler.statistics()["retired"] == 10


def test_compensation_has_a_limit_that_is_counted_and_logged_once(caplog):
    scheduler = ThreadScheduler(1, SystemClock(), workers_max=2)
    scheduler._roster._live, scheduler._roster._waiting = 2, 2
    scheduler.kick()
    scheduler.kick()
    assert scheduler.statistics()["at_limit"] == 2
    assert caplog.text.count("no more are started") == 1


def test_no_mailbox_waits_behind_a_busy_worker_while_others_may_start():
    # Two mailboxes are submitted while one worker is idle: it takes the first one
    # and blocks. The second one must get another worker.
    for _ in range(20):
        with ActorSystem(workers=2) as system:
            gate, passed = threading.Event(), threading.Event()
            blocker, opener = system.start(SharedDoer), system.start(SharedDoer)
            blocker.ask("seen")
            blocker.tell(lambda _, gate=gate, passed=passed: passed.set() if gate.wait(10) else None)
            opener.tell(lambda _, gate=gate: gate.set())
            assert passed.wait(5)


def all_idle(system, workers):
    """Have so many workers started, at work at the same time, and idle again."""
    together = threading.Barrier(workers)
    futures = [system.start(SharedDoer).ask(lambda _: together.wait(10), block=False) for _ in range(workers)]
    for future in futures:
        future.get(timeout=10)
    until(lambda: system.scheduler.statistics()["idle"] == workers)


def test_what_comes_one_by_one_is_done_by_the_same_worker():
    with ActorSystem(workers=4) as system:
        all_idle(system, 4)
        ref, threads = system.start(SharedDoer), set()
        for _ in range(50):
            threads.add(ref.ask(lambda _: threading.get_ident()))
            until(lambda: system.scheduler.statistics()["idle"] == 4)
        assert len(threads) == 1


def test_parked_workers_are_called_when_there_is_work_for_them():
    with ActorSystem(workers=4) as system:
        for _ in range(50):
            all_idle(system, 4)
        assert system.scheduler.statistics()["started"] == 4


def test_parked_workers_end_with_the_system():
    before = set(threading.enumerate())
    with ActorSystem(workers=4) as system:
        all_idle(system, 4)
        assert len(system.scheduler._roster._parked) == 3
    assert set(threading.enumerate()) <= before


def test_a_thread_that_cannot_be_started_costs_nothing_while_others_work(monkeypatch, caplog):
    with ActorSystem(workers=2) as system:
        ref, gate = system.start(SharedDoer), threading.Event()
        ref.tell(lambda _: gate.wait(10))

        def refuse(_):
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(threading.Thread, "start", refuse)
        future = ref.ask("seen", block=False)
        system.scheduler.kick()
        gate.set()
        assert future.get(timeout=10) == []
        monkeypatch.undo()
        assert system.scheduler.statistics()["workers"] == 1


def test_after_the_stop_dead_actors_still_answer_and_no_worker_starts():
    with ActorSystem(workers=1) as system:
        ref = system.start(SharedEcho)
    before = threading.active_count()
    with pytest.raises(ActorDeadError):
        ref.ask("there?")
    ref.send("nobody")
    assert threading.active_count() == before
    assert system.dead_letters == 1


def test_virtual_time_has_no_workers_to_choose():
    from supervisors import VirtualClock

    with pytest.raises(ValueError, match="no threads"):
        ActorSystem(clock=VirtualClock(), workers=2)


def test_settle_runs_what_is_ready_and_counts_mailboxes(system):
    ref = system.start(SharedEcho)
    ref.tell("x")
    assert system.scheduler.settle() == 1
    assert system.scheduler.settle() == 0


def test_settling_is_for_virtual_time(real):
    with pytest.raises(UsageError, match="VirtualClock"):
        real.settle()


def test_turns_that_wait_inside_turns_end_in_virtual_time(system):
    def chain(depth):
        return lambda _: depth if not depth else system.start(SharedDoer).ask(chain(depth - 1)) + 1

    assert system.start(SharedDoer).ask(chain(8)) == 8
    assert system.clock.monotonic() == 0.0


def test_a_worker_that_begins_while_another_is_told_to_stop_ends_too(monkeypatch):
    may_begin, is_there, may_take = threading.Event(), threading.Event(), threading.Event()
    is_busy, go_on = threading.Event(), threading.Event()
    workers = []

    def work(scheduler, counted, proper=ThreadScheduler._work):
        workers.append(threading.current_thread())
        if len(workers) == 2:
            assert may_begin.wait(10.0)
        proper(scheduler, counted)

    def hold(_):
        is_busy.set()
        go_on.wait(10.0)

    class Door(queue.SimpleQueue):
        """The second worker stands still once, between its look at the queue and what it takes out."""

        def get(self, *wanted, **how):
            if scheduler.is_stopped and threading.current_thread() in workers[1:]:
                is_there.set()
                assert may_take.wait(10.0)
            return super().get(*wanted, **how)

    monkeypatch.setattr(ThreadScheduler, "_work", work)
    with ActorSystem(workers=2) as system:
        scheduler = system.scheduler
        scheduler._queue = Door()
        scheduler._roster._queued = scheduler._queue.qsize
        scheduler.enqueue = scheduler._queue.put
        doers = [system.start(SharedDoer) for _ in range(2)]
        doers[0].tell(hold)
        assert is_busy.wait(10.0)
        doers[1].tell(lambda _: None)
        until(lambda: len(workers) == 2)
        assert scheduler.stop(0.0) == [workers[0].name]  # nobody knows the second yet
        may_begin.set()
        assert is_there.wait(10.0)
        go_on.set()
        may_take.set()
        for worker in workers:
            worker.join(10.0)
        assert not any(worker.is_alive() for worker in workers)


def _begin_late(monkeypatch, workers):
    """Have the threads of workers wait for the event that is returned before they begin."""
    may_begin = threading.Event()

    def work(scheduler, counted, proper=ThreadScheduler._work):
        workers.append(threading.current_thread())
        assert may_begin.wait(10.0)
        proper(scheduler, counted)

    monkeypatch.setattr(ThreadScheduler, "_work", work)
    return may_begin


class Task:
    """Stands where a mailbox is."""

    def __init__(self, run_owned):
        self.run_owned = run_owned


def test_the_last_worker_leaves_nothing_behind_the_word_to_stop(monkeypatch):
    workers, seen = [], []
    may_begin = _begin_late(monkeypatch, workers)
    scheduler = ThreadScheduler(1, SystemClock())
    scheduler.submit(Task(lambda: seen.append("first")))
    until(lambda: workers)
    assert scheduler.stop(0.0) == []  # nobody knows the worker yet
    scheduler.submit(Task(lambda: seen.append("second")))
    assert seen == ["first"]  # the other is left to the worker
    may_begin.set()
    workers[0].join(10.0)
    assert seen == ["first", "second"]


def test_who_runs_what_is_left_keeps_the_word_to_stop_from_nobody(monkeypatch):
    workers, words = [], []
    may_begin = _begin_late(monkeypatch, workers)
    scheduler = ThreadScheduler(1, SystemClock())
    scheduler.submit(Task(lambda: None))
    until(lambda: workers)
    for _ in range(2):
        scheduler.stop(0.0)
    scheduler.submit(Task(lambda: words.append(scheduler.statistics()["queued"])))  # it lies behind the word
    scheduler.stop(0.0)
    assert words == [3]
    may_begin.set()
    workers[0].join(10.0)
    assert not workers[0].is_alive()


def workers_at_rest(workers):
    """Return a scheduler whose workers all have nothing to do: one is at the queue, the others are parked."""
    scheduler, together = ThreadScheduler(workers, SystemClock()), threading.Barrier(workers)
    for _ in range(workers):
        scheduler.submit(Task(partial(together.wait, 10.0)))
    until(lambda: scheduler.statistics()["idle"] == workers)
    return scheduler


def test_a_worker_that_is_killed_goes_though_its_killer_takes_its_time(caplog):
    scheduler, turns = ThreadScheduler(1, SystemClock()), []

    def be_killed():
        turns.append(thread_turn.turn)
        raise Fenced

    scheduler.submit(Task(be_killed))
    until(lambda: turns and not scheduler._threads)  # it is not at the queue any more, nor parked
    scheduler.abandon(turns[0])
    facts = scheduler.statistics()
    assert (facts["workers"], facts["idle"], facts["abandoned"]) == (0, 0, 1)
    scheduler.submit(Task(lambda: turns.append("another")))
    until(lambda: len(turns) == 2)
    assert scheduler.stop(10.0) == []
    assert scheduler.statistics()["workers"] == 0


def test_who_runs_what_is_left_is_no_worker_and_cannot_be_abandoned():
    scheduler = ThreadScheduler(1, SystemClock())
    scheduler.stop(0.0)
    scheduler.submit(Task(lambda: scheduler.abandon(thread_turn.turn)))
    facts = scheduler.statistics()
    assert (facts["workers"], facts["abandoned"], facts["queued"]) == (0, 0, 0)
    assert not thread_turn.turn.abandoned


def test_a_worker_that_is_abandoned_while_it_waits_does_not_count_as_waiting():
    with ActorSystem(workers=1) as system:
        entered, gate = threading.Event(), threading.Event()
        asker, asked = system.start(SharedDoer), system.start(SharedDoer)

        def hold(_):
            entered.set()
            gate.wait(10)

        waits = asker.ask(lambda _: asked.ask(hold), block=False)
        assert entered.wait(10)
        asker.kill()
        facts = system.scheduler.statistics()
        assert (facts["workers"], facts["waiting"], facts["abandoned"]) == (1, 0, 1)
        gate.set()
        with pytest.raises(ActorDeadError):
            waits.get(timeout=10)
        until(lambda: len(system.scheduler._threads) == 1)
        facts = system.scheduler.statistics()
        assert (facts["workers"], facts["waiting"]) == (1, 0)


def test_a_keyboard_interrupt_leaves_no_worker_parked_for_ever():
    position = 1
    while position:
        scheduler, ran = workers_at_rest(2), []
        begun, go_on = threading.Event(), threading.Event()
        scheduler.submit(Task(lambda begun=begun, go_on=go_on: begun.set() or go_on.wait(10)))
        assert begun.wait(10)
        work = partial(scheduler.submit, Task(partial(ran.append, "first")))
        reached = interrupted(position, work, OURS)
        scheduler.submit(Task(partial(ran.append, "second")))
        until(lambda ran=ran: "second" in ran)
        go_on.set()
        assert scheduler.stop(10.0) == []
        position = position + 1 if reached else 0


def test_a_keyboard_interrupt_counts_no_worker_that_was_never_started():
    position = 1
    while position:
        scheduler, ran = ThreadScheduler(1, SystemClock()), []
        work = partial(scheduler.submit, Task(partial(ran.append, "first")))
        reached = interrupted(position, work, OURS)
        scheduler.submit(Task(partial(ran.append, "second")))
        until(lambda ran=ran: "second" in ran)
        assert scheduler.stop(10.0) == []
        position = position + 1 if reached else 0


def test_a_keyboard_interrupt_while_a_thread_starts_leaves_it_counted_once(monkeypatch):
    scheduler, ran = ThreadScheduler(1, SystemClock()), []
    start = threading.Thread.start

    def interrupted_start(thread):
        start(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted_start)
    with pytest.raises(KeyboardInterrupt):
        scheduler.submit(Task(partial(ran.append, "first")))
    monkeypatch.undo()
    until(lambda: ran)
    until(lambda: scheduler.statistics()["idle"] == 1)
    assert scheduler.statistics()["workers"] == 1
    assert not scheduler._roster._beginning
    assert scheduler.stop(10.0) == []


def test_a_thread_whose_starter_has_given_up_is_no_worker():
    scheduler, ran = ThreadScheduler(1, SystemClock()), []
    scheduler.enqueue(Task(partial(ran.append, "never")))
    scheduler._work([])
    assert (ran, scheduler.statistics()["workers"]) == ([], 0)


def test_a_keyboard_interrupt_leaves_no_message_that_nobody_runs():
    position = 1
    while position:
        with ActorSystem(workers=2) as system:
            begun, go_on = threading.Event(), threading.Event()

            def hold(_, begun=begun, go_on=go_on):
                begun.set()
                go_on.wait(10)

            blocked, ref = system.start(SharedDoer), system.start(SharedDoer)
            blocked.tell(hold)
            assert begun.wait(10)
            reached = interrupted(position, partial(ref.tell, "seen"), OURS | {cell_module.__file__})
            answers = []
            asker = threading.Thread(
                target=lambda ref=ref, answers=answers: answers.append(ref.ask("seen", timeout=10))
            )
            asker.start()
            asker.join()
            assert answers
            go_on.set()
        position = position + 1 if reached else 0


def test_an_abandonment_that_was_interrupted_can_be_repeated():
    position = 1
    while position:
        scheduler, turns, ran = ThreadScheduler(1, SystemClock()), [], []
        go_on = threading.Event()

        def hold(turns=turns, go_on=go_on):
            turns.append(thread_turn.turn)
            go_on.wait(10)

        scheduler.submit(Task(hold))
        until(lambda turns=turns: turns)
        reached = interrupted(position, partial(scheduler.abandon, turns[0]), OURS)
        scheduler.abandon(turns[0])
        scheduler.submit(Task(partial(ran.append, "another")))
        until(lambda ran=ran: ran)
        go_on.set()
        assert scheduler.stop(10.0) == []
        assert scheduler.statistics()["workers"] == 0
        position = position + 1 if reached else 0


def test_a_stop_that_was_interrupted_can_be_repeated():
    position = 1
    while position:
        scheduler = workers_at_rest(3)
        reached = interrupted(position, partial(scheduler.stop, 10.0), OURS)
        assert scheduler.stop(10.0) == []
        assert scheduler.statistics()["workers"] == 0
        position = position + 1 if reached else 0
