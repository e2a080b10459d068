from __future__ import annotations

import logging
import threading

import pytest

from supervisors import (
    ActorSystem,
    Crashed,
    Entropy,
    InvalidArgumentError,
    InvalidTypeError,
    StartError,
    VirtualClock,
)
from supervisors.application import Application, ApplicationError, Applications
from supervisors.supervision.supervisor import Supervisor
from tests.supervisors.actors import Doer
from tests.supervisors.supervision.children import Stubborn, crash, refs, worker


class House:
    """Some applications and what has happened to them, in order."""

    def __init__(self, system):
        self.system = system
        self.events = []
        self.tops = {}

    def application(self, name, *children, **fields):
        def start():
            self.events.append(f"start {name}")
            self.tops[name] = Supervisor.start_link(list(children), max_restarts=0)
            return self.tops[name], f"state of {name}"

        def prep_stop(state):
            self.events.append(f"prep_stop {name}, tree {'up' if self.tops[name].is_alive() else 'down'}")
            return f"{state}, prepared"

        def stop(state):
            self.events.append(f"stop {name}: {state}, tree {'up' if self.tops[name].is_alive() else 'down'}")

        return Application(name=name, **{"start": start, "prep_stop": prep_stop, "stop": stop} | fields)

    def stopped(self):
        return [event.partition(":")[0][5:] for event in self.events if event.startswith("stop ")]


@pytest.fixture
def house(system):
    return House(system)


def reason_of(caught):
    return caught.value.reason


# Starting


def test_app_1_an_application_runs_under_its_name(system, house):
    made = Applications(system, [house.application("shop")])
    made.start("shop")
    assert made.running() == ("shop",)
    assert house.tops["shop"].is_alive()


def test_app_1_arguments_are_handed_to_the_start_function(system):
    seen = []

    def start(*args):
        seen.append(args)
        return Supervisor.start_link([])

    Applications(system, [Application(name="a", start=start, args=(1, 2))]).start("a")
    assert seen == [(1, 2)]


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("name", "", InvalidArgumentError),
        ("start", 5, InvalidTypeError),
        ("args", "ab", InvalidTypeError),
        ("needs", "store", InvalidTypeError),
        ("needs", (1,), InvalidTypeError),
        ("env", [("a", 1)], InvalidTypeError),
        ("phases", ("go",), InvalidTypeError),
        ("phases", (("go",),), InvalidArgumentError),
        ("start_phase", "go", InvalidTypeError),
        ("stop", 1, InvalidTypeError),
        ("prep_stop", 1, InvalidTypeError),
        ("includes", ("other",), InvalidTypeError),
        ("stop_seconds", -1, InvalidArgumentError),
    ],
)
def test_app_1_a_field_that_is_not_valid_is_named(field, value, error):
    with pytest.raises(error, match=field):
        Application(**{"name": "a", "start": list, field: value})


def test_app_2_a_needed_application_that_does_not_run_refuses_the_start(system, house):
    made = Applications(system, [house.application("store"), house.application("shop", needs=("store",))])
    with pytest.raises(ApplicationError) as caught:
        made.start("shop")
    assert reason_of(caught) == ("not_started", "store")
    made.start("store")
    made.start("shop")
    assert made.running() == ("store", "shop")


def test_app_2_a_second_start_is_refused(system, house):
    made = Applications(system, [house.application("shop")])
    made.start("shop")
    with pytest.raises(ApplicationError) as caught:
        made.start("shop")
    assert reason_of(caught) == ("already_started", "shop")


def test_app_2_ensure_all_started_starts_what_is_missing_in_order(system, house):
    made = Applications(
        system,
        [
            house.application("shop", needs=("store", "log")),
            house.application("store", needs=("disk", "log")),
            house.application("log"),
            house.application("disk"),
        ],
    )
    made.start("log")
    assert made.ensure_all_started("shop") == ("disk", "store", "shop")
    assert made.ensure_all_started("shop") == ()


def test_app_2_ensure_all_started_stops_what_it_has_started_when_one_fails(system, house):
    broken = house.application("shop", needs=("disk", "store"), start=lambda: "rubbish")
    made = Applications(system, [broken, house.application("store"), house.application("disk")])
    made.start("disk")
    with pytest.raises(ApplicationError):
        made.ensure_all_started("shop")
    assert made.running() == ("disk",)
    assert house.stopped() == ["store"]


def test_app_2_applications_that_need_each_other_are_refused(system, house):
    made = Applications(system, [house.application("a", needs=("b",)), house.application("b", needs=("a",))])
    with pytest.raises(ApplicationError) as caught:
        made.ensure_all_started("a")
    assert reason_of(caught) == ("circular", "a")
    assert house.events == []


def test_app_2_a_needed_application_that_nobody_knows_is_refused(system, house):
    made = Applications(system, [house.application("a", needs=("b",))])
    with pytest.raises(ApplicationError) as caught:
        made.ensure_all_started("a")
    assert reason_of(caught) == ("not_loaded", "b")


def test_app_3_a_start_that_fails_is_told_with_its_reason(system, house):
    def start():
        raise StartError("no disk")

    made = Applications(system, [house.application("a", start=start)])
    with pytest.raises(ApplicationError) as caught:
        made.start("a")
    assert reason_of(caught) == ("no disk", ("a", "start", ()))
    assert made.running() == ()


def test_app_3_rubbish_is_a_bad_return(system, house):
    made = Applications(system, [house.application("a", start=lambda: 5)])
    with pytest.raises(ApplicationError) as caught:
        made.start("a")
    assert reason_of(caught) == ("bad_return", (("a", "start", ()), 5))


def test_app_3_so_is_a_crash(system, house):
    made = Applications(system, [house.application("a", start=lambda: 1 // 0)])
    with pytest.raises(ApplicationError) as caught:
        made.start("a")
    tag, (call, crashed) = reason_of(caught)
    assert (tag, call) == ("bad_return", ("a", "start", ()))
    assert isinstance(crashed, Crashed)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_app_3_a_supervisor_that_is_not_linked_is_a_bad_return(system, house):
    made = Applications(system, [house.application("a", start=lambda: system.start(Supervisor, []))])
    with pytest.raises(ApplicationError) as caught:
        made.start("a")
    assert reason_of(caught)[0] == "bad_return"


def test_app_3_what_did_not_start_leaves_nothing_behind(system, house):
    made = Applications(system, [house.application("a", worker([], "w"), start=lambda: 5)])
    before = system.statistics()["actors"]
    with pytest.raises(ApplicationError):
        made.start("a")
    system.settle()
    assert system.statistics()["actors"] == before


# Start phases


def phased(house, name, phases, **fields):
    def start_phase(phase, argument):
        house.events.append(f"{name} {phase} {argument}")
        if argument == "fail":
            raise StartError("phase")

    return house.application(name, phases=phases, start_phase=start_phase, **fields)


def test_app_4_phases_are_run_in_order_after_the_start(system, house):
    Applications(system, [phased(house, "a", (("init", 1), ("go", 2)))]).start("a")
    assert house.events == ["start a", "a init 1", "a go 2"]


def test_app_4_a_phase_that_fails_fails_the_start_and_ends_the_tree(system, house):
    made = Applications(system, [phased(house, "a", (("init", "fail"), ("go", 2)))])
    with pytest.raises(ApplicationError) as caught:
        made.start("a")
    assert reason_of(caught) == ("phase", ("a", "start_phase", ("init", "fail")))
    assert house.events == ["start a", "a init fail"]
    assert not house.tops["a"].is_alive()
    assert made.running() == ()


def test_app_4_who_asks_what_runs_does_not_wait_for_a_start_that_hangs(real, house):
    entered, gate = threading.Event(), threading.Event()

    def hangs(_phase, _argument):
        entered.set()
        gate.wait(10)

    slow = house.application("slow", phases=(("go", None),), start_phase=hangs)
    made = Applications(real, [house.application("quick"), slow])
    made.start("quick")
    starter = threading.Thread(target=made.start, args=("slow",))
    starter.start()
    assert entered.wait(10)
    assert (made.running(), made.starting()) == (("quick",), "slow")
    gate.set()
    starter.join(10)
    assert (made.running(), made.starting()) == (("quick", "slow"), None)


def test_app_4_a_start_that_fails_is_no_longer_under_way(system, house):
    def fails(_phase, _argument):
        raise StartError("why")

    made = Applications(system, [house.application("shop", phases=(("go", None),), start_phase=fails)])
    with pytest.raises(ApplicationError):
        made.start("shop")
    assert (made.running(), made.starting()) == ((), None)


def test_nothing_runs_once_the_controller_is_gone(system, house):
    made = Applications(system, [house.application("shop")])
    made.start("shop")
    made._controller.kill()
    system.settle()
    assert (made.running(), made.starting()) == ((), None)


@pytest.mark.parametrize(("kind", "code"), [("temporary", None), ("transient", 1), ("permanent", 1)])
def test_app_7_a_top_that_is_killed_in_a_start_phase_has_started_and_ended_by_itself(system, house, kind, code):
    # As OTP 25 does: the start is told to be well, and then the end takes its course.
    made = Applications(
        system,
        [house.application("shop", phases=(("go", None),), start_phase=lambda *_: house.tops["shop"].kill())],
        on_failure=lambda name, reason: house.events.append(f"{name} failed: {reason}"),
    )
    made.start("shop", kind)
    assert made.wait(1.0) == code
    assert made.running() == ()
    assert house.stopped() == ["shop"]
    assert ("shop failed: killed" in house.events) is (code == 1)


def test_app_5_each_phase_runs_for_included_applications_too_before_the_next(system, house):
    inner = phased(house, "inner", (("go", 3), ("other", 4)))
    outer = phased(house, "outer", (("init", 1), ("go", 2)), includes=(inner,))
    Applications(system, [outer]).start("outer")
    assert house.events == ["start outer", "outer init 1", "outer go 2", "inner go 3"]


# Stopping


def test_app_6_stop_prepares_ends_the_tree_and_cleans_up(system, house):
    made = Applications(system, [house.application("a")])
    made.start("a")
    made.stop("a")
    assert house.events[1:] == ["prep_stop a, tree up", "stop a: state of a, prepared, tree down"]
    assert house.tops["a"].exit_reason == "shutdown"
    assert made.running() == ()


def test_app_6_what_does_not_run_cannot_be_stopped(system, house):
    made = Applications(system, [house.application("a")])
    with pytest.raises(ApplicationError) as caught:
        made.stop("a")
    assert reason_of(caught) == ("not_started", "a")


def test_app_6_applications_that_depend_on_it_are_not_looked_at(system, house):
    made = Applications(system, [house.application("store"), house.application("shop", needs=("store",))])
    made.ensure_all_started("shop")
    made.stop("store")
    assert made.running() == ("shop",)


def test_app_6_a_stopped_application_can_be_started_again(system, house):
    made = Applications(system, [house.application("a")])
    made.start("a", "permanent")
    made.stop("a")
    made.start("a")
    assert made.running() == ("a",)
    assert made.wait(0) is None


def test_app_6_callbacks_that_raise_do_not_keep_an_application_from_stopping(system, house, caplog):
    def wrong(_state):
        raise ValueError("no")

    made = Applications(system, [house.application("a", prep_stop=wrong, stop=wrong)])
    made.start("a")
    with caplog.at_level(logging.ERROR):
        made.stop("a")
    assert not house.tops["a"].is_alive()
    assert caplog.text.count("raised") == 2


def test_a_tree_that_takes_too_long_to_end_is_killed(system, house):
    stubborn = worker([], "w", Stubborn, shutdown="infinity")
    made = Applications(system, [house.application("a", stubborn, stop_seconds=2)])
    made.start("a")
    made.stop("a")
    assert system.clock.monotonic() == pytest.approx(2.0)
    assert house.tops["a"].exit_reason == "killed"


# Failure


def three(system, house, **options):
    told = []
    made = Applications(
        system,
        [house.application("a"), house.application("b", worker([], "w")), house.application("c")],
        on_failure=lambda name, reason: told.append((name, reason)),
        **options,
    )
    return made, told


def test_app_7_the_end_of_a_temporary_one_is_its_own_affair(system, house):
    made, told = three(system, house)
    for name in "abc":
        made.start(name, "temporary")
    crash(refs(house.tops["b"])["w"])
    system.settle()
    assert made.running() == ("a", "c")
    assert house.stopped() == ["b"]
    assert told == []


def test_app_7_the_end_of_a_permanent_one_stops_all_others_in_reverse_order(system, house):
    made, told = three(system, house)
    for name in "abc":
        made.start(name, "permanent")
    crash(refs(house.tops["b"])["w"])
    system.settle()
    assert house.stopped() == ["b", "c", "a"]
    assert told == [("b", "shutdown")]
    assert made.wait(0) == 1


@pytest.mark.parametrize(("reason", "stops"), [("normal", False), ("shutdown", True), ("boom", True)])
def test_app_7_a_transient_one_may_end_normally_and_in_no_other_way(system, house, reason, stops):
    made = Applications(system, [house.application("a"), Application(name="b", start=Doer.start_link)])
    made.start("a")
    made.start("b", "transient")
    [top] = [ref for ref in system.actors() if issubclass(ref.actor_class, Doer)]
    top.tell(("exit", reason))
    system.settle()
    assert made.running() == (() if stops else ("a",))
    assert made.wait(0) == (1 if stops else None)


def test_app_7_prep_stop_and_stop_are_called_when_a_tree_ends_by_itself(system, house):
    made, _ = three(system, house)
    made.start("b")
    crash(refs(house.tops["b"])["w"])
    system.settle()
    assert house.events[1:] == ["prep_stop b, tree down", "stop b: state of b, prepared, tree down"]


def test_app_7_a_killed_tree_counts_as_a_failure(system, house):
    made, told = three(system, house)
    made.start("a", "permanent")
    house.tops["a"].kill()
    system.settle()
    assert told == [("a", "killed")]


def test_a_callback_that_raises_changes_nothing(system, house, caplog):
    def wrong(_name, _reason):
        raise ValueError("no")

    made = Applications(system, [house.application("a")], on_failure=wrong)
    made.start("a", "permanent")
    with caplog.at_level(logging.ERROR):
        house.tops["a"].kill()
        system.settle()
    assert made.wait(0) == 1
    assert "on_failure raised" in caplog.text


def test_a_program_can_wait_for_its_applications_and_exit_with_their_code(real):
    house = House(real)
    made = Applications(real, [house.application("a", worker([], "w"))])
    made.start("a", "permanent")
    codes = []
    waiting = threading.Thread(target=lambda: codes.append(made.wait(10)))
    waiting.start()
    crash(refs(house.tops["a"])["w"])
    waiting.join(10)
    assert codes == [1]


# Environment


def test_app_8_settings_have_defaults_that_configuration_overrides(system, house):
    application = house.application("shop", env={"port": 80, "host": "here"})
    made = Applications(system, [application], config={"shop": {"port": 8080, "extra": True}})
    assert [made.get_env("shop", key) for key in ("port", "host", "extra", "other")] == [8080, "here", True, None]


def test_app_8_a_setting_can_be_changed(system, house):
    made = Applications(system, [house.application("shop", env={"port": 80})])
    made.set_env("shop", "port", 81)
    assert made.get_env("shop", "port") == 81
    assert made.get_env("shop", "host", "there") == "there"


def test_app_8_a_start_function_can_read_its_settings(system):
    seen = []

    def start():
        seen.append(made.get_env("a", "port"))
        return Supervisor.start_link([])

    made = Applications(system, [Application(name="a", start=start, env={"port": 80})])
    made.start("a")
    assert seen == [80]


# The end


def test_app_9_the_end_of_the_system_stops_applications_in_reverse_order():
    with ActorSystem(clock=VirtualClock(), entropy=Entropy(1)) as system:
        house = House(system)
        made = Applications(system, [house.application(name) for name in "abc"])
        for name in "cab":
            made.start(name, "permanent")
    assert house.stopped() == ["b", "a", "c"]
    assert house.events[-2:] == ["prep_stop c, tree up", "stop c: state of c, prepared, tree down"]
    assert made.wait(0) == 0


def test_app_9_so_does_stop_all(system, house):
    made = Applications(system, [house.application(name) for name in "ab"])
    for name in "ab":
        made.start(name)
    made.stop_all()
    assert house.stopped() == ["b", "a"]
    assert made.running() == ()
    assert made.wait(0) == 0


# Mistakes


def test_a_name_that_nobody_knows_is_refused(system):
    made = Applications(system)
    for call in (made.start, made.stop, made.ensure_all_started):
        with pytest.raises(InvalidArgumentError, match="name"):
            call("nobody")


def test_a_type_that_there_is_not_is_refused(system, house):
    made = Applications(system, [house.application("a")])
    with pytest.raises(InvalidArgumentError, match="type"):
        made.start("a", "eternal")


def test_two_applications_of_one_name_are_refused(system, house):
    made = Applications(system, [house.application("a")])
    with pytest.raises(ApplicationError) as caught:
        made.load(house.application("a"))
    assert reason_of(caught) == ("already_loaded", "a")


def test_what_is_no_application_is_refused(system):
    with pytest.raises(InvalidTypeError, match="application"):
        Applications(system, ["shop"])  # type: ignore[list-item]  # the mistake


def test_a_failure_callback_that_is_no_function_is_refused(system):
    with pytest.raises(InvalidTypeError, match="on_failure"):
        Applications(system, on_failure="tell me")


def test_a_new_start_begins_a_new_run_with_a_code_of_its_own(system, house):
    made = Applications(system, [house.application("a"), house.application("b")])
    made.start("a")
    made.stop_all()
    assert made.wait(0) == 0
    made.start("a")
    assert made.wait(0) is None
    made.start("b", "permanent")
    house.tops["b"].kill()
    system.settle()
    assert made.wait(0) == 1
    made.ensure_all_started("a")
    assert made.wait(0) is None
    made.stop_all()
    assert made.wait(0) == 0


def test_a_start_that_fails_leaves_the_code_of_the_run_before(system, house):
    def fail():
        raise StartError("no")

    broken = house.application("broken", start=fail)
    made = Applications(system, [house.application("a"), broken, house.application("c", needs=("a", "broken"))])
    made.start("a")
    made.stop_all()
    with pytest.raises(ApplicationError):
        made.start("broken")
    assert made.wait(0) == 0
    with pytest.raises(ApplicationError):
        made.ensure_all_started("c")
    assert made.wait(0) == 0


@pytest.mark.parametrize("timeout", [-1, float("nan"), True, "soon"])
def test_a_wait_that_is_no_time_is_refused(system, timeout):
    with pytest.raises((InvalidArgumentError, InvalidTypeError), match="timeout"):
        Applications(system).wait(timeout)


def test_applications_live_in_a_system():
    with pytest.raises(InvalidTypeError, match="system"):
        Applications(None)


@pytest.mark.parametrize("given", [{"known": 5}, {"config": True}, {"config": {"a": 5}}])
def test_what_applications_are_made_of_is_looked_at(system, given):
    with pytest.raises(InvalidTypeError, match=next(iter(given))):
        Applications(system, **given)
    assert system.actors() == []


def test_app_8_a_setting_has_a_name(system, house):
    made = Applications(system, [house.application("a")])
    with pytest.raises(InvalidTypeError, match="key"):
        made.get_env("a", [])
    with pytest.raises(InvalidTypeError, match="name"):
        made.get_env([], "key")
    with pytest.raises(InvalidTypeError, match="key"):
        made.set_env("a", [], 1)
    assert made.get_env("unknown", "key", "default") == "default"
