from __future__ import annotations

import pytest

from supervisors import ChildSpec, Supervisor, SupervisorFlags
from supervisors.errors import InvalidArgumentError
from supervisors.inspection.branches import drawn
from tests.supervisors.inspection.watched import Quick


class Inner(Supervisor):
    def init(self, count):
        return SupervisorFlags(), [ChildSpec(f"worker-{number}", Quick) for number in range(count)]


class Outer(Supervisor):
    def init(self, count):
        return SupervisorFlags(), [
            *(ChildSpec(f"worker-{number}", Quick) for number in range(count)),
            ChildSpec("inner", Inner, (count,), type="supervisor"),
        ]


@pytest.fixture
def root(system):
    return system.start(Outer, 3, name="root")


def test_children_stand_below_who_has_started_them(inspector, root):
    found = [(branch.depth, branch.row.actor_class) for branch in inspector.tree()]
    assert found == [(0, "Outer"), *[(1, "Quick")] * 3, (1, "Inner"), *[(2, "Quick")] * 3]


def test_a_tree_can_begin_anywhere(inspector, root):
    inner = next(branch.row.id for branch in inspector.tree() if branch.row.actor_class == "Inner")
    assert [branch.depth for branch in inspector.tree(inner)] == [0, 1, 1, 1]


def test_of_many_children_those_with_children_are_shown_and_the_others_counted(inspector, root):
    found = [(branch.depth, branch.row.actor_class, branch.hidden) for branch in inspector.tree(children=1)]
    assert found == [(0, "Outer", 3), (1, "Inner", 2), (2, "Quick", 0)]


def test_who_has_lost_its_parent_is_a_root(system, inspector):
    class Parent(Quick):
        dispatch = "shared"

        def on_start(self):
            child = Quick.start_link()
            self.unlink(child)

    system.start(Parent).stop()
    assert [branch.depth for branch in inspector.tree()] == [0]


@pytest.mark.parametrize("children", [0, True, 10_001, "2"])
def test_a_number_of_children_that_is_not_allowed_is_refused(inspector, children):
    with pytest.raises(InvalidArgumentError, match="children"):
        inspector.tree(children=children)


def test_a_tree_is_drawn_with_the_hidden_ones_last():
    lines = list(drawn([(0, "a", 2), (1, "b", 0), (2, "c", 0), (1, "d", 5), (0, "z", 0)]))
    assert lines == ["a", "├── b", "│   └── c", "├── d", "│   └── ... and 5 more", "└── ... and 2 more", "z"]


def test_an_empty_tree_has_no_lines():
    assert list(drawn([])) == []
