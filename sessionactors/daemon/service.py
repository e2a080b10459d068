"""The daemon itself: brings everything up, waits for a signal, and takes everything down in order.

What it does when it is told to stop, all within one budget:

1. it says that it is not ready any more, and takes no connection and no request;
2. it lets the requests that are being answered end;
3. it stops the session system, last started first, which stores what is persistent
   and audits every end;
4. it reports what did not go as it should, and its exit code says so.
"""

from __future__ import annotations

import logging
import queue
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final, final

from sessionactors.audit.errors import AuditError
from sessionactors.daemon.front import Front
from sessionactors.daemon.metrics import SessionCollector
from sessionactors.daemon.pid_file import pid_file
from sessionactors.errors import SessionActorsError
from sessionactors.storage.errors import StoreError
from sessionactors.surroundings import ROOT, SERVICES, SESSIONS
from sessionactors.system import SessionSystem
from supervisors.errors import SupervisorsError
from supervisors.exits import KILLED, describe
from supervisors.health.endpoint import Endpoint
from supervisors.health.health import Health
from supervisors.health.metrics import HealthCollector
from supervisors.health.systemd import Notifier
from supervisors.runtime.turn import all_turns
from supervisors.supervision.reports import ErrorReport
from supervisors.telemetry.exposition import Telemetry

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sessionactors.daemon.config import Config

__all__ = ["EXIT_GAVE_UP", "EXIT_KILLED", "EXIT_UNWRITTEN", "Daemon", "DaemonError"]

logger = logging.getLogger("sessionactors.daemon")

EXIT_KILLED: Final = 3
"""It has stopped, and something had to be killed for that; everything that could be written is."""
EXIT_UNWRITTEN: Final = 4
"""It has stopped, and the last entries of the audit log or the last snapshots could not be written."""
EXIT_GAVE_UP: Final = 5
"""It has stopped by itself, because its services crashed too often."""

_LOOK: Final = 0.5  # seconds between two looks whether the tree still stands
_DRAIN_SHARE: Final = 0.3  # of the budget, for requests that are being answered
_LOOKOUT: Final = 4.0  # seconds, or less: before a supervisor kills a session that does not end
_NAMED_MAX: Final = 20


class DaemonError(SessionActorsError):
    """The daemon could not be started; the message is one sentence."""


@final
class Daemon:
    """A session system in a process of its own.

    Args:
        config: what it is started with.
        environment: where systemd says how it wants to be told.

    Attributes:
        killed: who had to be killed when it stopped, in words.
        unwritten: what could not be written then, in words.
    """

    def __init__(self, config: Config, environment: Mapping[str, str]) -> None:
        self._config = config
        self._notifier = Notifier.from_environment(environment)
        self._told: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.killed: list[str] = []
        self.unwritten: list[str] = []

    def stop(self, why: str = "stop() was called") -> None:
        """Have it stop; returns at once. Safe anywhere, also in a signal handler."""
        self._told.put(why)  # a SimpleQueue, because its put() may interrupt itself

    def run(self, on_ready: Callable[[SessionSystem], object] | None = None) -> int:
        """Come up, work until something says stop, and go down.

        Args:
            on_ready: called when it takes work.

        Returns:
            The exit code; see the constants of this module.

        Raises:
            DaemonError: it did not come up; nothing of it remains.

        Thread: the main thread gets the signals; elsewhere there are none.
        """
        config = self._config
        with ExitStack() as stack:
            file = config.get("daemon", "pid_file")
            try:
                if file is not None:
                    stack.enter_context(pid_file(file))
                system = self._system()
            except (OSError, SessionActorsError, SupervisorsError) as error:
                raise DaemonError(f"it could not be started: {_reason(error)}") from error
            return self._run(system, on_ready)

    def _system(self) -> SessionSystem:
        config = self._config
        return SessionSystem(
            audit_dir=config.get("daemon", "audit_dir"),
            path=config.get("daemon", "path"),
            session_classes=config.session_classes,
            authenticator=config.authenticator,
            workers=config.get("daemon", "workers"),
            shutdown_timeout=config.get("daemon", "shutdown_timeout"),
            max_restarts=config.get("daemon", "max_restarts"),
            max_seconds=config.get("daemon", "max_seconds"),
            **config.system,  # type: ignore[arg-type]  # by section, which are the names of these arguments
        )

    def _run(self, system: SessionSystem, on_ready: Callable[[SessionSystem], object] | None) -> int:
        config = self._config
        budget: float = config.get("daemon", "shutdown_timeout")
        telemetry = Telemetry(system.actors)
        telemetry.add(SessionCollector(system))
        health = self._health(system)
        telemetry.add(HealthCollector(health))
        front: Front | None = None
        endpoint: Endpoint | None = None
        gave_up = False
        with _signals(self.stop, system):
            try:
                try:
                    front = self._front(system)
                    endpoint = self._endpoint(system, health, telemetry)
                except (OSError, ValueError, TypeError, SessionActorsError) as error:
                    raise DaemonError(f"it could not be started: {_reason(error)}") from error
                health.start()
                health.set_ready()
                self._notifier.ready(f"{len(system.directory)} sessions")
                logger.info("ready")
                if on_ready is not None:
                    on_ready(system)
                gave_up = self._wait(system)
            finally:
                self._go_down(system, health, front, endpoint, budget)
                telemetry.close()
        if self.unwritten:
            return EXIT_UNWRITTEN
        if gave_up:
            return EXIT_GAVE_UP
        return EXIT_KILLED if self.killed else 0

    def _wait(self, system: SessionSystem) -> bool:
        """Wait until something says stop; return whether the system gave up by itself."""
        while True:
            try:
                why = self._told.get(timeout=_LOOK)
            except queue.Empty:
                if system.actors.whereis(ROOT) is None:
                    logger.critical("the services have crashed too often; the daemon gives up")
                    return True
            else:
                logger.info("it stops: %s", why)
                return False

    # -- the parts ---------------------------------------------------------------

    def _health(self, system: SessionSystem) -> Health:
        config, notifier = self._config, self._notifier
        interval: float = config.get("health", "interval")
        if notifier.watchdog_seconds is not None:
            interval = min(interval, notifier.watchdog_seconds / 4)

        def saw(is_live: bool) -> None:
            if is_live:
                notifier.watchdog()

        health = Health(system.actors, interval=interval, on_look=saw)
        for name in (*SERVICES, SESSIONS):
            health.watch(name, within=config.get("health", "watch_within"))
        return health

    def _front(self, system: SessionSystem) -> Front | None:
        config = self._config
        path: Path | None = config.get("front", "socket")
        if path is None:
            return None
        front = Front(
            system,
            path,
            mode=int(config.get("front", "mode"), 8),
            classes={found.__name__: found for found in config.session_classes},
            line_max=config.get("front", "line_max"),
            connections_max=config.get("front", "connections_max"),
            idle_timeout=config.get("front", "idle_timeout"),
        )
        front.start()
        return front

    def _endpoint(self, system: SessionSystem, health: Health, telemetry: Telemetry) -> Endpoint | None:
        config = self._config
        port: int | None = config.get("health", "port")
        if port is None:
            return None
        file: Path | None = config.get("health", "token_file")
        endpoint = Endpoint(
            health,
            telemetry,
            clock=system.actors.clock,
            host=config.get("health", "host"),
            port=port,
            token=None if file is None else file.read_text(encoding="utf-8").strip(),
            connections_max=config.get("health", "connections_max"),
        )
        endpoint.start()
        logger.info("probes and figures are at http://%s:%d", *endpoint.address)
        return endpoint

    # -- the end -----------------------------------------------------------------

    def _go_down(
        self,
        system: SessionSystem,
        health: Health,
        front: Front | None,
        endpoint: Endpoint | None,
        budget: float,
    ) -> None:
        clock = system.actors.clock
        deadline = clock.monotonic() + budget
        health.set_unready("it stops")
        self._notifier.stopping("it stops")
        if front is not None:
            left = front.drain(budget * _DRAIN_SHARE)
            if left:
                logger.warning("%d requests were still being answered after their time", left)
        health.stop()
        end_reports = system.actors.on_report(self._heard)
        try:
            with self._lookout(system, min(_LOOKOUT, budget * 0.4)):
                late = system.stop(max(deadline - clock.monotonic(), 0.0))
            self.killed += [str(ref) for ref in late]
        except (AuditError, StoreError) as error:
            self.unwritten.append(str(error))
            logger.critical("not everything could be written: %s", error)
        finally:
            end_reports()
            if front is not None:
                front.stop(1.0)
            if endpoint is not None:
                endpoint.stop(1.0)
        for who in self.killed:
            logger.error("%s did not end in time and was killed", who)

    def _heard(self, report: Any) -> None:
        """Note whom a supervisor had to kill."""
        if isinstance(report, ErrorReport) and report.error_context == "shutdown_error" and report.reason == KILLED:
            self.killed.append(f"{report.offender}, {describe(report.reason)}")

    @contextmanager
    def _lookout(self, system: SessionSystem, seconds: float) -> Iterator[None]:
        """Name those that are still busy after some seconds: once they are killed nobody can tell."""
        is_over = threading.Event()

        def look() -> None:
            if is_over.wait(seconds):
                return
            before = _in_hand(system)
            if is_over.wait(min(seconds / 2, _LOOK)):
                return
            # Many are ending just now; those that matter are still at the same message.
            for who in _stuck(system, before):
                logger.error("it stops, and %s is still busy", who)

        thread = threading.Thread(target=look, name="supervisors-lookout", daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()


def _in_hand(system: SessionSystem) -> dict[Any, int]:
    """Return the actors whose turn it is, with how many messages each has handled."""
    refs: list[Any] = [turn.current for turn in all_turns()]
    return {ref: ref.messages_handled for ref in refs if ref is not None and ref.system is system.actors}


def _stuck(system: SessionSystem, before: Mapping[Any, int]) -> list[str]:
    """Return in words who is still at the message of before; at most so many."""
    ids = {ref: session_id for session_id, ref in system.directory.items()}
    stuck: list[str] = []
    for ref, handled in _in_hand(system).items():
        session_id = ids.get(ref)
        # The supervisor of the sessions is at their ends all the time; that is its work.
        is_working = ref.name in (ROOT, SESSIONS)
        if before.get(ref) == handled and not is_working and len(stuck) < _NAMED_MAX:
            stuck.append(str(ref) if session_id is None else f"session {session_id!r} ({ref.actor_class.__name__})")
    return stuck


@contextmanager
def _signals(stop: Callable[[str], object], system: SessionSystem) -> Iterator[None]:
    """Turn SIGTERM and SIGINT into a request to stop, and SIGUSR1 into a dump."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    names = {signal.SIGTERM: "SIGTERM", signal.SIGINT: "SIGINT"}
    before = {number: signal.signal(number, lambda got, _frame: stop(names[got])) for number in names}  # type: ignore[index]  # only these get here
    end_dumps = system.actors.dump_on_signal()
    try:
        yield
    finally:
        end_dumps()
        for number, handler in before.items():
            signal.signal(number, handler)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror.lower()}" if error.filename else error.strerror.lower()
    return str(error)
