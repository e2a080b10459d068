"""Shows the messages that one actor handles, for a while.

Nothing in the runtime asks whether somebody traces. Instead the traced actor, and it
alone, is given another class for that time: one derived from its own, whose two
methods that the runtime calls note what goes through them. Every other actor, also of
the same class, runs exactly the code that it ran before, and so does this one afterwards.

What is noted is the kind of a message, how long it took and what came of it; not what
is in it. There is an upper bound to how many are noted in a second; the rest is counted.

While it is traced, ``type(actor)`` is the derived class, under the same name.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self, final

from supervisors.errors import InvalidArgumentError
from supervisors.inspection.errors import ActorEndedError, AlreadyTracedError, InspectionRefused
from supervisors.inspection.insides import actor_of
from supervisors.inspection.plain import summary
from supervisors.timers.service import checked_delay

if TYPE_CHECKING:
    from types import TracebackType

    from supervisors.runtime.ref import ActorRef

__all__ = ["RATE_MAX", "SECONDS_MAX", "Trace", "TraceEvent"]

RATE_MAX: Final = 1_000
"""Events that a trace may note in a second at most."""

SECONDS_MAX: Final = 3_600.0
"""The longest that a trace may last."""

_WAITING_MAX: Final = 10_000  # events that nobody has taken yet
_MARK: Final = "_supervisors_traced"

_changing: Final = threading.Lock()
"""Held while the class of an actor is changed for a trace or back; nothing else is called meanwhile
but the `__init_subclass__` of the program's class."""


@final
@dataclass(frozen=True, slots=True)
class TraceEvent:
    """One message that was handled.

    Attributes:
        time: when it was taken in hand, UTC seconds.
        kind: `"ask"` or `"tell"`.
        message: its kind, see `supervisors.inspection.plain.summary()`.
        seconds: how long it was handled.
        raised: the class of what the handler raised; None when it returned.
        mailbox: messages that waited behind it when it was done.
        dropped: events before this one that were not noted, because there were too many.
    """

    time: float
    kind: str
    message: str
    seconds: float
    raised: str | None
    mailbox: int
    dropped: int


@final
class Trace:
    """The messages of one actor, from `start()` until the time is up, or `stop()`.

    Args:
        ref: the actor.
        seconds: how long at most, up to an hour. It also ends if nobody calls `stop()`.
        rate: events in a second that are noted, 1 to 1,000.

    Attributes:
        dropped: events that were not noted.

    Example:
        >>> from supervisors import Actor, ActorSystem
        >>> class Greeter(Actor):
        ...     def on_receive(self, message):
        ...         return "hello"
        >>> with ActorSystem() as system:
        ...     ref = system.start(Greeter)
        ...     with Trace(ref) as trace:
        ...         _ = ref.ask(("greet", "world"))
        ...         [(event.kind, event.message) for event in trace.take(0.0)]
        [('ask', 'greet(str)')]

    Thread: every method is safe anywhere; one thread takes the events.
    """

    def __init__(self, ref: ActorRef[Any], *, seconds: float = 60.0, rate: int = 100) -> None:
        seconds = checked_delay("seconds", seconds)
        if not 0.0 < seconds <= SECONDS_MAX:
            raise InvalidArgumentError("seconds", seconds, f"above 0, and at most {SECONDS_MAX:g}")
        if isinstance(rate, bool) or not isinstance(rate, int) or not 1 <= rate <= RATE_MAX:
            raise InvalidArgumentError("rate", rate, f"an integer from 1 to {RATE_MAX}")
        self._ref = ref
        self._clock = ref.system.clock
        self._now = self._clock.monotonic
        self._seconds = seconds
        self._rate = rate
        self._deadline = 0.0
        self._is_there = threading.Condition()  # guards all below
        self._events: deque[TraceEvent] = deque()
        self._actor: Any = None
        self._kind: Any = None
        self._tokens = float(rate)
        self._filled = 0.0
        self._unsaid = 0  # events left out since the last one that was noted
        self._is_over = False
        self.dropped = 0

    def start(self) -> None:
        """Begin to note.

        Raises:
            ActorEndedError: the actor is dead.
            AlreadyTracedError: somebody else traces it.
            InspectionRefused: its class cannot be derived from.
        """
        actor = actor_of(self._ref)
        if actor is None:
            if self._ref.is_alive():
                raise InspectionRefused(f"{self._ref} hibernates; it can be traced when a message has woken it")
            raise ActorEndedError(f"{self._ref} has ended")
        with _changing:
            kind = type(actor)
            if _MARK in vars(kind):
                raise AlreadyTracedError(f"{self._ref} is being traced by somebody else")
            try:
                traced = self._derived(kind)
                self._actor, self._kind = actor, kind
                self._filled = self._now()
                self._deadline = self._filled + self._seconds
                actor.__class__ = traced
            except TypeError as error:
                raise InspectionRefused(f"a {kind.__name__} cannot be traced: {error}") from error

    def stop(self) -> None:
        """Stop noting; what was noted can still be taken. More than once is fine."""
        with _changing:
            actor, kind, self._actor = self._actor, self._kind, None
            if actor is not None:
                actor.__class__ = kind
        with self._is_there:
            self._is_over = True
            self._is_there.notify_all()

    @property
    def is_over(self) -> bool:
        """Whether nothing will be noted any more."""
        return self._is_over or self._now() >= self._deadline or not self._ref.is_alive()

    def take(self, timeout: float) -> list[TraceEvent]:
        """Return what has been noted since the last time, in order; waits for the first if there is nothing yet.

        Args:
            timeout: seconds to wait at most.
        """
        deadline = self._now() + timeout
        with self._is_there:
            while not self._events and not self._is_over and (left := deadline - self._now()) > 0:
                if self._now() >= self._deadline:
                    break
                self._is_there.wait(min(left, max(self._deadline - self._now(), 0.001)))
            taken = list(self._events)
            self._events.clear()
        return taken

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # -- in the actor's own turn ---------------------------------------------------

    def _derived(self, kind: Any) -> Any:
        """Return a class like the actor's own that notes."""
        trace = self

        def receive_ask(actor: Any, message: Any) -> Any:
            began = trace._now()
            try:
                reply = kind.receive_ask(actor, message)
            except BaseException as error:
                trace._note("ask", message, began, type(error).__name__)
                raise
            trace._note("ask", message, began, None)
            return reply

        def receive_tell(actor: Any, message: Any) -> None:
            began = trace._now()
            try:
                kind.receive_tell(actor, message)
            except BaseException as error:
                trace._note("tell", message, began, type(error).__name__)
                raise
            trace._note("tell", message, began, None)

        inside = {
            "__slots__": (),
            "__module__": kind.__module__,
            "__qualname__": kind.__qualname__,
            "__doc__": kind.__doc__,
            _MARK: True,
            "receive_ask": receive_ask,
            "receive_tell": receive_tell,
        }
        return type(kind)(kind.__name__, (kind,), inside)

    def _note(self, kind: str, message: object, began: float, raised: str | None) -> None:
        now = self._now()
        if now >= self._deadline:
            self.stop()  # nobody has come to do it
            return
        with self._is_there:
            self._tokens = min(self._tokens + (now - self._filled) * self._rate, float(self._rate))
            self._filled = now
            if self._tokens < 1.0 or len(self._events) >= _WAITING_MAX or self._is_over:
                self.dropped += 1
                self._unsaid += 1
                return
            self._tokens -= 1.0
            unsaid, self._unsaid = self._unsaid, 0
            time = self._clock.time() - (now - began)
            waiting = self._ref.mailbox_length
            self._events.append(TraceEvent(time, kind, summary(message), now - began, raised, waiting, unsaid))
            self._is_there.notify_all()
