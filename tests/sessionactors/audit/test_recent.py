"""The last entries of a log in memory."""

from __future__ import annotations

from sys import getsizeof

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionactors.audit.memory import MemoryAuditLog
from sessionactors.audit.recent import RecentLeaves, runs


def leaves(count, start=0):
    return [msgpack.packb(["entry", number, {"from": [number]}]) for number in range(start, start + count)]


def weight(recent):
    return sum(getsizeof(run.raw) for run in (*recent._pages, *recent._loose))


def packed(recent):
    return [run.size for run in recent._pages]


@pytest.mark.parametrize("packs", [False, True])
def test_entries_come_back_in_order(packs):
    recent = RecentLeaves(10_000)
    recent.extend(runs(0, leaves(1000)))
    if packs:
        recent.pack()
    assert len(recent) == 1000
    assert list(recent.between(0, None)) == leaves(1000)
    assert list(recent.between(250, 600)) == leaves(350, 250)
    assert list(recent.between(-5, 2)) == leaves(2)
    assert list(recent.between(990, 5000)) == leaves(10, 990)
    assert list(recent.between(600, 250)) == []


def test_packed_they_take_less():
    recent = RecentLeaves(10_000)
    recent.extend(runs(0, leaves(1024)))
    before = weight(recent)
    recent.pack()
    assert weight(recent) < before / 3


def test_what_fills_no_page_is_left_as_it_is():
    recent = RecentLeaves(10_000)
    recent.extend(runs(0, leaves(255)))
    recent.pack()
    assert packed(recent) == []


def test_what_came_one_by_one_is_packed_together():
    recent = RecentLeaves(10_000)
    for number in range(300):
        recent.extend(runs(number, leaves(1, number)))
        recent.pack()
    assert packed(recent) == [256]
    assert list(recent.between(0, None)) == leaves(300)


def test_only_so_much_is_packed_at_once():
    recent = RecentLeaves(200_000)
    recent.extend(runs(0, leaves(150_000)))
    recent.pack()
    assert packed(recent) == [512] * 256
    recent.pack()
    assert packed(recent) == [512] * 292 + [496]


def test_what_is_read_stays_the_same_whatever_comes():
    recent = RecentLeaves(600)
    recent.extend(runs(0, leaves(600)))
    found = recent.between(0, None)
    recent.extend(runs(600, leaves(600, 600)))
    recent.pack()
    assert list(found) == leaves(600)


@given(st.integers(0, 1500), st.lists(st.tuples(st.integers(0, 700), st.booleans()), max_size=8), st.data())
def test_it_is_the_end_of_a_list(most, steps, data):
    recent, model = RecentLeaves(most), []
    for count, packs in steps:
        new = leaves(count, len(model))
        recent.extend(runs(len(model), new))
        model += new
        if packs:
            recent.pack()
    kept = model[len(model) - min(most, len(model)) :]
    start, stop = data.draw(st.integers(0, 2000)), data.draw(st.none() | st.integers(0, 2000))
    assert len(recent) == len(kept)
    assert list(recent.between(start, stop)) == kept[start:stop]


def test_a_busy_log_packs_nothing_and_a_quiet_one_does():
    log = MemoryAuditLog()
    event = (1.0, 1.0, "s", 0, "me", None)
    log.append_many([event] * 1000)
    log.commit()
    assert packed(log._recent) == []
    for _ in range(2):
        assert packed(log._recent) == []
        log.append_many([event])
        log.commit()
    assert packed(log._recent) == [512, 488]
    assert [each.sequence for each in log.events()] == list(range(1002))
