"""The cores of supervisors whose children come and go, in any number.

Children are known by reference. What is stored per child is one dictionary entry
from its reference to its specification, so that 100,000 children are cheap: start,
exit, restart, termination and counting are O(1), whatever their number.

`DynamicCore` follows Elixir's DynamicSupervisor: a specification per child.
`SimpleCore` follows OTP's `simple_one_for_one`: one for all, with arguments per child.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Final, final

from supervisors.exits import SHUTDOWN, Crashed, describe, is_abnormal
from supervisors.supervision.backoff import RestartDelays
from supervisors.supervision.child_spec import ChildSpec, InvalidChildSpec, check_child_spec
from supervisors.supervision.core import Liveness, SupervisorCore, Turn, find
from supervisors.supervision.effects import Ready
from supervisors.supervision.flags import DynamicFlags, SupervisorFlags
from supervisors.supervision.inputs import RetryRestart
from supervisors.supervision.inspection import ChildCounts, ChildRecord
from supervisors.supervision.outcomes import Outcome, Started, StartFailed
from supervisors.supervision.reports import ChildSummary
from supervisors.supervision.requests import (
    ChildNotFound,
    ChildStartFailed,
    NotForDynamicChildren,
    Request,
    TooManyChildren,
)
from supervisors.supervision.shutdown import is_expected_end
from supervisors.supervision.strategy import is_reported, is_restarted

__all__ = ["DynamicCore", "SimpleCore", "UnorderedCore"]


class UnorderedCore(SupervisorCore):
    """Children without order and without influence on one another.

    Restart types, intensity and shutdown are those of any supervisor (DYN-5).
    """

    __slots__ = ("_children", "_restarting")

    def __init__(
        self,
        flags: SupervisorFlags | DynamicFlags,
        *,
        supervisor: object,
        liveness: Liveness,
        delays: RestartDelays | None,
    ) -> None:
        super().__init__(flags, supervisor=supervisor, liveness=liveness, delays=delays)
        # Specifications of the children that have a process, and of those between
        # two restart attempts; the latter by the reference that they had last.
        self._children: Final[dict[Any, ChildSpec]] = {}
        self._restarting: Final[dict[Any, ChildSpec]] = {}

    def __len__(self) -> int:
        """Return the number of children, those restarting included."""
        return len(self._children) + len(self._restarting)

    @property
    def children(self) -> Mapping[Any, ChildSpec]:
        """The specifications of the children that have a process, by reference; it changes with them."""
        return self._children

    def present(self) -> list[Any]:
        """Return the references of the children that have a process."""
        return list(self._children)

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} of {self._supervisor}: "
            f"{len(self._children)} children running, {len(self._restarting)} restarting>"
        )

    # Life

    def lets_go(self, ref: Any, reason: object) -> bool:
        """Forget a temporary child that has ended as it should: by far the most common exit, and the least eventful."""
        if self._turn is not None or self._is_ended:
            return False
        spec = self._children.get(ref)
        if spec is None or spec.restart != "temporary" or spec.significant or is_abnormal(reason):
            return False
        del self._children[ref]
        if self._delays is not None:
            self._delays.forget(ref)
        self._forget(spec)
        return True

    def _start_up(self) -> Turn:
        self._effects.append(Ready())
        yield from ()

    def _child_exited(self, ref: Any, reason: object) -> Turn | None:
        spec = self._children.pop(ref, None)
        if spec is None:
            return None
        if is_reported(spec.restart, reason):
            self._report("child_terminated", reason, self._summary(spec, ref))
        if is_restarted(spec.restart, reason):
            if self._delays is None:
                return self._restart(ref, spec)
            self._restarting[ref] = spec
            self._retry_later(ref)
            return None
        self._gone(ref, spec)
        return self._end(SHUTDOWN) if self._calls_for_shutdown(spec) else None

    def _retry(self, news: RetryRestart) -> Turn | None:
        spec = self._restarting.pop(news.key, None)
        # None: it was called off.
        return None if spec is None else self._restart(news.key, spec)

    def _restart(self, key: Any, spec: ChildSpec) -> Turn:
        """Restart one child that is in neither table; `key` is its last reference."""
        if not self._window.admit(self._now):
            self._forget(spec)
            yield from self._give_up(self._shown(spec), key)
            return
        outcome = yield from self._start(spec)
        if isinstance(outcome, Started):
            self._children[outcome.ref] = spec
            if self._delays is not None:
                self._delays.started(outcome.ref, self._now, key)
        elif isinstance(outcome, StartFailed):
            self._restarting[key] = spec
            self._report("start_error", outcome.why, self._summary(spec, key))
            self._retry_later(key)
        else:
            # Later versions of OTP drop a child that ignores its restart, and so does
            # Elixir (DYN-6); OTP 25 keeps a broken entry (QUIRK-1).
            self._gone(key, spec)

    def _gone(self, key: Any, spec: ChildSpec) -> None:
        if self._delays is not None:
            self._delays.forget(key)
        self._forget(spec)

    def _summary(self, spec: ChildSpec, ref: object = None) -> ChildSummary:
        return ChildSummary(self._shown(spec), ref)

    # Requests

    def _terminate_child(self, request: Request) -> Turn | None:
        ref = request.argument
        spec = find(self._children, ref)
        if spec is not None:
            return self._terminate_known(ref, spec, request)
        spec = find(self._restarting, ref)
        if spec is None:
            self._terminate_stranger(request)
        else:
            # Called off: the retry that is under way finds nobody (SUP-29).
            del self._restarting[ref]
            self._gone(ref, spec)
        self._reply(request, None)
        return None

    def _terminate_known(self, ref: Any, spec: ChildSpec, request: Request) -> Turn:
        ended = yield from self._terminate(((ref, spec),))
        del self._children[ref]
        self._gone(ref, spec)
        self._report_unexpected(ended)
        self._reply(request, None)

    def _restart_child(self, request: Request) -> None:
        raise NotForDynamicChildren("restart_child")

    def _delete_child(self, request: Request) -> None:
        raise NotForDynamicChildren("delete_child")

    def _which_children(self, request: Request) -> None:
        records = [ChildRecord(None, ref, "running", spec.type, spec.modules) for ref, spec in self._children.items()]
        records += [
            ChildRecord(None, None, "restarting", spec.type, spec.modules) for spec in self._restarting.values()
        ]
        self._reply(request, tuple(records))

    # What differs

    @abstractmethod
    def _shown(self, spec: ChildSpec) -> ChildSpec:
        """Return the specification that reports show."""

    @abstractmethod
    def _forget(self, spec: ChildSpec) -> None:
        """Note that a child is gone for good."""

    @abstractmethod
    def _calls_for_shutdown(self, spec: ChildSpec) -> bool:
        """Tell whether the end of a child for good ends the supervisor (SUP-31)."""

    @abstractmethod
    def _terminate_stranger(self, request: Request) -> None:
        """Refuse to end something that is no child, unless it is to pass as ended."""


@final
class DynamicCore(UnorderedCore):
    """A specification per child, and a limit on their number (DYN-1 to DYN-11).

    Source: Elixir's `DynamicSupervisor`. Ids are not looked at and may repeat.
    """

    __slots__ = ("_flags", "_supervisors")

    def __init__(
        self, flags: DynamicFlags, *, supervisor: object, liveness: Liveness, delays: RestartDelays | None = None
    ) -> None:
        """Prepare an empty supervisor.

        Args:
            flags: its settings.
            supervisor: how reports call it.
            liveness: tells whether a process is alive.
            delays: waits before restarts; None: restart at once.
        """
        super().__init__(flags, supervisor=supervisor, liveness=liveness, delays=delays)
        self._flags: Final = flags
        self._supervisors = 0

    def admit(self, child: object) -> ChildSpec | None:
        """Check a child, unless a turn is waiting."""
        if self._turn is not None or self._is_ended:
            return None
        return self._checked(child)

    def took(self, spec: ChildSpec, args: tuple[Any, ...], outcome: Outcome) -> Outcome:
        """Make what has started one of the children; a temporary one is not started again: its arguments can go."""
        if outcome.__class__ is Started:
            kept = spec.without_args() if spec.restart == "temporary" else spec.with_more(args)
            self._children[outcome.ref] = kept
            self._supervisors += spec.type == "supervisor"
        elif isinstance(outcome, StartFailed):
            raise ChildStartFailed(outcome.why)
        return outcome

    def _start_child(self, request: Request) -> Turn:
        return self._start_new(self._checked(request.argument), request)

    def _checked(self, given: object) -> ChildSpec:  # DYN-2, DYN-3
        if given.__class__ is ChildSpec:
            spec = given  # it was checked when it was made
        else:
            if isinstance(given, Mapping) and "significant" in given:
                # The key is accepted and has no effect, in any combination (DYN-10).
                given = {name: value for name, value in given.items() if name != "significant"}
            spec = check_child_spec(given)
        limit = self._flags.max_children
        if limit is not None and len(self) >= limit:
            raise TooManyChildren(limit)
        if self._flags.extra_arguments:
            spec = spec.with_args(self._flags.extra_arguments + spec.args)
        return spec

    def _start_new(self, spec: ChildSpec, request: Request) -> Turn:
        outcome = yield from self._start(spec)
        try:
            self._reply(request, self.took(spec, (), outcome))
        except ChildStartFailed as failed:
            self._refuse(request, failed)

    def _terminate_all(self) -> Turn:
        ended = yield from self._terminate(tuple(self._children.items()))
        self._report_unexpected(ended)

    def _terminate_stranger(self, request: Request) -> None:
        raise ChildNotFound(request.argument)

    def _count_children(self, request: Request) -> None:
        specs = len(self)
        self._reply(request, ChildCounts(specs, len(self._children), self._supervisors, specs - self._supervisors))

    def _get_childspec(self, request: Request) -> None:
        spec = find(self._children, request.argument) or find(self._restarting, request.argument)
        if spec is None:
            raise ChildNotFound(request.argument)
        self._reply(request, spec)

    def _shown(self, spec: ChildSpec) -> ChildSpec:
        return spec

    def _forget(self, spec: ChildSpec) -> None:
        self._supervisors -= spec.type == "supervisor"

    def _calls_for_shutdown(self, spec: ChildSpec) -> bool:
        return False


@final
class SimpleCore(UnorderedCore):
    """One specification for all children, each with arguments of its own (SUP-19).

    Source: OTP's `supervisor` with strategy `simple_one_for_one`.
    """

    __slots__ = ("_flags", "_template")

    def __init__(
        self,
        flags: SupervisorFlags,
        template: ChildSpec,
        *,
        supervisor: object,
        liveness: Liveness,
        delays: RestartDelays | None = None,
    ) -> None:
        """Prepare an empty supervisor.

        Args:
            flags: its settings.
            template: the specification of every child; `start_child` takes the
                arguments to append to its own.
            supervisor: how reports call it.
            liveness: tells whether a process is alive.
            delays: waits before restarts; None: restart at once.
        """
        super().__init__(flags, supervisor=supervisor, liveness=liveness, delays=delays)
        self._flags: Final = flags
        self._template: Final = template

    def _start_child(self, request: Request) -> Turn:
        extra = request.argument
        if not isinstance(extra, (tuple, list)):
            raise InvalidChildSpec("arguments", extra, "a tuple of arguments to append", ("badarg", extra))
        template = self._template
        return self._start_new(template.with_args((*template.args, *extra)) if extra else template, request)

    def _start_new(self, spec: ChildSpec, request: Request) -> Turn:
        outcome = yield from self._start(spec)
        if isinstance(outcome, StartFailed):
            self._refuse(request, ChildStartFailed(outcome.why))
            return
        if isinstance(outcome, Started):
            # A temporary child is not started again: its arguments can go.
            self._children[outcome.ref] = self._template if spec.restart == "temporary" else spec
        self._reply(request, outcome)

    def _terminate_all(self) -> Turn:
        """End all children at once; one report per distinct reason (SUP-46)."""
        ended = yield from self._terminate(tuple(self._children.items()))
        unexpected: dict[object, tuple[object, int]] = {}
        for one in ended:
            if not is_expected_end(one.spec, one.reason):
                key = _distinct(one.reason)
                reason, number = unexpected.get(key, (one.reason, 0))
                unexpected[key] = (reason, number + 1)
        for reason, number in unexpected.values():
            self._report("shutdown_error", reason, ChildSummary(self._template, None, number))

    def _terminate_stranger(self, request: Request) -> None:
        self._refuse_the_living("terminate_child", request.argument)

    def _count_children(self, request: Request) -> None:
        number = len(self)
        is_supervisor = self._template.type == "supervisor"
        self._reply(
            request,
            ChildCounts(1, len(self._children), number if is_supervisor else 0, 0 if is_supervisor else number),
        )

    def _get_childspec(self, request: Request) -> None:
        wanted = request.argument
        is_child = find(self._children, wanted) is not None or find(self._restarting, wanted) is not None
        if not is_child and not _same(wanted, self._template.id):
            self._refuse_the_living("get_childspec", wanted)
        self._reply(request, self._template)

    def _refuse_the_living(self, operation: str, stranger: object) -> None:
        """Refuse, unless the stranger is dead: then it may well have been a child (SUP-64)."""
        is_alive = self._liveness(stranger)
        if is_alive is None and operation == "terminate_child":
            raise NotForDynamicChildren(operation)
        if is_alive is not False:
            raise ChildNotFound(stranger)

    def _shown(self, spec: ChildSpec) -> ChildSpec:
        return self._template

    def _forget(self, spec: ChildSpec) -> None:
        """Nothing is kept of a child but its place in the tables."""

    def _calls_for_shutdown(self, spec: ChildSpec) -> bool:
        if not spec.significant or self._flags.auto_shutdown == "never":
            return False
        # All children are significant here, or none.
        return self._flags.auto_shutdown == "any_significant" or not len(self)


def _distinct(reason: object) -> object:
    """Return something hashable that is equal for reasons that are to be counted together."""
    if isinstance(reason, Crashed):
        # Two exceptions are never equal; the same crash of a thousand children is one fact.
        return type(reason.error), describe(reason)
    try:
        hash(reason)
    except TypeError:
        return describe(reason)
    return reason


def _same(one: object, other: object) -> bool:
    return bool(type(one) is type(other) and one == other)
