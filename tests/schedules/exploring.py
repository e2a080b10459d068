"""What the exploration of schedules shares: an actor system in frontrun's hands.

frontrun runs each worker in a thread of its own, lets one of them go on at a time,
and tries the orders of those steps that depend on each other, with at most so many
preemptions. It steps by opcode, and it finds out which steps depend on each other by
following the evaluation stack. Four things are out of its sight, and made visible here:

* The value of an attribute with a slot: ``self._outer.append(x)`` looks like nothing.
  `Seen` is the list itself with methods in Python, in which `self` is in sight.
* ``gate += TOKEN`` and the truth of a list: opcodes that it takes for arithmetic.
  `Seen` makes calls of them.
* What is reached through slots has no lasting identity from one schedule to the next, and
  frontrun then takes different schedules for equal ones. `in_reach()` lists it all.
* Threads that it has not started. `Explored` is the real scheduler, but starts none:
  one of the explored threads does the work of a worker.
"""

from __future__ import annotations

import os
import queue
from collections import deque
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType, SimpleNamespace

import frontrun

from supervisors import ActorSystem, Entropy, VirtualClock
from supervisors.runtime import futures, turn
from supervisors.runtime.scheduler import ThreadScheduler
from supervisors.runtime.turn import Turn, thread_turn

__all__ = ["Explored", "Seen", "SeenDeque", "State", "explore", "in_reach", "new_system", "seen"]

# `make schedules` explores everything with two preemptions; the tests that are too
# large for that in the normal suite say how many they can afford.
THOROUGH = os.environ.get("SCHEDULES") == "thorough"

EXECUTIONS_MAX = 200_000 if THOROUGH else 3_000
"""An exploration that gets here has not been exhausted, and fails."""


class State(SimpleNamespace):
    """What the workers of one exploration share."""


class Seen(list):
    """A list whose every use frontrun can see: it knows calls of bound built-in methods."""

    def append(self, item):
        write = super().append
        write(item)

    def __iadd__(self, items):  # type: ignore[misc]  # of one kind only  # type: ignore[misc]  # less general than list's
        write = super().extend
        write(items)
        return self

    def __len__(self):
        read = super().__len__
        return read()

    def __getitem__(self, index):
        read = super().__getitem__
        return read(index)

    def __setitem__(self, index, items):
        write = super().__setitem__
        write(index, items)

    def __delitem__(self, index):
        write = super().__delitem__
        write(index)


class SeenDeque(deque):
    """A deque whose every use in a mailbox frontrun can see."""

    def __iadd__(self, items):  # type: ignore[misc]  # of one kind only
        write = super().extend
        write(items)
        return self

    def __delitem__(self, index):
        write = super().__delitem__
        write(index)

    def __len__(self):
        read = super().__len__
        return read()


class Explored(ThreadScheduler):  # type: ignore[misc]  # final for everybody else
    """The real scheduler, whose workers are threads of the exploration."""

    def _start_thread(self, number):
        """Start nothing: `work()` will be called."""

    def work(self):
        """Run what is queued now, as a worker would."""
        while True:
            try:
                ref = self._queue.get_nowait()
            except queue.Empty:
                return
            ref.run_owned()


def new_system(**options):
    """Return an actor system whose every lock is new, and which starts no thread."""
    turn.forget_threads()
    futures.forget_waits()
    system = ActorSystem(clock=VirtualClock(), entropy=Entropy(1), **options)
    system.scheduler = Explored(1, system.clock)
    return system


def seen(ref, ref_class=None):
    """Return an actor's ref with its mailbox in sight; of another class, to plant a bug."""
    ref._gate = Seen(ref._gate)
    ref._outer = Seen(ref._outer)
    if ref_class is not None:
        ref.__class__ = ref_class
    return ref


def in_reach(root):
    """Return every object of ours that can be reached, in an order that is always the same."""
    found, waiting, known = [], deque([root]), set()
    while waiting:
        each = waiting.popleft()
        if id(each) in known or isinstance(each, _LEAVES):
            continue
        known.add(id(each))
        found.append(each)
        if isinstance(each, (list, tuple, deque)):
            waiting.extend(each)
        elif isinstance(each, dict):
            waiting.extend(each.values())
        for kind in type(each).__mro__:
            names = vars(kind).get("__slots__", ())
            for name in sorted([names] if isinstance(names, str) else names):
                waiting.append(getattr(each, name, None))
        waiting.extend(value for _, value in sorted(getattr(each, "__dict__", {}).items()))
    return found


_LEAVES = (type(None), bool, int, float, str, bytes, type, ModuleType, FunctionType, MethodType, BuiltinFunctionType)


def explore(setup, workers, holds, *, preemptions=2, affordable=None, **options):
    """Explore to the end, or to the first schedule after which something does not hold.

    Args:
        setup: makes the state, anew for each schedule.
        workers: functions of the state; a thread each.
        holds: tells whether the state is right once all workers are through.
        preemptions: how often a thread that could go on may be made to wait; None: as often as you like.
        affordable: the same in the normal suite, where it has to be less.
        options: for `frontrun.explore()`.

    Returns:
        The number of schedules explored if it always held, None if it did not.
    """

    def start():
        state = setup()
        state.turns = [Turn() for _ in workers]
        state.in_reach = in_reach(state)
        return state

    def with_turn(number, worker):
        def run(state):
            # Each thread has its own; frontrun would take the assignment for one to something shared.
            vars(thread_turn).update(turn=state.turns[number])
            worker(state)

        return run

    bound = preemptions if affordable is None or THOROUGH else affordable
    result = frontrun.explore(
        start,
        [with_turn(number, worker) for number, worker in enumerate(workers)],
        holds,
        preemption_bound=bound,
        max_executions=EXECUTIONS_MAX,
        detect_io=False,
        reproduce_on_failure=0,
        timeout_per_run=60.0,
        deadlock_timeout=30.0,
        **options,
    )
    assert result.property_holds is not None, result.inconclusive_reason
    if THOROUGH:
        print(f"{result.num_explored} schedules, {bound} preemptions, holds: {result.property_holds}")  # noqa: T201
    if not result.property_holds:
        return None
    assert result.num_explored < EXECUTIONS_MAX, "not exhausted"
    return result.num_explored
