"""For tests of actors: a probe that takes what actors send, and says what must come.

A probe is an actor that tests hold by hand. It keeps what it gets in the order of
arrival: messages, exits of actors that it is linked to, ends of actors that it
monitors. Each ``expect_*`` takes the oldest of its kind, and raises `AssertionError`
when that is not what was expected, or when nothing comes in time.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, final

from supervisors.actor import Actor
from supervisors.errors import Exit, InvalidTypeError
from supervisors.exits import SHUTDOWN, Crashed, describe
from supervisors.runtime.futures import ScheduledFuture
from supervisors.runtime.ref import ActorRef
from supervisors.runtime.signals import Down, Exited
from supervisors.timers.service import checked_delay

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisors.runtime.replies import Reply
    from supervisors.system import ActorSystem

__all__ = ["ANYTHING", "Probe"]

PATIENCE: Final = 5.0
"""Seconds that a probe waits by default: of virtual time they cost nothing."""

QUIET: Final = 0.1
"""Seconds for which nothing may come by default."""


@final
class _Anything:
    """The type of `ANYTHING`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "anything"


ANYTHING: Final = _Anything()
"""Expected by a probe that takes whatever comes."""

_NOTHING: Final = object()


@final
class _Order:
    """What a probe tells its actor to do: a function of the actor."""

    __slots__ = ("do",)

    def __init__(self, do: Callable[[_ProbeActor], Any]) -> None:
        self.do = do


@final
class _ProbeActor(Actor):
    """Keeps what it gets, by kind."""

    dispatch = "inline"

    def __init__(self) -> None:
        super().__init__()
        self.came: dict[str, deque[Any]] = {"message": deque(), "exit": deque(), "down": deque()}
        self.waits: tuple[str, Reply] | None = None

    def on_start(self) -> None:
        """Get exits as messages."""
        self.trap_exit()

    def on_receive(self, message: Any) -> Any:
        """Do what the probe wants, or keep what has come."""
        if message.__class__ is _Order:
            return message.do(self)
        if isinstance(message, Exited) and message.source is None and message.reason == SHUTDOWN:
            raise Exit(SHUTDOWN)  # the system ends; a probe traps the exits of others only
        kind = "down" if isinstance(message, Down) else "exit" if isinstance(message, Exited) else "message"
        self.came[kind].append(message)
        if self.waits is not None and self.waits[0] == kind:
            waits, self.waits = self.waits, None
            waits[1].set(None)
        return None


@final
class Probe:
    """An actor in the hands of a test.

    Args:
        system: the actor system of the test; on a `VirtualClock`, waiting lets virtual time
            pass and takes no time.
        timeout: seconds that each ``expect_*`` waits by default.

    Attributes:
        ref: the actor itself, to be given to those that send to it.

    Example:
        >>> from supervisors import Actor, ActorSystem, VirtualClock
        >>> class Greeter(Actor):
        ...     def on_receive(self, message):
        ...         message.tell("hello")
        >>> with ActorSystem(clock=VirtualClock()) as system:
        ...     probe = Probe(system)
        ...     system.start(Greeter).tell(probe.ref)
        ...     probe.expect_message("hello")
        'hello'

    Thread: that of the test.
    """

    __slots__ = ("_linked", "_system", "_timeout", "_watched", "ref")

    def __init__(self, system: ActorSystem, *, timeout: float = PATIENCE) -> None:
        self._system = system
        self._timeout = checked_delay("timeout", timeout)
        self.ref: ActorRef[Any] = system.start(_ProbeActor)
        self._watched: set[ActorRef[Any]] = set()
        self._linked: set[ActorRef[Any]] = set()

    def watch(self, ref: ActorRef[Any]) -> None:
        """Monitor an actor, so that `expect_down()` can tell how it ended."""
        if not isinstance(ref, ActorRef):
            raise InvalidTypeError("ref", ref, "an ActorRef")
        self._do(lambda actor: actor.monitor(ref))
        self._watched.add(ref)

    def link(self, ref: ActorRef[Any]) -> None:
        """Link to an actor, so that `expect_exit()` can tell how it ended."""
        if not isinstance(ref, ActorRef):
            raise InvalidTypeError("ref", ref, "an ActorRef")
        self._do(lambda actor: actor.link(ref))
        self._linked.add(ref)

    def expect_message(self, expected: object = ANYTHING, *, timeout: float | None = None) -> Any:
        """Take the next message, which must be the expected one.

        Args:
            expected: a value that it equals, a class that it is an instance of, or a
                function of it that returns something true.
            timeout: seconds to wait; by default the probe's.

        Returns:
            The message.
        """
        message = self._next("message", timeout, f"no message has come; expected: {_shown(expected)}")
        if not _fits(message, expected):
            raise AssertionError(f"got the message {message!r}; expected: {_shown(expected)}")
        return message

    def expect_no_message(self, seconds: float = QUIET) -> None:
        """Demand that no message has come, and none comes for so many seconds."""
        seconds = checked_delay("seconds", seconds)
        self._wait("message", seconds)
        message = self._take("message")
        if message is not _NOTHING:
            raise AssertionError(f"got the message {message!r}; expected: none for {seconds:g} seconds")

    def expect_exit(
        self, ref: ActorRef[Any] | None = None, reason: object = ANYTHING, *, timeout: float | None = None
    ) -> Exited:
        """Take the next trapped exit, which must come from an actor and have a reason.

        Args:
            ref: the actor; it is linked now if it is not (`"noproc"` if it is dead
                already). None: any actor.
            reason: a value that the reason equals, an exception class that it has
                crashed with, or a function of the reason.
            timeout: seconds to wait; by default the probe's.
        """
        if ref is not None and ref not in self._linked:
            self.link(ref)
        exited: Exited = self._next(
            "exit", timeout, f"the end of {_named(ref)} has not come; expected: {_shown(reason)}"
        )
        _check_end("exit", exited, ref, reason)
        self._linked.discard(exited.source)
        return exited

    def expect_down(
        self, ref: ActorRef[Any] | None = None, reason: object = ANYTHING, *, timeout: float | None = None
    ) -> Down:
        """Take the next end of a monitored actor, which must be the expected one.

        Args:
            ref: the actor; it is monitored now if it is not (`"noproc"` if it is dead
                already). None: any actor.
            reason: as for `expect_exit()`.
            timeout: seconds to wait; by default the probe's.
        """
        if ref is not None and ref not in self._watched:
            self.watch(ref)
        down: Down = self._next("down", timeout, f"the end of {_named(ref)} has not come; expected: {_shown(reason)}")
        _check_end("down", down, ref, reason)
        self._watched.discard(down.source)
        return down

    def _next(self, kind: str, timeout: float | None, otherwise: str) -> Any:
        limit = self._timeout if timeout is None else checked_delay("timeout", timeout)
        found = self._take(kind)
        if found is _NOTHING:
            self._wait(kind, limit)
            found = self._take(kind)
        if found is _NOTHING:
            raise AssertionError(f"{otherwise} within {limit:g} seconds")
        return found

    def _take(self, kind: str) -> Any:
        return self._do(lambda actor: actor.came[kind].popleft() if actor.came[kind] else _NOTHING)

    def _wait(self, kind: str, seconds: float) -> None:
        def wait(actor: _ProbeActor) -> None:
            if not actor.came[kind]:
                actor.waits = (kind, actor.defer_reply())

        arrival: ScheduledFuture[None] = self.ref.ask(_Order(wait), block=False)
        arrival.settle(seconds)

        def forget(actor: _ProbeActor) -> None:
            if actor.waits is not None:
                waits, actor.waits = actor.waits, None
                waits[1].set(None)

        self._do(forget)

    def _do(self, what: Callable[[_ProbeActor], Any]) -> Any:
        return self.ref.ask(_Order(what))

    def __repr__(self) -> str:
        return f"<Probe {self.ref}>"


def _check_end(kind: str, end: Exited | Down, ref: ActorRef[Any] | None, reason: object) -> None:
    if ref is not None and end.source is not ref:
        raise AssertionError(f"got the {kind} of {end.source}; expected: that of {ref}")
    actual = end.reason
    if isinstance(actual, Crashed) and isinstance(reason, type) and issubclass(reason, BaseException):
        fits = isinstance(actual.error, reason)
    else:
        fits = _fits(actual, reason)
    if not fits:
        raise AssertionError(f"{end.source} has ended with {describe(actual)}; expected: {_shown(reason)}")


def _fits(actual: object, expected: object) -> bool:
    if expected is ANYTHING:
        return True
    if isinstance(expected, type):
        return isinstance(actual, expected)
    if callable(expected) and not isinstance(expected, ActorRef):
        return bool(expected(actual))
    return bool(actual == expected)


def _shown(expected: object) -> str:
    return expected.__name__ if isinstance(expected, type) else repr(expected)


def _named(ref: ActorRef[Any] | None) -> str:
    return "anybody" if ref is None else str(ref)
