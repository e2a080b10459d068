from __future__ import annotations

import os
import signal
import threading

import pytest

from sessionactors.cli.interrupts import interrupts_as_stop


def test_the_first_interrupt_is_a_request():
    with interrupts_as_stop() as stop:
        assert not stop.is_requested
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.is_requested


def test_the_second_interrupt_is_an_exception():
    with interrupts_as_stop() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.is_requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_the_handler_of_before_comes_back():
    before = signal.getsignal(signal.SIGINT)
    with interrupts_as_stop():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_it_comes_back_after_an_error_too():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ValueError, match="odd"), interrupts_as_stop():
        raise ValueError("odd")
    assert signal.getsignal(signal.SIGINT) is before


def test_outside_the_main_thread_no_handler_is_touched():
    found = []

    def use() -> None:
        before = signal.getsignal(signal.SIGINT)
        with interrupts_as_stop() as stop:
            found.append((signal.getsignal(signal.SIGINT) is before, stop.is_requested))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert found == [(True, False)]
