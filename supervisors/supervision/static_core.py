"""The core of a supervisor with ordered, named children (SUP-3 to SUP-18)."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any, Final, final

from supervisors.exits import SHUTDOWN, Shutdown
from supervisors.supervision.backoff import RestartDelays
from supervisors.supervision.child_spec import ChildSpec, check_child_spec
from supervisors.supervision.core import Liveness, SupervisorCore, Turn, find
from supervisors.supervision.effects import Ready
from supervisors.supervision.flags import SupervisorFlags
from supervisors.supervision.inputs import RetryRestart
from supervisors.supervision.inspection import ChildCounts, ChildRecord, ChildState
from supervisors.supervision.outcomes import FailedToStartChild, Outcome, Started, StartFailed
from supervisors.supervision.reports import ChildSummary, ProgressReport
from supervisors.supervision.requests import (
    ChildAlreadyPresent,
    ChildAlreadyStarted,
    ChildIsRestarting,
    ChildNotFound,
    ChildRunning,
    ChildStartFailed,
    Request,
)
from supervisors.supervision.strategy import is_reported, is_restarted, restart_plan

__all__ = ["StaticCore"]


@final
class _Child:
    """A specification and what has become of it.

    Attributes:
        ref: its process, or None.
        is_restarting: whether a restart is to be tried (again); then there is no
            process (SUP-26).
        attempt: number of the last restart that had to wait.
    """

    __slots__ = ("attempt", "is_restarting", "ref", "spec")

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self.ref: Any = None
        self.is_restarting = False
        self.attempt = 0

    @property
    def state(self) -> ChildState:
        if self.ref is not None:
            return "running"
        return "restarting" if self.is_restarting else "stopped"


@final
class StaticCore(SupervisorCore):
    """Children in start order; a request or restart costs up to O(children).

    Source: OTP's `supervisor`.
    """

    __slots__ = ("_by_ref", "_children", "_flags")

    def __init__(
        self,
        flags: SupervisorFlags,
        specs: Iterable[ChildSpec],
        *,
        supervisor: object,
        liveness: Liveness,
        delays: RestartDelays | None = None,
    ) -> None:
        """Prepare; nothing is started before `start()`.

        Args:
            flags: any strategy but `simple_one_for_one`.
            specs: the first children in start order, validated together.
            supervisor: how reports call this supervisor.
            liveness: tells whether a process is alive, for `count_children`.
            delays: waits before restarts; None: restart at once.
        """
        super().__init__(flags, supervisor=supervisor, liveness=liveness, delays=delays)
        self._flags: Final = flags
        # In start order: a dict keeps it, and a new child goes to the end (SUP-17).
        self._children: Final[dict[Any, _Child]] = {spec.id: _Child(spec) for spec in specs}
        self._by_ref: Final[dict[Any, _Child]] = {}

    def __len__(self) -> int:
        """Return the number of children, running or not."""
        return len(self._children)

    def present(self) -> list[Any]:
        """Return the references of the children that have a process."""
        return list(self._by_ref)

    def __repr__(self) -> str:
        return f"<StaticCore of {self._supervisor}: {len(self._by_ref)} of {len(self._children)} children running>"

    # Life

    def _start_up(self) -> Turn:
        failed = yield from self._start_in_order(self._children.values())
        if failed is None:
            self._effects.append(Ready())
            return
        child, why = failed
        yield from self._end(Shutdown(FailedToStartChild(child.spec.id, why)))

    def _child_exited(self, ref: Any, reason: object) -> Turn | None:
        child = self._by_ref.pop(ref, None)
        if child is None:
            return None
        child.ref = None
        spec = child.spec
        if is_reported(spec.restart, reason):
            self._report("child_terminated", reason, ChildSummary(spec, ref))
        if is_restarted(spec.restart, reason):
            if self._delays is None:
                return self._restart(child, ref)
            # The wait comes before the whole restart: siblings run on meanwhile.
            self._mark_restarting(child)
            return None
        # Whoever is not restarted affects no sibling (SUP-10).
        self._forget_if_temporary(child)
        return self._end(SHUTDOWN) if self._calls_for_shutdown(spec) else None

    def _retry(self, news: RetryRestart) -> Turn | None:
        child = self._children.get(news.key)
        if child is None or not child.is_restarting or news.attempt not in (0, child.attempt):
            # It was called off, or a group restart has seen to it meanwhile.
            return None
        return self._restart(child, None)

    def _mark_restarting(self, child: _Child) -> None:
        child.is_restarting = True
        child.attempt += 1
        self._retry_later(child.spec.id, child.attempt)

    def _restart(self, child: _Child, ref: object) -> Turn:
        """Restart a child without a process, and whoever goes with it (SUP-12 to SUP-16)."""
        child.is_restarting = False
        if not self._window.admit(self._now):
            yield from self._give_up(child.spec, ref)
            return
        plan = restart_plan(self._flags.strategy, tuple(self._children.values()), child)
        for sibling in plan.terminate:
            yield from self._stop(sibling)
        failed = yield from self._start_in_order(plan.start)
        if failed is not None:
            # The next attempt is a restart of the one that failed: those before it
            # run, those after it were not started (SUP-28).
            self._mark_restarting(failed[0])

    def _terminate_all(self) -> Turn:
        # The last started first, and the next only after the last is gone (SUP-43).
        for child in reversed(tuple(self._children.values())):
            yield from self._stop(child)

    def _calls_for_shutdown(self, spec: ChildSpec) -> bool:
        """Tell whether the end of a child for good ends the supervisor (SUP-31).

        Asked only where a child has ended by itself: not where the supervisor has ended
        it (SUP-32), nor where it is restarted (SUP-33). The end of a child that is not
        significant never does (SUP-36). The supervisor then ends with `shutdown`, without
        a report (SUP-34); where it is itself significant to its parent, that orderly end
        is the next question, one level up (SUP-35).
        """
        if not spec.significant or self._flags.auto_shutdown == "never":
            return False
        if self._flags.auto_shutdown == "any_significant":
            return True
        return not any(child.spec.significant and child.state != "stopped" for child in self._children.values())

    # Steps

    def _start_in_order(self, children: Iterable[_Child]) -> Generator[None, Any, tuple[_Child, object] | None]:
        """Start children one after the other; return the first to fail, and why."""
        for child in tuple(children):
            outcome = yield from self._start(child.spec)
            if isinstance(outcome, StartFailed):
                self._report("start_error", outcome.why, ChildSummary(child.spec))  # REP-4: here only
                return child, outcome.why
            self._settle(child, outcome)
        return None

    def _settle(self, child: _Child, outcome: Outcome) -> None:
        """Note that a start has succeeded, with or without a process (SUP-5, SUP-27)."""
        if isinstance(outcome, Started):
            child.ref = outcome.ref
            self._by_ref[outcome.ref] = child
            if self._delays is not None:
                self._delays.started(child.spec.id, self._now)
            self._effects.append(ProgressReport(self._supervisor, ChildSummary(child.spec, outcome.ref)))
        else:
            self._forget_if_temporary(child)

    def _stop(self, child: _Child) -> Turn:
        """End a child, if it has a process; it stays as a specification unless temporary."""
        ref = child.ref
        child.is_restarting = False
        if ref is not None:
            ended = yield from self._terminate(((ref, child.spec),))
            child.ref = None
            del self._by_ref[ref]
            self._report_unexpected(ended)
        self._forget_if_temporary(child)

    def _forget_if_temporary(self, child: _Child) -> None:
        """Keep no specification of a temporary child beyond its end (SUP-69)."""
        if child.spec.restart == "temporary":
            self._children.pop(child.spec.id, None)

    # Requests

    def _start_child(self, request: Request) -> Turn | None:
        # A specification that is not valid is refused before anything has changed (SPEC-11).
        spec = check_child_spec(request.argument, self._flags.auto_shutdown)
        known = self._children.get(spec.id)
        if known is None:
            return self._start_new(spec, request)
        if known.ref is not None:
            raise ChildAlreadyStarted(spec.id, known.ref)
        raise ChildAlreadyPresent(spec.id)

    def _start_new(self, spec: ChildSpec, request: Request) -> Turn:
        outcome = yield from self._start(spec)
        if isinstance(outcome, StartFailed):
            self._refuse(request, ChildStartFailed(outcome.why, spec))
            return
        child = self._children[spec.id] = _Child(spec)
        self._settle(child, outcome)
        self._reply(request, outcome)

    def _terminate_child(self, request: Request) -> Turn:
        return self._terminate_known(self._known(request.argument), request)

    def _terminate_known(self, child: _Child, request: Request) -> Turn:
        yield from self._stop(child)
        if self._delays is not None:
            self._delays.forget(child.spec.id)
        self._reply(request, None)

    def _restart_child(self, request: Request) -> Turn:
        return self._restart_known(self._stopped(request.argument), request)

    def _restart_known(self, child: _Child, request: Request) -> Turn:
        outcome = yield from self._start(child.spec)
        if isinstance(outcome, StartFailed):
            self._refuse(request, ChildStartFailed(outcome.why))
            return
        self._settle(child, outcome)
        self._reply(request, outcome)

    def _delete_child(self, request: Request) -> None:
        del self._children[self._stopped(request.argument).spec.id]
        self._reply(request, None)

    def _which_children(self, request: Request) -> None:
        # Last started first, as in OTP.
        self._reply(
            request,
            tuple(
                ChildRecord(child.spec.id, child.ref, child.state, child.spec.type, child.spec.modules)
                for child in reversed(self._children.values())
            ),
        )

    def _count_children(self, request: Request) -> None:
        supervisors = sum(child.spec.type == "supervisor" for child in self._children.values())
        specs = len(self._children)
        # A child whose exit message is still unread is not alive any more (SUP-68).
        active = sum(self._liveness(ref) is True for ref in self._by_ref)
        self._reply(request, ChildCounts(specs, active, supervisors, specs - supervisors))

    def _get_childspec(self, request: Request) -> None:
        self._reply(request, self._known(request.argument).spec)

    def _known(self, child_id: object) -> _Child:
        child = find(self._children, child_id)
        if child is None:
            raise ChildNotFound(child_id)
        return child

    def _stopped(self, child_id: object) -> _Child:
        child = self._known(child_id)
        if child.ref is not None:
            raise ChildRunning(child_id)
        if child.is_restarting:
            raise ChildIsRestarting(child_id)
        return child
