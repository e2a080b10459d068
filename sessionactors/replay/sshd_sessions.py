"""Lead one session through the life of each connection to sshd.

The rules for one line, in this order, after the clock has moved to its time:

1. **Which process.** sshd serves a connection with one process, known by host and
   process id, and so a session is called `HOST:PID#1`. After a login a child
   process takes over and writes some lines (`Starting session`, `Received
   disconnect`, `Disconnected from`) under an id of its own. A line of that kind
   whose process has no connection belongs to the open one of the same client
   address and port on the same host; where there is none, it belongs to nobody and nothing happens.
2. **Which session.** A process without one gets one by `Connection from`, `Invalid
   user`, `Failed`, `Accepted`, `maximum authentication attempts exceeded`, what PAM
   says about authentication, or anything else that only the process of a connection
   writes: all that ends in `[preauth]`, for one. (At sshd's default level the log has no
   `Connection from`, so this is the rule and not the exception.) `init_session`
   gets host, process id and address. What has nothing to do with a connection, such as `Server listening`,
   starts nothing, and neither does the end of a connection that began before the log.
3. **Process ids come back.** `Connection from`, or another client address or port
   than before, starts `HOST:PID#2`; a session still live then is terminated as
   `superseded`. Otherwise the lines of a connection that the log has closed are late
   ones and nothing happens, unless they are about signing in and do not name the
   same port. Of a session that ended by itself (timeout, attempts used up,
   reaper) all lines are late until the log closes the connection.
4. **`Failed`** is `authenticate` with credentials that `activate` rejects, so the
   session counts the attempts itself and ends when they are used up. The authentication timeout
   runs from the first attempt and is not prolonged by another, as for every session.
   `message repeated 5 times: [...]` is five of them. **`maximum authentication
   attempts exceeded`** makes attempts until none is left: sshd does not log each.
5. **`Accepted`** is `authenticate` with good credentials, and `activate`.
6. **The end** of the connection (`Connection closed`, `Connection reset`,
   `Disconnected`, `Disconnecting`, `Received disconnect`, `session closed`, a fatal
   error, a client that speaks no SSH) terminates the session as `disconnected`, in
   whichever state. A lone such line that ends in `[preauth]` is a connection that was
   opened and left, so it is a session, too: it starts and ends. `Close session` is not the end,
   because a connection can have several of what SSH calls a session.
7. **Any other line** of a connection is activity: `resume` from `idle` or
   `suspended`, else `touch`. So is an attempt to sign in after the login.

A connection that never tries to sign in stays `new` and is left to the reaper,
unless the log says how it ended. Rate limits and quotas have no part in this.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

from sessionactors.replay.sshd_log import ACCEPTED, CLOSED, CONNECTED, EXHAUSTED, FAILED, NOTE
from sessionactors.states import AUTH, IDLE, NEW, SUSPENDED, TERMINATED
from supervisors.errors import Refusal

if TYPE_CHECKING:
    from sessionactors.replay.contract import ReplaySystem
    from sessionactors.replay.events import SshdLine

__all__ = ["SshdSessions"]

DISCONNECTED: Final = "disconnected"
SUPERSEDED: Final = "superseded"

_REJECTIONS: Final = frozenset({"authentication_failed", "max_attempts"})


@dataclass(slots=True, eq=False)
class _Connection:
    """What is known of the latest connection of a process."""

    host: str
    session: str
    address: str | None = None
    port: int = 0
    is_over: bool = False  # the log has said so

    def is_another(self, line: SshdLine) -> bool:
        """Say whether a line surely is about another client."""
        if line.address is None or self.address is None:
            return False
        return line.address != self.address or (0 != line.port != self.port != 0)

    def is_same(self, line: SshdLine) -> bool:
        """Say whether a line surely is about this client."""
        return line.port != 0 and (line.address, line.port) == (self.address, self.port)


@final
class SshdSessions:
    """Handles the lines of one log.

    Args:
        system: what is driven.

    Attributes:
        auth_denied: attempts to authenticate that were rejected.

    Thread: the driver's.
    """

    def __init__(self, system: ReplaySystem) -> None:
        self.auth_denied = 0
        self._system = system
        self._numbers: dict[tuple[str, int], int] = {}  # process -> number of its latest session
        self._connections: dict[tuple[str, int], _Connection] = {}  # process -> its latest connection
        # Host, address, port -> open connections. A log with gaps can have several; the latest to say so counts.
        self._by_client: dict[tuple[str, str, int], list[_Connection]] = {}
        self._addresses: set[str] = set()

    @property
    def clients(self) -> int:
        """How many different addresses sessions had connections from."""
        return len(self._addresses)

    def handle(self, line: SshdLine) -> None:
        """Do what a line says."""
        own = self._connections.get((line.host, line.pid))
        if own is not None and line.kind != CONNECTED and not own.is_another(line):
            if not own.is_over:
                self._learn(own, line)
            if self._is_live(own):
                self._act(own, line)
                return
            if line.kind in (NOTE, CLOSED) or not own.is_over or own.is_same(line):
                if line.kind == CLOSED:
                    self._close(own)
                return
        elif line.kind in (NOTE, CLOSED):
            parent = self._parent_of(line)
            if parent is not None:
                if self._is_live(parent):
                    self._act(parent, line)
                elif line.kind == CLOSED:
                    self._close(parent)
                return
            if not line.is_own:
                return
        if own is not None:
            if self._is_live(own):
                self._system.perform(own.session, "terminate", {"reason": SUPERSEDED})
            self._close(own)  # also one that ended by itself: its client's lines are nobody's from here on
        self._open(line)

    def _parent_of(self, line: SshdLine) -> _Connection | None:
        if line.address is None or not line.port:
            return None
        found = self._by_client.get((line.host, line.address, line.port))
        return found[-1] if found else None

    def _open(self, line: SshdLine) -> None:
        """Start the next session of a process, and do what the line says."""
        process = (line.host, line.pid)
        number = self._numbers[process] = self._numbers.get(process, 0) + 1
        connection = self._connections[process] = _Connection(line.host, f"{line.host}:{line.pid}#{number}")
        metadata: dict[str, object] = {"host": line.host, "pid": line.pid}
        if line.address is not None:
            metadata["address"] = line.address
        self._system.start_session(connection.session)
        self._system.init_session(connection.session, metadata)
        self._learn(connection, line)
        self._act(connection, line)

    def _act(self, connection: _Connection, line: SshdLine) -> None:
        """Do to a live session what the line says."""
        system, session, kind = self._system, connection.session, line.kind
        state = system.state_of(session)
        if kind == CLOSED:
            system.perform(session, "terminate", {"reason": DISCONNECTED})
            self._close(connection)
        elif kind in (FAILED, EXHAUSTED, ACCEPTED) and state in (NEW, AUTH):
            if kind == ACCEPTED:
                self._attempt(session, line.user, is_good=True)
                return
            left = line.times
            while (kind == EXHAUSTED or left > 0) and self._attempt(session, line.user, is_good=False):
                left -= 1
        elif state in (IDLE, SUSPENDED):
            system.resume(session)
        else:
            system.perform(session, "touch", {})

    def _attempt(self, session: str, user: str, *, is_good: bool) -> bool:
        """Try to sign in once; return whether the session is left to try again."""
        credentials: dict[str, object] = {"authenticated": is_good}
        if user:
            credentials["user_id"] = user
        try:
            self._system.authenticate(session, credentials)
            self._system.activate(session)
        except Refusal as refusal:
            if refusal.code not in _REJECTIONS:
                raise
            self.auth_denied += 1
            return refusal.code == "authentication_failed"
        return False

    def _learn(self, connection: _Connection, line: SshdLine) -> None:
        """Remember the client of a connection as soon as a line names it."""
        if line.address is None:
            return
        if connection.address is None:
            connection.address = line.address
            self._addresses.add(line.address)
        if line.port and not connection.port:
            connection.port = line.port
            self._by_client.setdefault((line.host, line.address, line.port), []).append(connection)

    def _close(self, connection: _Connection) -> None:
        if connection.port and not connection.is_over:
            assert connection.address is not None
            client = (connection.host, connection.address, connection.port)
            found = self._by_client[client]
            found.remove(connection)
            if not found:
                del self._by_client[client]
        connection.is_over = True

    def _is_live(self, connection: _Connection) -> bool:
        return self._system.state_of(connection.session) not in (None, TERMINATED)
