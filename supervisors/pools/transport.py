"""How tasks and outcomes travel to and from a worker process: by `pickle`, in one piece each.

What cannot travel is an error of that one task, and names what was wrong.
"""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Callable
from typing import Any, Final

from supervisors.pools import child
from supervisors.pools.contract import Payload
from supervisors.pools.errors import RemoteTaskError, TransportError

__all__ = ["TASK_BYTES_MAX", "error_of", "outcome_of", "pack", "pack_worker", "unpack"]

TASK_BYTES_MAX: Final = 1 << 31
"""What one task may hold, bytes."""


def pack(payload: Payload) -> bytes:
    """Return a task as it travels.

    Raises:
        TransportError: it cannot be pickled, or is too large.
    """
    try:
        packed = pickle.dumps(payload, pickle.HIGHEST_PROTOCOL)
    except (Exception, SystemExit) as error:
        raise TransportError("task", f"{type(error).__name__}: {error}") from error
    if len(packed) > TASK_BYTES_MAX:
        raise TransportError("task", f"it has {len(packed)} bytes, more than {TASK_BYTES_MAX}")
    return packed


def unpack(packed: bytes) -> Payload:
    """Return what `pack()` was given, or what equals it."""
    payload: Payload = pickle.loads(packed)  # noqa: S301 - our own submitter has pickled it
    return payload


def pack_worker(worker: Callable[..., Any] | None) -> bytes:
    """Return what a pool was given as its worker as it travels."""
    try:
        return pickle.dumps(worker, pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        raise TransportError("task", f"the worker of the pool: {type(error).__name__}: {error}") from error


def outcome_of(kind: int, body: bytes) -> tuple[Any, BaseException | None]:
    """Return the value or the error of an answer."""
    if kind == child.DONE:
        try:
            return pickle.loads(body), None  # noqa: S301 - from our own worker
        except BaseException as error:  # noqa: BLE001 - its submitter gets it, whatever it is
            return None, TransportError("result", f"it cannot be unpickled: {type(error).__name__}: {error}")
    if kind == child.RAISED:
        return None, error_of(body)
    if kind == child.TOO_LARGE:
        return None, TransportError("result", f"it has {body.decode()} bytes, more than result_bytes_max")
    _, name, said, trace = pickle.loads(body)  # noqa: S301 - from our own worker
    failure = TransportError("task" if kind == child.UNREADABLE else "result", f"{name}: {said}")
    failure.add_note(f"in the worker process:\n{trace}")
    return None, failure


def error_of(body: bytes) -> BaseException:
    """Return the exception that was raised in a process, or what can be told of it."""
    packed, name, said, trace = pickle.loads(body)  # noqa: S301 - from our own worker
    error: Any = None
    if packed:
        with contextlib.suppress(BaseException):
            error = pickle.loads(packed)  # noqa: S301 - from our own worker
    if not isinstance(error, BaseException):
        return RemoteTaskError(name, said, trace)
    error.add_note(f"in the worker process:\n{trace}")
    return error
