"""A pool whose resources are values in one actor, after Elixir's NimblePool (NPOOL-1 to NPOOL-12).

The pool is a `Server`: it decides who gets which resource, and calls the keeper's
callbacks. The work itself is done by borrowers, on their own threads, so that no message has to
carry what a resource reads or writes.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, final

from supervisors.actor import Actor
from supervisors.behaviour import IGNORE, Behaviour, Ignore
from supervisors.errors import Exit, InvalidArgumentError, InvalidTypeError
from supervisors.exits import NORMAL, Shutdown
from supervisors.resources.borrowing import Cancel, Checkin, Checkout, Skipped, Update
from supervisors.resources.keeper import Cancelled, Lent, MadeLater, Remove, ResourceKeeper, Skip, StopPool
from supervisors.runtime.signals import ControlMessage, Down, Exited, MonitorRef
from supervisors.server import NoReply, Result, Server, Stop
from supervisors.timers.service import checked_delay

if TYPE_CHECKING:
    from supervisors.runtime.ref import ActorRef
    from supervisors.runtime.replies import Reply as OwedReply

__all__ = ["ResourcePool"]

logger = logging.getLogger("supervisors.resources")

RETRY_SECONDS_MIN: Final = 0.01
RETRY_SECONDS_MAX: Final = 1.0


@final
@dataclass(slots=True)
class _Held:
    """A resource in the pool: free, or lent."""

    resource: Any
    idle_since: float


@final
@dataclass(slots=True)
class _Request:
    """One borrower: it waits, or it has a resource (`held`)."""

    command: Any
    owed: OwedReply
    monitor: MonitorRef | None
    held: _Held | None = None


@final
class _LookAfter(ControlMessage):
    """Time to look after those that are idle."""

    __slots__ = ()


@final
class _MakeAgain(ControlMessage):
    """Time to try again to make a resource."""

    __slots__ = ()


@final
class _Made:
    """A resource that was made beside the pool."""

    __slots__ = ("maker", "resource")

    def __init__(self, maker: ActorRef[Any], resource: Any) -> None:
        self.maker = maker
        self.resource = resource


@final
class _Maker(Actor):
    """Makes one resource beside the pool, and ends."""

    dispatch: ClassVar[str] = "shared"

    def __init__(self, pool: ActorRef[Any], function: Callable[[], Any]) -> None:
        super().__init__()
        self._pool = pool
        self._function = function

    def on_receive(self, message: Any) -> Any:
        """Make it, at the first message."""
        del message
        self._pool.send(_Made(self.actor_ref, self._function()))
        raise Exit(NORMAL)


@final
class ResourcePool(Server):
    """Keeps resources and lends them; see `borrow()`.

    ``system.start(ResourcePool, Connections, "db.example", pool_size=3)``, or as a child:
    ``ChildSpec("db", ResourcePool, (Connections, "db.example"), {"pool_size": 3})``.

    Args:
        keeper_class: a `ResourceKeeper`; each life of the pool makes an object of it.
        *args: for its `init_pool()`.
        pool_size: resources at most, at least 1 (NPOOL-2).
        lazy: make one when somebody wants it and none is free, instead of all at the start.
        worker_idle_timeout: seconds after which an idle resource is looked after, again and
            again (NPOOL-11); None: never.
        max_idle_pings: how many are looked after each time, at least 1; None: all of them.
        **kwargs: for `init_pool()`.
    """

    client_messages: ClassVar[frozenset[type]] = Behaviour.client_messages | {Checkout}

    def init(
        self,
        keeper_class: type[ResourceKeeper],
        *args: Any,
        pool_size: int = 10,
        lazy: bool = False,
        worker_idle_timeout: float | None = None,
        max_idle_pings: int | None = None,
        **kwargs: Any,
    ) -> Stop | Ignore | None:
        """Make the pool, and the resources unless it is lazy (NPOOL-2)."""
        if not isinstance(keeper_class, type) or not issubclass(keeper_class, ResourceKeeper):
            raise InvalidTypeError("keeper_class", keeper_class, "a subclass of ResourceKeeper")
        self._size = _checked_count("pool_size", pool_size)
        if not isinstance(lazy, bool):
            raise InvalidTypeError("lazy", lazy, "True or False")
        self._lazy = lazy
        self._idle_timeout = (
            None if worker_idle_timeout is None else checked_delay("worker_idle_timeout", worker_idle_timeout)
        )
        if self._idle_timeout == 0:
            raise InvalidArgumentError("worker_idle_timeout", worker_idle_timeout, "more than 0 seconds, or None")
        self._pings = None if max_idle_pings is None else _checked_count("max_idle_pings", max_idle_pings)
        self._free: deque[_Held] = deque()  # longest idle first
        self._waiting: dict[Checkout, _Request] = {}  # who has waited longest first
        self._lent: dict[Checkout, _Request] = {}
        self._borrowers: dict[MonitorRef, Checkout] = {}
        self._makers: set[ActorRef[Any]] = set()
        self._count = 0  # resources that are there, are being made, or will be tried again
        self._coming = 0  # of these, the ones that are not there yet
        self._failures = 0  # of making one, in a row
        self.trap_exit()
        self._keeper = keeper_class()
        result = self._keeper.init_pool(*args, **kwargs)
        if result is IGNORE or isinstance(result, Stop):
            return result
        if not lazy:
            self._fill()
        if self._idle_timeout is not None:
            self.send_after(self._idle_timeout, _LookAfter())
        return None

    # -- what arrives ------------------------------------------------------

    def handle_call(self, request: Any) -> NoReply:
        """Take a request for a resource in."""
        if not isinstance(request, Checkout):
            return super().handle_call(request)  # type: ignore[return-value]  # it raises
        owed = self.defer_reply()
        try:
            command = self._keeper.handle_enqueue(request.command)
        except Exception as error:
            logger.exception("%s: handle_enqueue() raised", self)
            command = Skip(error)
        if isinstance(command, Skip):
            owed.set(Skipped(command.error))
            return NoReply()
        monitor = None
        if request.borrower is not None:
            monitor = self.monitor(request.borrower)
            self._borrowers[monitor] = request
        self._waiting[request] = _Request(command, owed, monitor)
        self._serve()
        return NoReply()

    def handle_info(self, message: Any) -> Result:
        """Deal with what borrowers, makers and timers tell; what nobody knows goes to the free resources."""
        match message:
            case Checkin(request=request, client_state=state):
                self._taken_back(request, state)
            case Cancel(request=request, reason=reason):
                self._cancelled(request, reason)
            case Update(request=request, message=update):
                self._updated(request, update)
            case Down(monitor=monitor) if monitor in self._borrowers:
                self._cancelled(self._borrowers[monitor], "DOWN")
            case _Made(maker=maker, resource=resource):
                self._makers.discard(maker)
                self._coming -= 1
                self._failures = 0
                self._free.append(_Held(resource, self._now()))
            case Exited(source=source) if source in self._makers:
                logger.error("%s: a resource could not be made beside the pool: %s", self, message.reason)
                self._makers.discard(source)
                self._make_later()
            case _MakeAgain():
                self._coming -= 1
                self._count -= 1
                self._fill()
            case _LookAfter():
                return self._look_after()
            case Exited(source=source, reason="normal") if source is not None and source.actor_class is _Maker:
                return None  # it has done its work
            case _:
                self._tell_free(message)
        self._serve()
        return None

    def terminate(self, reason: Any) -> None:
        """End the free resources, then the pool (NPOOL-12)."""
        while self._free:
            self._end(reason, self._free.popleft().resource)
        try:
            self._keeper.terminate_pool(reason)
        except Exception:
            logger.exception("%s: terminate_pool() raised", self)

    # -- lending -----------------------------------------------------------

    def _serve(self) -> None:
        """Lend to those that wait, as long as there is something to lend."""
        while self._waiting:
            request, entry = next(iter(self._waiting.items()))
            if request.deadline is not None and request.deadline <= self._now():
                return_to = self._waiting.pop(request)  # its borrower has given up, or is about to
                self._forget(return_to)
                self._tell_cancelled("queued")
                continue
            if not self._free and self._count < self._size and self._coming < len(self._waiting):
                self._make()
            if not self._free:
                return
            self._lend(request, entry)

    def _lend(self, request: Checkout, entry: _Request) -> None:
        held = self._free.popleft()
        try:
            answer = self._keeper.handle_checkout(entry.command, request.borrower, held.resource)
        except Exception as error:
            logger.exception("%s: handle_checkout() raised", self)
            answer = Remove(error)
        if isinstance(answer, Lent):
            del self._waiting[request]
            held.resource = answer.resource
            entry.held = held
            self._lent[request] = entry
            entry.owed.set(answer.client_state)
        elif isinstance(answer, Skip):
            self._free.appendleft(held)
            self._forget(self._waiting.pop(request))
            entry.owed.set(Skipped(answer.error))
        elif isinstance(answer, Remove):
            self._remove(answer.reason, held.resource)
        else:
            logger.error("%s: handle_checkout() returned %r; allowed: Lent, Remove or Skip", self, answer)
            self._remove(InvalidTypeError("handle_checkout()", answer, "Lent, Remove or Skip"), held.resource)

    def _taken_back(self, request: Checkout, client_state: Any) -> None:
        entry = self._lent.pop(request, None)
        if entry is None or entry.held is None:
            return  # it was taken away meanwhile
        self._forget(entry)
        held = entry.held
        take = partial(self._keeper.handle_checkin, client_state, request.borrower, held.resource)
        if self._keep(held, take, "handle_checkin"):
            held.idle_since = self._now()
            self._free.append(held)

    def _cancelled(self, request: Checkout, reason: str) -> None:
        entry = self._waiting.pop(request, None)
        if entry is not None:
            self._forget(entry)
            self._tell_cancelled("queued")
            return
        entry = self._lent.pop(request, None)
        if entry is not None and entry.held is not None:
            self._forget(entry)
            self._tell_cancelled("checked_out")
            self._remove(reason, entry.held.resource)

    def _updated(self, request: Checkout, message: Any) -> None:
        entry = self._lent.get(request)
        held = entry.held if entry is not None else None
        if held is None:
            return
        if not self._keep(held, partial(self._keeper.handle_update, message, held.resource), "handle_update"):
            # The borrower goes on with what it has; nobody takes that back.
            self._forget(self._lent.pop(request))

    def _forget(self, entry: _Request) -> None:
        if entry.monitor is not None:
            del self._borrowers[entry.monitor]
            self.demonitor(entry.monitor, flush=True)

    def _tell_cancelled(self, where: Cancelled) -> None:
        try:
            self._keeper.handle_cancelled(where)
        except Exception:
            logger.exception("%s: handle_cancelled() raised", self)

    # -- those that are free -----------------------------------------------

    def _tell_free(self, message: Any) -> None:
        for _ in range(len(self._free)):
            held = self._free.popleft()
            if self._keep(held, partial(self._keeper.handle_info, message, held.resource), "handle_info"):
                self._free.append(held)

    def _look_after(self) -> Result:
        assert self._idle_timeout is not None, "nobody looks without a time"
        now = self._now()
        left = len(self._free) if self._pings is None else self._pings
        for _ in range(len(self._free)):
            held = self._free.popleft()
            if left and now - held.idle_since >= self._idle_timeout:
                left -= 1
                try:
                    answer = self._keeper.handle_ping(held.resource)
                except Exception as error:
                    logger.exception("%s: handle_ping() raised", self)
                    answer = Remove(error)
                if isinstance(answer, StopPool):
                    self._free.appendleft(held)
                    return Stop(Shutdown(answer.reason))
                if isinstance(answer, Remove):
                    self._remove(answer.reason, held.resource)
                    continue
                held.resource = answer
                held.idle_since = now
            self._free.append(held)
        self.send_after(self._idle_timeout, _LookAfter())
        self._serve()
        return None

    def _keep(self, held: _Held, call: Callable[[], Any], name: str) -> bool:
        """Call the keeper about a resource; False: the resource has been removed (NPOOL-9)."""
        try:
            answer = call()
        except Exception as error:
            logger.exception("%s: %s() raised", self, name)
            answer = Remove(error)
        if isinstance(answer, Remove):
            self._remove(answer.reason, held.resource)
            return False
        held.resource = answer
        return True

    # -- making and ending -------------------------------------------------

    def _fill(self) -> None:
        while self._count < self._size and not self._lazy:
            self._make()

    def _make(self) -> None:
        """Make one more resource, here or beside the pool."""
        self._count += 1
        try:
            made = self._keeper.init_worker()
        except Exception:
            logger.exception("%s: init_worker() raised", self)
            self._coming += 1
            self._make_later()
            return
        if isinstance(made, MadeLater):
            maker: ActorRef[Any] = _Maker.start_link(self.actor_ref, made.function)
            self._makers.add(maker)
            self._coming += 1
            maker.send(None)
            return
        self._failures = 0
        self._free.append(_Held(made, self._now()))

    def _make_later(self) -> None:
        # Ever later, so that a server which is away is not asked thousands of times a second.
        seconds = min(RETRY_SECONDS_MIN * 2.0 ** min(self._failures, 16), RETRY_SECONDS_MAX)
        self._failures += 1
        self.send_after(seconds, _MakeAgain())

    def _remove(self, reason: object, resource: Any) -> None:
        """End a resource, and make another one unless the pool is lazy (NPOOL-7)."""
        self._end(reason, resource)
        self._count -= 1
        self._fill()

    def _end(self, reason: object, resource: Any) -> None:
        try:
            self._keeper.terminate_worker(reason, resource)
        except Exception:
            logger.exception("%s: terminate_worker() raised", self)

    def _now(self) -> float:
        return self.system.clock.monotonic()


def _checked_count(field: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidTypeError(field, value, "a whole number, at least 1")
    if value < 1:
        raise InvalidArgumentError(field, value, "at least 1")
    return value
