"""Poison messages: what has crashed its receiver again and again is not handled any more.

A supervisor restarts an actor that a message has crashed, and whoever sent the
message sends it again: the restarts use up the supervisor's patience, and a whole
tree goes down because of one message. OTP leaves that to the programmer. Here an
actor class can be wrapped::

    ChildSpec("parser", quarantined(Parser, Quarantine(after=3)))

All incarnations of the wrapped class share the quarantine. It costs nothing for
classes that are not wrapped. For those that are, each message costs a look at its parts
while nothing has crashed yet, and a digest of them afterwards: a few microseconds for small ones.

What counts is the message in hand when the actor ends abnormally by its own doing, also
where the answer goes out first and the end comes right after it (`Stop(reason, reply=...)`).
A state machine that takes up a postponed event again has that one in hand. The
work that a server goes on with in a later step (`Continue`), time-outs, and the
library's own messages are nobody's message: they are neither counted nor refused.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any, Final, TypeVar, cast, final

from supervisors.actor import Actor
from supervisors.behaviour import Behaviour, Cast
from supervisors.errors import InvalidArgumentError, InvalidTypeError, Refusal
from supervisors.exits import is_abnormal
from supervisors.identity import Sameness, is_changeable, sameness
from supervisors.runtime.pykka_adapter import StopMessage
from supervisors.runtime.signals import ControlMessage, Down, Exited
from supervisors.statem.machine import StateMachine

__all__ = ["Quarantine", "Quarantined", "quarantined"]

A = TypeVar("A", bound=Actor)

_KEPT_MAX: Final = 1000

# Neither counted nor refused: what no user has sent, and news of ends.
_NOBODYS: Final = (ControlMessage, Down, Exited, StopMessage)


class Quarantined(Refusal):
    """This message has crashed its receiver too often and is not handled any more.

    Attributes:
        crashes: how often it has.
    """

    code = "quarantined"

    def __init__(self, crashes: int) -> None:
        self.crashes = crashes
        super().__init__(f"this message has crashed its receiver {crashes} times and is not handled any more")


@final
class Quarantine:
    """Which messages have crashed an actor, and how often.

    Messages are the same as `supervisors.identity` says: plain values by what they
    contain, as it was when the receiver got them, everything else only as
    itself. 1, 1.0 and True differ. No code of a message runs here.

    What is the same only as itself is kept alive as long as it is remembered.

    Args:
        after: crashes by the same message after which it is a dead letter, 1 or more.
        kept: messages to remember, 1 or more; the one that crashed longest ago goes first.

    Thread: every method is safe anywhere.
    """

    __slots__ = ("_after", "_crashes", "_kept", "_lock")

    def __init__(self, after: int = 3, kept: int = _KEPT_MAX) -> None:
        for name, value in (("after", after), ("kept", kept)):
            if isinstance(value, bool) or not isinstance(value, int):
                raise InvalidTypeError(name, value, "a whole number, 1 or more")
            if value < 1:
                raise InvalidArgumentError(name, value, "1 or more")
        self._after = after
        self._kept = kept
        self._lock = threading.Lock()  # guards _crashes; nobody's code runs while it is held
        # By digest: how often, and what has to be kept so that the digest goes on to mean the same.
        self._crashes: OrderedDict[bytes, tuple[int, tuple[object, ...]]] = OrderedDict()

    @property
    def after(self) -> int:
        """Crashes by the same message after which it is a dead letter."""
        return self._after

    def note(self, message: Any) -> int:
        """Count a crash by a message; return how many there have been."""
        return self.note_same(sameness(message))

    def note_same(self, same: Sameness) -> int:
        """Count a crash by a message that was looked at before; return how many there have been."""
        dropped: object = None  # dies without the lock: objects may run code when they die
        with self._lock:
            crashes, kept = self._crashes.pop(same.digest, (0, same.kept))
            self._crashes[same.digest] = (crashes + 1, kept)
            if len(self._crashes) > self._kept:
                dropped = self._crashes.popitem(last=False)
        del dropped
        return crashes + 1

    def crashes(self, message: Any) -> int:
        """Return how often a message has crashed its receiver."""
        if not self._crashes:
            return 0
        same = sameness(message)
        with self._lock:
            return self._crashes.get(same.digest, (0, ()))[0]

    def holds(self, message: Any) -> bool:
        """Tell whether a message is not to be handled any more."""
        return self.crashes(message) >= self._after

    def release(self, message: Any) -> bool:
        """Forget the crashes of a message, so that it is handled again; False if there were none."""
        same = sameness(message)
        with self._lock:
            dropped = self._crashes.pop(same.digest, None)
        return dropped is not None

    def __len__(self) -> int:
        """Return how many messages are remembered, also those that may still be handled."""
        return len(self._crashes)

    def __repr__(self) -> str:
        with self._lock:
            counts = [crashes for crashes, _ in self._crashes.values()]
        held = sum(crashes >= self._after for crashes in counts)
        return f"<Quarantine of {held} messages, {len(counts)} remembered>"


def quarantined(actor_class: type[A], quarantine: Quarantine) -> type[A]:
    """Return a subclass that refuses messages which have crashed it too often.

    They become dead letters; an ask of one raises `Quarantined`. `Down`, `Exited`, stops
    and everything else that the library itself sends are always handled.

    Args:
        actor_class: any `Actor` class that is not wrapped already and does not live
            in a process of its own.
        quarantine: shared by all incarnations, and by whatever else is given it.
    """
    if not (isinstance(actor_class, type) and issubclass(actor_class, Actor)):
        raise InvalidTypeError("actor_class", actor_class, "an Actor class")
    if not isinstance(quarantine, Quarantine):
        raise InvalidTypeError("quarantine", quarantine, "a Quarantine")
    if isinstance(getattr(actor_class, "quarantine", None), Quarantine):
        raise InvalidArgumentError("actor_class", actor_class, "a class that has no quarantine yet")
    if actor_class.dispatch == "process":
        raise InvalidArgumentError("actor_class", actor_class, "a class with another dispatch than 'process'")
    methods = {
        "quarantine": quarantine,
        "receive_ask": _receive_ask,
        "receive_tell": _receive_tell,
        "ending": _ending,
        "_in_hand": None,
        "_to_blame": None,
        "_base": actor_class,
        "__module__": actor_class.__module__,
        "__doc__": actor_class.__doc__,
    }
    if issubclass(actor_class, Behaviour):
        methods["_end_after_this"] = _end_after_this
    return cast("type[A]", type(actor_class.__name__, (actor_class,), methods))


@final
class _InHand:
    """The message that is being handled, and what it was before, if that can change."""

    __slots__ = ("message", "same")

    def __init__(self, message: Any) -> None:
        self.message = message
        self.same = sameness(message) if is_changeable(message) else None


def _receive_ask(self: Any, message: Any) -> Any:
    if isinstance(message, _NOBODYS):
        self._in_hand = None
        return self._base.receive_ask(self, message)
    quarantine: Quarantine = self.quarantine
    crashes = quarantine.crashes(message)
    if crashes >= quarantine.after:
        self.system.dead_letter(self.actor_ref, message)
        raise Quarantined(crashes)
    self._in_hand = _InHand(message)
    reply = self._base.receive_ask(self, message)
    self._in_hand = None  # an idle actor keeps no message alive
    return reply


def _receive_tell(self: Any, message: Any) -> None:
    told = message.message if isinstance(message, Cast) else message
    if isinstance(told, _NOBODYS):
        self._in_hand = None
        self._base.receive_tell(self, message)
        return
    quarantine: Quarantine = self.quarantine
    if quarantine.holds(told):
        self.system.dead_letter(self.actor_ref, told)
        return
    self._in_hand = _InHand(told)
    self._base.receive_tell(self, message)
    self._in_hand = None  # as above


def _end_after_this(self: Any, reason: object) -> None:
    # The turn ends well, because its asker gets a reply, and the next one ends the actor.
    self._to_blame = _blamed(self)
    self._base._end_after_this(self, reason)  # noqa: SLF001 - a method of the very object


def _ending(self: Any, reason: object, *, crash: bool, by_signal: bool) -> object:
    to_blame = self._to_blame or _blamed(self)
    if to_blame is not None and is_abnormal(reason) and not by_signal:
        self.quarantine.note_same(to_blame.same or sameness(to_blame.message))
    return self._base.ending(self, reason, crash=crash, by_signal=by_signal)


def _blamed(self: Any) -> _InHand | None:
    """Return what is in hand: a state machine may have taken up an older message in this turn."""
    in_hand: _InHand | None = self._in_hand
    if in_hand is not None and isinstance(self, StateMachine):
        event = self.event_taken_up()
        if event is not None:
            return _InHand(event[1])
    return in_hand
