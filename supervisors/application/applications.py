"""The applications of one actor system, as their users see them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, cast, final, get_args

from supervisors.application.control import ApplicationController, ExitCode, Progress
from supervisors.application.description import Application, ApplicationError
from supervisors.errors import InvalidArgumentError, InvalidTypeError
from supervisors.timers.service import checked_delay

if TYPE_CHECKING:
    from supervisors.system import ActorSystem

__all__ = ["ApplicationType", "Applications"]

ApplicationType = Literal["permanent", "transient", "temporary"]
TYPES: Final[tuple[str, ...]] = get_args(ApplicationType)


@final
class Applications:
    """The applications of one actor system.

    Args:
        system: where they run; when it is stopped, so are they (APP-9).
        known: applications that can be started.
        config: settings by application and key, in place of their defaults (APP-8).
        on_failure: called with the name and the exit reason of an application whose
            end has ended all others (APP-7), after these have been stopped.

    Example:
        >>> from supervisors import ActorSystem
        >>> from supervisors.supervision.supervisor import Supervisor
        >>> store = Application(name="store", start=lambda: Supervisor.start_link([]))
        >>> shop = Application(name="shop", start=lambda: Supervisor.start_link([]), needs=("store",))
        >>> with ActorSystem() as system:
        ...     applications = Applications(system, [shop, store])
        ...     applications.ensure_all_started("shop")
        ('store', 'shop')

    Thread: any, but not the start and stop functions of applications: these run
    while the controller waits for them.
    """

    def __init__(
        self,
        system: ActorSystem,
        known: Iterable[Application] = (),
        *,
        config: Mapping[str, Mapping[str, Any]] | None = None,
        on_failure: Callable[[str, object], object] | None = None,
    ) -> None:
        if on_failure is not None and not callable(on_failure):
            raise InvalidTypeError("on_failure", on_failure, "a function; None")
        if not hasattr(system, "scheduler"):
            raise InvalidTypeError("system", system, "an ActorSystem")
        if not isinstance(known, Iterable):
            raise InvalidTypeError("known", known, "applications, one after the other")
        self._config = _checked_config(config)
        self._known: dict[str, Application] = {}
        self._env: dict[tuple[str, str], Any] = {}
        self._code = ExitCode(system.scheduler)
        for application in known:
            self.load(application)
        self._progress = Progress()
        self._controller = system.start(ApplicationController, self._known, self._code, self._progress, on_failure)

    def load(self, application: Application) -> None:
        """Make an application known, with its settings.

        Raises:
            ApplicationError: one of this name is known: ("already_loaded", name).
        """
        if not isinstance(application, Application):
            raise InvalidTypeError("application", application, "an Application")
        name = application.name
        if self._known.setdefault(name, application) is not application:
            raise ApplicationError(name, ("already_loaded", name))
        for key, value in {**application.env, **self._config.get(name, {})}.items():
            self._env.setdefault((name, key), value)

    def start(self, name: str, type: ApplicationType = "temporary") -> None:  # noqa: A002 - OTP's word
        """Start an application; return when it is up, all its start phases included (APP-2 to APP-4).

        Args:
            name: a known application.
            type: what the end of its top supervisor means for the others (APP-7).
                `temporary`: nothing; `transient`: they are stopped too, unless the
                reason is `normal`; `permanent`: they are stopped too.

        Raises:
            ApplicationError: it runs already, an application that it needs does not,
                or it did not start.
            InvalidArgumentError: the name or the type is not known.
        """
        self._controller.ask(("start", self._checked(name), _checked_type(type)), timeout=None)

    def ensure_all_started(self, name: str, type: ApplicationType = "temporary") -> tuple[str, ...]:  # noqa: A002
        """Start an application and, before it, those it needs that do not run (APP-2).

        Returns:
            The names of those that were started, in that order.

        Raises:
            ApplicationError: one of them did not start; those started before it have
                been stopped again.
        """
        return cast(
            "tuple[str, ...]",
            self._controller.ask(("ensure", self._checked(name), _checked_type(type)), timeout=None),
        )

    def stop(self, name: str) -> None:
        """Stop an application; those that need it are not looked at (APP-6).

        Raises:
            ApplicationError: it does not run: ("not_started", name).
        """
        self._controller.ask(("stop", self._checked(name)), timeout=None)

    def stop_all(self) -> None:
        """Stop all applications in reverse order of their start; `wait()` then returns 0 (APP-9)."""
        self._controller.ask(("stop_all",), timeout=None)

    def running(self) -> tuple[str, ...]:
        """Return the names of the applications that run, in order of their start; a snapshot.

        Never blocks, also while another application is being started. One runs once
        its last start phase is over (APP-4), and no longer when it has begun to stop.
        """
        return self._progress.running if self._controller.is_alive() else ()

    def starting(self) -> str | None:
        """Return the name of the application that is being started; None: none is; a snapshot. Never blocks."""
        return self._progress.starting if self._controller.is_alive() else None

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait until all applications were stopped; return the exit code for the process.

        ``sys.exit(applications.wait())`` ends a program as its applications have ended:
        0 after `stop_all()`, 1 when one's end has ended all others (APP-7). Once another
        application has been started, the code of before is over, and there is one again
        when all have been stopped again.

        Args:
            timeout: seconds to wait, 0 or more; None: without end.

        Returns:
            The code; None when the time is up.
        """
        code = self._code.future
        return code.get() if code.settle(None if timeout is None else checked_delay("timeout", timeout)) else None

    def get_env(self, name: str, key: str, default: Any = None) -> Any:
        """Return a setting of an application, or the default (APP-8). Never blocks."""
        if not isinstance(name, str):
            raise InvalidTypeError("name", name, "the name of an application")
        return self._env.get((name, _checked_key(key)), default)

    def set_env(self, name: str, key: str, value: Any) -> None:
        """Change a setting for all who look from now on."""
        self._env[self._checked(name), _checked_key(key)] = value

    def _checked(self, name: str) -> str:
        if not isinstance(name, str) or name not in self._known:
            raise InvalidArgumentError("name", name, "the name of a known application")
        return name

    def __repr__(self) -> str:
        return f"<Applications {', '.join(self._known)}>"


def _checked_config(config: object) -> dict[str, dict[str, Any]]:
    if config is None:
        return {}
    if not isinstance(config, Mapping) or not all(isinstance(settings, Mapping) for settings in config.values()):
        raise InvalidTypeError("config", config, "a mapping of names of applications to mappings of settings; None")
    return {name: dict(settings) for name, settings in config.items()}


def _checked_key(key: object) -> str:
    if not isinstance(key, str):
        raise InvalidTypeError("key", key, "the name of a setting")
    return key


def _checked_type(kind: object) -> str:
    if not isinstance(kind, str) or kind not in TYPES:
        raise InvalidArgumentError("type", kind, ", ".join(map(repr, TYPES)))
    return kind
