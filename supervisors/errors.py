"""Every exception of the runtime that needs no actor to be explained.

::

    SupervisorsError
    ├── InternalError              our own bug: please report it
    ├── InvalidArgumentError       (ValueError) the value is not allowed
    ├── InvalidTypeError           (TypeError) the kind of value is not allowed
    ├── UsageError                 (RuntimeError) the call is not allowed here or now
    │   ├── NoActorError           called outside an actor's own turn
    │   └── SystemStoppedError     the actor system has been stopped
    ├── Refusal                    a handler says no, without crashing its actor
    ├── Exit                       ends the running actor with a chosen reason
    ├── IgnoreStart                an actor declines to start, without a failure
    ├── NameTakenError             a registered name belongs to somebody else
    └── MissingExtraError          (ImportError) an optional library is not installed

The ways in which an *ask* can fail stand in `supervisors.runtime.outcomes`,
because they are Pykka's exceptions too.
"""

from __future__ import annotations

__all__ = [
    "Exit",
    "IgnoreStart",
    "InternalError",
    "InvalidArgumentError",
    "InvalidTypeError",
    "MissingExtraError",
    "NameTakenError",
    "NoActorError",
    "Refusal",
    "SupervisorsError",
    "SystemStoppedError",
    "UsageError",
]


class SupervisorsError(Exception):
    """Root of every exception that this package raises by itself."""


class InternalError(SupervisorsError):
    """An invariant of ours does not hold: a bug in this library, not in yours.

    Attributes:
        facts: what was true when the invariant failed, by name.
    """

    def __init__(self, message: str, /, **facts: object) -> None:
        self.facts = facts
        told = ", ".join(f"{name}={value!r}" for name, value in facts.items())
        super().__init__(f"{message} ({told})" if told else message)


class InvalidArgumentError(SupervisorsError, ValueError):
    """A value is of the right kind but not allowed.

    Attributes:
        field: the argument or option that was given.
        allowed: what would have been right, in words.
    """

    def __init__(self, field: str, given: object, allowed: str) -> None:
        self.field = field
        self.allowed = allowed
        super().__init__(f"{field}: {_shown(given)} is not allowed; allowed: {allowed}")


class InvalidTypeError(SupervisorsError, TypeError):
    """A value is of a kind that is not allowed; the value itself is not shown.

    Attributes:
        field: the argument or option that was given.
        allowed: what would have been right, in words.
    """

    def __init__(self, field: str, given: object, allowed: str) -> None:
        self.field = field
        self.allowed = allowed
        super().__init__(f"{field}: a {type(given).__name__} is not allowed; allowed: {allowed}")


class UsageError(SupervisorsError, RuntimeError):
    """The call is not allowed here or now; the message tells what is."""


class NoActorError(UsageError):
    """The call only makes sense inside an actor's own turn."""


class SystemStoppedError(UsageError):
    """The actor system is being stopped, or has been: nothing starts in it any more."""

    def __init__(self, message: str = "the actor system has been stopped; nothing can be started in it") -> None:
        super().__init__(message)


class Refusal(SupervisorsError):  # noqa: N818 - a refusal is an answer, not an error
    """Raise (a subclass of) this in a handler to say no without crashing (decision 5).

    The asker gets the refusal raised; the actor lives on. Any other exception
    is a crash. A refusal of a message that nobody waits for is dropped.

    Attributes:
        code: a stable name for programs.
    """

    code: str = "refused"


class Exit(SupervisorsError):  # noqa: N818 - OTP's word
    """Raise this in a handler to end the running actor with a reason (EXIT-3).

    Attributes:
        reason: any value; `supervisors.exits` names the ones with a meaning.
    """

    def __init__(self, reason: object = "normal") -> None:
        self.reason = reason
        super().__init__(reason)


class IgnoreStart(SupervisorsError):  # noqa: N818 - an answer, not an error
    """Raise this while starting to decline: no actor, no failure (PROC-3)."""


class NameTakenError(SupervisorsError):
    """A name is already registered for another actor (NAME-1).

    Attributes:
        name: the name that was asked for.
        owner: who has it.
    """

    def __init__(self, name: object, owner: object) -> None:
        self.name = name
        self.owner = owner
        super().__init__(f"name {name!r} already belongs to {owner}")


class MissingExtraError(SupervisorsError, ImportError):
    """A feature needs a library that is not among the core dependencies."""

    def __init__(self, feature: str, extra: str) -> None:
        self.extra = extra
        super().__init__(f"{feature} needs the extra {extra!r}: pip install 'sessionactors[{extra}]'")


def _shown(value: object) -> str:
    """Show a small plain value, and only the kind of anything else."""
    if isinstance(value, int) and value.bit_length() > 64:
        return f"an integer of {value.bit_length()} bits"  # Python refuses to write very long ones
    if value is None or isinstance(value, (bool, int, float)):
        return repr(value)
    if isinstance(value, str) and len(value) <= 40:
        return repr(value)
    return f"a {type(value).__name__}"
