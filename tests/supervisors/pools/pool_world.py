"""A world without threads for the engine of a pool: workers are entries in a dict, time is a number."""

from __future__ import annotations

from collections import Counter

from supervisors.pools.effects import (
    Admit,
    Complete,
    Deny,
    Ended,
    Fail,
    GiveBack,
    KillWorker,
    Lend,
    Note,
    Refuse,
    Release,
    ResetWorker,
    Revoke,
    Send,
    StartWorker,
    StopWorker,
)
from supervisors.pools.engine import PoolEngine
from supervisors.pools.inputs import (
    Begin,
    Cancel,
    CheckIn,
    CheckOut,
    Down,
    Finished,
    HandedBack,
    Measured,
    OwnerDown,
    Resize,
    Resumes,
    StartFailed,
    Stop,
    Submit,
    Tick,
    Up,
    Waits,
)
from supervisors.pools.lane import OTHERS, TAKEN, TO_THE_ACTOR, Lane, Member
from supervisors.pools.options import PoolOptions
from supervisors.pools.records import LENT, RUNNING, SETTLED, Task, Ticket


class World:
    """Performs what the engine wants, and remembers it.

    `comes_up` decides whether a worker that is started is up at once; `has_lane`, whether
    plain tasks go past the engine through a real `Lane`.
    """

    def __init__(self, *, comes_up=True, has_lane=False, draw=lambda: 0.0, **options):
        options.setdefault("size", 2)
        self.engine = PoolEngine(PoolOptions(**options), draw)
        self.now = 0.0
        settings = self.engine.options
        self.lane = Lane(
            settings.backlog.count_max,
            rejects=settings.backlog.policy == "reject",
            is_lifo=settings.strategy == "lifo",
        )
        self.members = {}
        self.engine.has_lane = has_lane and settings.has_plain_tasks
        self.comes_up = comes_up
        self.starting = {}  # worker -> place
        self.held = {}  # worker that is up -> tasks it was given
        self.stopping = set()
        self.killed = set()
        self.revoked = set()
        self.outcomes = {}  # task -> ("done", value), ("failed", error) or ("returned", begun)
        self.refused = {}
        self.admitted = []
        self.lent = {}
        self.denied = {}
        self.resets = Counter()
        self.notes = []
        self.accepted = []
        self.begun_order = []
        self.has_ended = False
        self.tell(Begin())

    def close_lane(self):
        if self.lane.is_open:
            for effect in self.engine.decide(self.lane.close(), self.now):
                self.perform(effect)

    def tell(self, event):
        self.close_lane()
        effects = self.engine.decide(event, self.now)
        for effect in effects:
            self.perform(effect)
        self.forget_leases_that_are_over()
        if self.comes_up:
            while self.starting:
                self.up(min(self.starting))
        return effects

    def forget_leases_that_are_over(self):
        for ticket in [ticket for ticket in self.lent if ticket.state is not LENT]:
            del self.lent[ticket]

    def perform(self, effect):  # noqa: C901, PLR0912 - one case for each kind of effect
        match effect:
            case Send(worker, task):
                assert worker in self.held, f"{task} was given to worker {worker}, which is not up"
                assert worker not in self.killed
                assert worker not in self.stopping
                self.held[worker].append(task)
                self.begun_order.append(task)
            case Complete(task, value):
                self.settle(task, "done", value)
            case Fail(task, error):
                self.settle(task, "failed", error)
            case GiveBack(task, begun):
                self.settle(task, "returned", begun)
            case Refuse(task, error):
                assert task not in self.refused
                self.refused[task] = error
            case Admit(task):
                self.admitted.append(task)
                self.accepted.append(task)
            case Lend(ticket, worker):
                self.forget_leases_that_are_over()
                assert worker not in self.lent.values()
                assert not self.held[worker]
                self.lent[ticket] = worker
            case Deny(ticket, error):
                self.denied[ticket] = error
            case StartWorker(worker, place):
                self.starting[worker] = place
            case StopWorker(worker):
                assert worker not in self.stopping
                self.stopping.add(worker)
            case KillWorker(worker, _):
                self.killed.add(worker)
            case Release():
                self.lane.open(effect, self.members)
                self.look_into_inboxes()
            case Revoke(worker):
                self.revoked.add(worker)
            case ResetWorker(worker):
                self.resets[worker] += 1
            case Note():
                self.notes.append(effect.what)
            case Ended():
                assert not self.has_ended
                self.has_ended = True

    def look_into_inboxes(self):
        for worker, member in self.members.items():
            while not member.inbox.empty():
                task = member.inbox.get()
                self.held[worker].append(task)
                self.begun_order.append(task)
                assert self.lane.begin(member, task, self.now)

    def settle(self, task, how, what):
        assert task not in self.outcomes, f"{task} is settled twice"
        assert task not in self.refused
        assert task.state is SETTLED
        self.outcomes[task] = (how, what)

    # -- verbs for tests -------------------------------------------------------

    def submit(self, payload=None, patience=0.0, **options):
        retry = options.pop("retry", self.engine.options.retry)
        task = Task(payload, None, retry, **options)
        self.tell(Submit(task, patience))
        if task not in self.refused and task.state != "waiting":
            self.accepted.append(task)
        return task

    def submit_plain(self):
        """Submit as `WorkerPool` does: through the lane if that is open."""
        task = Task(None, None, self.engine.options.retry, is_plain=self.engine.options.has_plain_tasks)
        answer = self.lane.offer(task, self.now) if task.is_plain else TO_THE_ACTOR
        if answer == TAKEN:
            self.accepted.append(task)
            self.look_into_inboxes()
        elif answer == TO_THE_ACTOR:
            self.tell(Submit(task))
            if task not in self.refused:
                self.accepted.append(task)
        return task

    def submit_many(self, count, **options):
        return [self.submit(**options) for _ in range(count)]

    def up(self, worker):
        self.starting.pop(worker)
        self.held[worker] = []
        self.members[worker] = Member(worker)
        self.tell(Up(worker))

    def fail_start(self, worker, error="broken"):
        self.starting.pop(worker)
        self.tell(StartFailed(worker, error))

    def finish(self, task, value="value", error=None, seconds=0.01):
        """The worker that has the task is through with it; it must be the first one that it has."""
        worker = self.holder(task)
        assert self.held[worker][0] is task
        self.held[worker].pop(0)
        member = self.members[worker]
        following = self.lane.through(
            member, task, self.now - seconds, self.now, failed=error is not None, goes_on=error is None
        )
        if following is not OTHERS:
            self.settle(task, "failed" if error else "done", error or value)
            if error is not None:
                following = self.lane.take(member, self.now)
            if following is not None:
                self.held[worker].append(following)
                self.begun_order.append(following)
            return
        self.lane.release(member)
        self.tell(Finished(worker, task, value, error, seconds))

    def die(self, worker, reason="died", *, begun=True):
        """A worker ends, at its first task or before it."""
        tasks = self.held.pop(worker, [])
        self.members.pop(worker, None)
        self.starting.pop(worker, None)
        self.stopping.discard(worker)
        self.killed.discard(worker)
        for ticket in [ticket for ticket, lent in self.lent.items() if lent == worker]:
            del self.lent[ticket]
        self.tell(Down(worker, reason, tasks[0] if tasks and begun else None))

    def hand_back(self, worker):
        """What the worker has not begun comes back."""
        self.revoked.discard(worker)
        tasks = self.held.get(worker, [])
        back, tasks[1:] = tasks[1:], []
        self.tell(HandedBack(worker, tuple(back)))

    def end_what_should(self):
        """Workers that were stopped or killed end."""
        for worker in sorted(self.killed):
            self.die(worker, "killed")
        for worker in sorted(self.stopping):
            if worker in self.starting or not self.held.get(worker):
                self.die(worker, "stopped", begun=False)

    def cancel(self, task):
        self.tell(Cancel(task))

    def advance(self, seconds):
        """Let time pass, with a tick whenever the engine wants one."""
        until = self.now + seconds
        while (due := self.engine.next_due()) is not None and due <= until:
            self.now = max(self.now, due)
            self.tell(Tick())
        self.now = until

    def checkout(self, owner=None, wait=5.0):
        ticket = Ticket(owner, None, wait)
        self.tell(CheckOut(ticket))
        return ticket

    def checkin(self, ticket, *, broken=False):
        self.lent.pop(ticket, None)
        self.tell(CheckIn(ticket, broken))

    def owner_down(self, owner):
        for ticket in [each for each in self.lent if each.owner == owner]:
            del self.lent[ticket]
        self.tell(OwnerDown(owner))

    def waits(self, worker):
        self.tell(Waits(worker))

    def resumes(self, worker):
        self.tell(Resumes(worker))

    def measure(self, worker, rss_bytes):
        self.tell(Measured(worker, rss_bytes))

    def resize(self, size, max_overflow=0):
        self.tell(Resize(size, max_overflow))

    def stop(self, drain=0.0):
        self.tell(Stop(drain))

    # -- what there is -----------------------------------------------------------

    def holder(self, task):
        return next(worker for worker, tasks in self.held.items() if task in tasks)

    @property
    def running(self):
        """Tasks in the hands of workers whose word counts."""
        return [
            task
            for worker, tasks in sorted(self.held.items())
            for task in tasks
            if task.state is RUNNING
            and (self.members[worker].assigned is task or (task.worker is not None and task.worker.id == worker))
        ]

    @property
    def available(self):
        """Workers that are up and not on their way out."""
        return sorted(set(self.held) - self.stopping - self.killed)

    def result(self, task):
        return self.outcomes.get(task, (task.state, None))[0]

    def error(self, task):
        how, what = self.outcomes[task]
        assert how == "failed"
        return what

    @property
    def statistics(self):
        if not self.lane.is_open:
            return self.engine.statistics(self.now)
        figures, view = self.lane.look()
        self.engine.count(figures)
        return self.engine.statistics(self.now, view)

    def check(self):
        """What holds after every step."""
        facts = self.statistics
        assert facts.submitted == facts.done + facts.failed + facts.returned + facts.pending
        assert facts.submitted == len(self.accepted)
        assert facts.pending == len(self.accepted) - len(self.outcomes)
        unsettled = [task for task in self.accepted if task not in self.outcomes]
        waiting = [task for task in unsettled if task.state in ("queued", "backing_off") and task.ticket is None]
        assert facts.queued == len(waiting)
        assert facts.queued_bytes == sum(task.size_bytes for task in waiting)
        assert facts.lent == len(self.lent)
        for line in (self.engine.shared, *self.engine.local):
            assert len(line) == sum(1 for task in waiting if task.line is line)
        keys = Counter(task.key for task in self.running if task.key is not None and task.ticket is None)
        assert all(count == 1 for count in keys.values()), keys
        idle = [
            worker
            for worker in self.available
            if not self.held[worker] and worker not in self.lent.values() and not self.engine.workers[worker].leaving
        ]
        if idle:
            # Nobody may wait for any worker while one has nothing to do.
            assert not self.engine.tickets
            assert not [task for task in waiting if task.line is self.engine.shared or self.lane.is_open]
        if waiting and facts.state == "running":
            # Something is on its way that will let them go on.
            assert self.available or self.starting or self.engine.next_due() is not None
