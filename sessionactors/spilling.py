"""Cold sessions leave memory: what a sleeper holds goes into the store, and comes back with the next message.

Only persistent sessions are spilled, for the store holds nothing of others. Their row
is the snapshot that recovery reads after a crash, as ever, and beside it the bytes that
the sleeper had; these mean nothing to another process, so it is the owner's epoch that
says whether they may be used. The bytes in memory go when the row is durable, not before.

A spilled session does not read the store in its turn. It asks the store actor, keeps the
messages that came meanwhile in order, and handles them when the answer is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, final

from sessionactors.errands import Errand
from sessionactors.errors import InvalidKind, InvalidValue, PersistFailed, WakeFailed
from sessionactors.session_data import SessionData
from sessionactors.session_saving import PLAIN
from sessionactors.storage.codec import decode, encode
from sessionactors.storage.errors import RecordError, StoreError
from sessionactors.surroundings import STORE

if TYPE_CHECKING:
    from sessionactors.session_options import SessionOptions
    from sessionactors.sleeping_session import SleepingSession
    from sessionactors.states import State
    from sessionactors.storage.contract import Record
    from sessionactors.surroundings import Surroundings
    from supervisors.runtime.futures import ScheduledFuture
    from supervisors.runtime.ref import ActorRef
    from supervisors.runtime.replies import Reply

__all__ = [
    "ASLEEP",
    "RETRY_AFTER",
    "Fetch",
    "Fetched",
    "Left",
    "Spill",
    "Spilled",
    "fetch",
    "left_of",
    "outline",
    "packed_in",
    "row",
]

RETRY_AFTER: Final = 1.0
"""Seconds until the store is asked again for a session with messages that nobody waits for."""

ASLEEP: Final = "asleep"
"""Under which the bytes of a sleeper stand in its snapshot; recovery does not look at them."""


@final
class Left(NamedTuple):
    """What stays in memory of a session that is spilled.

    Attributes:
        state: as it was.
        last_activity: monotonic seconds.
        created_at: monotonic seconds.
        user_id: whose session it is.
        before: estimated bytes of it awake.
    """

    state: State
    last_activity: float
    created_at: float
    user_id: str
    before: int


def left_of(data: SessionData, before: int) -> Left:
    """Return what stays of a record."""
    return Left(data.state, data.last_activity, data.created_at, data.user_id, before)


def outline(left: Left, session_id: str, options: SessionOptions, wall_offset: float) -> SessionData:
    """Return as much of the record as is in memory: enough to judge it by, and to end."""
    data = SessionData(session_id, options, left.created_at, wall_offset)
    data.state, data.last_activity, data.user_id = left.state, left.last_activity, left.user_id
    return data


def row(data: SessionData, own_state: object, actor_class: Any, packed: bytes, around: Surroundings) -> Record:
    """Return what is stored of a session that sleeps.

    Raises:
        PersistFailed: it cannot be stored.
    """
    now = around.now()
    more: dict[str, object] = {ASLEEP: packed}
    name = actor_class.stored_name()
    if name != PLAIN:
        more["class"] = name
    if own_state is not None:
        more["user_state"] = own_state
    try:
        return encode(data, now, around.wall(), more)
    except (InvalidKind, InvalidValue) as error:
        raise PersistFailed(str(error)) from error


def fetch(session_id: str, ref: ActorRef[Any], around: Surroundings) -> None:
    """Ask the store for a row; it comes as a message, and so does that there is nobody to ask."""
    store = around.whereis(STORE)
    if store is None:
        ref.send(Fetched(None))
        return
    answer = store.ask(("read", session_id), block=False)
    answer.when_done(lambda: ref.send(Fetched(answer)))


def packed_in(answer: ScheduledFuture[Any] | None, epoch: object) -> bytes:
    """Return a sleeper's bytes from what the store has answered.

    Args:
        answer: there by now; None if there was nobody to ask.
        epoch: under which the bytes were stored; under another one they mean nothing.

    Raises:
        WakeFailed: they are not there.
    """
    if answer is None:
        raise WakeFailed("the store actor is being restarted")
    try:
        found = answer.get(timeout=0)
    except Exception as error:
        raise WakeFailed(f"the store actor gave no answer ({type(error).__name__})") from error
    if isinstance(found, StoreError):
        raise WakeFailed(str(found)) from found
    if found is None:
        raise WakeFailed("it is not in the store any more")
    try:
        packed = decode(found).get(ASLEEP)
    except RecordError as error:
        raise WakeFailed(str(error)) from error
    if not isinstance(packed, bytes) or found.epoch != epoch:
        raise WakeFailed("somebody else has written what is stored of it")
    return packed


@final
class Spill(Errand):
    """Have what a session holds that sleeps put into the store.

    Args:
        idle: seconds since its last activity that it takes at least.
    """

    __slots__ = ("_idle",)

    def __init__(self, idle: float = 0.0) -> None:
        self._idle = idle

    def run(self, session: Any) -> bool:
        """Return False: it is awake."""
        del session
        return False

    def look(self, sleeper: SleepingSession) -> bool:
        """Return whether it is in the store; the answer may come later."""
        return sleeper.idle_time() >= self._idle and sleeper.spill()


@final
class Spilled(Errand):
    """Tell a session that its row is durable, or why not.

    Args:
        ref: the session.
        packed: the bytes that are in the row.
        epoch: under which the row is written.
        asker: who has asked for it, if anybody.
    """

    __slots__ = ("_ref", "asker", "epoch", "error", "packed")

    def __init__(self, ref: ActorRef[Any], packed: bytes, epoch: int, asker: Reply | None) -> None:
        self._ref = ref
        self.packed = packed
        self.epoch = epoch
        self.asker = asker
        self.error: PersistFailed | None = None

    def set(self, _value: object) -> None:
        """Take note that it is durable; called by the store actor."""
        self._ref.send(self)

    def refuse(self, error: PersistFailed) -> None:
        """Take note that it is not; called by the store actor."""
        self.error = error
        self._ref.send(self)

    def run(self, session: Any) -> None:
        """Do nothing: it has been woken, and what it is now is stored instead."""
        del session
        self.answer(is_spilled=False)

    def look(self, sleeper: SleepingSession) -> None:
        """Let go of the bytes, if these are still those that are in the row."""
        self.answer(is_spilled=sleeper.spilled(self))

    def answer(self, *, is_spilled: bool) -> None:
        """Tell who has asked for it."""
        if self.asker is None:
            return
        if self.error is not None:
            self.asker.refuse(self.error)
        else:
            self.asker.set(is_spilled)


@final
class Fetch(Errand):
    """Ask the store once more: messages wait for whom nobody asks again."""

    __slots__ = ()

    def run(self, session: Any) -> None:
        """Do nothing: it is awake."""
        del session

    def look(self, sleeper: SleepingSession) -> None:
        """Ask."""
        sleeper.fetch()


@final
class Fetched(Errand):
    """Bring a session what the store has answered.

    Args:
        answer: is there by now; None if there was nobody to ask.
    """

    __slots__ = ("_answer",)

    def __init__(self, answer: ScheduledFuture[Any] | None) -> None:
        self._answer = answer

    def run(self, session: Any) -> None:
        """Do nothing: it is awake."""
        del session

    def look(self, sleeper: SleepingSession) -> None:
        """Have it go on with what has waited for this."""
        sleeper.fetched(self._answer)
