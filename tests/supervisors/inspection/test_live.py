from __future__ import annotations

import pytest

from supervisors import ChildSpec, Supervisor, SupervisorFlags
from supervisors.errors import InvalidArgumentError
from supervisors.inspection import Live
from tests.supervisors.inspection.watched import Quick


class Parent(Supervisor):
    def init(self):
        return SupervisorFlags(max_restarts=10), [ChildSpec("child", Quick), ChildSpec("calm", Quick)]


def test_who_is_at_work_comes_first_by_business(system, inspector, hold):
    system.start(Quick)
    held = hold()
    live = Live(inspector)
    for _ in range(4):
        live.look()
    frame = live.frame(sort="busy")
    assert (frame.rows[0].row.id, frame.rows[0].busy) == (held.id, 1.0)
    assert frame.rows[1].busy == 0.0
    assert live.frame(sort="busy").rows[0].busy == 0.0  # nobody has looked since


def test_long_mailboxes_come_first_and_are_summed_up(system, inspector, hold):
    system.start(Quick)
    held = hold()
    for _ in range(3):
        held.tell("more")
    frame = Live(inspector).frame(sort="mailbox", limit=1)
    assert [line.row.id for line in frame.rows] == [held.id]
    assert (frame.actors, frame.waiting) == (2, 3)


def test_who_holds_much_memory_comes_first(system, inspector):
    class Heavy(Quick):
        def on_start(self):
            self.data = ["x" * 1_000 for _ in range(1_000)]

    for _ in range(5):
        system.start(Quick)
    heavy = system.start(Heavy)
    line = Live(inspector).frame(sort="memory").rows[0]
    assert line.row.id == heavy.id
    assert 1_000_000 < line.memory < 1_200_000


def test_restarts_are_counted_by_the_child_and_come_first(system, inspector):
    system.start(Parent)
    for number in (1, 2):
        child = next(row for row in inspector.ps(match="Quick", sort="restarts"))
        system.actors()[[ref.id for ref in system.actors()].index(child.id)].kill()
        while inspector.ps(sort="restarts")[0].restarts != number:
            pass
    frame = Live(inspector).frame(sort="restarts")
    assert [line.row.restarts for line in frame.rows] == [2, 0, 0]


def test_only_what_matches_is_in_a_frame(system, inspector):
    system.start(Quick, name="alice")
    system.start(Quick, name="bob")
    assert [line.row.name for line in Live(inspector).frame(match="BOB").rows] == ["bob"]


@pytest.mark.parametrize("wanted", [{"sort": "id"}, {"limit": 0}, {"limit": 501}, {"limit": True}])
def test_what_is_not_allowed_names_the_field(inspector, wanted):
    with pytest.raises(InvalidArgumentError, match=next(iter(wanted))):
        Live(inspector).frame(**wanted)
