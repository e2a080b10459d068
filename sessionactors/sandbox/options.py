"""What `isolate(..., isolated="process")` is given, checked before anything is started."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionactors import bounds
from sessionactors.errors import InvalidKind, InvalidLimit, InvalidOption, LimitExceedsGlobal
from sessionactors.sandbox.limits import SandboxLimits

if TYPE_CHECKING:
    from sessionactors.settings import IsolationSettings

__all__ = ["sandbox_options"]

_DEADLINE = 5.0


def sandbox_options(
    options: dict[str, object], settings: IsolationSettings
) -> tuple[type, list[object], SandboxLimits, dict[str, object]]:
    """Take out what is about the process.

    Returns:
        The handler's class, its arguments, the limits of the process, and the
        options that are left for the account.

    Raises:
        InvalidKind, InvalidOption, InvalidLimit, LimitExceedsGlobal: something is wrong with them.
    """
    rest = dict(options)
    del rest["isolated"]
    handler = _handler(rest.pop("handler", None))
    arguments = rest.pop("arguments", ())
    if not isinstance(arguments, (list, tuple)):
        raise InvalidKind("arguments", arguments, "a list of what the handler is made with")
    deadline = bounds.seconds("deadline", rest.pop("deadline", _DEADLINE))
    memory = rest.setdefault("memory_limit", settings.memory_limit)
    if memory is not None:
        memory = bounds.count("memory_limit", memory, refuse=InvalidLimit)
    cpu = rest.pop("cpu_limit", settings.cpu_limit)
    if cpu is not None:
        cpu = bounds.number("cpu_limit", cpu, most=100.0, unit=" percent", refuse=InvalidLimit)
        if cpu > settings.max_cpu:
            allowed = f"at most {settings.max_cpu}, the ceiling of all sessions together"
            raise LimitExceedsGlobal("cpu_limit", cpu, allowed)
    return handler, list(arguments), SandboxLimits(memory, cpu, deadline), rest


def _handler(given: object) -> type:
    allowed = "a class with handle_request(request)"
    if not isinstance(given, type) or not callable(getattr(given, "handle_request", None)):
        raise InvalidKind("handler", given, allowed)
    if "<locals>" in given.__qualname__ or given.__module__ == "__main__":
        raise InvalidOption("handler", given.__qualname__[:40], f"{allowed} that another process can import")
    return given
