import threading
from typing import Any, cast

import pytest

from sessionactors.audit.intake import FULL, WAITING, Intake
from sessionactors.effects import Audit
from supervisors.runtime.fence import Fenced
from supervisors.runtime.outcomes import ActorDeadError, AskTimeoutError

EVENT = Audit("lifecycle", "something")


def event(number=0):
    return (float(number), "a", EVENT, None, "test")


class Writer:
    """Stands where the audit actor is, and writes when it is told to."""

    def __init__(self):
        self.intake = None
        self.told = []
        self.answers = []
        self.error = None

    def send(self, message):
        self.told.append(message)

    def ask(self, message):
        self.answers.append(message)
        if self.error is not None:
            raise self.error
        self.intake.take()
        self.intake.written()


@pytest.fixture
def writer():
    return Writer()


@pytest.fixture
def intake(writer):
    writer.intake = Intake(lambda: writer, 10, 20)
    return writer.intake


def test_events_come_out_in_order(intake):
    for number in range(5):
        assert intake.put(event(number))
    assert [each[0] for each in intake.take()] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert len(intake) == 0


def test_many_events_poke_the_actor_once(intake, writer):
    for number in range(5):
        intake.put(event(number))
    assert writer.told == [WAITING]


def test_the_next_event_after_a_take_pokes_again(intake, writer):
    intake.put(event())
    intake.heard()
    intake.take()
    intake.written()
    intake.put(event())
    assert writer.told == [WAITING, WAITING]


def test_after_a_poke_that_its_killed_sender_could_not_give_the_next_event_pokes(intake, writer):
    def refuse(message):
        del writer.send
        raise Fenced

    writer.send = refuse
    with pytest.raises(Fenced):
        intake.put(event())
    intake.put(event())
    assert writer.told == [WAITING]


def test_a_write_that_its_sender_is_torn_out_of_is_left_to_the_actor(intake, writer):
    def write():
        raise KeyboardInterrupt

    intake.be_written_by(write, 2)
    intake.put(event())
    with pytest.raises(KeyboardInterrupt):
        intake.put(event())
    assert writer.told == [WAITING, FULL]


def test_a_whole_batch_pokes_once_more(intake, writer):
    for number in range(15):
        intake.put(event(number))
    assert writer.told == [WAITING, FULL]


def test_what_could_not_be_written_goes_back_to_the_front(intake):
    intake.put(event(1))
    intake.put(event(2))
    intake.take()
    intake.put(event(3))
    intake.put_back()
    assert [each[0] for each in intake.take()] == [1.0, 2.0, 3.0]


def test_events_wait_while_there_is_no_actor():
    intake = Intake(lambda: None, 10, 20)
    assert intake.put(event())
    assert len(intake) == 1
    assert intake.lost == 0


def test_at_the_bound_the_sender_has_the_actor_write(intake, writer):
    for number in range(21):
        assert intake.put(event(number))
    assert writer.answers == [FULL]
    assert len(intake) == 1
    assert intake.lost == 0


@pytest.mark.parametrize("error", [ActorDeadError("gone"), AskTimeoutError(5.0)])
def test_an_event_beyond_the_bound_is_counted_as_lost_and_the_others_stay(intake, writer, error):
    writer.error = error
    for number in range(20):
        assert intake.put(event(number))
    assert not intake.put(event(20))
    assert intake.lost == 1
    assert [each[0] for each in intake.take()] == [float(number) for number in range(20)]


def test_who_waits_for_room_that_another_one_takes_waits_again():
    rivals = iter(range(3))

    class Busy:
        def send(self, message):
            assert message in (FULL, WAITING)

        def ask(self, message):
            assert message == FULL
            intake.take()
            intake.written()
            for rival in rivals:
                assert intake.put(event(rival))
                break
            return True

    intake = Intake(Busy, 1, 1)
    assert [intake.put(event(9)), intake.put(event(10))] == [True, True]
    assert (intake.lost, [each[0] for each in intake.take()]) == (0, [10.0])


def test_without_an_actor_the_bound_holds():
    intake = Intake(lambda: None, 10, 20)
    taken = [intake.put(event(number)) for number in range(30)]
    assert taken == [True] * 20 + [False] * 10
    assert (len(intake), intake.lost) == (20, 10)


def test_a_closed_queue_takes_nothing_and_counts_it():
    intake = Intake(lambda: None, 10, 20)
    intake.close()
    assert not intake.put(event())
    assert (len(intake), intake.lost) == (0, 1)


class Closing(int):
    """A bound at which somebody closes the queue in the moment in which it is compared."""

    def __lt__(self, other):
        self.close()
        return int(self) < other

    def close(self):
        """Nobody does so yet."""


def test_a_queue_that_is_closed_while_the_actor_takes_stays_closed():
    bound = Closing(20)
    intake = Intake(lambda: None, 10, bound)
    bound.close = intake.close
    intake.take()
    assert not intake.put(event())
    assert (len(intake), intake.lost) == (0, 1)


class Taker:
    """An audit actor of its own thread: it sleeps until it is poked, and then takes once."""

    def __init__(self):
        self.pokes = threading.Semaphore(0)
        self.taken = []

    def send(self, message):
        self.pokes.release()

    def ask(self, message):
        self.pokes.release()

    def run(self, intake, wanted):
        while len(self.taken) < wanted:
            if not self.pokes.acquire(timeout=10.0):
                return
            intake.heard()
            self.taken += intake.take()
            intake.written()


def test_no_wake_up_is_lost_between_threads():
    taker = Taker()
    intake = Intake(lambda: cast("Any", taker), 1_000_000, 1_000_000)
    threads, each = 4, 5_000
    taking = threading.Thread(target=taker.run, args=(intake, threads * each))
    putting = [
        threading.Thread(
            target=lambda who=who: [intake.put((float(n), str(who), EVENT, None, "t")) for n in range(each)]
        )
        for who in range(threads)
    ]
    taking.start()
    for thread in putting:
        thread.start()
    for thread in putting:
        thread.join()
    taking.join()
    assert len(taker.taken) == threads * each
    for who in range(threads):
        assert [moment for moment, name, *_ in taker.taken if name == str(who)] == [float(n) for n in range(each)]
