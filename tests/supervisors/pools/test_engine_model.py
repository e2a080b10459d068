"""Whatever happens, in whatever order: each task is settled once, keys keep their order, nobody is forgotten."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from supervisors.pools.options import Backlog, Recycle, Retry, Sizing
from supervisors.supervision.backoff import Backoff
from tests.supervisors.pools.pool_world import World

RETRIES = [
    Retry(),
    Retry(times=2, on=("died", "timeout", "error"), backoff=Backoff(min_seconds=0.5, max_seconds=4.0)),
    Retry(times=9, on=("died",), backoff=Backoff(min_seconds=0.5, max_seconds=1.0)),
]


class Pools(RuleBasedStateMachine):
    @initialize(
        size=st.integers(1, 3),
        max_overflow=st.integers(0, 2),
        strategy=st.sampled_from(["lifo", "fifo"]),
        router=st.sampled_from(["any", "any", "round_robin", "least_loaded"]),
        policy=st.sampled_from(["reject", "block", "drop_oldest", "shed_low_priority"]),
        count_max=st.sampled_from([1, 3, None]),
        bytes_max=st.sampled_from([10, None]),
        recycle_tasks=st.sampled_from([None, 2]),
        prefetch_max=st.sampled_from([1, 4]),
        grow_after=st.sampled_from([0.0, 1.0]),
        shrink_after=st.sampled_from([0.0, 2.0]),
        comes_up=st.booleans(),
        on_owner_death=st.sampled_from(["return", "replace"]),
        has_lane=st.booleans(),
    )
    def begin(self, *, policy, count_max, bytes_max, recycle_tasks, grow_after, shrink_after, comes_up, **options):
        if options["has_lane"]:
            options.update(router="any", prefetch_max=1)
            recycle_tasks = None
        self.world = World(
            comes_up=comes_up,
            backlog=Backlog(policy=policy, count_max=count_max, bytes_max=bytes_max),
            recycle=Recycle(tasks=recycle_tasks, age=7.0 if recycle_tasks or options["has_lane"] else None),
            sizing=Sizing(grow_after=grow_after, shrink_after=shrink_after),
            start_failures_max=3,
            **options,
        )
        self.tickets = []

    @rule(
        key=st.sampled_from([None, None, "a", "b", 3]),
        priority=st.sampled_from([0, 0, 1, -5]),
        size_bytes=st.sampled_from([0, 3, 9]),
        timeout=st.sampled_from([None, 1.0]),
        deadline=st.sampled_from([None, 0.5, 3.0]),
        retry=st.sampled_from(RETRIES),
        patience=st.sampled_from([0.0, 2.0]),
        count=st.integers(1, 4),
        place=st.sampled_from([None, None, None, 0, 5]),
    )
    def submit(self, count, **options):
        for _ in range(count):
            self.world.submit(**options)

    @rule(count=st.integers(1, 4))
    def submit_plain(self, count):
        for _ in range(count):
            self.world.submit_plain()

    @rule(data=st.data(), fails=st.booleans(), seconds=st.sampled_from([0.00001, 0.01, 5.0]))
    def finish(self, data, fails, seconds):
        world = self.world
        busy = [worker for worker, tasks in sorted(world.held.items()) if tasks]
        if busy:
            # Also a worker that was killed may have finished before the signal came.
            task = world.held[data.draw(st.sampled_from(busy))][0]
            world.finish(task, error=ValueError("no") if fails else None, seconds=seconds)

    @rule(data=st.data())
    def cancel(self, data):
        if self.world.accepted:
            self.world.cancel(data.draw(st.sampled_from(self.world.accepted)))

    @rule(data=st.data(), begun=st.booleans())
    def a_worker_dies(self, data, begun):
        world = self.world
        workers = sorted(set(world.held) | set(world.starting))
        if workers:
            world.die(data.draw(st.sampled_from(workers)), begun=begun)

    @rule()
    def what_is_taken_back_comes_back(self):
        for worker in sorted(self.world.revoked):
            self.world.hand_back(worker)

    @rule()
    def what_should_end_ends(self):
        self.world.end_what_should()

    @rule(data=st.data(), works=st.booleans())
    def a_start_ends(self, data, works):
        world = self.world
        if world.starting:
            worker = data.draw(st.sampled_from(sorted(world.starting)))
            if works:
                world.up(worker)
            else:
                world.fail_start(worker)

    @rule(seconds=st.sampled_from([0.1, 0.6, 1.1, 10.0]))
    def time_passes(self, seconds):
        self.world.advance(seconds)

    @rule(owner=st.sampled_from([None, "x", "y"]), wait=st.sampled_from([0.0, 2.0]))
    def checkout(self, owner, wait):
        self.tickets.append(self.world.checkout(owner, wait))

    @precondition(lambda self: self.tickets)
    @rule(data=st.data(), broken=st.booleans())
    def checkin(self, data, broken):
        self.world.checkin(data.draw(st.sampled_from(self.tickets)), broken=broken)

    @precondition(lambda self: self.tickets)
    @rule(data=st.data(), timeout=st.sampled_from([None, 1.0]))
    def call(self, data, timeout):
        self.world.submit(ticket=data.draw(st.sampled_from(self.tickets)), timeout=timeout)

    @rule(owner=st.sampled_from(["x", "y"]))
    def an_owner_dies(self, owner):
        self.world.owner_down(owner)

    @rule(data=st.data())
    def a_worker_waits(self, data):
        world = self.world
        busy = [worker for worker, tasks in sorted(world.held.items()) if tasks and tasks[0] in world.running]
        if busy:
            self.world.waits(data.draw(st.sampled_from(busy)))

    @rule(data=st.data())
    def a_worker_resumes(self, data):
        waiting = [worker.id for worker in self.world.engine.workers.values() if worker.waits]
        if waiting:
            self.world.resumes(data.draw(st.sampled_from(waiting)))

    @rule(size=st.integers(1, 4), max_overflow=st.integers(0, 2))
    def resize(self, size, max_overflow):
        self.world.resize(size, max_overflow)

    @rule(drain=st.sampled_from([0.0, 3.0]))
    def stop(self, drain):
        self.world.stop(drain)

    @invariant()
    def the_books_are_right(self):
        if hasattr(self, "world"):
            self.world.check()

    @invariant()
    def only_one_worker_is_recycled_at_a_time(self):
        if hasattr(self, "world"):
            leaving = [
                worker
                for worker in self.world.engine.workers.values()
                if worker.leaving and worker.recycle_wanted and worker.state == "up" and worker.place is not None
            ]
            assert len(leaving) <= 1

    def teardown(self):
        if not hasattr(self, "world"):
            return
        world = self.world
        world.stop(5.0)
        for _ in range(1000):
            if world.has_ended:
                break
            world.comes_up = True
            world.end_what_should()
            while world.starting:
                world.up(min(world.starting))
            for task in world.running:
                if task in [tasks[0] for tasks in world.held.values() if tasks]:
                    world.finish(task)
            world.advance(1.0)
            world.check()
        assert world.has_ended
        assert set(world.outcomes) == set(world.accepted)
        assert world.statistics.pending == 0
        assert world.engine.room.count == 0
        assert not world.engine.tickets


Pools.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestPools = Pools.TestCase
