"""What `from supervisors import ...` gives the author of a server."""

from __future__ import annotations

import pytest

import supervisors
from supervisors import NoReply, OwedReply, Reply, Server, Stop, call, cast, get_state, reply, server, stop


class Counter(Server):
    def init(self, start):
        self.count = start
        self.owed = None

    def handle_call(self, request):
        match request:
            case "count":
                return Reply(self.count)
            case "later":
                self.owed = self.defer_reply()
                return NoReply()
            case _:
                return Stop("shutdown", reply="bye")

    def handle_cast(self, message):
        self.count += message
        if self.owed is not None:
            reply(self.owed, self.count)


def test_a_server_is_written_with_what_the_package_exports(system):
    ref = system.start(Counter, 5)
    cast(ref, 2)
    assert call(ref, "count") == 7
    later = ref.ask("later", block=False)
    cast(ref, 1)
    assert later.get() == 8
    assert isinstance(get_state(ref)["owed"], OwedReply)
    assert ref.ask("end") == "bye"


def test_a_server_stops_by_the_packages_stop(system):
    ref = system.start(Counter, 5)
    stop(ref)
    assert not ref.is_alive()


@pytest.mark.parametrize("name", [name for name in server.__all__ if name != "Then"])
def test_what_servers_need_is_the_same_in_package_and_module(name):
    assert getattr(supervisors, name) is getattr(server, name)
    assert name in supervisors.__all__
