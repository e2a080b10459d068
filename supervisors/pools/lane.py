"""The lane: tasks that need no decision go from their submitters straight to threads.

Most tasks are plain: no priority, key, limit or retry, for a pool in which nothing is
amiss. What the engine would decide about them is always the same: whoever is free gets
the first one in line. So while nothing else goes on, the engine *releases* its plain
tasks and its workers to the lane (`effects.Release`). Submitters put tasks in, threads
take them out, and a task costs one lock twice instead of two turns of the pool's actor.

As soon as anything happens that does need a decision (a cancel, a checkout, a task
with a deadline, a death, a resize, the end), the pool's actor closes the lane first and
tells the engine what was in it (`inputs.Absorb`). So every decision is made by the engine,
with all the facts, and the lane knows no rule but this one: first come, first served.

**Who speaks for a task.** Each member has the task that the lane has assigned to it. A
thread that is through with a task asks `through()`. If the lane still has it assigned
to that thread, the lane has settled it. If not, the lane was closed meanwhile, the
task is the engine's again, and the thread tells the pool's actor as for any other task.
Both happen under the one lock, so each task is settled by exactly one of the two.

**Ctrl-C.** A submitter may be interrupted wherever it calls something. Under the lock
it therefore either calls nothing between two steps that belong together, or the step is
one call. The count of tasks taken in is not kept at all: it follows from what is there.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from typing import Any, Final, final

from supervisors.pools.effects import Release
from supervisors.pools.inputs import Absorb, LaneFigures
from supervisors.pools.records import QUEUED, RUNNING, SETTLED, Task
from supervisors.pools.tally import LaneView

__all__ = ["FULL", "KILLED", "OTHERS", "TAKEN", "TO_THE_ACTOR", "Lane", "Member"]

TO_THE_ACTOR: Final = 0
"""The lane is closed, or it is full and who has to give way is to be decided."""

TAKEN: Final = 1
"""The task is in the lane."""

FULL: Final = 2
"""There is no room, and the policy is to say so."""


@final
class _Word:
    """An answer of `Lane.through()` that is no task."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


OTHERS: Final[Any] = _Word("OTHERS")
"""The task is not the lane's: the pool's actor is to be told of its end."""

KILLED: Final[Any] = _Word("KILLED")
"""The thread was given up while it was at the task: nobody wants to hear of it."""


@final
class Member:
    """One thread, as the others see it.

    Attributes:
        worker: its number in the pool.
        inbox: what it is to do next, a task or a word.
        at: the task that it has begun and is not through with; None: none.
        assigned: the task that the lane has given it, begun or not; None: none.
        is_idle: it is in the lane's line of those that have nothing to do.
        is_abandoned: it was killed, so far as a thread can be.
        tasks_done: since the engine was told last.
    """

    __slots__ = ("assigned", "at", "inbox", "is_abandoned", "is_idle", "tasks_done", "worker")

    def __init__(self, worker: int) -> None:
        self.worker = worker
        self.inbox: queue.SimpleQueue[Task | str] = queue.SimpleQueue()
        self.at: Task | None = None
        self.assigned: Task | None = None
        self.is_idle = False
        self.is_abandoned = False
        self.tasks_done = 0


@final
class Lane:
    """Tasks in line, and who takes them, while the engine has released both.

    Args:
        count_max: tasks that may wait; None: any number.
        rejects: one task too many is refused; otherwise the engine decides who gives way.
        is_lifo: of those that are idle, the one that became so last is next.

    Thread: `open()`, `close()` and `look()` in the turn of the pool's actor; all else any.
    """

    __slots__ = (
        "_done",
        "_failed",
        "_idle",
        "_is_lifo",
        "_left_alone",
        "_lock",
        "_members",
        "_refused",
        "_rejects",
        "_released",
        "_runs",
        "_waiting",
        "_waits",
        "closing",
        "count_max",
        "is_open",
    )

    def __init__(self, count_max: int | None, *, rejects: bool, is_lifo: bool) -> None:
        self.count_max = 1 << 62 if count_max is None else count_max
        self._rejects = rejects
        self._is_lifo = is_lifo
        self._lock = threading.Lock()  # guards all below, and what members say but for their inboxes
        self.is_open = False
        self.closing: Absorb | None = None  # what `close()` gives back, until the engine has it all
        self._waiting: deque[Task] = deque()
        self._idle: deque[Member] = deque()
        self._members: dict[int, Member] = {}  # that the engine has released
        self._released = 0  # tasks that the engine has released, and still counts as its own
        self._done = 0  # this and all below: since the engine was told last
        self._failed = 0
        self._refused = 0
        self._runs: list[float] = []
        self._waits: list[float] = []
        self._left_alone = 0

    @property
    def left_alone(self) -> int:
        """Threads of killed workers that are still at what they did."""
        return self._left_alone

    # -- submitters ------------------------------------------------------------

    def offer(self, task: Task, now: float) -> int:
        """Take a plain task in, if that needs no decision: `TAKEN`, `FULL` or `TO_THE_ACTOR`."""
        task.submitted_at = task.queued_at = now
        with self._lock:
            if not self.is_open:
                return TO_THE_ACTOR
            idle = self._idle
            if idle:
                # No call until the task has been put, so no signal handler either.
                if self._is_lifo:
                    member = idle[-1]
                    del idle[-1]
                else:
                    member = idle[0]
                    del idle[0]
                member.is_idle = False
                member.assigned = task
                task.state = RUNNING
                member.inbox.put(task)
                return TAKEN
            waiting = self._waiting
            if len(waiting) < self.count_max:
                task.state = QUEUED
                waiting.append(task)
                return TAKEN
            if self._rejects:
                self._refused += 1
                return FULL
            return TO_THE_ACTOR

    # -- threads ---------------------------------------------------------------

    def begin(self, member: Member, task: Task, now: float) -> bool:
        """Note that a thread begins what it found in its inbox; False: it was killed, so it must not.

        Whoever kills looks at the same note under the same lock: either the thread
        has begun, and the killer knows, or it never will.
        """
        with self._lock:
            if member.is_abandoned:
                return False
            member.at = task
            if member.assigned is task and task.begun_at is None:  # else the engine has noted it
                self._note_begin(task, now)
            return True

    def through(self, member: Member, task: Task, begun: float, now: float, *, failed: bool, goes_on: bool) -> Any:
        """Note that a thread is through with a task, and give it the next one.

        Args:
            member: the thread.
            task: what it was at.
            begun: when it began, a reading of the clock.
            now: when it was through.
            failed: the function has raised.
            goes_on: it may begin another one at once; otherwise it will ask `take()`.

        Returns:
            The next task, begun; None: there is none; `OTHERS` or `KILLED`.
        """
        with self._lock:
            if member.is_abandoned:
                self._left_alone -= 1
                return KILLED
            if member.assigned is not task:
                return OTHERS
            task.state = SETTLED
            self._runs.append(now - begun)
            member.tasks_done += 1
            if failed:
                self._failed += 1
            else:
                self._done += 1
            return self._next(member, now) if goes_on else self._rest(member)

    def take(self, member: Member, now: float) -> Task | None:
        """Give a thread that has nothing to do its next task, begun; None: it will find it in its inbox."""
        with self._lock:
            if not self.is_open or member.is_idle or member.assigned is not None or member.worker not in self._members:
                return None
            return self._next(member, now)

    def release(self, member: Member) -> bool:
        """Note that a thread is through with what the engine had given it; False: it was killed."""
        with self._lock:
            if member.is_abandoned:
                self._left_alone -= 1
                return False
            member.at = None
            return True

    def abandon(self, member: Member) -> Task | None:
        """Give a thread up; return what it has begun."""
        with self._lock:
            member.is_abandoned = True
            if member.at is not None:
                self._left_alone += 1
            return member.at

    def _next(self, member: Member, now: float) -> Task | None:
        waiting = self._waiting
        if not waiting:
            member.assigned = member.at = None
            member.is_idle = True
            self._idle.append(member)
            return None
        task = waiting.popleft()
        task.state = RUNNING
        member.assigned = member.at = task
        self._note_begin(task, now)
        return task

    @staticmethod
    def _rest(member: Member) -> None:
        member.assigned = member.at = None

    def _note_begin(self, task: Task, now: float) -> None:
        task.begun_at = now
        task.attempts += 1
        self._waits.append(now - task.queued_at)

    # -- the pool's actor --------------------------------------------------------

    def open(self, release: Release, members: dict[int, Member]) -> None:
        """Take over what the engine has released."""
        with self._lock:
            running = dict(release.running)
            for worker in (*release.free, *running):
                member = members.get(worker) or Member(worker)  # it has just ended, and the engine will hear of it
                self._members[worker] = member
                member.assigned = running.get(worker)
                if member.assigned is None:
                    member.is_idle = True
                    self._idle.append(member)
            self.closing = None
            self._waiting.extend(release.queued)
            self._released = len(running) + len(release.queued)
            self.is_open = True
            while self._waiting and self._idle:
                member, task = self._idle.popleft(), self._waiting.popleft()
                member.is_idle = False
                member.assigned = task
                task.state = RUNNING
                member.inbox.put(task)

    def close(self) -> Absorb:
        """Give everything back.

        It is in `closing` before the first bit of it is taken out here. So when the actor is
        interrupted at any point until the engine has it, nothing of it is lost.
        """
        with self._lock:
            if self.closing is not None:
                return self.closing
            figures = self._new_figures()
            idle = [member.worker for member in self._idle]
            running, resetting, done = [], [], []
            for worker, member in self._members.items():
                if member.assigned is not None:
                    running.append((worker, member.assigned))
                elif not member.is_idle:
                    resetting.append(worker)
                if member.tasks_done:
                    done.append((worker, member.tasks_done))
            absorb = Absorb(figures, tuple(done), (*resetting, *idle), tuple(running), tuple(self._waiting))
            self.closing = absorb
            self.is_open = False
            for member in self._members.values():
                member.tasks_done = 0
                member.assigned = None
                member.is_idle = False
            self._told()
            self._idle.clear()
            self._members.clear()
            self._waiting.clear()
            self._released = 0
            return absorb

    def look(self) -> tuple[LaneFigures, LaneView]:
        """Return what has happened since the last time, and what there is now; it stays where it is."""
        with self._lock:
            figures = self._new_figures()
            self._released = self._here()
            self._told()
            busy = sum(1 for member in self._members.values() if member.assigned is not None)
            oldest = self._waiting[0].submitted_at if self._waiting else None
            return figures, LaneView(len(self._waiting), busy, len(self._idle), oldest)

    def _here(self) -> int:
        return len(self._waiting) + sum(1 for member in self._members.values() if member.assigned is not None)

    def _new_figures(self) -> LaneFigures:
        """Return what the engine has not been told; what came in is what went out and what is here."""
        submitted = self._done + self._failed + self._here() - self._released
        return LaneFigures(submitted, self._done, self._failed, self._refused, self._waits, self._runs)

    def _told(self) -> None:
        """Begin to count anew: the engine is told of all up to here."""
        self._done = self._failed = self._refused = 0
        self._waits, self._runs = [], []
