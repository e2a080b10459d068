"""Functions for clients take a ref, a name or a `Via`, and refuse actors that they are not for."""

from __future__ import annotations

from functools import partial

import pykka
import pytest

from supervisors import (
    NOPROC,
    ActorDeadError,
    ActorRef,
    ActorSystem,
    ChildSpec,
    DynamicSupervisor,
    InvalidArgumentError,
    InvalidTypeError,
    NoActorError,
    PartitionSupervisor,
    Supervisor,
    TaskSupervisor,
    Via,
    count_children,
    delete_child,
    get_childspec,
    partition_of,
    restart_child,
    shut_down,
    start_child,
    supervision_tree,
    terminate_child,
    which_children,
)
from supervisors.addressee import WrongActorError
from supervisors.names import Names
from supervisors.server import call, cast, reply, stop
from supervisors.statem import calls as statem
from supervisors.supervision.partition import partitions
from supervisors.tasks import async_, async_nolink, async_stream, async_stream_nolink, await_
from supervisors.tasks import start_child as start_task
from tests.supervisors.actors import Doer, Echo
from tests.supervisors.servers import Log, deferring
from tests.supervisors.statem.machines import Log as MachineLog


def replaced(state, data):
    return state, data + 1


# What is called, and how somebody is started whom it can be called on.
SERVER = [
    partial(call, request="question"),
    partial(cast, message="news"),
    partial(stop, reason="normal"),
    partial(statem.call, request="question"),
]
MACHINE = [statem.get_state, partial(statem.replace_state, change=replaced)]
SUPERVISOR = [
    which_children,
    count_children,
    supervision_tree,
    partial(start_child, child=ChildSpec("new", Echo)),
    partial(terminate_child, child="echo"),
    partial(get_childspec, child="echo"),
]
STOPPED = [partial(restart_child, child_id="stopped"), partial(delete_child, child_id="stopped")]
TASKS = [
    lambda target, system=None: await_(async_(target, max, 3, 5, system=system)),
    lambda target, system=None: await_(async_nolink(target, max, 3, 5, system=system)),
    lambda target, system=None: start_task(target, list, system=system),
    lambda target, system=None: list(async_stream(target, [1, 2], str, system=system)),
    lambda target, system=None: list(async_stream_nolink(target, [1, 2], str, system=system)),
]
PARTITIONS = [partitions, partial(partition_of, key="k")]
ANY = [partial(shut_down, seconds=1)]


def server(system, **options):
    return system.start(Log, **options)


def machine(system, **options):
    return system.start(MachineLog, **options)


def supervisor(system, **options):
    started = system.start(Supervisor, [ChildSpec("echo", Echo), ChildSpec("stopped", Echo)], **options)
    terminate_child(started, "stopped")
    return started


def tasks(system, **options):
    return system.start(TaskSupervisor, **options)


def several(system, **options):
    return system.start(PartitionSupervisor, ChildSpec("echo", Echo), partitions=2, **options)


CASES = [
    *((function, server) for function in SERVER),
    *((function, machine) for function in MACHINE),
    *((function, supervisor) for function in SUPERVISOR + STOPPED),
    *((function, tasks) for function in TASKS),
    *((function, several) for function in PARTITIONS),
    *((function, supervisor) for function in ANY),
]


@pytest.mark.parametrize(("function", "start"), CASES)
def test_name_5_a_registered_name_will_do_on_a_plain_thread_with_its_system(system, function, start):
    start(system, name="n")
    if function is not SERVER[3]:
        function("n", system=system)
        return
    assert function("n", system=system, timeout=1.0) == "question"


@pytest.mark.parametrize(("function", "start"), CASES)
def test_name_5_a_registered_name_will_do_in_an_actors_turn(system, function, start):
    start(system, name="n")
    system.start(Doer).ask(lambda _self: bool(function("n")) or True)


@pytest.mark.parametrize(("function", "start"), CASES)
def test_name_5_a_via_brings_its_registry_along(system, function, start):
    names = Names()
    names.register("n", start(system))
    function(Via(names, "n"))


@pytest.mark.parametrize(("function", "start"), CASES)
def test_a_name_on_a_plain_thread_without_a_system_is_an_error_that_says_so(system, function, start):
    start(system, name="n")
    with pytest.raises(NoActorError, match="system="):
        function("n")


@pytest.mark.parametrize(("function", "start"), [case for case in CASES if case[0] is not SERVER[1]])
def test_srv_2_a_name_that_nobody_has_is_noproc_at_once(system, function, start):
    start(system, name="n").kill()
    for target in ("n", "never there", Via(Names(), "n")):
        with pytest.raises(ActorDeadError, match="nobody has the name") as caught:
            function(target, system=system)
        assert caught.value.reason == NOPROC
    assert system.clock.monotonic() == 0.0


@pytest.mark.parametrize(
    ("function", "start"), [case for case in CASES if case[0] is not SERVER[1] and case[0] not in ANY]
)
def test_srv_2_the_ref_of_an_actor_that_has_ended_is_noproc_at_once(system, function, start):
    ref = start(system)
    ref.kill()
    with pytest.raises(ActorDeadError) as caught:
        function(ref)
    assert caught.value.reason == NOPROC


def test_name_4_a_cast_to_a_name_that_nobody_has_does_nothing(system):
    cast("n", "news", system=system)
    cast(Via(Names(), "n"), "news")
    assert system.dead_letters == 0


@pytest.mark.parametrize(("function", "_start"), CASES)
@pytest.mark.parametrize("target", [None, [], {}, Echo.__new__(Echo)])
def test_what_is_neither_a_ref_nor_a_name_is_a_typed_error(system, function, _start, target):
    with pytest.raises((InvalidTypeError, InvalidArgumentError), match="a Via"):
        function(target, system=system)


def test_the_ref_of_a_stock_actor_is_no_name(system):
    class Stock(pykka.ThreadingActor):
        pass

    stock = Stock.start()
    try:
        with pytest.raises(InvalidTypeError, match="server"):
            call(stock, "question", system=system)
    finally:
        stock.stop()


def test_what_is_no_system_is_a_typed_error():
    with pytest.raises(InvalidTypeError, match="system: a str"):
        which_children("n", system="here")


# Actors of another kind


def other_kinds(start):
    """Return what is not of the kind that `start` starts, nor of one that would do as well."""
    kinds = {server: (supervisor,), machine: (supervisor,), supervisor: (server,), tasks: (server, supervisor)}
    return (*kinds.get(start, (supervisor,)), lambda system: system.start(Doer))


WRONG = [(function, other) for function, start in CASES if function not in ANY for other in other_kinds(start)]


@pytest.mark.parametrize(("function", "other"), WRONG)
def test_an_actor_of_another_kind_is_refused_at_once_and_not_disturbed(system, function, other):
    ref = other(system)
    with pytest.raises(WrongActorError, match="allowed: a ") as caught:
        function(ref)
    assert str(ref) in str(caught.value)
    assert caught.value.ref is ref
    assert ref.is_alive()
    assert ref.actor_class is not Doer or ref.ask("seen") == []
    assert system.clock.monotonic() == 0.0


def test_a_child_that_is_only_called_a_supervisor_is_drawn_and_not_asked(system):
    asked = []

    class Custom(Echo):
        def on_receive(self, message):
            asked.append(message)

    root = system.start(Supervisor, [ChildSpec("one", Custom, type="supervisor"), ChildSpec("two", Echo)])
    assert str(supervision_tree(root)).splitlines() == ["Supervisor", "├── one (Custom)", "└── two (Echo)"]
    assert asked == []


# The rest of what servers have for clients


def test_srv_1_a_call_by_name_returns_the_reply(system):
    server(system, name="n")
    assert call("n", "question", system=system) == "question"


def test_srv_4_a_cast_by_name_arrives(system):
    ref = server(system, name="n")
    cast("n", "news", system=system)
    assert ("cast", "news") in ref.proxy().log.get()


def test_srv_8_a_deferred_reply_can_be_given_once(system):
    owed = []
    ref = system.start(Log, call=deferring(owed))
    future = ref.ask("question", block=False)
    assert reply(owed[0], "answer")
    assert not reply(owed[0], "another")
    assert future.get(timeout=0) == "answer"


def test_srv_8_only_what_is_owed_can_be_answered():
    with pytest.raises(InvalidTypeError, match="owed"):
        reply("answer")


def test_srv_25_a_server_that_was_named_is_stopped(system):
    ref = server(system, name="n")
    stop("n", "done", system=system)
    assert ref.exit_reason == "done"


def test_a_restarted_server_is_found_under_its_name_again():
    with ActorSystem() as real:
        first = real.start(Log, name="n")
        stop("n", system=real)
        second: ActorRef[Log] = real.start(Log, name="n")
        assert call("n", "question", system=real) == "question"
        assert first is not second


def test_dynamic_supervisors_take_children_by_name(system):
    system.start(DynamicSupervisor, name="n")
    assert start_child("n", ChildSpec("any", Echo), system=system).ref.is_alive()
    assert count_children("n", system=system).active == 1


def test_srv_27_a_change_that_is_no_function_is_refused_and_the_machine_lives(system):
    ref = machine(system)
    with pytest.raises(InvalidTypeError, match="change"):
        statem.replace_state(ref, "b")
    assert statem.get_state(ref) == ("a", 0)


@pytest.mark.parametrize("function", [SERVER[1], SERVER[2]])
def test_what_cannot_travel_to_another_process_is_refused_and_disturbs_nobody(system, function):
    class Elsewhere(Log):
        dispatch = "process"

    # As with a process of its own: it runs somewhere else than its class says.
    ref = system.spawn(Elsewhere, link=False, report=True, dispatch="inline")
    with pytest.raises(WrongActorError, match="only asks and tells go"):
        function(ref)
    assert call(ref, "question") == "question"
