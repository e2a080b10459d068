from __future__ import annotations

import threading

import pytest

from supervisors.runtime.roster import Place, Roster
from supervisors.runtime.standby import FREE, Standby
from supervisors.runtime.turn import Turn


class LateGate:
    """A gate that never opens; who waits at it is late by as much as behind somebody who computes.

    Args:
        crew: whose clock goes on meanwhile.
        taken: mailboxes that others take during each wait.
    """

    def __init__(self, crew, taken):
        self.crew, self.taken = crew, taken

    def locked(self):
        return True

    def release(self):
        """Leave it closed."""

    def acquire(self, _blocking, timeout):
        self.crew.clock.now += timeout + 5 * FREE
        self.crew.roster._taken += self.taken
        return False


class Hands:
    """A clock that is set by hand."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now


class Crew:
    """A roster, its workers by number, and how many mailboxes wait."""

    def __init__(self, workers=4, workers_max=8, has_gil=True):
        self.queued = 0
        self.clock = Hands()
        self.roster = Roster(workers, workers_max, lambda: self.queued, self.clock, has_gil=has_gil)
        self.turns, self.standbys = [], []

    def begins(self):
        """Have one more worker begin; return its number."""
        assert self.roster.admit([])[0] == "grow"
        return self.began()

    def began(self):
        self.turns.append(Turn())
        self.standbys.append(Standby(self.clock.monotonic))
        self.roster.begin(self.turns[-1])
        return len(self.turns) - 1

    def place(self, number):
        found = self.roster.place(self.turns[number], self.standbys[number])
        return found and found[0]

    def takes(self, number):
        """Have a worker take a mailbox; return whether it looks for another one to take what is left."""
        assert self.place(number) is Place.QUEUE
        return self.roster.took(self.turns[number], self.standbys[number])

    def helps(self, number, taken=0):
        """Have a worker on standby look until it helps, while others take so many mailboxes between its looks."""
        assert self.place(number) is Place.STANDBY
        self.standbys[number].gate = LateGate(self, taken)
        return self.roster.stands_by(self.turns[number], self.standbys[number], 1.0)

    def is_open(self, number):
        return not self.standbys[number].gate.locked()


@pytest.fixture
def crew():
    """Two workers: the first runs a mailbox, the second is parked."""
    crew = Crew()
    first = crew.begins()
    crew.queued = 1
    assert crew.takes(first)
    crew.begins()
    crew.queued = 0
    assert crew.place(1) is Place.PARKED
    return crew


def test_the_first_worker_waits_at_the_queue():
    crew = Crew()
    assert crew.place(crew.begins()) is Place.QUEUE
    assert crew.roster.idle == 1


def test_who_comes_while_another_one_waits_at_the_queue_is_parked():
    crew = Crew(has_gil=False)
    for _ in range(3):
        crew.begins()
    assert [crew.place(number) for number in range(3)] == [Place.QUEUE, Place.PARKED, Place.PARKED]


def test_behind_one_who_runs_another_is_put_on_standby_and_no_third_one(crew):
    crew.queued = 1
    assert crew.roster.is_short()
    assert crew.roster.admit([]) == ("enough", 0)
    assert crew.is_open(1)
    assert crew.place(1) is Place.STANDBY
    assert not crew.roster.is_short()
    assert crew.roster.admit([]) == ("enough", 0)


def test_behind_one_who_runs_one_thread_is_started_and_no_third_one():
    crew = Crew()
    first = crew.begins()
    crew.queued = 2
    assert crew.takes(first)
    assert crew.roster.admit([])[0] == "grow"
    assert crew.roster.admit([])[0] == "enough"
    assert crew.place(crew.began()) is Place.STANDBY
    assert crew.roster.admit([])[0] == "enough"


def test_without_a_gil_each_mailbox_gets_a_worker():
    crew = Crew(workers=3, has_gil=False)
    crew.queued = 9
    for _ in range(3):
        crew.takes(crew.begins())
    assert crew.roster.admit([])[0] == "enough"


def test_without_a_gil_who_is_parked_is_called_at_once():
    crew = Crew(has_gil=False)
    for _ in range(2):
        crew.begins()
    assert [crew.place(0), crew.place(1)] == [Place.QUEUE, Place.PARKED]
    crew.queued = 2
    assert crew.roster.took(crew.turns[0], crew.standbys[0])
    crew.roster.admit([])
    assert crew.is_open(1)
    assert crew.place(1) is Place.QUEUE


def test_who_is_on_standby_is_called_when_nobody_runs_any_more(crew):
    crew.queued = 1
    crew.roster.admit([])
    assert crew.roster.begins_to_wait(crew.turns[0])
    assert crew.roster.is_short()
    assert crew.roster.admit([]) == ("enough", 0)
    assert crew.place(1) is Place.QUEUE


def test_who_is_on_standby_is_back_when_nothing_waits_any_more(crew):
    crew.queued = 1
    crew.roster.admit([])
    assert crew.place(1) is Place.STANDBY
    crew.queued = 0
    assert crew.roster.stands_by(crew.turns[1], crew.standbys[1], None)
    assert crew.place(1) is Place.PARKED


def test_who_is_on_standby_helps_behind_who_is_stuck(crew):
    crew.queued = 1
    crew.roster.admit([])
    assert crew.helps(1)
    assert crew.place(1) is Place.QUEUE


def test_who_helps_makes_room_for_another_one_on_standby(crew):
    crew.queued = 1
    crew.roster.admit([])
    crew.helps(1)
    assert crew.takes(1)


def test_who_comes_back_while_others_make_headway_rests(crew):
    crew.queued = 1
    crew.roster.admit([])
    crew.helps(1)
    crew.takes(1)
    assert crew.place(0) is Place.STANDBY


def test_what_comes_while_a_worker_is_being_parked_is_not_left_lying():
    # The other one is stuck. Whoever puts something in sees two workers run, of two.
    crew = Crew(workers=2)
    crew.queued = 1
    crew.takes(crew.begins())
    crew.begins()
    looks = iter([0, 1])
    crew.roster._queued = lambda: next(looks)
    assert crew.place(1) is Place.STANDBY


def test_what_came_while_a_thread_could_not_be_started_is_not_left_lying(crew):
    crew.roster._live += 1  # a third one is about to be started
    crew.roster._beginning += 1
    crew.queued = 1
    assert not crew.roster.is_short()
    assert crew.roster.cannot_begin()
    assert crew.is_open(1)
    assert crew.place(1) is Place.STANDBY


def test_when_all_stop_who_is_parked_is_called(crew):
    assert crew.roster.stop()
    assert crew.is_open(1)
    crew.queued = 1
    assert crew.place(1) is Place.QUEUE
    crew.queued = 0
    assert crew.place(1) is None


def test_when_all_stop_who_is_on_standby_is_called(crew):
    crew.queued = 1
    crew.roster.admit([])
    assert crew.place(1) is Place.STANDBY
    assert crew.roster.stop()
    assert crew.roster.stands_by(crew.turns[1], crew.standbys[1], None)
    assert crew.place(1) is Place.QUEUE


def test_a_thread_that_could_not_be_started_leaves_room_for_another_one():
    crew = Crew()
    assert crew.roster.admit([])[0] == "grow"
    assert not crew.roster.cannot_begin()
    assert crew.roster.statistics()["workers"] == 0
    assert crew.roster.admit([])[0] == "grow"


def test_compensation_has_a_limit_that_is_counted_and_said_once():
    crew = Crew(workers=1, workers_max=2)
    for _ in range(2):
        assert crew.roster.begins_to_wait(crew.turns[crew.begins()])
    assert [crew.roster.admit([])[0] for _ in range(3)] == ["limit", "enough", "enough"]
    assert crew.roster.statistics()["at_limit"] == 3


def test_who_takes_too_long_counts_as_waiting_until_it_is_back():
    crew = Crew(workers=1)
    crew.takes(crew.begins())
    assert crew.roster.is_late(crew.turns[0])
    assert crew.roster.admit([])[0] == "grow"
    crew.began()
    assert not crew.roster.is_late(crew.turns[0])
    assert crew.roster.statistics()["waiting"] == 1
    crew.place(0)
    assert crew.roster.statistics()["waiting"] == 0


def test_who_takes_too_long_and_waits_for_a_reply_as_well_counts_once():
    crew = Crew(workers=1)
    crew.takes(crew.begins())
    assert crew.roster.is_late(crew.turns[0])
    assert crew.roster.begins_to_wait(crew.turns[0]) is False
    assert crew.roster.statistics()["waiting"] == 1
    crew.roster.has_waited(crew.turns[0])
    assert crew.roster.statistics()["waiting"] == 1
    crew.place(0)
    assert crew.roster.statistics()["waiting"] == 0


def test_who_runs_no_mailbox_or_was_abandoned_is_not_late():
    crew = Crew()
    crew.begins()
    assert not crew.roster.is_late(crew.turns[0])
    crew.takes(0)
    assert crew.roster.is_late(crew.turns[0])
    crew.roster.abandon(crew.turns[0])
    assert not crew.roster.is_late(crew.turns[0])
    assert not crew.roster.is_late(Turn())
    assert crew.roster.statistics()["waiting"] == 0


def surplus():
    """Return a crew of which the first worker is surplus: the second has compensated for it, and runs a mailbox."""
    crew = Crew(workers=1)
    crew.queued = 1
    crew.takes(crew.begins())
    crew.roster.begins_to_wait(crew.turns[0])
    crew.takes(crew.begins())
    crew.roster.has_waited(crew.turns[0])
    return crew


def test_a_parked_worker_that_is_surplus_for_too_long_is_retired():
    crew = surplus()
    crew.queued = 0
    assert crew.place(0) is Place.PARKED
    assert not crew.roster.is_called(crew.turns[0], crew.standbys[0], 0.001)
    facts = crew.roster.statistics()
    assert (facts["retired"], facts["workers"], facts["idle"]) == (1, 1, 0)


def test_a_worker_on_standby_that_is_surplus_for_too_long_is_retired():
    crew = surplus()
    assert not crew.helps(0, taken=1)
    facts = crew.roster.statistics()
    assert (facts["retired"], facts["workers"], facts["idle"]) == (1, 1, 0)


def test_a_parked_worker_that_is_called_at_its_last_moment_works():
    # It has lingered long enough, and finds that somebody has just called it.
    crew = surplus()
    crew.queued = 0
    assert crew.place(0) is Place.PARKED
    crew.roster.begins_to_wait(crew.turns[1])
    caller = threading.Timer(0.05, crew.roster.admit, [[]])
    caller.start()
    assert crew.roster.is_called(crew.turns[0], crew.standbys[0], 0.001)
    caller.join()
    assert crew.roster.statistics()["retired"] == 0


def test_a_gate_left_open_by_an_earlier_call_calls_nobody():
    crew = surplus()
    crew.queued = 0
    crew.standbys[0].opening()()
    assert crew.place(0) is Place.PARKED
    assert not crew.roster.is_called(crew.turns[0], crew.standbys[0], 0.001)


def test_a_gate_left_open_by_an_earlier_call_is_no_look():
    crew = surplus()
    crew.standbys[0].opening()()
    assert crew.place(0) is Place.STANDBY
    assert crew.roster.stands_by(crew.turns[0], crew.standbys[0], None)
    assert crew.standbys[0]._looks == 1


def test_a_worker_that_has_retired_cannot_be_abandoned():
    crew = surplus()
    crew.queued = 0
    crew.place(0)
    assert not crew.roster.is_called(crew.turns[0], crew.standbys[0], 0.001)
    assert not crew.roster.abandon(crew.turns[0])
    facts = crew.roster.statistics()
    assert (facts["workers"], facts["retired"], facts["abandoned"]) == (1, 1, 0)


def test_a_worker_is_abandoned_once(crew):
    assert crew.roster.abandon(crew.turns[0])
    assert crew.turns[0].abandoned
    assert not crew.roster.abandon(crew.turns[0])
    assert crew.roster.leave(crew.turns[0])
    assert crew.roster.statistics()["workers"] == 1


def test_who_was_abandoned_while_it_waited_does_not_count_as_waiting(crew):
    assert crew.roster.begins_to_wait(crew.turns[0])
    assert crew.roster.begins_to_wait(crew.turns[0]) is False
    crew.roster.abandon(crew.turns[0])
    crew.roster.has_waited(crew.turns[0])
    assert crew.roster.statistics()["waiting"] == 0
    assert crew.roster.begins_to_wait(crew.turns[0]) is None
