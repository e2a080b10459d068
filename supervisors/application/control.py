"""The actors behind applications: one controller, and a master for each that runs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, final

from supervisors.actor import Actor
from supervisors.application.description import Application, ApplicationError
from supervisors.errors import Exit
from supervisors.exits import NORMAL, SHUTDOWN, Crashed, describe, is_abnormal
from supervisors.runtime.futures import ScheduledFuture
from supervisors.runtime.outcomes import StartError
from supervisors.runtime.ref import ActorRef
from supervisors.runtime.signals import Exited
from supervisors.supervision.budget import shut_down

if TYPE_CHECKING:
    from supervisors.runtime.contract import Scheduler

__all__ = ["EXIT_FAILURE", "EXIT_OK", "ApplicationController", "ApplicationMaster", "ExitCode", "Progress"]

logger = logging.getLogger("supervisors.application")

EXIT_OK: Final = 0
EXIT_FAILURE: Final = 1

_STOP: Final = object()


@final
class ExitCode:
    """The exit code of the present run, which lasts from a start until all applications were stopped.

    Attributes:
        future: of the code; whoever waits takes it as it is then, and so hears of the
            end of the run that it has seen.

    Thread: the controller's turn changes it; any thread may read.
    """

    __slots__ = ("_scheduler", "future")

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.future: ScheduledFuture[int] = ScheduledFuture(scheduler)

    def started(self) -> None:
        """Note that something runs: a code that is there belongs to a run that is over."""
        if self.future.is_done():
            self.future = ScheduledFuture(self._scheduler)

    def offer(self, code: int) -> None:
        """End the run, unless it has ended."""
        self.future.offer(code)


@final
class Progress:
    """What runs and what comes up, for whoever cannot wait for the controller: it blocks during a start.

    Attributes:
        running: names in order of start; their last phase is over.
        starting: the name of the application that is being started; None: none is.

    Thread: the controller's turn puts whole new values in; any thread may read.
    """

    __slots__ = ("running", "starting")

    def __init__(self) -> None:
        self.running: tuple[str, ...] = ()
        self.starting: str | None = None


@final
class ApplicationController(Actor):
    """Starts and stops applications one after the other, and hears of their ends.

    It blocks meanwhile, so that what is asked of it happens in order.
    """

    dispatch: ClassVar[str] = "shared"
    crash_on_ask_error: ClassVar[bool] = True

    def __init__(
        self,
        known: Mapping[str, Application],
        code: ExitCode,
        progress: Progress,
        on_failure: Callable[[str, object], object] | None,
    ) -> None:
        super().__init__()
        self._known = known
        self._code = code
        self._progress = progress
        self._on_failure = on_failure
        # In order of start.
        self._running: dict[str, tuple[ActorRef[ApplicationMaster], str]] = {}

    def on_start(self) -> None:
        self.trap_exit()

    def on_receive(self, message: Any) -> Any:
        match message:
            case ("start", name, kind):
                self._start_one(name, kind)
                self._code.started()
            case ("ensure", name, kind):
                started = self._ensure(name, kind)
                if started:
                    self._code.started()
                return started
            case ("stop", name):
                if name not in self._running:
                    raise ApplicationError(name, ("not_started", name))
                self._stop_one(name)
            case ("stop_all",):
                self._stop_all()
                self._code.offer(EXIT_OK)
            case Exited(source=source, reason=reason):
                self._exited(source, reason)
        return None

    def on_stop(self) -> None:
        # The system is being stopped, or somebody has stopped the controller.
        self._stop_all()
        self._code.offer(EXIT_OK)

    def _exited(self, source: object, reason: object) -> None:
        name = next((name for name, (master, _) in self._running.items() if master is source), None)
        if name is not None:
            _, kind = self._taken_off(name)
            self._ended(name, kind, reason)
        elif not isinstance(source, ActorRef) or not issubclass(source.actor_class, ApplicationMaster):
            raise Exit(reason)

    def _ended(self, name: str, kind: str, reason: object) -> None:
        """An application has ended by itself (APP-7)."""
        logger.log(
            logging.ERROR if is_abnormal(reason) else logging.INFO,
            "application %r (%s) has ended: %s",
            name,
            kind,
            describe(reason),
        )
        is_normal = isinstance(reason, str) and reason == NORMAL  # `shutdown` is not normal here
        if kind == "temporary" or (kind == "transient" and is_normal):
            return
        self._stop_all()
        try:
            if self._on_failure is not None:
                self._on_failure(name, reason)
        except Exception:
            logger.exception("on_failure raised")
        finally:
            self._code.offer(EXIT_FAILURE)

    def _start_one(self, name: str, kind: str) -> None:
        application = self._known[name]
        if name in self._running:
            raise ApplicationError(name, ("already_started", name))
        for needed in application.needs:
            if needed not in self._running:
                raise ApplicationError(name, ("not_started", needed))
        self._progress.starting = name
        try:
            master = ApplicationMaster.start_link(application)
            self._running[name] = (master, kind)
            self._progress.running = tuple(self._running)
        except StartError as error:
            reason = error.reason if isinstance(error.reason, tuple) else (error.reason,)
            raise ApplicationError(name, reason) from error.__cause__
        finally:
            self._progress.starting = None

    def _ensure(self, name: str, kind: str) -> tuple[str, ...]:
        started: list[str] = []
        try:
            for each in self._in_order(name):
                self._start_one(each, kind)
                started.append(each)
        except ApplicationError:
            for each in reversed(started):
                self._stop_one(each)
            raise
        return tuple(started)

    def _in_order(self, name: str) -> list[str]:
        """Return an application after those it needs, without those that run."""
        order: list[str] = []
        # What is on the way from the root to here, each with what it still needs.
        path: list[tuple[str, list[str]]] = [(name, self._needs(name))] if name not in self._running else []
        while path:
            current, needed = path[-1]
            if not needed:
                path.pop()
                order.append(current)
                continue
            following = needed.pop()
            if following in self._running or following in order:
                continue
            if any(following == above for above, _ in path):
                raise ApplicationError(name, ("circular", following))
            if following not in self._known:
                raise ApplicationError(name, ("not_loaded", following))
            path.append((following, self._needs(following)))
        return order

    def _needs(self, name: str) -> list[str]:
        return list(reversed(self._known[name].needs))

    def _stop_all(self) -> None:
        for name in reversed(tuple(self._running)):
            self._stop_one(name)

    def _taken_off(self, name: str) -> tuple[ActorRef[ApplicationMaster], str]:
        """Take an application out of those that run; return its master and its type."""
        taken = self._running.pop(name)
        self._progress.running = tuple(self._running)
        return taken

    def _stop_one(self, name: str) -> None:
        master, _ = self._taken_off(name)
        self.unlink(master, flush=True)
        ended = master.when_ended()
        master.send(_STOP)
        ended.settle(None)


@final
class ApplicationMaster(Actor):
    """The parent of one application's top supervisor."""

    dispatch: ClassVar[str] = "shared"
    crash_on_ask_error: ClassVar[bool] = True

    def __init__(self, application: Application) -> None:
        super().__init__()
        self._application = application
        self._state: Any = None

    def starting(self) -> None:
        """Start the tree, then run the phases (APP-3 to APP-5). Called by the runtime."""
        self.trap_exit()
        application = self._application
        call = (application.name, "start", application.args)
        try:
            returned = application.start(*application.args)
        except StartError as error:
            raise StartError((error.reason, call), application.name) from error
        except Exception as error:
            raise StartError(("bad_return", (call, Crashed(error))), application.name) from error
        match returned:
            case ActorRef():
                self._top: ActorRef[Any] = returned
            case (ActorRef() as top, state):
                self._top, self._state = top, state
            case _:
                raise StartError(("bad_return", (call, returned)), application.name)
        if self._top.parent is not self._actor_ref:
            # It would take a request to end from its parent only.
            raise StartError(
                ("bad_return", (call, "a supervisor that was not started by start_link()")), application.name
            )
        for phase, argument in application.phases:
            for each in (application, *application.includes):
                arguments = [argument] if each is application else [more for name, more in each.phases if name == phase]
                for one in arguments:
                    self._run_phase(each, phase, one)

    def _run_phase(self, application: Application, phase: str, argument: Any) -> None:
        assert application.start_phase is not None, "an application with phases has a function for them"
        try:
            application.start_phase(phase, argument)
        except Exception as error:
            self._end_tree()
            why = error.reason if isinstance(error, StartError) else Crashed(error)
            reason = (why, (application.name, "start_phase", (phase, argument)))
            raise StartError(reason, self._application.name) from error

    def on_receive(self, message: Any) -> Any:
        if message is _STOP:
            self._stop()
            raise Exit(NORMAL)
        if isinstance(message, Exited):
            if message.source is self._top:
                self._stop()  # the tree has gone by itself, but what belongs to it is still to be cleaned up
                raise Exit(message.reason)
            if message.source is self._actor_ref.parent:
                self._stop()
                raise Exit(message.reason)
        return None

    def _stop(self) -> None:
        """End the application: prepare, end the tree, clean up (APP-6)."""
        application = self._application
        if application.prep_stop is not None:
            try:
                self._state = application.prep_stop(self._state)
            except Exception:
                logger.exception("application %r: prep_stop raised", application.name)
        self._end_tree()
        if application.stop is not None:
            try:
                application.stop(self._state)
            except Exception:
                logger.exception("application %r: stop raised", application.name)

    def _end_tree(self) -> None:
        seconds = self._application.stop_seconds
        if seconds is None:
            ended = self._top.when_ended()
            self._top.exit(SHUTDOWN)
            ended.settle(None)
        else:
            shut_down(self._top, seconds)
