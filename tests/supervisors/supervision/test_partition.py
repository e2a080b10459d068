from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from fractions import Fraction

import pytest

from supervisors import (
    Actor,
    ActorDeadError,
    Crashed,
    InvalidArgumentError,
    InvalidTypeError,
    NoActorError,
    StartError,
    UsageError,
)
from supervisors.supervision.calls import count_children, start_child, terminate_child, which_children
from supervisors.supervision.child_spec import ChildSpec
from supervisors.supervision.partition import (
    PartitionDownError,
    Partitions,
    PartitionSupervisor,
    partition_of,
    partitions,
    stable_hash,
)
from supervisors.supervision.starting import start_named
from supervisors.supervision.supervisor import Supervisor
from supervisors.via import Via
from tests.supervisors.actors import Doer
from tests.supervisors.supervision.children import Worker, crash


@pytest.fixture
def events():
    return []


@pytest.fixture
def four(system, events):
    return system.start(PartitionSupervisor, ChildSpec("w", Worker, (events,)), partitions=4, name="four")


def test_part_1_copies_are_started_under_the_ids_0_to_p_minus_1(four):
    assert [record.id for record in reversed(which_children(four))] == [0, 1, 2, 3]
    assert len({record.ref for record in which_children(four)}) == 4


def test_part_1_there_are_as_many_as_cores_by_default(system, events, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    assert partitions(system.start(PartitionSupervisor, ChildSpec("w", Worker, (events,)))) == 3


def test_part_1_three_restarts_in_five_seconds_are_fine_by_default(system, four):
    for _ in range(3):
        crash(partition_of(four, 1))
    assert four.is_alive()
    crash(partition_of(four, 1))
    assert not four.is_alive()


def test_part_1_the_strategy_can_be_chosen(system, events):
    made = system.start(
        PartitionSupervisor, ChildSpec("w", Worker, (events,)), partitions=2, strategy="one_for_all", max_restarts=1
    )
    before = partition_of(made, 0)
    crash(partition_of(made, 1))
    assert partition_of(made, 0) is not before


@pytest.mark.parametrize("count", [0, -1, 65_537, True, 2.0, "4"])
def test_part_1_a_number_of_partitions_that_is_none_is_refused(system, count):
    with pytest.raises(StartError) as caught:
        system.start(PartitionSupervisor, ChildSpec("w", Worker, ([],)), partitions=count)
    assert isinstance(caught.value.reason, Crashed)
    assert isinstance(caught.value.reason.error, InvalidArgumentError)
    assert caught.value.reason.error.field == "partitions"


@pytest.mark.parametrize("flags", [{"strategy": "simple_one_for_one"}, {"max_restart": 1}])
def test_part_1_flags_that_do_not_fit_are_refused(system, flags):
    with pytest.raises(StartError) as caught:
        system.start(PartitionSupervisor, ChildSpec("w", Worker, ([],)), partitions=2, **flags)
    assert isinstance(caught.value.reason.error, InvalidArgumentError)


def test_part_2_arguments_can_differ_from_partition_to_partition(system, events):
    system.start(
        PartitionSupervisor,
        ChildSpec("w", Worker, (events,)),
        partitions=3,
        with_arguments=lambda args, number: (*args, f"w{number}"),
    )
    assert events == ["+w0", "+w1", "+w2"]


@pytest.mark.parametrize("key", [0, 1, 5, -5, 6, -6, 2**70, -(2**70) - 1])
def test_part_3_an_integer_finds_its_absolute_value_modulo_p(four, key):
    ids = {record.ref: record.id for record in which_children(four)}
    assert ids[partition_of(four, key)] == abs(key) % 4


@pytest.mark.parametrize("key", ["", "user-1", b"user-1", None, ("a", 1), frozenset({"a", "b"}), 2.5, float("inf")])
def test_part_3_any_other_key_finds_one_partition_always(four, key):
    assert partition_of(four, key) is partition_of(four, key)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (1, True),
        (3, Decimal(3)),
        (3, Fraction(3)),
        (0.5, Fraction(1, 2)),
        ((1, "a"), (1.0, "a")),
        (frozenset({1, 2}), frozenset({2.0, 1})),
        (-1, -1.0),
        (2**70, float(2**70)),
    ],
)
def test_part_3_equal_keys_have_equal_hashes(one, other):
    assert one == other
    assert stable_hash(one) == stable_hash(other)


def test_part_3_the_hash_of_a_text_is_the_same_in_another_process():
    keys = ["user-1", ("a", b"b", None), frozenset({"x", "y", "z"})]
    told = "from supervisors.supervision.partition import stable_hash; print([stable_hash(key) for key in KEYS])"
    ran = subprocess.run(
        [sys.executable, "-c", told.replace("KEYS", repr(keys))],
        env={"PYTHONHASHSEED": "7", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert ran.stdout.strip() == str([stable_hash(key) for key in keys])


def test_part_3_texts_are_spread_over_all_partitions(four):
    found = [partition_of(four, f"user-{number}") for number in range(1000)]
    assert min(found.count(ref) for ref in set(found)) > 150
    assert len(set(found)) == 4


def test_part_3_a_key_that_is_not_hashable_is_refused(four):
    with pytest.raises(InvalidTypeError, match="key"):
        partition_of(four, [])


def test_part_3_the_name_of_the_supervisor_will_do(system, four):
    assert partition_of("four", 3, system=system) is partition_of(four, 3)


def test_part_3_an_actor_needs_not_say_in_which_system(system, four):
    doer = system.start(Doer)
    assert doer.ask(lambda _self: partition_of("four", 3)) is partition_of(four, 3)


def test_part_3_a_name_without_a_system_is_a_mistake_outside_actors(four):
    with pytest.raises(NoActorError):
        partition_of("four", 3)


def test_part_4_a_restarted_partition_is_found_under_the_same_keys(four):
    before = partition_of(four, "user-1")
    crash(before)
    after = partition_of(four, "user-1")
    assert after is not before
    assert after.is_alive()


def test_part_4_nobody_is_found_while_a_partition_is_down(four):
    terminate_child(four, 2)
    with pytest.raises(PartitionDownError) as caught:
        partition_of(four, 2)
    assert caught.value.partition == 2
    assert caught.value.reason == "noproc"
    assert partition_of(four, 1).is_alive()


def test_part_4_nobody_is_found_when_the_start_was_declined(system):
    made = system.start(PartitionSupervisor, ChildSpec("w", lambda: "ignore"), partitions=2)
    with pytest.raises(PartitionDownError):
        partition_of(made, 0)


def test_part_4_a_partition_is_found_while_the_supervisor_is_busy(system, events):
    """The table is read, not asked for: an ask would wait for the start of the last partition."""
    seen = []

    class Looking(Actor):
        dispatch = "inline"

        def __init__(self, number):
            super().__init__()
            self.number = number

        def on_start(self):
            if self.number == 1:
                seen.append(partition_of("busy", 0, system=system))

    made = system.start(
        PartitionSupervisor,
        ChildSpec("w", Looking),
        partitions=2,
        with_arguments=lambda _args, number: (number,),
        name="busy",
    )
    assert seen == [partition_of(made, 0)]


def test_part_5_partitions_tells_how_many_there_are(system, four):
    assert partitions(four) == partitions("four", system=system) == 4
    assert count_children(four).specs == 4


def test_part_5_an_unknown_name_is_noproc(system):
    with pytest.raises(ActorDeadError) as caught:
        partitions("nobody", system=system)
    assert caught.value.reason == "noproc"


def test_part_5_a_dead_supervisor_is_noproc(four):
    four.stop()
    with pytest.raises(ActorDeadError) as caught:
        partition_of(four, 1)
    assert caught.value.reason == "noproc"
    assert not isinstance(caught.value, PartitionDownError)


def test_an_actor_that_is_no_partition_supervisor_is_refused(system):
    with pytest.raises(InvalidTypeError, match="PartitionSupervisor"):
        partition_of(system.start(Supervisor, []), 1)


def test_a_child_that_is_added_is_no_partition(four, events):
    added = start_child(four, ChildSpec("extra", Worker, (events,))).ref
    assert added not in {partition_of(four, key) for key in range(8)}


def test_it_can_be_supervised_and_keeps_its_name(system, events):
    spec = ChildSpec(
        "parts",
        start_named,
        ("parts", PartitionSupervisor, ChildSpec("w", Worker, (events,))),
        {"partitions": 2},
        type="supervisor",
    )
    system.start(Supervisor, [spec])
    before = system.whereis("parts")
    before.kill()
    system.settle()
    assert system.whereis("parts") is not before
    assert partition_of("parts", 1, system=system).is_alive()


def test_part_3_a_via_name_finds_the_partition_of_its_key_always(system, four):
    via = Via(Partitions("four", system=system), "user-1")
    before = via.ref()
    assert before is partition_of(four, "user-1")
    crash(before)
    assert via.ref() is partition_of(four, "user-1")


def test_part_4_a_via_name_finds_nobody_while_the_partition_is_down(system, four):
    via = Via(Partitions(four), 2)
    terminate_child(four, 2)
    assert via.whereis() is None
    assert Via(Partitions("nobody", system=system), 2).whereis() is None


def test_a_key_cannot_be_given_away(four):
    keys = Partitions(four)
    with pytest.raises(UsageError):
        keys.register("user-1", four)
    with pytest.raises(UsageError):
        keys.unregister("user-1")
