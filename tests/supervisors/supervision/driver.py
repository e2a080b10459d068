"""Drives a supervisor core by hand: news in, effects out, start functions by plan.

The first process of child `a` is called "a1", the next one "a2", and so on.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque

from supervisors import SHUTDOWN, Refusal
from supervisors.supervision.child_spec import ChildSpec
from supervisors.supervision.dynamic_core import DynamicCore, SimpleCore
from supervisors.supervision.effects import ExitSelf, MonitorChild, Reply, ReplyError, SendExit, SendSelf, StartChild
from supervisors.supervision.flags import DynamicFlags, SupervisorFlags
from supervisors.supervision.inputs import ChildDown, ChildExited
from supervisors.supervision.outcomes import Started, StartFailed, StartIgnored
from supervisors.supervision.reports import ErrorReport, ProgressReport
from supervisors.supervision.requests import Request
from supervisors.supervision.static_core import StaticCore

__all__ = [
    "FAIL",
    "IGNORED",
    "OK",
    "Driver",
    "brief_dynamic",
    "brief_simple",
    "dynamic",
    "exits",
    "monitored",
    "reports",
    "signals",
    "simple",
    "spec",
    "started",
    "static",
    "to_self",
]

OK = object()
FAIL = StartFailed("why")
IGNORED = StartIgnored()


def start(*_args):
    """Stand for a start function; the driver never calls it."""


def spec(child_id, *args, **fields):
    return ChildSpec(child_id, start, args, **fields)


class Driver:
    """A core and what it has asked for.

    Attributes:
        is_brief: starts and exits go the short way, as the actor sends them, where the core lets them.
        now: the time that the core is told, seconds.
        plan: outcomes of the next starts, by id; when empty, a start succeeds.
        dead: processes that are dead to whoever asks.
        effects: everything asked for so far.
    """

    def __init__(self, make):
        self.now = 100.0
        self.plan = defaultdict(deque)
        self.dead = set()
        self.numbers = Counter()
        self.effects = []
        self.is_brief = False
        self.core = make(supervisor="sup", liveness=self.liveness)

    def liveness(self, ref):
        return ref not in self.dead if isinstance(ref, str) and ref[-1:].isdigit() else None

    def start(self):
        return self._perform(self.core.start(self.now))

    def tell(self, news):
        """Give the core one piece of news; return the effects, those of started children included."""
        return self._perform(self.core.handle(news, self.now))

    def exited(self, ref, reason="boom"):
        if self.is_brief and self.core.lets_go(ref, reason):
            return []
        return self.tell(ChildExited(ref, reason))

    def down(self, ref, reason=SHUTDOWN):
        return self.tell(ChildDown(ref, reason))

    def ask(self, operation, argument=None, to="asker"):
        """Make a request that is answered at once; return the value or the refusal."""
        if self.is_brief and operation == "start_child":
            try:
                child = self.core.admit(argument)
                if child is not None:
                    return self.core.took(child, (), self._outcome(child))
            except Refusal as refusal:
                return refusal
        [answer] = [one for one in self.tell(Request(operation, argument, to)) if isinstance(one, (Reply, ReplyError))]
        assert answer.to == to
        return answer.value if isinstance(answer, Reply) else answer.error

    def states(self):
        """Return id -> process or state, in start order."""
        return {
            record.id: record.ref if record.state == "running" else record.state
            for record in reversed(self.ask("which_children"))
        }

    def _perform(self, effects):
        done = list(effects)
        while effects and isinstance(effects[-1], StartChild):
            effects = self.core.handle(self._outcome(effects[-1].spec), self.now)
            done += effects
        assert not any(isinstance(one, StartChild) for one in effects[:-1])
        self.effects += done
        return done

    def _outcome(self, child):
        planned = self.plan[child.id]
        if planned:
            outcome = planned.popleft()
            if outcome is not OK:
                return outcome
        self.numbers[child.id] += 1
        return Started(f"{child.id}{self.numbers[child.id]}")


def static(*specs, **flags):
    """Return a driver of a started supervisor with these children."""
    children = [one if isinstance(one, ChildSpec) else spec(one) for one in specs]
    driver = Driver(lambda **given: StaticCore(SupervisorFlags(**flags), children, **given))
    driver.start()
    driver.effects.clear()
    return driver


def simple(template=None, **flags):
    """Return a driver of a started supervisor whose children share one specification."""
    settings = SupervisorFlags(strategy="simple_one_for_one", **flags)
    driver = Driver(lambda **given: SimpleCore(settings, template or spec("a"), **given))
    driver.start()
    driver.effects.clear()
    return driver


def dynamic(**flags):
    """Return a driver of a started dynamic supervisor."""
    driver = Driver(lambda **given: DynamicCore(DynamicFlags(**flags), **given))
    driver.start()
    driver.effects.clear()
    return driver


def brief_simple(template=None, **flags):
    """Return a driver as `simple()` does that goes the short way."""
    driver = simple(template, **flags)
    driver.is_brief = True
    return driver


def brief_dynamic(**flags):
    """Return a driver as `dynamic()` does that goes the short way."""
    driver = dynamic(**flags)
    driver.is_brief = True
    return driver


def started(effects):
    """Return the ids of the children started, in order."""
    return [one.spec.id for one in effects if isinstance(one, StartChild)]


def signals(effects):
    """Return the exit signals sent, in order."""
    return [(one.ref, one.reason) for one in effects if isinstance(one, SendExit)]


def monitored(effects):
    return [one.ref for one in effects if isinstance(one, MonitorChild)]


def reports(effects):
    """Return (kind, reason, id, process or number) per report, in order."""
    found = []
    for one in effects:
        if isinstance(one, ErrorReport):
            child = one.offender
            who = child.ref if child.count is None else child.count
            found.append((one.error_context, one.reason, child.spec.id, who))
        elif isinstance(one, ProgressReport):
            found.append(("progress", None, one.started.spec.id, one.started.ref))
    return found


def exits(effects):
    return [one for one in effects if isinstance(one, ExitSelf)]


def to_self(effects):
    return [one.message for one in effects if isinstance(one, SendSelf)]
