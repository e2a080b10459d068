"""OpenTelemetry spans for the messages of chosen classes; the extra ``otel``.

From `start()` to `close()` the methods by which messages are sent put the sender's
context around what goes to a traced actor; and the methods by which the runtime calls a
traced actor take it out again and start a span in it. So the context travels with the
message, through mailboxes and from thread to thread. Nothing asks whether somebody
traces: before the first `start()` all these methods are the ones that were written, and
the library is not even imported. Afterwards sending is as it was; a class that was
traced keeps a look whether a message carries a context, for those still on their way.

A span is named after the class and the kind of the message, and nothing that is in the
message goes into it.

What waits in the mailbox of a traced actor is a `Carried`, and so it is when it becomes a dead letter.
What the library itself sends carries nothing, nor does what goes to actors in other processes.
"""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any, Final, Self, final

from supervisors.actor import Actor
from supervisors.errors import InvalidTypeError, MissingExtraError, Refusal, UsageError
from supervisors.inspection.plain import summary
from supervisors.runtime.pykka_adapter import StopMessage
from supervisors.runtime.signals import ControlMessage, Down, Exited
from supervisors.telemetry.sending import listen

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from supervisors.runtime.ref import ActorRef

__all__ = ["Carried", "Tracing"]

_OURS: Final = (ControlMessage, Down, Exited, StopMessage)

_changing: Final = threading.Lock()
"""Held while methods are replaced and put back; guards the two below."""
_current: Final[list[Tracing]] = []
_hooks: Final[dict[type, _Hook]] = {}


@final
class Carried:
    """A message with the context in which it was sent."""

    __slots__ = ("context", "message")

    def __init__(self, message: Any, context: Any) -> None:
        self.message = message
        self.context = context

    def __repr__(self) -> str:
        return f"<Carried {type(self.message).__name__}>"


@final
class Tracing:
    """Spans of the messages of chosen classes, from `start()` to `close()`; one in a process at a time.

    Args:
        provider: a `TracerProvider` of OpenTelemetry; None takes the global one.

    Raises:
        MissingExtraError: OpenTelemetry is not installed.

    Thread: every method is safe anywhere.
    """

    def __init__(self, provider: Any = None) -> None:
        try:
            from opentelemetry import context, trace  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise MissingExtraError("tracing", "otel") from error
        self._now = context.get_current
        self._span = trace.get_current_span
        self._consumer = trace.SpanKind.CONSUMER
        self._error = trace.StatusCode.ERROR
        self._tracer = trace.get_tracer("supervisors", tracer_provider=provider)
        self._end_listening: Callable[[], None] | None = None

    def start(self) -> None:
        """Have contexts travel with messages from now on.

        Raises:
            UsageError: somebody traces in this process already.
        """
        with _changing:
            if _current:
                raise UsageError("there is one Tracing in a process at a time; close the other one first")
            _current.append(self)
            # An ask that is not queued runs in its asker's context, and needs no carrying.
            self._end_listening = listen(self._carried)

    def trace(self, actor_class: type[Actor], *, state: Callable[[Any], object] | None = None) -> None:
        """Make a span for each message that actors of a class handle; those that live are traced, too.

        A subclass that has no `receive_ask()` and `receive_tell()` of its own is traced with its base.

        Args:
            actor_class: which class; once more changes nothing.
            state: returns the state of an actor as text; where it is another one after a
                message, the span has one more inside, for the transition.

        Raises:
            InvalidTypeError: this is no class of actors, or no function.
            UsageError: it was not started, or is closed.
        """
        if not (isinstance(actor_class, type) and issubclass(actor_class, Actor)):
            raise InvalidTypeError("actor_class", actor_class, "a class derived from Actor")
        if not (state is None or callable(state)):
            raise InvalidTypeError("state", state, "a function of an actor, or None")
        with _changing:
            if self not in _current:
                raise UsageError("start() comes first, and nothing after close()")
            hook = _hooks.get(actor_class)
            if hook is None:
                hook = _hooks[actor_class] = _Hook()
                for name in ("receive_ask", "receive_tell"):
                    setattr(actor_class, name, hook.around(getattr(actor_class, name)))
            hook.state = state
            hook.tracing = self

    def close(self) -> None:
        """Stop; messages on their way are still understood. More than once is fine."""
        with _changing:
            if self not in _current:
                return
            for hook in _hooks.values():
                hook.tracing = None
            if self._end_listening is not None:
                self._end_listening()
            _current.remove(self)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- sending -------------------------------------------------------------------

    def _carried(self, ref: ActorRef[Any], message: Any) -> Any:
        kind: Any = ref.actor_class
        if isinstance(message, (*_OURS, Carried)) or message.__class__ in kind.system_messages:
            return message
        if kind.dispatch == "process" or not any(base in _hooks for base in kind.__mro__):
            return message
        context = self._now()
        return Carried(message, context) if self._span(context).get_span_context().is_valid else message

    # -- receiving: in the actor's own turn ----------------------------------------

    def receive(self, method: Any, hook: _Hook, actor: Any, message: Any, context: Any) -> Any:
        """Handle a message in a span. Called by the methods of traced classes."""
        name = f"{actor.actor_ref.actor_class.__name__} {summary(message)}"
        before = None if hook.state is None else str(hook.state(actor))
        with self._tracer.start_as_current_span(
            name, context, self._consumer, record_exception=False, set_status_on_exception=False
        ) as span:
            span.set_attribute("actor.id", actor.actor_ref.id)
            try:
                reply = method(actor, message)
            except Refusal as refusal:
                span.set_attribute("actor.refusal", refusal.code)
                raise
            except BaseException as error:
                # Its class alone: what it says may be about what was in the message.
                span.set_status(self._error, type(error).__name__)
                raise
            if hook.state is not None and (after := str(hook.state(actor))) != before:
                changes = {"from": before or "", "to": after}
                self._tracer.start_span(f"transition {before} -> {after}", attributes=changes).end()
            return reply


@final
class _Hook:
    """What was put into a class that is, or was, traced."""

    __slots__ = ("state", "tracing")

    def __init__(self) -> None:
        self.tracing: Tracing | None = None
        self.state: Callable[[Any], object] | None = None

    def around(self, method: Any) -> Any:
        """Return a method that does the same in a span, while somebody traces."""

        @functools.wraps(method)
        def receiving(actor: Any, message: Any) -> Any:
            context = None
            if message.__class__ is Carried:
                message, context = message.message, message.context
            tracing = self.tracing
            if tracing is None:
                return method(actor, message)
            return tracing.receive(method, self, actor, message, context)

        return receiving
