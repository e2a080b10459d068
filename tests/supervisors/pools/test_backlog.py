from __future__ import annotations

from collections import deque

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from supervisors.pools.backlog import Line, Room
from supervisors.pools.options import Backlog, Retry
from supervisors.pools.records import QUEUED, SETTLED, Task


def queued(priority=0, size_bytes=0):
    task = Task(None, None, Retry(), priority=priority, size_bytes=size_bytes)
    task.state = QUEUED
    return task


class Lines(RuleBasedStateMachine):
    """A line agrees with a dict of lists."""

    def __init__(self):
        super().__init__()
        self.line = Line()
        self.model = {}

    @rule(priority=st.integers(-2, 2))
    def push(self, priority):
        task = queued(priority)
        self.line.push(task)
        self.model.setdefault(priority, deque()).append(task)

    @rule(priority=st.integers(-2, 2))
    def push_first(self, priority):
        task = queued(priority)
        self.line.push_first(task)
        self.model.setdefault(priority, deque()).appendleft(task)

    @rule(data=st.data())
    def take_one_out_of_the_middle(self, data):
        tasks = [task for bucket in self.model.values() for task in bucket]
        if tasks:
            task = data.draw(st.sampled_from(tasks))
            task.state = SETTLED
            self.line.taken_out()
            self.model[task.priority].remove(task)

    @rule()
    def pop(self):
        expected = self.first()
        assert self.line.head() is expected
        if expected is not None:
            self.line.pop_head()
            self.model[expected.priority].popleft()
            assert expected.line is None

    def first(self):
        used = [priority for priority, bucket in self.model.items() if bucket]
        return self.model[max(used)][0] if used else None

    @invariant()
    def it_counts_what_waits(self):
        assert len(self.line) == sum(len(bucket) for bucket in self.model.values())


TestLines = Lines.TestCase


def test_a_room_counts_and_weighs():
    room = Room(Backlog(count_max=2, bytes_max=10))
    first, second = queued(size_bytes=6), queued(size_bytes=4)
    room.enter(first)
    assert room.has_room_for(second)
    assert not room.has_room_for(queued(size_bytes=5))
    room.enter(second)
    assert not room.has_room_for(queued())
    room.leave(first)
    assert (room.count, room.size_bytes) == (1, 4)
    assert room.has_room_for(queued())


def test_as_many_give_way_as_are_needed_for_the_newcomers_size():
    room = Room(Backlog(count_max=None, bytes_max=10, policy="drop_oldest"))
    tasks = [queued(size_bytes=4), queued(size_bytes=4), queued(size_bytes=2)]
    for task in tasks:
        room.enter(task)
    assert room.victims(queued(size_bytes=6)) == tasks[:2]
    assert room.victims(queued(size_bytes=11)) is None


def test_nobody_gives_way_where_the_policy_is_to_reject():
    room = Room(Backlog(count_max=1))
    room.enter(queued())
    assert room.victims(queued(priority=9)) is None
