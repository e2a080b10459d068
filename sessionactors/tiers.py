"""Moving the code of a live session into a process of its own, and back.

It happens in the session's own turn, between two requests: those before it are handled
where the code was, those after it where it is, in order, and none is lost. What moves is
what `snapshot()` gives and `restore()` takes. From then on the functions that a derived
class fills in are called over there; the record, the idle clock, the quota and the
subscribers stay with the session.

**One owner.** A move is prepared outside the turn: the process is started and holds an
object that nobody has asked anything. In the turn,

1. the state is taken and given to the other side, which answers;
2. the claim of the move is taken. Who has asked for the move takes it back when he gives
   up waiting, so either he or the turn has it, and never does a move that was given up happen;
3. the functions are put in place, or taken away: the one step that counts.

Whatever fails before the third step leaves the session as it was. A process that dies
after it takes the state with it, and isolation ends the session.
"""

from __future__ import annotations

import inspect
from abc import abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any, Final, final

from sessionactors.errands import Errand
from sessionactors.errors import InvalidOption, OperationFailed, ProcessDied, SessionTerminated
from sessionactors.metadata import check_metadata
from sessionactors.session_code import SessionCode
from sessionactors.states import TERMINATED
from supervisors.errors import Refusal
from supervisors.runtime.futures import ScheduledFuture

if TYPE_CHECKING:
    from sessionactors.sandbox.keeper import Sandbox
    from sessionactors.session import Session

__all__ = ["MOVED", "Claim", "ForeignCodeError", "MoveBack", "MoveOut", "RefusedThere", "check_movable", "home_of"]

MOVED: Final = "moved"
"""Why a process has ended that a session has left, or never entered."""

_HANDLER: Final = "handle_request"
_SNAPSHOT: Final = "snapshot"
_FUNCTIONS: Final = (
    _HANDLER,
    _SNAPSHOT,
    "on_activated",
    "on_memory_pressure",
    "on_resumed",
    "on_suspended",
    "on_terminated",
)
"""What a derived class fills in, and what is called where its code is."""


class ForeignCodeError(Exception):
    """The session's code has raised in its process; as anywhere, that crashes the session."""


class RefusedThere(Refusal):
    """The session's code has said no in its process."""


def check_movable(cls: type[SessionCode]) -> None:
    """Refuse a class whose code cannot live in a process of its own.

    Raises:
        InvalidOption: it has no `snapshot()` and `restore()`, a handler that is a coroutine
            function or inline, or is not importable by its name.
    """
    allowed = "True for a class with "
    if cls.snapshot is SessionCode.snapshot or cls.restore is SessionCode.restore:
        raise InvalidOption("process", cls.__qualname__[:40], allowed + "snapshot() and restore()")
    handler = cls.handle_request
    if handler is SessionCode.handle_request or inspect.iscoroutinefunction(handler) or cls.dispatch == "inline":
        raise InvalidOption("process", cls.__qualname__[:40], allowed + "a handle_request() that may block")
    if "<locals>" in cls.__qualname__ or cls.__module__ == "__main__":
        raise InvalidOption("process", cls.__qualname__[:40], allowed + "a name that another process can import")


def home_of(session: Session) -> Sandbox | None:
    """Return the process that the session's code lives in; None: it is here."""
    called = session.__dict__.get(_HANDLER)
    return called.args[0] if isinstance(called, partial) else None


@final
class Claim:
    """What either the turn or the one who waits for it takes, once."""

    __slots__ = ("_token",)

    def __init__(self) -> None:
        self._token = [None]

    def take(self) -> bool:
        """Return whether it was there."""
        try:
            del self._token[0]
        except IndexError:
            return False
        return True


class _Move(Errand):
    """A move, either way.

    Attributes:
        claim: taken by the turn that makes the move, or by the one who does not wait for it any more.
        ended: set when the turn is over, also for who has stopped waiting just when the move came about.
        error: what it has raised.
        moved: what it has answered.
    """

    __slots__ = ("claim", "ended", "error", "moved")

    def __init__(self) -> None:
        self.claim = Claim()
        self.ended: ScheduledFuture[None] = ScheduledFuture()
        self.error: BaseException | None = None
        self.moved: Any = None

    def run(self, session: Session) -> Any:
        """Move."""
        try:
            self.moved = self._move(session)
        except BaseException as error:
            self.error = error
            raise
        finally:
            self.ended.offer()
        return self.moved

    @abstractmethod
    def _move(self, session: Session) -> Any:
        """Do it."""

    def _commit(self, session: Session) -> None:
        if session.data.state == TERMINATED:
            raise SessionTerminated(session.data.session_id)
        if not self.claim.take():
            raise OperationFailed("the move was given up")


@final
class MoveOut(_Move):
    """Go into a process that is ready; answers whether that is where the code lives now.

    Args:
        sandbox: holds a `SessionHost`; its death ends the session only once it is the owner.
    """

    __slots__ = ("_sandbox",)

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__()
        self._sandbox = sandbox

    def _move(self, session: Session) -> bool:
        """Move; False when the code lives in a process already."""
        if session.data.state == TERMINATED:
            raise SessionTerminated(session.data.session_id)
        if home_of(session) is not None:
            return False
        sandbox = self._sandbox
        state = _taken(session)
        if state is not None:
            sandbox.call(["restore", state])
        self._commit(session)
        sandbox.is_owner = True
        if sandbox.reason is not None:
            sandbox.is_owner = False
            raise ProcessDied(sandbox.reason)
        _live_in(session, sandbox)
        return True


@final
class MoveBack(_Move):
    """Come back out of the process; answers with the process, which is of no use any more, or None."""

    __slots__ = ()

    def _move(self, session: Session) -> Sandbox | None:
        """Move; None when the code lives here already."""
        sandbox = home_of(session)
        if sandbox is None:
            return None
        state = _call(sandbox, _SNAPSHOT)
        own = {name: session.__dict__.pop(name) for name in _FUNCTIONS}
        try:
            if state is not None:
                session.restore(state)
            self._commit(session)
        except BaseException as error:
            session.__dict__.update(own)
            if isinstance(error, Exception) and not isinstance(error, Refusal):
                raise OperationFailed(f"restore() raised {type(error).__name__}") from error
            raise
        sandbox.is_owner = False
        return sandbox


def _taken(session: Session) -> object:
    try:
        state = session.snapshot()
    except Refusal:
        raise
    except Exception as error:
        raise OperationFailed(f"snapshot() raised {type(error).__name__}") from error
    check_metadata("snapshot", {"own": state})
    return state


def _live_in(session: Session, sandbox: Sandbox) -> None:
    for name in _FUNCTIONS:
        session.__dict__[name] = partial(_call, sandbox, name)


def _call(sandbox: Sandbox, name: str, *arguments: object) -> Any:
    """Call a function of the session's code in its process.

    Raises:
        RefusedThere: it said no.
        ForeignCodeError: it raised anything else.
        ProcessDied: the process has ended; isolation ends the session.
        OperationFailed: what was given cannot travel.
    """
    try:
        kind, value = sandbox.call(["call", name, list(arguments)])
    except ProcessDied:
        raise
    except OperationFailed as failed:
        raise ForeignCodeError(failed.reason) from None
    except TypeError as error:
        raise OperationFailed("what was given to the session's process is not plain data") from error
    if kind == "refused":
        raise RefusedThere(value)
    return value
