from __future__ import annotations

from sessionactors.replay.stop import Stop


def test_a_request_stays():
    stop = Stop()
    assert not stop.is_requested
    stop.request()
    stop.request()
    assert stop.is_requested


def test_waiting_tells_whether_to_go_on():
    stop = Stop()
    assert not stop.wait(0.0)
    stop.request()
    assert stop.wait(0.0)
