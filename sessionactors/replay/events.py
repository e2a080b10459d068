"""What one line of a log becomes: a request, a command, a line of sshd, or a bad line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AccessRequest", "BadLine", "Command", "Event", "SshdLine"]


class AccessRequest(NamedTuple):
    """One request of an access log.

    A named tuple and not a dataclass: a log has millions of them, and a tuple
    is made in a third of the time of a frozen dataclass.
    """

    time: float
    """When the server logged it, seconds since 1970 UTC."""
    client: str
    """Field 1: an address or a host name; never empty, no spaces."""
    identity: str
    """Field 2, nearly always `-`."""
    user: str
    """Field 3: who signed in, or `-`."""
    request: str
    """The request line, or `-`."""
    status: int
    """The status code; 0 where the log has `-`."""
    size: int
    """Bytes sent; 0 where the log has `-` or nothing."""
    referer: str
    """The page it came from; empty in the common format."""
    user_agent: str
    """What the client calls itself; empty in the common format."""


class Command(NamedTuple):
    """One call of the session system's public functions."""

    time: float
    """When to make it, seconds since 1970 UTC (or since any other zero)."""
    session: str
    """The session's id."""
    op: str
    """The function's name."""
    arguments: Mapping[str, object]
    """Its other arguments by name; checked, and without the ones left out."""


class SshdLine(NamedTuple):
    """What one line of sshd says."""

    time: float
    """When it was written, seconds since 1970 UTC."""
    host: str
    """The machine that wrote it."""
    pid: int
    """The process that wrote it."""
    kind: str
    """What it is about: one of the kinds in `sessionactors.replay.sshd_log`."""
    user: str
    """Who tries to sign in, short and printable; empty where the line does not say."""
    address: str | None
    """Where the client is, where the line says so."""
    port: int
    """The client's port; 0 where the line does not say."""
    times: int
    """How often it happened."""
    is_own: bool
    """Whether surely the process that serves the connection from its first moment wrote it, and no child."""


Event = AccessRequest | Command | SshdLine


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that cannot be read.

    Attributes:
        number: the line's place in its file, from 1.
        reason: what is wrong with it, in words; never quotes the line, whose
            bytes may be anything.
    """

    number: int
    reason: str
