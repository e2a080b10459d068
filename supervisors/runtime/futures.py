"""A future that costs little when nobody has to wait for it.

It is a real `pykka.Future`. `pykka.ThreadingFuture` makes a condition variable
for each one (3.1 us to create, set and get); this one makes a lock (0.1 us), and
something to wait on only when a thread really waits.

Source: `pykka.Future` (decision 3).
"""

from __future__ import annotations

import _thread
import asyncio
import logging
import queue
import sys
import threading
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import pykka

from supervisors.errors import InvalidArgumentError, InvalidTypeError
from supervisors.runtime.gates import Gate
from supervisors.runtime.outcomes import AskTimeoutError, DeadlockError
from supervisors.runtime.spinning import roused
from supervisors.runtime.turn import thread_turn

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from pykka._types import OptExcInfo

    from supervisors.runtime.cell import Cell
    from supervisors.runtime.contract import Scheduler

__all__ = ["ScheduledFuture", "checked_timeout", "forget_waits", "refuse_cycle", "waits_lock"]

logger = logging.getLogger("supervisors.futures")

T = TypeVar("T")
J = TypeVar("J")
M = TypeVar("M")
R = TypeVar("R")

ENDLESS: Final = 1e300
"""Seconds from which on a wait is one without end."""

waits_lock = threading.Lock()
"""Guards who waits for whom while a new edge is added and its cycle looked for."""


class ScheduledFuture(pykka.Future[T]):
    """The reply to an ask, there now or later.

    Args:
        scheduler: who lets this thread wait; None: the thread simply blocks.
        target: the actor that owes the reply, for the deadlock check.

    Thread: any thread may set, get or add callbacks; `set` works once.
    """

    __slots__ = ("_callbacks", "_done", "_error", "_lock", "_scheduler", "_value", "target")

    # Pykka's own constructor makes two more attributes; the first one has a
    # class-wide default here and the second is made when a hook is first used.
    _get_hook: Any = None

    # What the hook will get its value from, for those who must not block until it is there.
    _sources: tuple[ScheduledFuture[Any], ...] = ()

    def __init__(self, scheduler: Scheduler | None = None, target: Cell | None = None) -> None:
        self._lock = _thread.allocate_lock()  # guards _done, _value, _error, _callbacks, _get_hook
        self._done = False
        self._value: Any = None  # or the traceback that the error came with
        self._error: BaseException | None = None
        self._callbacks: list[Callable[[], None]] | None = None
        self._scheduler = scheduler
        self.target = target

    def get(self, *, timeout: float | None = None) -> T:
        """Return the value, waiting for it if need be.

        Args:
            timeout: seconds to wait, 0 or more; None waits without end.

        Raises:
            AskTimeoutError: the time is up; the reply may still come.
            DeadlockError: the reply can never come.
            Exception: what was set as the exception.
        """
        if self._get_hook is not None:
            return self._hooked(timeout)
        if not self._done:
            self._wait(timeout)
        if self._get_hook is not None:
            return self._hooked(timeout)
        error = self._error
        if error is not None:
            # Whoever raises it adds to its traceback; others shall not see that.
            raise error.with_traceback(self._value)
        return self._value  # type: ignore[no-any-return]  # a cast would be one more call

    def settle(self, timeout: float | None) -> bool:
        """Wait until there is an outcome, without raising it; False when so many seconds are over (None: no limit)."""
        if not self._done:
            try:
                self._wait(timeout)
            except AskTimeoutError:
                return False
        return True

    def is_done(self) -> bool:
        """Tell whether a value or an exception has been set."""
        return self._done

    def set(self, value: T | None = None) -> None:
        """Set the value.

        Raises:
            queue.Full: there is a result, or a get hook, already.
        """
        if not self.offer(value):
            raise queue.Full

    def set_exception(self, exc_info: OptExcInfo | None = None) -> None:
        """Set an exception: the one given, or the one being handled.

        Raises:
            queue.Full: there is a result, or a get hook, already.
        """
        if exc_info is None:
            exc_info = sys.exc_info()
        kind, error, trace = exc_info
        if error is None:
            if kind is None:
                raise InvalidTypeError("exc_info", exc_info, "(type, value, traceback) or a running exception")
            error = kind()
        if trace is not None and error.__traceback__ is not trace:
            error = error.with_traceback(trace)
        if not self.offer(error=error):
            raise queue.Full

    def offer(self, value: Any = None, error: BaseException | None = None) -> bool:
        """Set the outcome unless there is one; tell whether this call did."""
        with self._lock:
            if self._done or self._get_hook is not None:
                return False
            self._value = value if error is None else error.__traceback__
            self._error = error
            self._done = True
            callbacks, self._callbacks = self._callbacks, None
        if callbacks is not None:
            _call_all(callbacks)
        return True

    def when_done(self, callback: Callable[[], None]) -> None:
        """Call back once there is an outcome: at once, or from the thread that sets it.

        The callback must not block. What it raises later on is logged: it concerns
        neither the actor that replies nor the other callbacks.
        """
        with self._lock:
            if not self._done:
                if self._callbacks is None:
                    self._callbacks = []
                self._callbacks.append(callback)
                return
        callback()

    def forget(self, callback: Callable[[], None]) -> None:
        """Take a callback back; nothing happens if it has run already."""
        with self._lock:
            if self._callbacks is not None and callback in self._callbacks:
                self._callbacks.remove(callback)

    def set_get_hook(self, func: Callable[[float | None], T]) -> None:
        """Have a function compute the value at the first `get()`.

        Raises:
            queue.Full: there is a result already.
        """
        with self._lock:
            if self._done:
                raise queue.Full
            self._get_hook = func
            self._done = True  # whoever waits shall wake and run the hook
            callbacks, self._callbacks = self._callbacks, None
        if callbacks is not None:
            _call_all(callbacks)

    # What Pykka's four verbs make has a hook that blocks in `get()`. Awaited, it
    # must not: a thread in there could not be called back.

    def filter(self: ScheduledFuture[Iterable[J]], func: Callable[[J], bool]) -> ScheduledFuture[Iterable[J]]:
        """Return a future of those items of this one's value that the function holds for."""
        return _made_of((self,), super().filter(func))

    def join(self, *futures: pykka.Future[Any]) -> ScheduledFuture[Iterable[Any]]:
        """Return a future of the list of this one's value and the others'."""
        return _made_of((self, *futures), super().join(*futures))

    def map(self, func: Callable[[T], M]) -> ScheduledFuture[M]:
        """Return a future of what the function makes of this one's value."""
        return _made_of((self,), super().map(func))

    def reduce(self: ScheduledFuture[Iterable[J]], func: Callable[[R, J], R], *args: R) -> ScheduledFuture[R]:
        """Return a future of the items of this one's value, taken together by the function, two at a time."""
        return _made_of((self,), super().reduce(func, *args))

    def gate(self) -> Gate:
        """Return a gate that the outcome opens, for a new future that nobody else has yet."""
        gate = Gate()
        self._callbacks = [gate.open]
        return gate

    def wait_blocking(self, timeout: float | None) -> bool:
        """Block this thread until there is an outcome; False when so many seconds are over (None: no limit)."""
        gate = Gate()
        try:
            self.when_done(gate.open)
            if gate.wait(timeout, thread_turn.turn.spinner):
                return True
        finally:
            gate.is_left = True
            roused.discard(gate)
        self.forget(gate.open)
        return self._done

    def __await__(self) -> Generator[Any, None, T]:
        """Wait in asyncio without blocking the loop; completes thread-safely.

        What is made of other futures waits for these in the same way. Only the function
        that makes it, or a get hook, is called in a thread of the loop's executor.
        """
        yield from self._until_ready()
        if self._get_hook is not None and self._value is None:
            # It may block as long as it likes, so it cannot run on the loop.
            value: T = yield from asyncio.get_running_loop().run_in_executor(None, self.get)
            return value
        return self.get()

    def _until_ready(self) -> Generator[Any, None, None]:
        while (missing := self._missing()) is not None:
            yield from missing._until_done()  # noqa: SLF001 - another one of us

    def _missing(self) -> ScheduledFuture[Any] | None:
        """Return what has to be done before `get()` has no reply to wait for; None: nothing."""
        if not self._done:
            return self
        for source in self._sources:
            if not source._done:  # noqa: SLF001 - another one of us
                return source
            if source._error is not None:  # noqa: SLF001 - likewise
                return None  # the others do not matter any more
        return None

    def _until_done(self) -> Generator[Any, None, None]:
        # A handler that runs an event loop of its own waits with its whole turn.
        caller, target = thread_turn.turn.current, self.target
        scheduler = self._scheduler
        if scheduler is None and caller is not None:
            scheduler = caller.system.scheduler
        noted = caller is not None and target is not None and _note_awaiting(caller, target)
        after = None
        try:
            after = scheduler.before_await() if scheduler is not None else None
            yield from self._awaken()
        finally:
            if after is not None:
                after()
            if noted and caller is not None:
                caller.waits_for = None

    def _awaken(self) -> Generator[Any, None, None]:
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()

        def wake() -> None:
            if not waiter.done():
                waiter.set_result(None)

        def wake_from_anywhere() -> None:
            try:
                loop.call_soon_threadsafe(wake)
            except RuntimeError:
                return  # the loop is closed: nobody waits there any more

        self.when_done(wake_from_anywhere)
        try:
            yield from waiter
        finally:
            self.forget(wake_from_anywhere)

    async def get_async(self, *, timeout: float | None = None) -> T:  # noqa: ASYNC109 - Pykka's word
        """Wait in asyncio, at most so many seconds of the loop's time.

        Giving up forgets the reply, whether by the timeout or because the task is
        cancelled: one that comes later is a dead letter. So only whoever asked may
        use this; others `await` the future. Of one that is made of others, these are
        not forgotten, and the time does not limit the function that makes it.

        Raises:
            AskTimeoutError: no reply in time.
        """
        timeout = checked_timeout(timeout)
        if self._missing() is not None:
            try:
                async with asyncio.timeout(timeout):
                    await _Outcome(self)
            except TimeoutError:
                late = AskTimeoutError(cast("float", timeout), self.target)
                if self.offer(error=late) or self._missing() is not None:
                    raise late from None
            except asyncio.CancelledError as cancelled:
                self.offer(error=cancelled)
                raise
        return await self

    __iter__ = __await__

    def __repr__(self) -> str:
        return f"<ScheduledFuture {'done' if self._done else 'pending'}>"

    def _hooked(self, timeout: float | None) -> T:
        # The hook's answer is kept in place of the hook's own slot `_value`;
        # `_error` stays unused, so an exception is computed anew each time.
        with self._lock:
            kept: tuple[T] | None = self._value
        if kept is not None:
            return kept[0]
        value = self._get_hook(timeout)
        with self._lock:
            kept = self._value
            if kept is None:
                kept = self._value = (value,)
        return kept[0]

    def _wait(self, timeout: float | None) -> None:
        timeout = checked_timeout(timeout)
        caller, target = thread_turn.turn.current, self.target
        tracked = caller is not None and target is not None
        if caller is not None and target is not None:
            _note_waiting(caller, target)
        try:
            scheduler = self._scheduler
            if scheduler is None and caller is not None:
                scheduler = caller.system.scheduler  # a turn never simply blocks
            done = self.wait_blocking(timeout) if scheduler is None else scheduler.wait(self, timeout)
        finally:
            if tracked and caller is not None:
                caller.waits_for = None
        if not done:
            raise AskTimeoutError(cast("float", timeout), target)


class _Outcome:
    """Waits like the future itself, and takes no outcome out of it."""

    __slots__ = ("_future",)

    def __init__(self, future: ScheduledFuture[Any]) -> None:
        self._future = future

    def __await__(self) -> Generator[Any, None, None]:
        return self._future._until_ready()  # noqa: SLF001 - another face of it


def _made_of(parts: tuple[pykka.Future[Any], ...], whole: pykka.Future[M]) -> ScheduledFuture[M]:
    """Note what a future is made of, down to the replies; the hook alone waits for what is not ours."""
    assert isinstance(whole, ScheduledFuture)
    whole._sources = tuple(  # noqa: SLF001 - one of us
        source
        for part in parts
        if isinstance(part, ScheduledFuture)
        for source in part._sources or (part,)  # noqa: SLF001 - one of us
    )
    return whole


def _call_all(callbacks: list[Callable[[], None]]) -> None:
    for callback in callbacks:
        try:
            callback()
        except Exception:
            logger.exception("a callback of a future raised")


def checked_timeout(timeout: object) -> float | None:
    """Return seconds to wait, at least 0, or raise what names the field."""
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise InvalidTypeError("timeout", timeout, "seconds as a number, or None")
    if timeout != timeout:  # noqa: PLR0124 - only NaN is not equal to itself
        raise InvalidArgumentError("timeout", timeout, "seconds as a number, or None")
    if timeout <= 0:
        return 0.0
    # Infinity is what None is, and so is a whole number that does not fit into a float.
    return float(timeout) if timeout < ENDLESS else None


def forget_waits() -> None:
    """Start anew in a forked child, where no other thread is left to give the lock back."""
    global waits_lock  # noqa: PLW0603 - the one moment when it is safe
    waits_lock = threading.Lock()


def refuse_cycle(caller: Cell, target: Cell) -> None:
    """Raise `DeadlockError` if the caller's waiting for the target closes a cycle."""
    with waits_lock:
        _walk(caller, target)


def _note_waiting(caller: Cell, target: Cell) -> None:
    """Add the edge caller -> target, unless it would close a cycle.

    Every actor on a cycle but the last one has set its edge before it blocked;
    the last one holds the lock while it adds its own and walks. So exactly one
    of them sees the whole cycle, and nobody blocks in it.
    """
    with waits_lock:
        _walk(caller, target)
        caller.waits_for = target


def _note_awaiting(caller: Cell, target: Cell) -> bool:
    """Add the edge caller -> target if the caller has none yet; tell whether that was done.

    A loop can await several replies. One edge is kept, the first; a cycle through one of the
    others is found by whoever asks last, or not before somebody's time is up.
    """
    with waits_lock:
        _walk(caller, target)
        if caller.waits_for is not None:
            return False
        caller.waits_for = target
        return True


def _walk(caller: Cell, target: Cell) -> None:
    chain = [caller]
    node: Cell | None = target
    while node is not None:
        chain.append(node)
        if node is caller:
            raise DeadlockError(chain)
        node = None if node.fenced else node.waits_for  # whoever was killed while it waited waits no more
