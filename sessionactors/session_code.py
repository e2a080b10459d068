"""The user's own code in a session: what a derived class may fill in, and how it is called."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from sessionactors.errors import InvalidKind, UnknownRequest
from sessionactors.states import TERMINATED
from sessionactors.subscribers import MEANT_FOR_OTHERS, NOBODY_AWAITS, is_asynchronous
from supervisors.actor import Actor
from supervisors.callbacks import UnaskedRefusalError
from supervisors.errors import Refusal

if TYPE_CHECKING:
    from sessionactors.effects import Notify
    from sessionactors.session_data import SessionData

__all__ = ["NO_HOOKS", "SessionCode"]

logger = logging.getLogger("sessionactors.session")


class SessionCode(Actor):
    """The half of a session that derived classes write.

    Attributes:
        data: the session's record; a derived class reads it, and never changes it.
    """

    dispatch = "inline"

    _hooks: Mapping[str, str] = MappingProxyType({})  # by event, those that a derived class has

    data: SessionData

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Note which hooks the class has, and keep a handler that may block off the asking threads.

        Raises:
            InvalidKind: a function other than the handler is a coroutine function, which would never run.
        """
        super().__init_subclass__(**kwargs)
        for name in _ORDINARY:
            if is_asynchronous(function := getattr(cls, name)):
                raise InvalidKind(f"{cls.__qualname__}.{name}", function, f"an ordinary function; {NOBODY_AWAITS}")
        cls._hooks = MappingProxyType(
            {event: name for event, name in _HOOKS.items() if getattr(cls, name) is not getattr(SessionCode, name)}
        )
        handler = cls.__dict__.get("handle_request")
        is_chosen = any("dispatch" in base.__dict__ for base in cls.__mro__[: cls.__mro__.index(SessionCode)])
        if handler is not None and not inspect.iscoroutinefunction(handler) and not is_chosen:
            cls.dispatch = "shared"

    def _shown_as(self) -> str:
        """Return what an inspection shows in the place of a name; called from other threads."""
        return self.data.session_id

    # -- for derived classes -------------------------------------------------

    def handle_request(self, request: Any) -> Any:
        """Answer a request; the user's own code.

        An ordinary function runs in the session's turn: the class has the dispatch `"shared"`
        unless it chooses another, so it may block now and then. A coroutine function
        runs on the event loop of the system, and the session goes on meanwhile; only
        further requests wait. Either way there is one request at a time.

        Args:
            request: the payload of `SessionSystem.request()`.

        Returns:
            The answer. With a coroutine function it is what that returns.

        Raises:
            Refusal: no; the asker gets it, and the session goes on.
            Exception: anything else crashes this session, and the asker gets it.
        """
        raise UnknownRequest("request", request, "one to a class derived from Session that has handle_request()")

    def on_activated(self) -> None:
        """Do something when the session has become active; what this raises crashes it, a `Refusal` too."""

    def on_resumed(self) -> None:
        """Do something when an idle or suspended session has become active again; likewise."""

    def on_suspended(self, reason: str | None) -> None:
        """Do something when the session has been suspended; likewise."""

    def on_terminated(self, reason: str | None) -> None:
        """Do something at the end, unless the session was killed; what this raises is logged."""

    def snapshot(self) -> Any:
        """Return what is to be stored of the session's own state: plain data, as metadata is. None is nothing.

        `restore()` gets it as it was, but for kinds that the store does not know apart: a tuple comes
        back as a list, and a value of a derived class as one of the class that it is derived from.
        What would not come back, such as a mapping with numbers for keys, is refused as `PersistFailed`.

        What this raises crashes the session; at its end it is logged and audited, and what was
        stored before stays.

        Thread: the session's own turn, whenever it is stored.
        """
        return None

    def restore(self, state: Any) -> None:
        """Take up what `snapshot()` has returned, perhaps in another process; called before `on_start()`.

        What this raises keeps the session from coming back.
        """

    def on_memory_pressure(self) -> None:
        """Release what can be made again; isolation asks for it at the soft limit of memory.

        Thread: the session's own turn.
        """

    # -- calling it ------------------------------------------------------------

    def _call_hook(self, notify: Notify) -> None:
        """Call the user's own code about an event."""
        name = self._hooks.get(notify.event)
        if name is None:
            return
        arguments = (notify.detail,) if name in _TOLD_WHY else ()
        try:
            getattr(self, name)(*arguments)
        except (Exception, *MEANT_FOR_OTHERS) as error:
            if self.data.state != TERMINATED:
                if isinstance(error, Refusal):  # it would pass for that of the operation, which is done
                    raise UnaskedRefusalError(error) from error
                raise
            # It is ending already, and that has to be gone through with.
            logger.exception("%s.%s() raised", self, name)


_HOOKS: Final[Mapping[str, str]] = {
    "session_activated": "on_activated",
    "session_resumed": "on_resumed",
    "session_suspended": "on_suspended",
    "session_terminated": "on_terminated",
}
"""What is called about which event."""

_ORDINARY: Final = (*_HOOKS.values(), "on_memory_pressure", "restore", "snapshot")
"""What runs in the session's own turn, from its beginning to its end."""

NO_HOOKS: Final[Mapping[str, str]] = MappingProxyType({})
_TOLD_WHY: Final = frozenset({"on_suspended", "on_terminated"})
