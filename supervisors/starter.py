"""The verbs that start actors: one half of the actor system.

A start makes the actor on the caller's thread, lets it in unless the system is being
stopped, connects it to its parent and its watcher, and only then gives it its first turn.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from supervisors.clock import Clock
from supervisors.errors import IgnoreStart, InvalidArgumentError, NameTakenError, SystemStoppedError, UsageError
from supervisors.exits import NOPROC, Crashed
from supervisors.registry import Registry, checked_name
from supervisors.runtime.bounded import MAILBOX_BOUNDS, BoundedPinnedRef, BoundedRef, checked_bound
from supervisors.runtime.cell import INLINE, PINNED, SHARED, TOKEN, Cell
from supervisors.runtime.fence import refuse_fenced
from supervisors.runtime.forks import FORKED
from supervisors.runtime.life import HERE
from supervisors.runtime.living import Living
from supervisors.runtime.manual_scheduler import ManualScheduler
from supervisors.runtime.outcomes import ForkedError, StartError
from supervisors.runtime.pinned_ref import PinnedRef
from supervisors.runtime.ref import ActorRef
from supervisors.runtime.scheduler import ThreadScheduler
from supervisors.runtime.turn import NESTING_MAX, thread_turn
from supervisors.runtime.watchdog import Watchdog
from supervisors.spawning import connect, cut_short, holder_of
from supervisors.timers.service import checked_delay

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from supervisors.actor import Actor
    from supervisors.runtime.contract import SteppedScheduler
    from supervisors.runtime.signals import MonitorRef

__all__ = ["ActorStarter"]

PROCESS: Final = "process"

A = TypeVar("A", bound="Actor")


class ActorStarter:
    """What starts the actors of a system; `ActorSystem` is the rest of it, and sets what is named here."""

    clock: Clock
    registry: Registry
    scheduler: ThreadScheduler | ManualScheduler | SteppedScheduler
    forked: bool
    _lock: AbstractContextManager[Any]  # guards _number, _stopping and adding to living
    _number: int
    _stopping: bool
    living: Living
    _orphans: dict[Cell, float]
    _stepped: SteppedScheduler | None
    _wrap: Callable[[type[ActorRef[Any]]], type[ActorRef[Any]]] | None = None  # see wrap_refs()
    _watchdog: Watchdog | None

    def start(
        self,
        actor_class: type[A],
        /,
        *args: Any,
        name: Hashable = None,
        start_timeout: float | None = None,
        **kwargs: Any,
    ) -> ActorRef[A]:
        """Start an actor and wait until it is up (PROC-1, PROC-11).

        What it does by itself afterwards (a continuation, an enter call, messages) may
        come before or after this returns (PROC-2).

        Args:
            actor_class: what to start.
            *args: for its constructor.
            name: register it under this name, before its start runs (PROC-8).
            start_timeout: seconds that its start may take; None: no limit (PROC-7).
            **kwargs: for its constructor.

        Raises:
            StartError: it did not come up, or not in time (then the reason is
                `"timeout"`); nothing of it remains: the actor is dead
                (PROC-10), and its name is free (PROC-9).
            IgnoreStart: it declined.
            NameTakenError: the name belongs to another actor; nothing was started.
            SystemStoppedError: the system has been stopped.

        Thread: any. Blocks: as long as the actor's start takes.
        """
        return self.spawn(actor_class, args, kwargs, link=False, report=True, name=name, start_timeout=start_timeout)

    def spawn(
        self,
        actor_class: type[A],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        *,
        link: bool,
        report: bool,
        name: Hashable = None,
        dispatch: str | None = None,
        monitor: MonitorRef | None = None,
        start_timeout: float | None = None,
    ) -> ActorRef[A]:
        """Start an actor; the general form behind the other verbs.

        Args:
            actor_class: what to start.
            args: for its constructor.
            kwargs: for its constructor.
            link: link it to the running actor, its parent, atomically (LINK-12).
            report: wait, and raise what went wrong; False: return the ref at once.
            name: register it under this name.
            dispatch: `"inline"`, `"shared"` or `"pinned"` instead of the class's own.
            monitor: a monitor of the running actor's that has no target yet;
                it is set before the new actor's first step (MON-10).
            start_timeout: seconds that the start may take; it is waited for, also
                without `report`. Then the actor is killed and `StartError("timeout")`
                raised, and no `Exited` or `Down` of it is left behind (PROC-7). None: no
                limit. The start of an inline actor runs on this thread and is not cut
                short: it is too late when it is over.

        Raises:
            NameTakenError: the name belongs to another actor; else as `start()`.
        """
        deadline = None
        if start_timeout is not None:
            start_timeout = checked_delay("start_timeout", start_timeout)
            deadline = self.clock.monotonic() + start_timeout
            report = True
        kind = actor_class.dispatch if dispatch is None else dispatch
        if kind not in (INLINE, SHARED, PINNED, PROCESS):
            raise InvalidArgumentError("dispatch", kind, f"{INLINE!r}, {SHARED!r}, {PINNED!r} or {PROCESS!r}")
        if kind == PROCESS:
            return self._spawn_process(
                actor_class,
                args,
                kwargs,
                link=link,
                report=report,
                name=name,
                monitor=monitor,
                start_timeout=start_timeout,
            )
        turn = thread_turn.turn
        parent = turn.current if link else None
        if name is not None:
            self._check_free(name, parent)
        number = self._next_number()
        born: list[ActorRef[A]] = []
        ref_class = self._ref_class(actor_class, kind)

        def birth(actor: A) -> ActorRef[A]:
            born.append(ref_class(actor, self, number, kind))  # type: ignore[arg-type]  # the whole system is one
            return born[0]

        given = False
        try:
            ref = self._construct(actor_class, args, kwargs or {}, birth, report=report)
            self._admit(ref, name)
            connect(ref, parent, monitor)
            if (
                report
                and deadline is None
                and kind == INLINE
                and ref.__class__ is ActorRef
                and turn.depth < NESTING_MAX
            ):
                given = True
                ref._starting = HERE  # noqa: SLF001 - until it takes the mailbox over
                ref.come_up_here(turn)
                return ref
            started = ref.prepare()
            given = True
            ref._gate += TOKEN  # noqa: SLF001 - from here on the mailbox is anybody's
            ref.come_up(started, wait=report, timeout=start_timeout)
            if deadline is not None and (not started.is_done() or self.clock.monotonic() > deadline):
                cut_short(ref, parent, monitor)
            if report:
                started.get(timeout=None)
        except (StartError, IgnoreStart) as outcome:
            if born and not given:
                born[0].abandon(outcome.reason if isinstance(outcome, StartError) else Crashed(outcome))
            raise outcome from outcome.__cause__
        except BaseException as error:
            # The constructor failed, the name was taken, or somebody has pressed
            # Ctrl-C. Nothing of the actor remains, and who has its ref is told.
            if given and born[0]._starting is not HERE:  # noqa: SLF001 - as above
                born[0].kill()
            elif born:
                born[0]._starting = None  # noqa: SLF001 - nobody starts it any more
                born[0].abandon(Crashed(error))
            raise
        return ref

    def _spawn_process(
        self, actor_class: type[A], args: tuple[Any, ...], kwargs: dict[str, Any] | None, **options: Any
    ) -> ActorRef[A]:
        if not isinstance(self.scheduler, ThreadScheduler) and self._stepped is None:
            raise InvalidArgumentError(
                "dispatch", PROCESS, "another kind: a process lives in virtual time only under a Simulation"
            )
        from supervisors.process_actor import ProcessActor  # noqa: PLC0415 - few need it, and it needs msgpack

        checked_bound(actor_class)
        bounds = {name: getattr(actor_class, name) for name in MAILBOX_BOUNDS}
        stand_in: type[Actor] = type(
            actor_class.__name__, (ProcessActor,), {**bounds, "__module__": ProcessActor.__module__}
        )
        ref: ActorRef[Any] = self.spawn(stand_in, (actor_class, args, kwargs or {}), **options)
        ref.actor_class = actor_class
        return cast("ActorRef[A]", ref)

    def wrap_refs(self, wrap: Callable[[type[ActorRef[Any]]], type[ActorRef[Any]]]) -> Callable[[], None]:
        """Give all actors refs of other classes, those that live and those to come; for tools that watch or disturb.

        A ref that changes its class stays what it is: mailbox, links and identity are the
        same, and a call that is under way in its old class ends as it began. An actor that
        is being started just then may keep the class that it has.

        Args:
            wrap: from the class of a ref to a subclass of it without slots of its own, always the
                same one; called on any thread.

        Returns:
            A function that gives all refs their own classes back.

        Raises:
            UsageError: somebody else has wrapped them.

        Thread: any, but for the turn of an actor.
        """
        plain: dict[type[ActorRef[Any]], type[ActorRef[Any]]] = {}

        def wrapped(own: type[ActorRef[Any]]) -> type[ActorRef[Any]]:
            other = wrap(own)
            plain[other] = own
            return other

        with self._lock:
            if self._wrap is not None:
                raise UsageError("the refs of this system are wrapped already; one at a time")
            self._wrap = wrapped
        for ref in self.living.all():
            if type(ref) not in plain:
                ref.__class__ = wrapped(type(ref))

        def end() -> None:
            with self._lock:
                if self._wrap is wrapped:
                    self._wrap = None
            for ref in self.living.all():
                ref.__class__ = plain.get(type(ref), type(ref))

        return end

    @property
    def has_wrapped_refs(self) -> bool:
        """Whether `wrap_refs()` is in force."""
        return self._wrap is not None

    def _ref_class(self, actor_class: type[Actor], kind: str) -> type[ActorRef[Any]]:
        own = self._own_ref_class(actor_class, kind)
        if kind == PINNED and hasattr(actor_class, "ref_class"):
            own = actor_class.ref_class(own)  # of a stand-in
        return own if self._wrap is None else self._wrap(own)

    def _own_ref_class(self, actor_class: type[Actor], kind: str) -> type[ActorRef[Any]]:
        bounded = checked_bound(actor_class)
        if self._stepped is not None:
            return self._stepped.ref_class(bounded=bounded)
        if kind != PINNED or isinstance(self.scheduler, ManualScheduler):
            return BoundedRef if bounded else ActorRef
        return BoundedPinnedRef if bounded else PinnedRef

    def _check_free(self, name: Hashable, starter: Cell | None) -> None:
        checked_name(name)
        owner = holder_of(name, self.registry.whereis, starter, self.clock.monotonic, self._orphans)
        if owner is not None:
            raise NameTakenError(name, owner)

    def _next_number(self) -> int:
        if self.forked:
            raise ForkedError(FORKED)  # the lock below may be held for ever
        refuse_fenced()
        with self._lock:
            if self._stopping:
                raise SystemStoppedError
            self._number = number = self._number + 1
        if self._watchdog is not None and not self._watchdog.is_started:
            self._watchdog.start()
        return number

    @staticmethod
    def _construct(
        actor_class: type[A],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        birth: Callable[[A], ActorRef[A]],
        *,
        report: bool,
    ) -> ActorRef[A]:
        # A constructor may start other actors, also before it calls super().
        before, thread_turn.birth = thread_turn.birth, birth
        try:
            actor = actor_class(*args, **kwargs)
        except Exception as error:
            if not report:
                raise
            raise StartError(Crashed(error), actor_class.__name__) from error  # PROC-5
        finally:
            thread_turn.birth = before
        ref: ActorRef[A] | None = getattr(actor, "_actor_ref", None)
        if ref is None:
            raise UsageError(f"{actor_class.__name__}.__init__() must call super().__init__()")
        return ref

    def stillborn(self, actor: Any) -> ActorRef[Any]:
        """Return the ref of an actor that nobody starts. Called by the actor's constructor."""
        with self._lock:
            self._number = number = self._number + 1
        ref: ActorRef[Any] = ActorRef(actor, self, number, INLINE)  # type: ignore[arg-type]  # likewise
        ref.abandon(NOPROC)
        return ref

    def _admit(self, ref: ActorRef[Any], name: Hashable) -> None:
        """Make an actor one of the living, unless the system is being stopped."""
        if name is not None:
            self.registry.register(name, ref)
        with self._lock:
            # Whoever comes before stop() has set this is among those it stops.
            if not self._stopping:
                self.living.add(ref)
                return
        raise SystemStoppedError

    def bind(self, actor_class: type[A]) -> type[A]:
        """Return a subclass whose `start()` starts in this system, from anywhere."""
        return type(actor_class.__name__, (actor_class,), {"bound_system": self, "__module__": actor_class.__module__})
