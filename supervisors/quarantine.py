"""Poison messages: what has crashed its receiver again and again is not handled any more.

A supervisor restarts an actor that a message has crashed, and whoever sent the
message sends it again: the restarts use up the supervisor's patience, and a whole
tree goes down because of one message. OTP leaves that to the programmer. Here an
actor class can be wrapped::

    ChildSpec("parser", quarantined(Parser, Quarantine(after=3)))

All incarnations of the wrapped class share the quarantine. It costs nothing for
classes that are not wrapped, and one look into a usually empty dict for those that are.

What counts is the message in hand when the actor ends abnormally by its own doing. A
message that was postponed, or whose work goes on in a later step (`Continue`), is not
in hand any more when that step fails.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast, final

from supervisors.actor import Actor
from supervisors.behaviour import Cast
from supervisors.errors import InvalidArgumentError, InvalidTypeError, Refusal
from supervisors.exits import is_abnormal
from supervisors.runtime.signals import Down, Exited

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = ["Quarantine", "Quarantined", "quarantined"]

A = TypeVar("A", bound=Actor)

_KEPT_MAX: Final = 1000


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

    Messages are the same when they are of one class and look the same (`repr`): 1,
    1.0 and True differ, and an object that shows its address is the same only as itself.

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
        self._lock = threading.Lock()  # guards _crashes while it is changed
        self._crashes: OrderedDict[Hashable, int] = OrderedDict()

    def note(self, message: Any) -> int:
        """Count a crash by a message; return how many there have been."""
        key = _key(message)
        with self._lock:
            crashes = self._crashes.pop(key, 0) + 1
            self._crashes[key] = crashes
            if len(self._crashes) > self._kept:
                self._crashes.popitem(last=False)
        return crashes

    def crashes(self, message: Any) -> int:
        """Return how often a message has crashed its receiver."""
        return self._crashes.get(_key(message), 0) if self._crashes else 0

    def holds(self, message: Any) -> bool:
        """Tell whether a message is not to be handled any more."""
        return bool(self._crashes) and self.crashes(message) >= self._after

    def release(self, message: Any) -> bool:
        """Forget the crashes of a message, so that it is handled again; False if there were none."""
        with self._lock:
            return self._crashes.pop(_key(message), None) is not None

    def __len__(self) -> int:
        """Return how many messages are remembered, also those that may still be handled."""
        return len(self._crashes)

    def __repr__(self) -> str:
        held = sum(crashes >= self._after for crashes in self._crashes.values())
        return f"<Quarantine of {held} messages, {len(self._crashes)} remembered>"


def quarantined(actor_class: type[A], quarantine: Quarantine) -> type[A]:
    """Return a subclass that refuses messages which have crashed it too often.

    An ask of such a message raises `Quarantined`; a message that nobody waits for
    becomes a dead letter. `Down` and `Exited` are always handled.

    Args:
        actor_class: any `Actor` class.
        quarantine: shared by all incarnations, and by whatever else is given it.
    """
    if not (isinstance(actor_class, type) and issubclass(actor_class, Actor)):
        raise InvalidTypeError("actor_class", actor_class, "an Actor class")
    if not isinstance(quarantine, Quarantine):
        raise InvalidTypeError("quarantine", quarantine, "a Quarantine")
    methods = {
        "quarantine": quarantine,
        "receive_ask": _receive_ask,
        "receive_tell": _receive_tell,
        "ending": _ending,
        "_in_hand": None,
        "_base": actor_class,
        "__module__": actor_class.__module__,
        "__doc__": actor_class.__doc__,
    }
    return cast("type[A]", type(actor_class.__name__, (actor_class,), methods))


def _receive_ask(self: Any, message: Any) -> Any:
    quarantine: Quarantine = self.quarantine
    if quarantine.holds(message):
        raise Quarantined(quarantine.crashes(message))
    self._in_hand = (message,)
    reply = self._base.receive_ask(self, message)
    self._in_hand = None
    return reply


def _receive_tell(self: Any, message: Any) -> None:
    quarantine: Quarantine = self.quarantine
    told = message.message if isinstance(message, Cast) else message
    if isinstance(told, (Down, Exited)):
        self._in_hand = None
        self._base.receive_tell(self, message)
        return
    if quarantine.holds(told):
        self.system.dead_letter(self.actor_ref, told)
        return
    self._in_hand = (told,)
    self._base.receive_tell(self, message)
    self._in_hand = None


def _ending(self: Any, reason: object, *, crash: bool, by_signal: bool) -> object:
    in_hand, self._in_hand = self._in_hand, None
    if in_hand is not None and is_abnormal(reason) and not by_signal:
        self.quarantine.note(in_hand[0])
    return self._base.ending(self, reason, crash=crash, by_signal=by_signal)


def _key(message: Any) -> Hashable:
    try:
        shown = repr(message)
    except Exception:  # noqa: BLE001 - whatever a message does when it is looked at
        return (type(message), id(message))
    return (type(message), hashlib.sha256(shown.encode("utf-8", "backslashreplace")).digest())
