from __future__ import annotations

import os
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest

from supervisors.runtime import spinning
from supervisors.runtime.spinning import CROWD, LONGEST, LOOKS, PUSHED_MAX, SKIPS_MAX, UNWATCHED, Spinner, roused

ROOT = Path(__file__).parents[3]
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

several = pytest.mark.skipif(CORES < 2, reason="with one core nobody looks")


@pytest.fixture(autouse=True)
def core(monkeypatch):
    """A core that a thread has to itself until the test says otherwise, and a clock that stands still."""
    core = Core()
    monkeypatch.setattr(spinning, "_times_pushed", lambda: core.pushed)
    monkeypatch.setattr(spinning, "monotonic", lambda: core.now)
    return core


class Core:
    def __init__(self):
        self.pushed = 0
        self.now = 0.0


class Thing:
    """Is there at the so-and-so-many-th look; counts the looks."""

    def __init__(self, there_at=None):
        self.there_at = there_at
        self.looks = 0

    def is_there(self):
        self.looks += 1
        return self.looks == self.there_at


def looked(spinner):
    """Wait in vain once; return whether the spinner looked again after its first look."""
    thing = Thing()
    assert not spinner.spin(thing.is_there)
    return thing.looks > 1


def test_what_is_there_already_is_seen_without_a_pause():
    thing = Thing(there_at=1)
    assert Spinner().spin(thing.is_there)
    assert thing.looks == 1


@several
@pytest.mark.parametrize("there_at", range(2, LOOKS + 2))
def test_what_comes_meanwhile_is_seen(there_at):
    thing = Thing(there_at)
    assert Spinner().spin(thing.is_there)
    assert thing.looks == there_at


@several
def test_nobody_looks_for_ever():
    thing = Thing()
    assert not Spinner().spin(thing.is_there)
    assert thing.looks == LOOKS + 1


@several
def test_who_looks_in_vain_lets_ever_more_waits_pass():
    spinner = Spinner()
    assert looked(spinner)
    gaps, gap = [], 0
    while len(gaps) < 8:
        if looked(spinner):
            gaps.append(gap)
            gap = 0
        else:
            gap += 1
    assert gaps == [1, 3, 7, 15, 31, SKIPS_MAX, SKIPS_MAX, SKIPS_MAX]


@several
def test_one_success_makes_up_for_all_failures():
    spinner = Spinner()
    for _ in range(200):
        spinner.spin(Thing().is_there)
    while not spinner.spin(Thing(there_at=2).is_there):
        pass
    assert looked(spinner)
    assert not looked(spinner)
    assert looked(spinner)


@several
def test_who_waits_for_the_interpreter_after_a_pause_stops_looking(core):
    spinner, looks = Spinner(), []

    def look():
        looks.append(1)
        core.now += LONGEST / 3

    assert not spinner.spin(look)
    assert len(looks) == 5  # the first one is before the clock is read
    assert not looked(spinner)


def found(spinner, core, pushes=0):
    """Wait once for what comes while the spinner looks; return whether it did look."""
    thing = Thing(there_at=2)

    def look():
        core.pushed += pushes * (thing.looks == 1)
        return thing.is_there()

    return spinner.spin(look)


@several
def test_who_is_pushed_off_its_core_by_whom_it_waits_for_hardly_ever_looks(core):
    spinner = Spinner()
    assert [found(spinner, core, pushes=2) for _ in range(PUSHED_MAX)] == [True] * PUSHED_MAX
    for _ in range(3):
        assert [found(spinner, core, pushes=2) for _ in range(SKIPS_MAX)] == [False] * SKIPS_MAX
        assert found(spinner, core, pushes=2)


@several
def test_who_was_pushed_off_its_core_and_then_looks_in_vain_waits_no_shorter(core):
    spinner = Spinner()
    while found(spinner, core, pushes=1):
        pass
    while not looked(spinner):
        pass
    assert [looked(spinner) for _ in range(SKIPS_MAX + 1)] == [False] * SKIPS_MAX + [True]


@several
def test_who_has_its_core_to_itself_again_looks_again(core):
    spinner = Spinner()
    while found(spinner, core, pushes=1):
        pass
    while not found(spinner, core):
        pass
    assert all(found(spinner, core) for _ in range(100))


@several
def test_who_is_pushed_off_its_core_now_and_then_goes_on_looking(core):
    spinner = Spinner()
    period = (PUSHED_MAX - 1) * (UNWATCHED + 1) + 1
    assert all(found(spinner, core, pushes=each % period == 0) for each in range(10 * period))


@several
def test_who_looks_for_something_else_in_between_is_still_watched(core):
    # A signal handler that asks somebody does that.
    spinner = Spinner()

    def look(thing):
        return found(spinner, core) and thing.is_there()

    for _ in range(UNWATCHED + 1):
        assert spinner.spin(partial(look, Thing(there_at=2)))
    assert not all(found(spinner, core, pushes=1) for _ in range(100))


@pytest.mark.skipif(not getattr(sys, "_is_gil_enabled", lambda: True)(), reason="this interpreter has no GIL")
def test_a_pause_is_measured_without_waiting_for_the_interpreter():
    go, seen = threading.Lock(), []

    def other():
        with go:
            seen.append("it ran")

    interval = sys.getswitchinterval()
    with go:
        thread = threading.Thread(target=other)
        thread.start()
        sys.setswitchinterval(1000.0)  # from now on nobody gets the interpreter but from who gives it up
    try:
        spinning._size_of_pause()
        assert not seen
    finally:
        sys.setswitchinterval(interval)
    thread.join()


@several
def test_no_more_threads_look_than_there_are_cores():
    depths = []

    def nested(depth):
        # Each look of one spinner is the wait of the next one: as if all looked at the same time.
        depths.append(depth)
        if depth <= CORES + 2:
            first = iter([False])
            Spinner().spin(lambda: next(first, None) is None and (nested(depth + 1) or True))

    nested(0)
    assert max(depths) == CORES


@several
def test_who_is_interrupted_while_looking_gives_the_seat_back():
    def interrupted():
        if next(looks):
            raise KeyboardInterrupt

    for _ in range(3 * CORES):
        looks = iter([False, True])
        with pytest.raises(KeyboardInterrupt):
            Spinner().spin(interrupted)
    assert looked(Spinner())


@several
def test_nobody_looks_while_woken_threads_queue_for_the_interpreter():
    crowd = [object() for _ in range(CROWD + 1)]
    try:
        roused.update(crowd)
        assert not looked(Spinner())
    finally:
        roused.difference_update(crowd)


@several
def test_who_looks_stops_when_a_queue_for_the_interpreter_forms():
    crowd = [object() for _ in range(CROWD + 1)]
    looks = []

    def look():
        looks.append(1)
        if len(looks) == 3:
            roused.update(crowd)

    try:
        assert not Spinner().spin(look)
    finally:
        roused.difference_update(crowd)
    assert len(looks) == 3


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot keep a process to one core")
def test_with_one_core_nobody_looks():
    program = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from supervisors.runtime.spinning import Spinner
looks = []
assert not Spinner().spin(lambda: looks.append(1))
assert len(looks) == 1
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, timeout=60)


@several
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_in_a_forked_child_the_seats_of_the_parents_threads_are_free():
    program = f"""
import os
from supervisors import ActorSystem
from supervisors.runtime.spinning import Spinner

def child():
    looks = []
    Spinner().spin(lambda: looks.append(1))
    os._exit(len(looks) == 1)

def nested(depth):
    if depth == {CORES}:
        if not (pid := os.fork()):
            child()
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        return True
    first = iter([False])
    return Spinner().spin(lambda: next(first, None) is None and nested(depth + 1))

with ActorSystem():
    assert nested(0)
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True, cwd=ROOT, timeout=60)


@several
def test_who_looks_leaves_the_interpreter_to_others():
    go, seen = threading.Lock(), []

    def other():
        with go:
            seen.append("it ran")

    interval = sys.getswitchinterval()
    with go:
        thread = threading.Thread(target=other)
        thread.start()
        sys.setswitchinterval(1000.0)  # from now on nobody gets the interpreter but from who gives it up
    try:
        assert any(Spinner().spin(lambda: seen) for _ in range(100_000))
    finally:
        sys.setswitchinterval(interval)
    thread.join()
