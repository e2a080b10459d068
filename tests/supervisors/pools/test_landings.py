from __future__ import annotations

import pytest

from supervisors import Actor
from supervisors.pools.landings import SteppedLandings, ThreadLandings


@pytest.fixture(params=["threads", "virtual time"])
def landings(request, system):
    return ThreadLandings() if request.param == "threads" else SteppedLandings(system.scheduler)


def test_what_was_added_first_is_taken_first(landings):
    landings.add(1)
    landings.add(2)
    assert [landings.take(), landings.take_nowait()] == [1, 2]


def test_nothing_is_taken_from_an_empty_one(landings):
    assert landings.take_nowait() is None


def test_a_reader_in_virtual_time_waits_for_who_adds(system):
    landings = SteppedLandings(system.scheduler)

    class Adder(Actor):
        dispatch = "shared"

        def on_receive(self, message):
            landings.add(message)

    system.timers.send_after(100.0, system.start(Adder), "late")
    assert landings.take() == "late"
    assert system.clock.monotonic() == 100.0
