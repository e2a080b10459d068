"""NPOOL-1 to NPOOL-12: a pool whose resources are values in one actor."""

from __future__ import annotations

import threading

import pytest

from supervisors import (
    IGNORE,
    ActorDeadError,
    Exit,
    IgnoreStart,
    InvalidArgumentError,
    InvalidTypeError,
    Shutdown,
    StartError,
    Stop,
    Throw,
    WrongActorError,
    stop,
)
from supervisors.pools.errors import CheckoutTimeoutError
from supervisors.resources import (
    Lent,
    LoanOverError,
    MadeLater,
    Remove,
    ResourceKeeper,
    ResourcePool,
    Skip,
    StopPool,
    borrow,
)
from supervisors.supervision.child_spec import ChildSpec
from supervisors.supervision.supervisor import Supervisor
from tests.supervisors.actors import Doer, Echo, SharedDoer
from tests.supervisors.supervision.children import refs


class Book(ResourceKeeper):
    """Numbers its resources, writes down what happens to them, and does what it is told to by commands."""

    def init_pool(self, log, **rules):
        self.log = log
        self.rules = rules
        self.made = 0
        return rules.get("init")

    def init_worker(self):
        self.made += 1
        number = self.made
        self.log.append(f"+{number}")
        rule = self.rules.get("make")
        return rule(number) if rule is not None else number

    def handle_checkout(self, command, borrower, resource):
        if callable(command):
            return command(resource)
        return Lent(resource, resource)

    def handle_checkin(self, client_state, borrower, resource):
        if callable(client_state):
            return client_state(resource)
        return resource

    def handle_update(self, message, resource):
        self.log.append(f"update {resource} {message}")
        return message

    def handle_info(self, message, resource):
        self.log.append(f"info {resource} {message}")
        return Remove("told to") if message == ("away", resource) else resource

    def handle_enqueue(self, command):
        return Skip(ValueError("not that")) if command == "refuse" else command

    def handle_ping(self, resource):
        self.log.append(f"ping {resource}")
        rule = self.rules.get("ping")
        return rule(resource) if rule is not None else resource

    def handle_cancelled(self, where):
        self.log.append(f"cancelled {where}")

    def terminate_worker(self, reason, resource):
        self.log.append(f"-{resource} {reason}")

    def terminate_pool(self, reason):
        self.log.append(f"pool {reason}")


@pytest.fixture
def log():
    return []


@pytest.fixture
def pool(system, log):
    def start(**options):
        made = system.start(ResourcePool, Book, log, **({"pool_size": 2} | options))
        if not options.get("keep_log"):
            system.settle()
        return made

    return start


def state(loan):
    return loan.state


def raising(error):
    def function(_loan):
        raise error

    return function


def test_npool_1_only_making_and_lending_have_to_be_written(system):
    class Least(ResourceKeeper):
        def init_worker(self):
            return []

        def handle_checkout(self, command, borrower, resource):
            return Lent(resource, resource)

    made = system.start(ResourcePool, Least, pool_size=1, worker_idle_timeout=1.0)
    assert borrow(made, lambda loan: loan.state.append(1)) is None
    made.send("whatever")
    system.advance(5.0)
    assert borrow(made, state) == [1]
    with pytest.raises(TypeError, match="init_worker"):
        ResourceKeeper()  # type: ignore[abstract]  # that is what is tested


@pytest.mark.parametrize(("result", "error"), [(IGNORE, IgnoreStart), (Stop("why"), StartError)])
def test_npool_1_a_pool_may_decline_to_start(system, log, result, error):
    with pytest.raises(error):
        system.start(ResourcePool, Book, log, init=result)
    assert log == []


def test_npool_1_a_resource_may_be_made_beside_the_pool(system, pool, log):
    made = pool(make=lambda number: MadeLater(lambda: f"made {number}"))
    assert {borrow(made, state), borrow(made, state)} == {"made 1", "made 2"}


def test_npool_1_a_resource_that_could_not_be_made_beside_the_pool_is_tried_again(system, pool, caplog):
    def make(number):
        return MadeLater(lambda: 1 // 0 if number < 3 else number)

    made = pool(pool_size=1, make=make)
    assert borrow(made, state) == 3
    assert "could not be made" in caplog.text


def test_npool_1_a_borrower_can_tell_the_pool_about_its_resource(pool, log):
    made = pool(pool_size=1)
    kept = []

    def function(loan):
        kept.append(loan)
        loan.update("seven")

    borrow(made, function)
    assert borrow(made, state) == "seven"
    assert log == ["+1", "update 1 seven"]
    with pytest.raises(LoanOverError):
        kept[0].update("late")


def test_npool_1_a_command_can_be_refused_before_it_waits(pool, log):
    made = pool()
    with pytest.raises(ValueError, match="not that"):
        borrow(made, state, "refuse")
    assert borrow(made, state) == 1


def test_npool_2_all_resources_are_made_at_the_start(pool, log):
    pool(pool_size=3)
    assert log == ["+1", "+2", "+3"]


def test_npool_2_a_lazy_pool_makes_one_when_none_is_free(pool, log):
    made = pool(lazy=True)
    assert log == []
    assert [borrow(made, state), borrow(made, state)] == [1, 1]
    assert borrow(made, lambda _loan: borrow(made, state)) == 2
    assert log == ["+1", "+2"]


def test_npool_3_the_function_runs_in_the_caller_and_its_result_is_returned(pool):
    made = pool()
    here = threading.get_ident()
    assert borrow(made, lambda loan: (loan.state, threading.get_ident())) == (1, here)


def test_npool_3_the_one_that_has_been_idle_longest_is_next(pool):
    made = pool(pool_size=3)
    assert [borrow(made, state) for _ in range(5)] == [1, 2, 3, 1, 2]


def test_npool_3_who_has_waited_longest_is_served_first(real, log):
    made = real.start(ResourcePool, Book, log, pool_size=1)
    order = []
    threads = [
        threading.Thread(target=borrow, args=(made, lambda _loan, number=number: order.append(number)))
        for number in range(3)
    ]

    def function(_loan):
        for number, thread in enumerate(threads):
            thread.start()
            _until_waiting(made, number + 1)

    borrow(made, function)
    for thread in threads:
        thread.join(10)
    assert order == [0, 1, 2]


def test_npool_3_what_the_function_leaves_in_the_loan_goes_to_the_pool(pool, log):
    made = pool(pool_size=1)

    def function(loan):
        loan.state = lambda resource: f"{resource} used"

    borrow(made, function)
    assert borrow(made, state) == "1 used"


def test_npool_4_who_waits_too_long_gets_an_error_and_the_request_is_withdrawn(system, pool, log):
    made = pool(pool_size=1)

    def function(_loan):
        with pytest.raises(CheckoutTimeoutError):
            borrow(made, state, timeout=2.0)

    borrow(made, function)
    system.settle()
    assert system.clock.monotonic() == 2.0
    assert log == ["+1", "cancelled queued"]
    assert borrow(made, state) == 1


def test_npool_4_a_request_past_its_deadline_is_never_served(system, pool, log):
    made = pool(pool_size=1)
    made.suspend()
    borrower = system.start(SharedDoer)
    answer = borrower.ask(lambda _self: borrow(made, lambda _loan: log.append("served"), timeout=1.0), block=False)
    with pytest.raises(CheckoutTimeoutError):
        answer.get(timeout=5.0)
    made.resume()
    system.settle()
    assert log == ["+1", "cancelled queued"]


def test_npool_4_a_pool_that_is_not_there(system, pool):
    made = pool()
    made.stop()
    for who in (made, "nobody"):
        with pytest.raises(ActorDeadError) as caught:
            borrow(who, state, system=system)
        assert caught.value.reason == "noproc"


@pytest.mark.parametrize(("error", "reason"), [(ValueError("x"), "error"), (Throw("x"), "throw"), (Exit("x"), "exit")])
def test_npool_5_a_function_that_raises_costs_the_resource_and_the_exception_goes_on(system, pool, log, error, reason):
    made = pool(pool_size=1)
    with pytest.raises(type(error)) as caught:
        borrow(made, raising(error))
    assert caught.value is error
    system.settle()
    assert log == ["+1", "cancelled checked_out", f"-1 {reason}", "+2"]
    assert borrow(made, state) == 2


def test_npool_6_the_resource_of_a_borrower_that_ends_is_removed(real, log):
    made = real.start(ResourcePool, Book, log, pool_size=1)
    entered, gate = threading.Event(), threading.Event()

    def hold(_loan):
        entered.set()
        gate.wait(10)

    borrower = real.start(SharedDoer)
    borrower.tell(lambda _self: borrow(made, hold))
    assert entered.wait(10)
    borrower.kill()
    assert borrow(made, state, timeout=10.0) == 2
    assert log == ["+1", "cancelled checked_out", "-1 DOWN", "+2"]
    gate.set()


def test_npool_6_the_request_of_a_borrower_that_ends_is_dropped(real, log):
    made = real.start(ResourcePool, Book, log, pool_size=1)
    borrower = real.start(SharedDoer)

    def function(_loan):
        borrower.tell(lambda _self: borrow(made, lambda _loan: log.append("served"), timeout=None))
        _until_waiting(made)
        borrower.kill()
        _until_waiting(made, 0)

    borrow(made, function)
    assert borrow(made, state) == 1
    assert log == ["+1", "cancelled queued"]


def _until_waiting(pool, count=1):
    for _ in range(10_000):
        if len(pool._actor_weakref()._waiting) == count:
            return
        threading.Event().wait(0.001)
    pytest.fail("nobody waits")


def test_npool_7_and_npool_8_a_removed_resource_is_ended_and_the_next_one_is_tried(system, pool, log):
    made = pool()
    assert borrow(made, state, lambda number: Remove("old") if number == 1 else Lent(number, number)) == 2
    assert log == ["+1", "+2", "-1 old", "+3"]


def test_npool_7_a_lazy_pool_makes_another_when_it_is_needed(system, pool, log):
    made = pool(lazy=True, pool_size=1)
    with pytest.raises(ValueError, match="x"):
        borrow(made, raising(ValueError("x")))
    system.settle()
    assert log == ["+1", "cancelled checked_out", "-1 error"]
    assert borrow(made, state) == 2


def test_npool_7_a_resource_can_be_removed_when_it_comes_back(system, pool, log):
    made = pool(pool_size=1)

    def function(loan):
        loan.state = lambda _resource: Remove("worn out")

    borrow(made, function)
    system.settle()
    assert log == ["+1", "-1 worn out", "+2"]


def test_npool_8_a_skip_raises_in_the_caller_and_the_resource_stays(pool, log):
    made = pool()
    with pytest.raises(ValueError, match="busy"):
        borrow(made, state, lambda _number: Skip(ValueError("busy")))
    assert borrow(made, state) == 1
    assert log == ["+1", "+2"]


def test_npool_9_a_callback_that_raises_removes_its_resource_and_is_logged(pool, log, caplog):
    made = pool()
    assert borrow(made, state, lambda number: number // (number - 1) and Lent(number, number)) == 2
    assert log[2:] == ["-1 integer division or modulo by zero", "+3"]
    assert "handle_checkout() raised" in caplog.text


def test_npool_9_so_does_one_that_answers_rubbish(pool, log, caplog):
    made = pool()
    assert borrow(made, state, lambda number: None if number == 1 else Lent(number, number)) == 2
    assert "Lent, Remove or Skip" in caplog.text


def test_npool_9_a_resource_that_cannot_be_made_is_tried_again_ever_later(system, pool, log, caplog):
    def make(number):
        if number < 6:
            raise OSError("away")
        return number

    made = pool(pool_size=1, make=make)
    assert borrow(made, state) == 6
    assert 0.1 < system.clock.monotonic() < 1.0
    assert caplog.text.count("init_worker() raised") == 5


def test_npool_10_messages_go_to_each_free_resource_and_not_to_those_that_are_lent(system, pool, log):
    made = pool(pool_size=3)

    def function(_loan):
        made.send("news")
        made.send(("away", 3))
        system.settle()

    borrow(made, function)
    assert log[3:] == ["info 2 news", "info 3 news", "info 2 ('away', 3)", "info 3 ('away', 3)", "-3 told to", "+4"]


def test_npool_11_idle_resources_are_looked_after_again_and_again(system, pool, log):
    pool(worker_idle_timeout=10.0)
    system.advance(9.9)
    assert log[2:] == []
    system.advance(10.2)
    assert log[2:] == ["ping 1", "ping 2", "ping 1", "ping 2"]


def test_npool_11_only_so_many_at_once_and_none_that_was_used(system, pool, log):
    made = pool(pool_size=3, worker_idle_timeout=10.0, max_idle_pings=1)
    system.advance(5.0)
    borrow(made, state)
    system.advance(5.0)
    assert log[3:] == ["ping 2"]
    system.advance(10.0)
    assert log[4:] in (["ping 3"], ["ping 1"], ["ping 2"])


def test_npool_11_one_that_is_found_to_be_bad_is_removed(system, pool, log):
    pool(worker_idle_timeout=10.0, pool_size=1, ping=lambda _resource: Remove("stale"))
    system.advance(10.0)
    assert log == ["+1", "ping 1", "-1 stale", "+2"]


def test_npool_11_a_ping_may_stop_the_pool(system, pool, log):
    made = pool(worker_idle_timeout=10.0, ping=lambda _resource: StopPool("no use"))
    system.advance(10.0)
    assert made.exit_reason == Shutdown("no use")
    assert log[3:] == [f"{what} {made.exit_reason}" for what in ("-1", "-2", "pool")]


def test_npool_12_the_end_of_the_pool_ends_what_is_free(system, log):
    supervisor = system.start(
        Supervisor, [ChildSpec("pool", ResourcePool, (Book, log), {"pool_size": 2, "lazy": False})]
    )
    assert borrow(refs(supervisor)["pool"], state) == 1
    system.settle()
    supervisor.stop()
    assert log == ["+1", "+2", "-2 shutdown", "-1 shutdown", "pool shutdown"]


def test_npool_12_who_waits_is_told_the_reason(real, log):
    made = real.start(ResourcePool, Book, log, pool_size=1)
    borrower = real.start(SharedDoer)

    def function(_loan):
        answer = borrower.ask(lambda _self: borrow(made, state), block=False)
        _until_waiting(made)
        stop(made, "that is it")
        with pytest.raises(ActorDeadError) as caught:
            answer.get(timeout=10)
        assert caught.value.reason == "that is it"

    borrow(made, function)


def test_a_restarted_pool_begins_with_a_new_keeper(system, log):
    supervisor = system.start(Supervisor, [ChildSpec("pool", ResourcePool, (Book, log), {"pool_size": 1})])
    refs(supervisor)["pool"].kill()
    system.settle()
    assert borrow(refs(supervisor)["pool"], state) == 1
    assert log == ["+1", "+1"]


def test_what_is_no_pool_is_refused(system):
    with pytest.raises(WrongActorError, match="ResourcePool"):
        borrow(system.start(Echo), state)


def test_what_is_no_function_is_refused(pool):
    with pytest.raises(InvalidTypeError, match="function"):
        borrow(pool(), 5)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"pool_size": 0}, InvalidArgumentError),
        ({"pool_size": True}, InvalidTypeError),
        ({"pool_size": 2.0}, InvalidTypeError),
        ({"lazy": 1}, InvalidTypeError),
        ({"worker_idle_timeout": 0}, InvalidArgumentError),
        ({"worker_idle_timeout": -1.0}, InvalidArgumentError),
        ({"max_idle_pings": 0}, InvalidArgumentError),
    ],
)
def test_npool_2_an_option_that_is_not_valid_is_named(system, log, options, error):
    with pytest.raises(StartError) as caught:
        system.start(ResourcePool, Book, log, **options)
    assert isinstance(caught.value.__cause__, error)
    assert next(iter(options)) in str(caught.value.__cause__)


def test_a_keeper_is_a_class(system):
    with pytest.raises(StartError) as caught:
        system.start(ResourcePool, Doer)
    assert isinstance(caught.value.__cause__, InvalidTypeError)


@pytest.mark.parametrize(("kind", "given"), [(MadeLater, 5), (Skip, "no")])
def test_an_answer_that_cannot_be_right_is_refused(kind, given):
    with pytest.raises(InvalidTypeError):
        kind(given)


def test_many_threads_share_few_resources(real, log):
    made = real.start(ResourcePool, Book, log, pool_size=3)
    inside, most, lock = [0], [0], threading.Lock()

    def function(_loan):
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        threading.Event().wait(0.0005)
        with lock:
            inside[0] -= 1

    def use():
        for _ in range(20):
            borrow(made, function, timeout=10.0)

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 < most[0] <= 3
    assert log == ["+1", "+2", "+3"]
