"""A rate limit around a block or a function, threads and asyncio alike.

::

    with system.limited("requests", session_id="alice"):
        ...                                  # one token was taken, or waited for

    async with system.limited("bytes", session_id="alice", cost=4096, deadline=2.0):
        ...

    @system.limited("requests")
    def handle(session_id, request):         # the parameter `session_id` says whose limit
        ...

    @system.limited("messages", by="user", priority="low")
    async def push(message, *, user):
        ...
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar, cast, final

from sessionactors import bounds
from sessionactors.errors import InvalidKind, InvalidValue

if TYPE_CHECKING:
    from types import TracebackType

    from sessionactors.limits.waiting_line import Request
    from sessionactors.service_calls import ServiceCalls

__all__ = ["Limited"]

P = ParamSpec("P")
R = TypeVar("R")


@final
class Limited:
    """What `SessionSystem.limited` returns; may be entered and used as a decorator any number of times.

    Args:
        calls: the system.
        request: what to acquire.
        session_id: whose bucket; needed to enter it, and where a function names none.
        by: the function's parameter that has the session's id.
    """

    __slots__ = ("_by", "_calls", "_request", "_session_id")

    def __init__(self, calls: ServiceCalls, request: Request, session_id: str | None, by: str) -> None:
        self._calls = calls
        self._request = request
        self._session_id = session_id
        self._by = bounds.text("by", by)

    def __enter__(self) -> Self:
        self._calls.wait_turn(self._whose(), self._request)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave; what was taken is not given back."""

    async def __aenter__(self) -> Self:
        await self._calls.wait_turn_async(self._whose(), self._request)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave; what was taken is not given back."""

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Limit a function: each call takes tokens before it begins.

        Raises:
            InvalidKind: this is no function.
            InvalidValue: it has no parameter that could name the session.
        """
        if not callable(function):
            raise InvalidKind("function", function, "a function to limit")
        whose = self._finder(function)
        calls, request = self._calls, self._request
        if inspect.iscoroutinefunction(function):
            waiting = cast("Callable[..., Any]", function)

            @functools.wraps(function)
            async def limited_async(*args: Any, **kwargs: Any) -> Any:
                await calls.wait_turn_async(whose(args, kwargs), request)
                return await waiting(*args, **kwargs)

            return cast("Callable[P, R]", limited_async)

        @functools.wraps(function)
        def limited(*args: P.args, **kwargs: P.kwargs) -> R:
            calls.wait_turn(whose(args, kwargs), request)
            return function(*args, **kwargs)

        return limited

    def _whose(self) -> str:
        if self._session_id is None:
            raise InvalidValue("session_id", None, "the id of a session: limited(type, session_id=...)")
        return self._session_id

    def _finder(self, function: Callable[..., object]) -> Callable[[tuple[Any, ...], dict[str, Any]], str]:
        """Return what finds the session's id among the arguments of a call."""
        session_id = self._session_id
        if session_id is not None:
            return lambda *_: session_id
        signature = inspect.signature(function)
        if self._by not in signature.parameters:
            allowed = f"one of its parameters ({', '.join(signature.parameters) or 'it has none'}), or give session_id"
            raise InvalidValue("by", self._by, allowed)
        name = self._by

        def find(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            return cast("str", bound.arguments[name])

        return find

    def __repr__(self) -> str:
        return f"<Limited to {self._request.quota_type}, cost {self._request.cost}>"
