from __future__ import annotations

import pytest

from supervisors import DynamicSupervisor, PartitionSupervisor, StartError, Supervisor
from supervisors.supervision.child_spec import ChildSpec
from supervisors.supervision.configuration import InvalidConfiguration, configure
from supervisors.supervision.flags import SupervisorFlags
from tests.supervisors.actors import Echo


def start():
    """Stand for a start function; nothing here calls it."""


def refused(returned):
    with pytest.raises(InvalidConfiguration) as caught:
        configure(returned, "Tree")
    return caught.value.reason


def test_sup_2_a_pair_of_flags_and_specifications_is_a_configuration():
    configuration = configure(({"strategy": "one_for_all"}, [{"id": "a", "start": start}]), "Tree")
    assert configuration is not None
    assert configuration.flags == SupervisorFlags(strategy="one_for_all")
    assert configuration.specs == (ChildSpec("a", start),)


def test_sup_2_ignore_is_no_configuration():
    assert configure("ignore", "Tree") is None


@pytest.mark.parametrize("returned", [None, "bad", 5, ("ok", "nope"), ({}, None), ({}, [], [])])
def test_sup_2_anything_else_is_a_bad_return_value(returned):
    assert refused(returned) == ("bad_return", ("Tree", "init", returned))


def test_spec_10_flags_are_blamed_before_specifications():
    assert refused(({"strategy": 3}, ["child"])) == ("supervisor_data", ("invalid_strategy", 3))
    assert refused(({}, ["child"])) == ("start_spec", ("invalid_child_spec", "child"))


def test_spec_10_significant_children_need_auto_shutdown():
    spec = ChildSpec("a", start, restart="transient", significant=True)
    assert refused((SupervisorFlags(), [spec]))[0] == "start_spec"
    assert configure((SupervisorFlags(auto_shutdown="any_significant"), [spec]), "Tree") is not None


@pytest.mark.parametrize("specs", [[], [ChildSpec("a", start), ChildSpec("b", start)]])
def test_spec_8_simple_one_for_one_wants_exactly_one_specification(specs):
    assert refused(({"strategy": "simple_one_for_one"}, specs)) == ("bad_start_spec", specs)


def test_the_message_names_the_callback_and_the_fault():
    with pytest.raises(InvalidConfiguration, match=r"Tree\.init: max_restarts: -1 is not allowed"):
        configure(({"max_restarts": -1}, []), "Tree")


WORKER = ChildSpec("w", Echo)


class Three(DynamicSupervisor):
    def init(self):
        return 3


REFUSED = [
    (Supervisor, (), {"strategy": "s"}, "strategy: 's'", "'rest_for_one'"),
    (Supervisor, (), {"max_restarts": -1}, "max_restarts: -1", "an integer, 0 or more"),
    (Supervisor, (), {"max_seconds": 0}, "max_seconds: 0", "seconds, more than 0"),
    (Supervisor, (), {"auto_shutdown": 3}, "auto_shutdown: 3", "'any_significant'"),
    (Supervisor, (), {"backoff": 3}, "backoff", "a Backoff"),
    (Supervisor, (), {"on_give_up": 3}, "on_give_up", "a function"),
    (Supervisor, (), {"strateg": "one_for_one"}, "strateg:", "max_restarts"),
    (Supervisor, (WORKER,), {}, "a pair of a dict and a ChildSpec", "a list of child specifications"),
    (Supervisor, ([{"id": 1}],), {}, "start:", "a start function"),
    (DynamicSupervisor, (), {"max_children": -1}, "max_children: -1", "None for no limit"),
    (DynamicSupervisor, (), {"max_childre": 1}, "max_childre: 1", "max_children"),
    (DynamicSupervisor, ([WORKER],), {}, "flags: a list", "max_children"),
    (Three, (), {}, "Three.init: a int", "DynamicFlags"),
    (PartitionSupervisor, (WORKER,), {"partitions": 0}, "partitions: 0", "1 to"),
    (PartitionSupervisor, (WORKER,), {"strategy": "s"}, "strategy: 's'", "'one_for_all'"),
]


@pytest.mark.parametrize("case", REFUSED)
def test_the_error_of_a_start_names_the_setting_what_was_given_and_what_is_allowed(system, case):
    kind, args, flags, given, allowed = case
    with pytest.raises(StartError) as caught:
        system.start(kind, *args, **flags)
    said, _, may = str(caught.value).partition("allowed:")
    assert given in said
    assert allowed in may
    assert system.actors() == []
