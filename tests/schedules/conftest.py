from __future__ import annotations

import logging
import threading
from types import SimpleNamespace

import pytest

from supervisors.runtime import futures, gates, standby, turn
from supervisors.runtime.spinning import Spinner


@pytest.fixture(autouse=True)
def explorable(monkeypatch):
    """Have every lock of ours made where frontrun sees it, while it explores.

    frontrun replaces the classes in `threading` and `queue`, and nothing else. So the
    futures, gates and workers, which make their locks with `_thread`, get them from `threading`
    here. Nobody looks before it sleeps: nothing can come while the other threads are held.
    A lock that logging holds while it turns a ref into text could not be
    handed back and forth, so there is no logging.
    """
    monkeypatch.setenv("FRONTRUN_ACTIVE", "1")  # or frontrun skips the test: it wants its own command line
    monkeypatch.setattr(Spinner, "_machine", SimpleNamespace(seats=[], zeros=b""))
    for each in (futures, gates, standby):
        monkeypatch.setattr(each, "_thread", SimpleNamespace(allocate_lock=_Lock))
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(before)
    turn.forget_threads()
    futures.forget_waits()


class _Lock:
    """A lock that may be taken twice by one thread, to wait for another that gives it back.

    To frontrun's `Lock` that is a deadlock of a thread with itself; a semaphore has no owner.
    """

    def __init__(self):
        self._semaphore = threading.Semaphore(1)
        self.release = self._semaphore.release

    def acquire(self, blocking=True, timeout=-1):
        return self._semaphore.acquire(blocking, None if timeout < 0 else timeout)

    def locked(self):
        if self._semaphore.acquire(blocking=False):
            self._semaphore.release()
            return False
        return True

    def __enter__(self):
        self._semaphore.acquire()

    def __exit__(self, *_):
        self._semaphore.release()
