from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as some

from supervisors.runtime.ages import MARKS_MAX, Ages


@dataclass
class Mailbox:
    """What is read of a ref, and when its messages came."""

    id: int = 1
    messages_handled: int = 0

    def __post_init__(self):
        self.arrived: list[float] = []

    @property
    def mailbox_length(self):
        return len(self.arrived)

    def handle(self, count):
        count = min(count, len(self.arrived))
        del self.arrived[:count]
        self.messages_handled += count


def test_at_the_first_look_nothing_is_known():
    mailbox = Mailbox()
    mailbox.arrived = [0.0]
    assert Ages().look([mailbox], 5.0) == 0.0


def test_what_was_there_and_still_is_has_waited_since():
    ages, mailbox = Ages(), Mailbox()
    mailbox.arrived = [0.0, 0.0]
    ages.look([mailbox], 1.0)
    mailbox.handle(1)
    assert ages.look([mailbox], 4.0) == 3.0


def test_what_has_come_since_is_not_taken_for_what_was_there():
    ages, mailbox = Ages(), Mailbox()
    mailbox.arrived = [0.0]
    ages.look([mailbox], 1.0)
    mailbox.handle(1)
    mailbox.arrived = [2.0]
    assert ages.look([mailbox], 4.0) == 0.0


def test_who_was_empty_in_between_begins_anew():
    ages, mailbox = Ages(), Mailbox()
    mailbox.arrived = [0.0]
    ages.look([mailbox], 1.0)
    ages.look([], 2.0)
    assert ages.look([mailbox], 3.0) == 0.0


@given(some.lists(some.tuples(some.integers(0, 3), some.integers(0, 3)), min_size=1, max_size=80))
def test_the_age_is_never_more_than_the_true_one_and_misses_at_most_the_looks_that_were_forgotten(steps):
    ages, mailbox = Ages(), Mailbox()
    for now, (come, handled) in enumerate(steps, 1):
        mailbox.arrived += [now - 0.5] * come
        mailbox.handle(handled)
        age = ages.look([mailbox], float(now))
        true = now - mailbox.arrived[0] if mailbox.arrived else 0.0
        assert age <= true
        if len(steps) <= MARKS_MAX and mailbox.arrived:
            assert age >= true - 1.0


def test_of_a_mailbox_that_is_never_empty_few_looks_are_remembered():
    ages, mailbox = Ages(), Mailbox()
    mailbox.arrived = [0.0]
    for now in range(1_000):
        mailbox.arrived.append(now)
        ages.look([mailbox], float(now))
    assert len(ages._marks[1]) <= MARKS_MAX
    assert ages.look([mailbox], 1_000.0) == 1_000.0
