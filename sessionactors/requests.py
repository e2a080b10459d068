"""A request to the user's own code in a session: what is checked, in which order, and who answers.

`SessionSystem.request()` asks the rate limiter first, then sends the session a
`UserRequest`, which the session runs in its own turn: the quota, the idle clock,
the handler. A handler that is a coroutine function leaves the turn: it goes on on
the loop of `sessionactors.coroutines`, and the session goes on with everything but
further requests, which wait in order. So requests are handled one after the
other, whatever the handler is, while suspending and ending are not held up by one.

A handler that raises a `Refusal` says no and nothing more happens. One that raises
anything else has crashed its session, and no other.
"""

from __future__ import annotations

import inspect
from collections import deque
from typing import TYPE_CHECKING, Any, Final, final

from sessionactors.coroutines import OutOfTimeError
from sessionactors.errands import Errand
from sessionactors.errors import CapacityExceeded, UnknownRequest
from sessionactors.session_code import SessionCode
from supervisors.errors import Refusal
from supervisors.runtime.outcomes import AskTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from sessionactors.session import Session
    from supervisors.runtime.replies import Reply

__all__ = ["WAITING_MAX", "RequestLine", "UserRequest"]

WAITING_MAX: Final = 1000
"""Requests of one session that may wait for the one in hand; it is a coroutine, or none would wait here."""


@final
class UserRequest(Errand):
    """One request.

    Args:
        payload: for the handler.
        size: bytes, for the quota and the session's totals.
        timeout: seconds until nobody waits for the answer any more; None: without end.
    """

    __slots__ = ("payload", "size", "timeout")
    is_use = True

    def __init__(self, payload: object, size: int, timeout: float | None) -> None:
        self.payload = payload
        self.size = size
        self.timeout = timeout

    def run(self, session: Session) -> object:
        """Handle it in the session's turn, or have it wait for the one in hand."""
        line = session.requests
        if line is not None and line.is_busy:
            line.join(session, self)
            return None
        return self.begin(session)

    def begin(self, session: Session, asker: Reply | None = None) -> object:
        """Check the quota, count as activity, and call the handler.

        Args:
            session: whose turn it is.
            asker: who waits for the answer; None is the ask in hand.

        Returns:
            The answer; None when it comes later.

        Raises:
            SessionRefusal: the class has no handler, the session is in no state for it, or the quota is used up.
            Exception: what the handler raised.
        """
        if type(session).handle_request is SessionCode.handle_request:
            # Before the quota and the idle clock: what nobody can answer changes nothing.
            raise UnknownRequest(
                "request", self.payload, "one to a class derived from Session that has handle_request()"
            )
        session.begin_request(self.size)
        answer = session.handle_request(self.payload)
        if not inspect.iscoroutine(answer):
            session.save_changes()
            return answer
        line = session.requests
        if line is None:
            line = session.requests = RequestLine()
        line.start(session, answer, session.defer_reply() if asker is None else asker, self.timeout)
        return None


@final
class RequestLine:
    """The coroutine in hand, and the requests that wait for its end. Belongs to one session's turn."""

    __slots__ = ("_cancel", "_number", "_owed", "_timeout", "_waiting")

    def __init__(self) -> None:
        self._waiting: deque[tuple[UserRequest, Reply]] = deque()
        self._owed: Reply | None = None
        self._cancel: Callable[[], None] | None = None
        self._timeout: float | None = None
        self._number = 0  # of the coroutine in hand: tells its answer from that of one before

    @property
    def is_busy(self) -> bool:
        """Whether a coroutine is in hand."""
        return self._owed is not None

    def join(self, session: Session, request: UserRequest) -> None:
        """Have a request wait.

        Raises:
            CapacityExceeded: too many wait already.
        """
        if len(self._waiting) >= WAITING_MAX:
            raise CapacityExceeded("the line of requests", WAITING_MAX)
        self._waiting.append((request, session.defer_reply()))

    def start(
        self, session: Session, coroutine: Coroutine[Any, Any, object], owed: Reply, timeout: float | None
    ) -> None:
        """Take a coroutine in hand."""
        self._number += 1
        self._owed = owed
        self._timeout = timeout
        ref, number = session.actor_ref, self._number

        def tell(value: object, error: BaseException | None) -> None:
            ref.send(_Answered(number, value, error))

        self._cancel = session.coroutines.start(ref, coroutine, timeout, tell)

    def end(self) -> None:
        """Have the coroutine in hand cancelled: its session ends. Whoever waits is told by the runtime."""
        cancel, self._cancel = self._cancel, None
        self._waiting.clear()
        if cancel is not None:
            cancel()

    def take(self, session: Session, number: int, value: object, error: BaseException | None) -> None:
        """Pass an answer on, and begin with the next request.

        Raises:
            BaseException: what the coroutine raised, when that is no refusal; it crashes the session.
        """
        owed = self._owed
        if owed is None or number != self._number:
            return
        self._owed = self._cancel = None
        if error is None:
            session.save_changes()
            owed.set(value)
        elif isinstance(error, Refusal):
            owed.refuse(error)
        elif isinstance(error, OutOfTimeError) and self._timeout is not None:
            owed.refuse(AskTimeoutError(self._timeout, session.actor_ref))
        else:
            owed.refuse(error)
            raise error
        self._go_on(session)

    def _go_on(self, session: Session) -> None:
        """Begin with the next one; those that are refused, or are no coroutines, are through at once."""
        while self._waiting and self._owed is None:
            request, asker = self._waiting.popleft()
            try:
                answer = request.begin(session, asker)
            except Refusal as refusal:
                asker.refuse(refusal)
            except BaseException as error:
                asker.refuse(error)
                raise
            else:
                if self._owed is None:
                    asker.set(answer)


@final
class _Answered(Errand):
    """What the loop sends: the coroutine has ended."""

    __slots__ = ("_error", "_number", "_value")

    def __init__(self, number: int, value: object, error: BaseException | None) -> None:
        self._number = number
        self._value = value
        self._error = error

    def run(self, session: Session) -> object:
        line = session.requests
        if line is not None:
            line.take(session, self._number, self._value, self._error)
        return None
