"""Results of many tasks as they are asked for: in order or as they come, in plain code and in asyncio.

Source: `Executor.map()` and `concurrent.futures.as_completed()`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar, final

from supervisors.pools.door import Door
from supervisors.pools.errors import PoolFullError, TaskError
from supervisors.pools.future import PoolFuture
from supervisors.pools.landings import Landings, SteppedLandings, ThreadLandings
from supervisors.runtime.contract import Scheduler

__all__ = ["LandingFuture", "Progress", "Results", "Submitter"]

T = TypeVar("T")


class Submitter(Protocol):
    """Submits one item; raises `PoolFullError` when there is no room for it."""

    def __call__(self, item: Any, landed: Callable[[PoolFuture[Any]], None] | None) -> PoolFuture[Any]:
        """Return the item's future."""
        ...


class Progress(Protocol):
    """Is told how far it has got."""

    def advance(self) -> None:
        """Note that one more is done."""
        ...

    def close(self) -> None:
        """Note that there will be no more."""
        ...


class LandingFuture(PoolFuture[T]):
    """A future that tells when it has an outcome: quickly, on the thread that sets it."""

    def __init__(self, door: Door, landed: Callable[[PoolFuture[T]], None]) -> None:
        super().__init__(door)
        self._landed = landed

    def complete(self, value: Any) -> None:
        super().complete(value)
        self._landed(self)

    def fail(self, error: BaseException | None) -> None:
        super().fail(error)
        self._landed(self)

    def give_back(self, *, begun: bool) -> None:
        super().give_back(begun=begun)
        self._landed(self)


@final
class Results(Generic[T]):
    """An iterator, and an asynchronous one, over the results of many tasks.

    Lazy: items are taken from their iterable as results are asked for, so many ahead
    as the window says. Closing it, or leaving its ``with`` block, cancels what is left.
    What the iterable raises is raised after the results of the items before it.

    Args:
        items: one for each task.
        submit: submits one.
        window: tasks that may be under way at one time.
        ordered: results come in the order of the items; otherwise as they are done.
        return_exceptions: an error is a result like any other; otherwise it is raised,
            and the next result can still be asked for.
        progress: is told of each result.
        stepped: who runs everything in virtual time; None: threads do.

    Thread: one at a time.
    """

    def __init__(
        self,
        items: Iterable[Any],
        submit: Submitter,
        *,
        window: int,
        ordered: bool,
        return_exceptions: bool,
        progress: Progress | None,
        stepped: Scheduler | None = None,
    ) -> None:
        self._items = iter(items)
        self._submit = submit
        self._window = window
        self._ordered = ordered
        self._return_exceptions = return_exceptions
        self._progress = progress
        self._under_way: deque[Future[T]] = deque()
        self._landed: Landings[Future[T]] = ThreadLandings() if stepped is None else SteppedLandings(stepped)
        self._left = 0  # under way, when the order does not matter
        self._mine: dict[Future[T], None] = {}  # no set: its order is not the same in each run
        self._kept: list[Any] = []  # an item for which there was no room
        self._is_exhausted = False
        self._end: Exception | None = None  # why there are no more items, if it was an error

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        future = self._next_future()
        if future is None:
            future = self._landed.take_nowait()
            if future is None:
                future = self._one_of_mine().wait_blocking(self._landed.take)
            self._left -= 1
            self._mine.pop(future, None)
        return self._result(future)

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        try:
            future = self._next_future()
        except StopIteration:
            raise StopAsyncIteration from None
        if future is None:
            future = await self._land()
        elif not future.done():
            assert isinstance(future, PoolFuture)
            with future.stood_in_for():
                await asyncio.wait([asyncio.wrap_future(future)])
        return self._result(future)

    def close(self) -> None:
        """Cancel what is under way; take no more items."""
        self._is_exhausted = True
        self._kept.clear()
        for future in [*self._under_way, *self._mine]:
            future.cancel()
        self._under_way.clear()
        self._mine.clear()
        self._left = 0
        self._end = None
        if self._progress is not None:
            self._progress.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- inside --------------------------------------------------------------------

    def _next_future(self) -> Future[T] | None:
        """Return whose result is next; None: whichever is done first."""
        self._fill()
        if self._ordered:
            if self._under_way:
                return self._under_way.popleft()
        elif self._left:
            return None
        if self._progress is not None:
            self._progress.close()
        end, self._end = self._end, None
        raise StopIteration if end is None else end

    def _fill(self) -> None:
        while not self._is_exhausted and len(self._under_way) + self._left < self._window:
            if not self._kept:
                try:
                    self._kept.append(next(self._items))
                except StopIteration:
                    self._is_exhausted = True
                    return
                except Exception as error:  # noqa: BLE001 - it is raised when its turn has come
                    self._break_off(error)
                    return
            landed = None if self._ordered else self._landed.add
            future: Future[T]
            try:
                future = self._submit(self._kept[0], landed)
            except PoolFullError:
                if not self._under_way and not self._left:
                    raise  # nothing of ours makes room, so waiting would be for others
                return
            except TaskError as error:  # this item cannot travel, say; the others can
                future = Future()
                future.set_exception(error)
                if landed is not None:
                    landed(future)
            except Exception as error:  # noqa: BLE001 - it is raised when its turn has come
                self._break_off(error)
                return
            self._kept.clear()
            if self._ordered:
                self._under_way.append(future)
            else:
                self._left += 1
                self._mine[future] = None

    def _one_of_mine(self) -> PoolFuture[T]:
        """Return one that has not landed; those that were never taken in have."""
        return next(future for future in self._mine if isinstance(future, PoolFuture))

    def _break_off(self, error: Exception) -> None:
        """Take no more items, and raise this after the results that are still to come."""
        self._is_exhausted = True
        self._kept.clear()
        self._end = error

    async def _land(self) -> Future[T]:
        future = self._landed.take_nowait()
        if future is None:
            waiting = {asyncio.wrap_future(future): future for future in self._mine}
            with self._one_of_mine().stood_in_for():
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            future = self._landed.take()
        self._left -= 1
        self._mine.pop(future, None)
        return future

    def _result(self, future: Future[T]) -> T:
        try:
            if self._return_exceptions:
                error = future.exception()
                if error is not None:
                    return error  # type: ignore[return-value]  # what was asked for
            return future.result()
        except (StopIteration, StopAsyncIteration) as error:
            # As it is it would say that there are no more results, and nobody would see what is missing.
            raise RuntimeError(f"a task raised {type(error).__name__}") from error
        finally:
            if self._progress is not None:
                self._progress.advance()
            del future
