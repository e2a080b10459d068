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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final, final

from sessionactors.audit.errors import AuditError
from sessionactors.daemon.agreement import token_in
from sessionactors.daemon.config import ConfigError
from sessionactors.daemon.front import Front
from sessionactors.daemon.lookout import lookout
from sessionactors.daemon.metrics import SessionCollector
from sessionactors.daemon.pid_file import pid_file
from sessionactors.daemon.reloading import RELOADABLE, changes
from sessionactors.daemon.spans import export_spans
from sessionactors.errors import SessionActorsError
from sessionactors.inspection.inspector import SessionInspector
from sessionactors.inspection.operations import session_operations
from sessionactors.session import Session
from sessionactors.settings import SessionOptions
from sessionactors.storage.errors import StoreError
from sessionactors.surroundings import ROOT, SERVICES, SESSIONS
from sessionactors.system import SessionSystem
from supervisors.errors import SupervisorsError
from supervisors.exits import KILLED, describe
from supervisors.health.endpoint import Endpoint
from supervisors.health.health import Health
from supervisors.health.metrics import HealthCollector
from supervisors.health.systemd import Notifier
from supervisors.inspection.door import InspectionDoor
from supervisors.supervision.reports import ErrorReport
from supervisors.telemetry.exposition import Telemetry
from supervisors.telemetry.handlers import HandlerTimes

if TYPE_CHECKING:
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
_LAST_SPANS: Final = 0.2  # seconds at least, when the budget is used up
_DRAIN_SHARE: Final = 0.3  # of the budget, for requests that are being answered
_NAMED_MAX: Final = 20  # of those that had to be killed, besides those that kept them from ending
_WATCHED: Final = (*SERVICES, SESSIONS)
_LOOKOUT: Final = 4.0  # seconds, or less: before a supervisor kills a session that does not end


class DaemonError(SessionActorsError):
    """The daemon could not be started; the message is one sentence."""


@final
class _Parts:
    """What a daemon that is up consists of."""

    def __init__(self, system: SessionSystem, health: Health, telemetry: Telemetry) -> None:
        self.system = system
        self.health = health
        self.telemetry = telemetry
        self.fronts: list[Front] = []
        self.endpoint: Endpoint | None = None
        self.inspector: SessionInspector | None = None
        self.door: InspectionDoor | None = None

    def close(self) -> None:
        """Close all doors; the system behind them is gone by now."""
        for part in (*self.fronts, self.endpoint, self.door):
            if part is not None:
                part.stop(1.0)
        if self.inspector is not None:
            self.inspector.close()

    def apply(self, before: Config, after: Config, interval: float) -> Config:
        """Take over what can be had without a restart; say what was, and what was not.

        Args:
            before: what is in force.
            after: what is wanted.
            interval: seconds between two looks at who makes progress.

        Returns:
            What is in force now. The rest counts as changed again at the next reload.
        """
        found = changes(before, after)
        # Services first: one that is being restarted just now cannot be told, and keeps what it has.
        failed = self._told_services({change.section for change in found if change.is_live}, before, after)
        for change in found:
            if not change.is_live:
                logger.warning("needs a restart: %s", change)
            elif change.section in failed:
                logger.error("not reloaded: %s: %s", change, failed[change.section])
            else:
                logger.info("reloaded: %s", change)
        taken = [change for change in found if change.is_live and change.section not in failed]
        logger.warning("reloaded: %d options changed", len(taken))
        logging.getLogger().setLevel(after.get("daemon", "log_level").upper())
        limits = {name: after.get("front", name) for name in ("line_max", "connections_max", "idle_timeout")}
        for front in self.fronts:
            front.limit(**limits)
        if self.door is not None:
            names = ("connections_max", "idle_timeout")
            self.door.limit(**{name: after.get("inspection", name) for name in names})
        if self.endpoint is not None:
            self.endpoint.limit(after.get("health", "connections_max"))
        self.health.set_interval(interval)
        for name in _WATCHED:
            self.health.unwatch(name)
            self.health.watch(name, within=after.get("health", "watch_within"))
        options = after.system["session"]
        assert isinstance(options, SessionOptions)
        self.system.options = options
        return before.with_live(after, frozenset(each for each in RELOADABLE if each[0] not in failed))

    def _told_services(self, changed: set[str], before: Config, after: Config) -> dict[str, str]:
        """Tell services their settings; return why those that could not be told could not, by section."""
        wanted = before.with_live(after, RELOADABLE)
        system = self.system
        tell: dict[str, Callable[[], None]] = {
            "limiter": lambda: system.set_limiter_settings(wanted.system["limiter"].as_dict()),
            "isolation": lambda: system.set_isolation_settings(wanted.system["isolation"].as_dict()),
            "reaper": lambda: _tell_reaper(system, before, wanted),
        }
        failed: dict[str, str] = {}
        for section in [each for each in tell if each in changed]:
            try:
                tell[section]()
            except (SessionActorsError, SupervisorsError) as error:
                failed[section] = str(error)
        return failed


def _tell_reaper(system: SessionSystem, before: Config, wanted: Config) -> None:
    """Tell the reaper what has changed and nothing else: what is set anew begins anew."""
    policy, threshold, interval = (wanted.get("reaper", name) for name in ("policy", "idle_threshold", "interval"))
    if (policy, threshold) != (before.get("reaper", "policy"), before.get("reaper", "idle_threshold")):
        system.set_reap_policy(policy, idle_threshold=threshold)
    if interval != before.get("reaper", "interval"):
        system.set_reap_interval(interval)


@final
class Daemon:
    """A session system in a process of its own.

    Args:
        config: what it is started with.
        environment: where systemd says how it wants to be told, and where spans are sent.
        reload: reads the configuration again, for SIGHUP; None: it cannot be read again.

    Attributes:
        killed: who had to be killed when it stopped, in words.
        unwritten: what could not be written then, in words.
    """

    def __init__(
        self, config: Config, environment: Mapping[str, str], reload: Callable[[], Config] | None = None
    ) -> None:
        self._config = config
        self._read_again = reload
        self._environment = environment
        self._notifier = Notifier.from_environment(environment)
        self._told: queue.SimpleQueue[str | None] = queue.SimpleQueue()  # None: reload
        self._stuck: Mapping[Any, str] = {}  # who keeps it from stopping, in words
        self._sessions: dict[Any, str] = {}  # whose actor is whose, when it began to stop
        self.killed: list[str] = []
        self.unwritten: list[str] = []

    def stop(self, why: str = "stop() was called") -> None:
        """Have it stop; returns at once. Safe anywhere, also in a signal handler."""
        self._told.put(why)  # a SimpleQueue, because its put() may interrupt itself

    def reload(self) -> None:
        """Have it read its configuration again; returns at once. Safe anywhere, also in a signal handler."""
        self._told.put(None)

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
            # Before anything else: many stored sessions take a while, and a signal meanwhile would end the process.
            stack.enter_context(_signals(self.stop, self.reload))
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
        parts = _Parts(system, self._health(system), telemetry)
        telemetry.add(HealthCollector(parts.health))
        times = HandlerTimes(system.actors.clock, every=config.get("health", "handler_times_every"))
        if config.get("health", "handler_times"):
            for actor_class in {Session, *config.session_classes}:
                times.measure(actor_class)
            telemetry.add(times)
        end_spans: Callable[[float], bool] | None = None
        gave_up = False
        with _dumps(system):
            try:
                try:
                    if config.get("telemetry", "otel"):
                        end_spans = export_spans(self._environment, config.session_classes)
                    self._open(parts)
                except (OSError, ValueError, TypeError, SessionActorsError, SupervisorsError) as error:
                    raise DaemonError(f"it could not be started: {_reason(error)}") from error
                parts.health.start()
                parts.health.set_ready()
                self._notifier.ready(f"{len(system.directory)} sessions")
                logger.info("ready")
                if on_ready is not None:
                    on_ready(system)
                gave_up = self._wait(parts)
            finally:
                deadline = system.actors.clock.monotonic() + budget
                self._go_down(parts, budget)
                telemetry.close()
                times.close()
                if end_spans is not None and end_spans(max(deadline - system.actors.clock.monotonic(), _LAST_SPANS)):
                    logger.warning("the last spans could not be sent in time")
        if self.unwritten:
            return EXIT_UNWRITTEN
        if gave_up:
            return EXIT_GAVE_UP
        return EXIT_KILLED if self.killed else 0

    def _wait(self, parts: _Parts) -> bool:
        """Wait until something says stop; return whether the system gave up by itself."""
        while True:
            try:
                why = self._told.get(timeout=_LOOK)
            except queue.Empty:
                if parts.system.actors.whereis(ROOT) is None:
                    logger.critical("the services have crashed too often; the daemon gives up")
                    return True
            else:
                if why is not None:
                    logger.info("it stops: %s", why)
                    return False
                self._reload(parts)

    def _reload(self, parts: _Parts) -> None:
        """Take over what can be had without a restart, and name the rest; a wrong configuration changes nothing."""
        if self._read_again is None:
            logger.warning("there is no configuration that could be read again")
            return
        self._notifier.reloading(parts.system.actors.clock.monotonic())
        try:
            wanted = self._read_again()
        except ConfigError as error:
            for problem in error.problems:
                logger.error("nothing is reloaded: %s", problem)  # noqa: TRY400 - the sentence says it all
        else:
            self._config = parts.apply(self._config, wanted, self._interval(wanted))
        self._notifier.ready(f"{len(parts.system.directory)} sessions")

    # -- the parts ---------------------------------------------------------------

    def _interval(self, config: Config) -> float:
        """Return the seconds between two looks; systemd may want signs of life more often."""
        interval: float = config.get("health", "interval")
        wanted = self._notifier.watchdog_seconds
        return interval if wanted is None else min(interval, wanted / 4)

    def _health(self, system: SessionSystem) -> Health:
        notifier = self._notifier

        def saw(is_live: bool) -> None:
            if is_live:
                notifier.watchdog()

        health = Health(system.actors, interval=self._interval(self._config), on_look=saw)
        for name in _WATCHED:
            health.watch(name, within=self._config.get("health", "watch_within"))
        return health

    def _open(self, parts: _Parts) -> None:
        """Open all doors; what was opened before one fails is closed with the others."""
        config, system = self._config, parts.system
        path: Path | None = config.get("front", "socket")
        port: int | None = config.get("front", "port")
        classes = {found.__name__: found for found in config.session_classes}
        limits = {name: config.get("front", name) for name in ("line_max", "connections_max", "idle_timeout")}
        if path is not None:
            parts.fronts.append(
                Front(system, path, mode=int(config.get("front", "mode"), 8), classes=classes, **limits)
            )
        if port is not None:
            parts.fronts.append(
                Front(
                    system,
                    (config.get("front", "host"), port),
                    token=_token_in(config.get("front", "token_file")),
                    allow_remote=config.get("front", "allow_remote"),
                    classes=classes,
                    **limits,
                )
            )
        socket: Path | None = config.get("inspection", "socket")
        if socket is not None:
            parts.inspector = SessionInspector(system)
            parts.door = InspectionDoor(
                socket,
                session_operations(parts.inspector),
                clock=system.actors.clock,
                connections_max=config.get("inspection", "connections_max"),
                idle_timeout=config.get("inspection", "idle_timeout"),
            )
            parts.door.start()
        for front in parts.fronts:
            front.start()
            if front.address is not None:
                logger.info("the front is at %s:%d", *front.address)
        parts.endpoint = self._endpoint(parts)

    def _endpoint(self, parts: _Parts) -> Endpoint | None:
        config = self._config
        port: int | None = config.get("health", "port")
        if port is None:
            return None
        endpoint = Endpoint(
            parts.health,
            parts.telemetry,
            clock=parts.system.actors.clock,
            host=config.get("health", "host"),
            port=port,
            token=_token_in(config.get("health", "token_file")),
            connections_max=config.get("health", "connections_max"),
        )
        endpoint.start()
        logger.info("probes and figures are at http://%s:%d", *endpoint.address)
        return endpoint

    # -- the end -----------------------------------------------------------------

    def _go_down(self, parts: _Parts, budget: float) -> None:
        system = parts.system
        clock = system.actors.clock
        deadline = clock.monotonic() + budget
        parts.health.set_unready("it stops")
        self._notifier.stopping("it stops")
        left = sum(
            front.drain(max(deadline - budget * (1 - _DRAIN_SHARE) - clock.monotonic(), 0.0)) for front in parts.fronts
        )
        if left:
            logger.warning("%d requests were still being answered after their time", left)
        parts.health.stop()
        # Afterwards nobody could tell whose actor it was.
        self._sessions = {ref: session_id for session_id, ref in system.directory.items()}
        end_reports = system.actors.on_report(self._heard)
        try:
            with lookout(system, min(_LOOKOUT, budget * 0.4), self._sessions) as self._stuck:
                late = system.stop(max(deadline - clock.monotonic(), 0.0))
            self.killed += self._in_words(late)
        except (AuditError, StoreError) as error:
            self.unwritten.append(str(error))
            logger.critical("not everything could be written: %s", error)
        finally:
            end_reports()
            parts.close()
        for who in self.killed:
            logger.error("%s did not end in time and was killed", who)

    def _in_words(self, late: Sequence[Any]) -> list[str]:
        """Name who did not end in time: first those that were stuck, then some sessions, then who waited for them."""
        words = [self._stuck[ref] for ref in late if ref in self._stuck]
        others = sorted((ref for ref in late if ref not in self._stuck), key=lambda ref: ref not in self._sessions)
        words += map(self._named, others[:_NAMED_MAX])
        return words if len(others) <= _NAMED_MAX else [*words, f"{len(others) - _NAMED_MAX} more"]

    def _named(self, ref: Any) -> str:
        session_id = self._sessions.get(ref)
        return str(ref) if session_id is None else f"session {session_id!r} ({ref.actor_class.__name__})"

    def _heard(self, report: Any) -> None:
        """Note whom a supervisor had to kill."""
        if isinstance(report, ErrorReport) and report.error_context == "shutdown_error" and report.reason == KILLED:
            offender = report.offender
            # A report about several has none of them; those that were seen to be stuck are named instead.
            seen = ", ".join(self._stuck.values())
            who = str(offender)
            if offender.ref is None and seen:
                who = f"{offender}: {seen}"
            elif offender.ref in self._sessions:
                who = self._named(offender.ref)
            self.killed.append(f"{who}, {describe(report.reason)}")


@contextmanager
def _signals(stop: Callable[[str], object], reload: Callable[[], object]) -> Iterator[None]:
    """Turn SIGTERM and SIGINT into a request to stop, and SIGHUP into one to reload."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    names = {signal.SIGTERM: "SIGTERM", signal.SIGINT: "SIGINT"}
    before = {number: signal.signal(number, lambda got, _frame: stop(names[got])) for number in names}  # type: ignore[index]  # only these get here
    before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda _got, _frame: reload())
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _dumps(system: SessionSystem) -> Iterator[None]:
    """Turn SIGUSR1 into a dump."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    end = system.actors.dump_on_signal()
    try:
        yield
    finally:
        end()


def _token_in(file: Path | None) -> str | None:
    return None if file is None else token_in(file)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror.lower()}" if error.filename else error.strerror.lower()
    return str(error)
