"""What test_torture.py runs, each part in a process of its own; prints figures as JSON."""

from __future__ import annotations

import collections
import gc
import json
import logging
import random
import resource
import sys
import threading
import time
import tracemalloc
from pathlib import Path
from typing import Any

from supervisors import (
    Actor,
    ActorDeadError,
    ActorSystem,
    AskTimeoutError,
    DeadlockError,
    Exit,
    Exited,
    StartError,
)

DEADLINE = 5.0
"""Seconds that each ask may take."""

GRACE = 5.0
"""Seconds on top, for a machine that has other things to do."""


class Ours(Exception):  # noqa: N818 - what a handler raises
    """The handler's own exception."""


class Subject(Actor):
    """Answers, asks others, links, monitors, crashes, as it is told."""

    dispatch = "inline"

    def on_receive(self, message):
        if isinstance(message, Exited) and message.source is None:
            raise Exit(message.reason)  # one that traps exits stops when it is told to
        if not isinstance(message, tuple):
            return None
        verb, other = message
        if verb == "ask":
            return other.ask(("echo", None), timeout=DEADLINE)
        if verb == "link":
            self.link(other)
        elif verb == "monitor":
            self.demonitor(self.monitor(other), flush=True)
            self.monitor(other)
        elif verb == "trap":
            self.trap_exit()
        elif verb == "raise":
            raise Ours
        return verb


class CrashingSubject(Subject):
    crash_on_ask_error = True


class SharedSubject(Subject):
    dispatch = "shared"


class SharedCrashingSubject(CrashingSubject):
    dispatch = "shared"


KINDS = (Subject, SharedSubject, CrashingSubject, SharedCrashingSubject)

VERBS = (
    *["echo"] * 60,
    *["ask"] * 20,
    *["monitor"] * 6,
    *["link"] * 2,
    "trap",
    *["raise"] * 3,
    "stop",
    "exit",
    "kill",
    "tell",
    "future",
)


class Asks:
    """64 callers ask 1,000 actors that others stop, kill and crash meanwhile."""

    def __init__(self, system, actors, seconds):
        self.system = system
        self.refs = [system.start(KINDS[number % len(KINDS)]) for number in range(actors)]
        self.until = time.monotonic() + seconds
        self.ends = collections.Counter()
        self.unexpected = collections.Counter()
        self.asked = collections.Counter()
        self.late = 0
        self.lock = threading.Lock()

    def call(self, seed):
        rng = random.Random(seed)
        ends, unexpected, verbs = collections.Counter(), collections.Counter(), collections.Counter()
        late = 0
        while time.monotonic() < self.until:
            place = rng.randrange(len(self.refs))
            ref = self.refs[place]
            verb = rng.choice(VERBS)
            verbs[verb] += 1
            began = time.monotonic()
            try:
                self.do(verb, ref, rng)
                ends["value"] += 1
            except (Ours, ActorDeadError, AskTimeoutError, DeadlockError) as error:
                ends[type(error).__name__] += 1
            except Exception as error:  # noqa: BLE001 - that is what we look for
                unexpected[repr(error)[:200]] += 1
            # One ask may wait for another one, which may wait as long.
            late += time.monotonic() - began > 2 * DEADLINE + GRACE
            if not ref.is_alive() and self.refs[place] is ref:
                self.refs[place] = self.system.start(KINDS[place % len(KINDS)])
        with self.lock:
            self.ends += ends
            self.unexpected += unexpected
            self.asked += verbs
            self.late += late

    def do(self, verb, ref, rng):
        other = self.refs[rng.randrange(len(self.refs))]
        if verb == "kill":
            ref.kill()
        elif verb == "exit":
            ref.exit("over")
        elif verb == "stop":
            ref.stop(timeout=DEADLINE)
        elif verb == "tell":
            ref.tell(("raise", None))
        elif verb == "future":
            ref.ask(("ask", other), block=False).get(timeout=DEADLINE)
        else:
            ref.ask((verb, other), timeout=DEADLINE)


def asks(*, seconds, callers, actors, switch_interval):
    if switch_interval is not None:
        sys.setswitchinterval(switch_interval)
    gc.collect()
    files, threads = open_files(), set(threading.enumerate())
    with ActorSystem(workers=4, slow_inline_turn=None) as system:
        run = Asks(system, actors, seconds)
        crew = [threading.Thread(target=run.call, args=(seed,)) for seed in range(callers)]
        began = time.monotonic()
        for each in crew:
            each.start()
        for each in crew:
            each.join(seconds + 4 * DEADLINE + GRACE)
        hung = sum(each.is_alive() for each in crew)
        took = time.monotonic() - began
        left = system.stop()
        counts = system.statistics()
        workers = system.scheduler.statistics()
    deadline = time.monotonic() + GRACE
    left_threads = [each for each in threading.enumerate() if each not in threads]
    for each in left_threads:
        each.join(max(0.0, deadline - time.monotonic()))
    return {
        "calls": run.asked.total(),
        "calls_per_s": round(run.asked.total() / took),
        "ends": run.ends,
        "unexpected": run.unexpected,
        "late": run.late + hung,
        "killed": run.asked["kill"],
        "crashed": counts["crashes"],
        "started": system._number,
        "dead_letters": counts["dead_letters"],
        "most_workers": workers["peak"],
        "abandoned": workers["abandoned"],
        "actors_left": counts["actors"] + len(left),
        "threads_left": [each.name for each in left_threads if each.is_alive()],
        "files_left": open_files() - files,
    }


class Sink(Actor):
    """Counts; its mailbox has a bound, and senders wait for room."""

    dispatch = "shared"
    mailbox_policy = "block"
    mailbox_patience = 60.0

    def __init__(self):
        super().__init__()
        self.count = 0
        self.longest = 0

    def on_receive(self, message):
        if message is None:
            return self.count, self.longest
        self.count += 1
        self.longest = max(self.longest, len(self.actor_ref._waiting))
        return None


def fan_in(*, messages, senders, capacity):
    sink_class = type("BoundedSink", (Sink,), {"mailbox_capacity": capacity})
    with ActorSystem(workers=4) as system:
        sink = system.start(sink_class)

        def send():
            for number in range(messages // senders):
                sink.tell((number, "a message of some size"))

        began = time.monotonic()
        crew = [threading.Thread(target=send) for _ in range(senders)]
        for each in crew:
            each.start()
        for each in crew:
            each.join()
        handled, longest = sink.ask(None, timeout=60.0)
        took = time.monotonic() - began
    return {
        "sent": messages // senders * senders,
        "handled": handled,
        "longest": longest,
        "messages_per_s": round(handled / took),
        # The whole process: interpreter, modules and all.
        "peak_mib": _peak_mib(),
    }


class Mortal(Actor):
    dispatch = "inline"

    def on_receive(self, message):
        return message


class SharedMortal(Mortal):
    dispatch = "shared"


def _peak_mib() -> float:
    """Return the peak of this program's memory.

    Not from `getrusage()`: there Linux counts the peak of the process that started
    this one as well, which is a whole test run.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) / 1024, 1)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def cycles(*, cycles):
    """Start, use, name, watch and stop actors; measure what stays, in ten steps."""
    with ActorSystem(workers=2) as system:
        watcher = system.start(Watcher)

        def run(count):
            for number in range(count):
                ref = system.start(SharedMortal if number % 10 == 0 else Mortal, name="one")
                ref.ask("hello")
                if number % 4 == 0:
                    watcher.ask(ref)
                if number % 3:
                    ref.stop()
                else:
                    ref.exit("over")
                    ref.join(timeout=30.0)

        run(cycles // 10)  # caches fill up
        tracemalloc.start()
        sizes = []
        for _ in range(10):
            run(cycles // 10)
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
    # Least squares, so that one odd step does not decide.
    steps = range(len(sizes))
    middle, mean = sum(steps) / len(sizes), sum(sizes) / len(sizes)
    slope = sum((step - middle) * (size - mean) for step, size in zip(steps, sizes, strict=True))
    slope /= sum((step - middle) ** 2 for step in steps)
    return {"bytes_a_cycle": round(slope / (cycles // 10), 3), "first": sizes[0], "last": sizes[-1]}


class Watcher(Actor):
    dispatch = "inline"

    def on_receive(self, message):
        if hasattr(message, "tell"):
            self.monitor(message)


def open_files():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    parts: dict[str, Any] = {"asks": asks, "fan_in": fan_in, "cycles": cycles}
    try:
        figures = parts[sys.argv[1]](**json.loads(sys.argv[2]))
    except StartError as error:
        raise SystemExit(f"an actor did not start: {error}") from error
    print(json.dumps(figures))  # noqa: T201 - for whoever has started this
