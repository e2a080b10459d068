"""The ways in which a send or an ask can fail, and the one in which it may not.

::

    SupervisorsError
    ├── ActorDeadError     (pykka.ActorDeadError) nobody is there (any more)
    ├── AskTimeoutError    (pykka.Timeout, TimeoutError) no reply in time
    ├── DeadlockError      the reply can never come: a cycle of waiting actors
    ├── MailboxFullError   the mailbox is at its bound
    ├── StartError         an actor's start was refused or failed
    └── ForkedError        the actor belongs to the parent process

Every ask ends exactly once: in a value, in the handler's own exception, or in
one of these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pykka

from supervisors.errors import SupervisorsError, UsageError
from supervisors.exits import describe

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "ActorDeadError",
    "AskTimeoutError",
    "DeadlockError",
    "ForkedError",
    "MailboxFullError",
    "StartError",
]


class ActorDeadError(SupervisorsError, pykka.ActorDeadError):
    """The actor has ended, or ended before it replied (SRV-2).

    Attributes:
        reason: its exit reason; `"noproc"` when it was not there to begin with.
    """

    def __init__(self, message: str, reason: object = "noproc") -> None:
        self.reason = reason
        super().__init__(message)

    @classmethod
    def of(cls, who: object, reason: object) -> ActorDeadError:
        """Build the error for an actor and its exit reason."""
        return cls(f"{who} is dead ({describe(reason)})", reason)

    @classmethod
    def not_found(cls, who: object, reason: object) -> ActorDeadError:
        """Build the error for a message that finds the actor dead, in Pykka's words."""
        return cls(f"{who} not found", reason)


class AskTimeoutError(SupervisorsError, pykka.Timeout, TimeoutError):
    """No reply within the time that the asker was ready to wait.

    The actor is not told and carries on; its late reply is dropped (SRV-3).

    Attributes:
        timeout: the time waited, seconds.
    """

    def __init__(self, timeout: float, who: object = None) -> None:
        self.timeout = timeout
        super().__init__(f"no reply within {timeout:g} seconds" + (f" from {who}" if who is not None else ""))


class DeadlockError(SupervisorsError):
    """The ask would close a cycle of actors that wait for each other.

    Attributes:
        chain: the refs in waiting order; the first and the last are the same.
    """

    def __init__(self, chain: Sequence[object], told: str | None = None) -> None:
        self.chain = tuple(chain)
        super().__init__(" waits for ".join(str(ref) for ref in self.chain) if told is None else told)


class MailboxFullError(SupervisorsError):
    """A message finds no room in a mailbox that is at its bound.

    Attributes:
        capacity: the bound, messages; None: any number.
        capacity_bytes: the other bound; None: any number.
    """

    def __init__(self, who: object, capacity: int | None, capacity_bytes: int | None = None) -> None:
        self.capacity = capacity
        self.capacity_bytes = capacity_bytes
        bounds = [(capacity, "messages"), (capacity_bytes, "bytes of messages")]
        told = " and ".join(f"{bound} {unit}" for bound, unit in bounds if bound is not None)
        super().__init__(f"the mailbox of {who} has no room for this message; it holds at most {told}")


class StartError(SupervisorsError):
    """An actor did not come up (PROC-4 to PROC-8).

    Attributes:
        reason: why, as an exit reason.
    """

    def __init__(self, reason: object, who: object = "the actor", *, told: str | None = None) -> None:
        self.reason = reason
        super().__init__(f"{who} did not start: {describe(reason) if told is None else told}")


class ForkedError(UsageError):
    """A ref from before a fork was used in the child process."""
