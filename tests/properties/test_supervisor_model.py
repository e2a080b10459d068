"""A supervisor against a model: a list of children, and what each rule does to it at once.

The model has no turns, no signals and no mailbox; it was written from the rules and
knows nothing of the supervisor's own core. After each step both must agree on every
start and end in their order, on every child's state, on every answer, and on whether
the supervisor lives.
"""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from supervisors import ActorSystem, Entropy, StartError, VirtualClock
from supervisors.supervision import calls
from supervisors.supervision.child_spec import ChildSpec
from supervisors.supervision.requests import SupervisorRefusal
from supervisors.supervision.supervisor import Supervisor
from tests.supervisors.supervision.children import Worker, crash, refs

IDS = ("a", "b", "c", "d", "e")
PERIOD = 5

restart_types = st.sampled_from(["permanent", "transient", "temporary"])
ids = st.sampled_from(IDS)


class Model:
    """What SUP-9 to SUP-29 and SUP-60 to SUP-66 say, and no more."""

    def __init__(self, strategy: str, intensity: int, plans: dict[str, list[str]]) -> None:
        self.strategy, self.intensity, self.plans = strategy, intensity, plans
        self.types: dict[str, str] = {}  # in start order
        self.running: set[str] = set()
        self.times: list[float] = []
        self.log: list[str] = []
        self.lives = True

    def start(self, child: str) -> str:
        outcome = self.plans[child].pop(0) if self.plans[child] else "ok"
        if outcome == "ok":
            self.running.add(child)
            self.log.append(f"+{child}")
        elif outcome == "ignore":
            self.forget_temporary(child)
        return outcome

    def stop(self, child: str) -> None:
        if child in self.running:
            self.running.remove(child)
            self.log.append(f"-{child}")
        self.forget_temporary(child)

    def forget_temporary(self, child: str) -> None:
        if self.types[child] == "temporary":
            del self.types[child]

    def crash(self, child: str, reason: str, now: float) -> None:
        kind = self.types[child]
        self.stop(child)
        if kind == "permanent" or (kind == "transient" and reason == "boom"):
            self.restart(child, now)

    def restart(self, child: str | None, now: float) -> None:
        while child is not None:
            self.times = [time for time in self.times if now - time <= PERIOD] + [now]
            if len(self.times) > self.intensity:
                self.end()
                return
            order = list(self.types)
            first = {"one_for_all": 0, "rest_for_one": order.index(child)}.get(self.strategy)
            group = [child] if first is None else order[first:]
            for other in reversed(group):
                if other != child:
                    self.stop(other)
            child = next((one for one in group if one in self.types and self.start(one) == "fail"), None)

    def end(self) -> None:
        for child in reversed(list(self.types)):
            self.stop(child)
        self.lives = False

    def start_child(self, child: str, kind: str) -> str:
        if child in self.types:
            return "already_started" if child in self.running else "already_present"
        self.types[child] = kind
        outcome = self.start(child)
        if outcome == "fail":
            del self.types[child]
        return outcome

    def request(self, operation: str, child: str) -> str:
        if child not in self.types:
            return "not_found"
        if operation == "terminate_child":
            self.stop(child)
            return "ok"
        if child in self.running:
            return "running"
        if operation == "restart_child":
            return self.start(child)
        del self.types[child]
        return "ok"


settings_of_a_supervisor: dict[str, Any] = {
    "strategy": st.sampled_from(["one_for_one", "one_for_all", "rest_for_one"]),
    "intensity": st.sampled_from([3, 1, 2, 0]),
    "kinds": st.lists(restart_types, min_size=2, max_size=4),
}


class SupervisorMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.system = ActorSystem(clock=VirtualClock(), entropy=Entropy(1))

    @initialize(**settings_of_a_supervisor)
    def begin(self, strategy, intensity, kinds):
        self.log: list[str] = []
        self.plans: dict[str, list[str]] = {child: [] for child in IDS}
        self.model = Model(strategy, intensity, {child: [] for child in IDS})
        specs = [self.spec(child, kind) for child, kind in zip(IDS, kinds, strict=False)]
        self.supervisor = self.system.start(
            Supervisor, specs, strategy=strategy, max_restarts=intensity, max_seconds=PERIOD
        )
        for spec in specs:
            self.model.types[spec.id] = spec.restart
            self.model.start(spec.id)

    @rule(**settings_of_a_supervisor)
    @precondition(lambda self: not self.model.lives)
    def begin_again(self, strategy, intensity, kinds):
        self.begin(strategy, intensity, kinds)

    def spec(self, child: str, kind: Any) -> ChildSpec:
        def start() -> Any:
            outcome = self.plans[child].pop(0) if self.plans[child] else "ok"
            if outcome == "fail":
                raise StartError("planned")
            return "ignore" if outcome == "ignore" else Worker.start_link(self.log, child)

        return ChildSpec(child, start, restart=kind)

    def told(self, call: Any, *given: Any) -> str:
        try:
            answer = call(self.supervisor, *given)
        except SupervisorRefusal as refusal:
            return "fail" if refusal.code == "start_failed" else refusal.code
        return "ignore" if answer is not None and answer.ref is None else "ok"

    @rule(child=ids, outcomes=st.lists(st.sampled_from(["fail", "fail", "ignore", "ok"]), max_size=3))
    @precondition(lambda self: self.model.lives)
    def plan_starts(self, child, outcomes):
        """Choose what the next starts of a child come to."""
        self.plan(child, outcomes)

    def plan(self, child: str, outcomes: list[str]) -> None:
        self.plans[child] = list(outcomes)
        self.model.plans[child] = list(outcomes)

    @rule(number=st.integers(0, 4), reason=st.sampled_from(["boom", "boom", "normal", "shutdown"]))
    @precondition(lambda self: self.model.lives and self.model.running)
    def crash(self, number, reason):
        self.crash_one(number, reason)

    @rule(number=st.integers(0, 4), seconds=st.sampled_from([0.0, 1.0, PERIOD, PERIOD + 0.5]))
    @precondition(lambda self: self.model.lives and self.model.running)
    def crash_badly_after_a_while(self, number, seconds):
        self.system.advance(seconds)
        self.crash_one(number, "boom")

    @rule(number=st.integers(0, 4), failing=st.integers(0, 4), times=st.integers(1, 2))
    @precondition(lambda self: self.model.lives and self.model.running)
    def crash_while_another_does_not_start(self, number, failing, times):
        """Have a group restart fail at a child (SUP-28), which chance alone would seldom bring about."""
        known = list(self.model.types)
        self.plan(known[failing % len(known)], ["fail"] * times)
        self.crash_one(number, "boom")

    def crash_one(self, number: int, reason: str) -> None:
        running = sorted(self.model.running)
        child = running[number % len(running)]
        crash(refs(self.supervisor)[child], reason)
        self.system.settle()
        self.model.crash(child, reason, self.system.clock.monotonic())

    @rule(child=ids, kind=restart_types)
    @precondition(lambda self: self.model.lives)
    def start_child(self, child, kind):
        assert self.told(calls.start_child, self.spec(child, kind)) == self.model.start_child(child, kind)

    @rule(operation=st.sampled_from(["terminate_child", "restart_child", "delete_child"]), child=ids)
    @precondition(lambda self: self.model.lives)
    def request(self, operation, child):
        assert self.told(getattr(calls, operation), child) == self.model.request(operation, child)

    @invariant()
    def both_agree(self):
        model = self.model
        assert self.log == model.log
        assert self.supervisor.is_alive() == model.lives
        if not model.lives:
            assert self.supervisor.exit_reason == "shutdown"
            assert self.system.actors() == []
            return
        states = {
            child: state if isinstance(state, str) else "running" for child, state in refs(self.supervisor).items()
        }
        assert list(states) == list(model.types)
        assert states == {child: "running" if child in model.running else "stopped" for child in model.types}
        assert calls.count_children(self.supervisor).active == len(model.running)

    def teardown(self):
        self.system.stop()


TestSupervisorAgainstModel = SupervisorMachine.TestCase
TestSupervisorAgainstModel.settings = settings(stateful_step_count=40)
