"""The living actors of one system, by number."""

from __future__ import annotations

import threading
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from supervisors.runtime.living import Living


class Numbered:
    """All of an actor that matters here."""

    def __init__(self, number):
        self.id = number
        self._outer = []
        self._inner = None

    @property
    def mailbox_length(self):
        return len(self._outer) + len(self._inner or ())


def entered(count):
    living = Living()
    refs = [Numbered(number) for number in range(1, count + 1)]
    for ref in refs:
        living.add(ref)
    return living, refs


def test_they_come_in_order_of_start():
    living, refs = entered(100)
    assert living.all() == refs
    assert len(living) == 100


def test_who_has_ended_is_not_there_any_more():
    living, refs = entered(100)
    for ref in refs[::2]:
        living.discard(ref)
        living.discard(ref)
    assert living.all() == refs[1::2]
    assert (living.get(1), living.get(2)) == (None, refs[1])


def test_those_with_something_in_their_mailbox_are_found_wherever_they_stand():
    living, refs = entered(160)
    for ref in refs[:60]:
        if ref.id % 16:
            living.discard(ref)  # the others are not on a page any more
    refs[15]._outer.append("waits")
    refs[31]._inner = ["waits, and its turn is on"]
    refs[99]._outer.append("waits")
    assert living.filled() in ([refs[15], refs[31], refs[99]], [refs[99], refs[15], refs[31]])


def test_somebody_else_of_the_same_number_is_not_meant():
    living, refs = entered(3)
    living.discard(Numbered(2))
    assert living.all() == refs


def test_a_few_that_live_long_keep_no_page():
    living, refs = entered(1600)
    for ref in refs:
        if ref.id % 16:
            living.discard(ref)
    assert len(living._pages) <= 2
    assert [ref.id for ref in living.all()] == list(range(16, 1601, 16))
    assert living.get(160) is refs[159]
    for ref in refs:
        living.discard(ref)
    assert (len(living), living.all(), len(living._scattered)) == (0, [], 0)


def test_each_takes_a_few_bytes():
    count = 10_000
    refs = [Numbered(number) for number in range(count)]
    living = Living()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for ref in refs:
            living.add(ref)
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert taken < 20 * count


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 80)), max_size=300))
def test_it_agrees_with_a_dictionary(script):
    living, model = Living(), {}
    refs = [Numbered(number) for number in range(81)]
    for is_added, number in script:
        ref = refs[number]
        if is_added and number not in model:
            living.add(ref)
            model[number] = ref
        elif not is_added:
            living.discard(ref)
            model.pop(number, None)
        assert len(living) == len(model)
        assert living.get(number) is model.get(number)
    assert living.all() == sorted(model.values(), key=lambda ref: ref.id)


def test_one_after_the_other_leaves_no_pages_behind():
    living = Living()
    for number in range(1, 1000):
        ref = Numbered(number)
        living.add(ref)
        living.discard(ref)
    assert len(living._pages) == 1


def test_who_lives_throughout_is_found_by_everybody_who_looks():
    living = Living()
    staying = [Numbered(number) for number in range(0, 3200, 8)]
    passing = [Numbered(number) for number in range(3200) if number % 8]
    for ref in sorted((*staying, *passing), key=lambda ref: ref.id):
        living.add(ref)
    missed, is_over = [], threading.Event()

    def look():
        while not is_over.is_set():
            missed.extend(set(staying) - set(living.all()))

    looker = threading.Thread(target=look)
    looker.start()
    for ref in passing:
        living.discard(ref)
    is_over.set()
    looker.join()
    assert missed == []
    assert [ref.id for ref in living.all()] == [ref.id for ref in staying]
