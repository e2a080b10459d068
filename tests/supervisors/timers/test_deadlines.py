from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from supervisors.timers.deadlines import TICK, Deadlines, Entry


class Named(Entry):
    def __init__(self, deadline, name):
        super().__init__(deadline)
        self.name = name


def add(deadlines, deadline, name):
    entry = Named(deadline, name)
    entry.is_pending = True
    deadlines.add(entry)
    return entry


def pop(deadlines, now):
    entry = deadlines.due(now)
    if entry is None:
        return None
    entry.is_pending = False
    deadlines.drop_first()
    return entry.name


def cancel(entry):
    was_pending, entry.is_pending = entry.is_pending, False
    return was_pending


def held(deadlines):
    return sum(map(len, deadlines._buckets.values())) + len(deadlines._front)


def drain(deadlines, now):
    out = []
    while (name := pop(deadlines, now)) is not None:
        out.append(name)
    return out


def test_nothing_is_due_when_nothing_is_pending():
    deadlines = Deadlines()
    assert deadlines.next_deadline() is None
    assert pop(deadlines, 1e12) is None


def test_timers_come_by_deadline_and_then_in_order_of_arming():
    deadlines = Deadlines()
    for number, deadline in enumerate([2.0, 1.0, 2.0, 1.0, 0.0]):
        add(deadlines, deadline, number + 1)
    assert drain(deadlines, 2.0) == [5, 2, 4, 1, 3]


def test_a_timer_is_due_at_its_deadline_and_not_before():
    deadlines = Deadlines()
    add(deadlines, 1.0, "x")
    assert pop(deadlines, 0.999999) is None
    assert pop(deadlines, 1.0) == "x"


def test_one_armed_for_earlier_than_the_front_comes_first():
    deadlines = Deadlines()
    add(deadlines, 10.0, "late")
    assert deadlines.next_deadline() == 10.0
    add(deadlines, 3.0, "early")
    assert drain(deadlines, 10.0) == ["early", "late"]


def test_one_that_was_cancelled_does_not_come():
    deadlines = Deadlines()
    first, _ = add(deadlines, 1.0, "a"), add(deadlines, 2.0, "b")
    cancel(first)
    assert drain(deadlines, 2.0) == ["b"]
    assert (deadlines.dropped, held(deadlines)) == (2, 0)


def test_a_sweep_drops_what_was_cancelled_however_it_is_spread():
    deadlines = Deadlines()
    kept = add(deadlines, 1.0, "kept")
    for step in range(2_000):  # a new tick every time: no bucket ever fills
        cancel(add(deadlines, 3600.0 + step * TICK, "x"))
    deadlines.sweep()
    assert (held(deadlines), len(deadlines._ticks), deadlines.dropped) == (1, 1, 2_000)
    assert list(deadlines.pending()) == [kept]


def test_a_sweep_keeps_what_is_pending_in_order():
    deadlines = Deadlines()
    kept = [add(deadlines, step * TICK / 3, step + 1) for step in range(300)]
    assert deadlines.next_deadline() == 0.0
    for step in range(5_000):
        cancel(add(deadlines, step * TICK / 7, "gone"))
    deadlines.sweep()
    assert held(deadlines) == len(kept)
    assert drain(deadlines, 1e6) == [index + 1 for index in range(len(kept))]


actions = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.floats(-1, 2, allow_nan=False)),
        st.tuples(st.just("cancel"), st.integers(0, 40)),
        st.tuples(st.just("sweep"), st.none()),
        st.tuples(st.just("pop"), st.floats(-1, 2, allow_nan=False)),
    ),
    max_size=120,
)


@given(actions)
def test_it_agrees_with_a_sorted_list(script):
    deadlines, model, entries = Deadlines(), [], []
    for number, (verb, argument) in enumerate(script):
        if verb == "add":
            entries.append((add(deadlines, argument, number + 1), (argument, number, number + 1)))
            model.append(entries[-1][1])
        elif verb == "cancel" and entries:
            entry, known = entries[argument % len(entries)]
            assert cancel(entry) is (known in model)
            if known in model:
                model.remove(known)
        elif verb == "sweep":
            deadlines.sweep()
        elif verb == "pop":
            due = sorted(each for each in model if each[0] <= argument)
            assert pop(deadlines, argument) == (due[0][2] if due else None)
            if due:
                model.remove(due[0])
        assert held(deadlines) + deadlines.dropped == len(entries)
        if number % 4 == 0:  # it opens a bucket, and not all of them shall be opened
            assert deadlines.next_deadline() == (min(model)[0] if model else None)


def test_to_look_for_what_is_due_leaves_what_is_not_in_its_bucket():
    queue = Deadlines()
    add(queue, 1.0, "soon")
    add(queue, 300.0, "far off")
    assert drain(queue, 2.0) == ["soon"]
    assert queue._front == []
    assert queue.next_deadline() == 300.0


def test_all_that_are_pending_can_be_gone_through():
    deadlines = Deadlines()
    entries = [add(deadlines, deadline, str(deadline)) for deadline in (0.5, 1.0, 1.0, 70.0)]
    deadlines.next_deadline()  # has moved the first bucket to the front
    cancel(entries[1])
    assert sorted(entry.name for entry in deadlines.pending()) == ["0.5", "1.0", "70.0"]
