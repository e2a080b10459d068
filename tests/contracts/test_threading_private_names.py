"""What the simulator's stand-in for `threading.Condition.wait()` relies on."""

from __future__ import annotations

import queue
import threading


def test_whoever_is_notified_is_released():
    class Waiter:
        released = 0

        def release(self):
            self.released += 1

    condition, waiter = threading.Condition(), Waiter()
    with condition:
        condition._waiters.append(waiter)
        condition.notify()
    assert waiter.released == 1
    assert waiter not in condition._waiters


def test_the_lock_is_given_up_for_a_while_and_taken_again():
    condition = threading.Condition()
    with condition:
        assert condition._is_owned()
        saved = condition._release_save()
        assert not condition._is_owned()
        condition._acquire_restore(saved)
        assert condition._is_owned()


def test_deadlines_are_counted_with_a_clock_that_can_be_replaced():
    assert threading._time() <= queue.time() <= threading._time()
