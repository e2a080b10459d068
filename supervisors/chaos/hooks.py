"""What disturbed actors ask before a message, a turn, a start and a cleanup: does something go wrong now?

Called on whatever threads the actors run on. Slow things wait here on an event that
heals them all, so that the end of an experiment ends them at once.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final, final

from supervisors.runtime.fence import refuse_fenced
from supervisors.runtime.signals import Ask
from supervisors.runtime.turn import hand_over, thread_turn
from supervisors.simulation.disturbances import is_stop
from supervisors.simulation.faults import InjectedFaultError
from supervisors.simulation.wrapping import Wrapping, nothing

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisors.chaos.agenda import Agenda
    from supervisors.chaos.laid import Laid, LaidFaults
    from supervisors.clock import Clock
    from supervisors.runtime.futures import ScheduledFuture
    from supervisors.runtime.ref import ActorRef

__all__ = ["Hooks"]

_BEFORE: Final = ("slow_turn", "hang", "crash_before")
_AFTER: Final = ("slow_reply", "crash_after")
_TIMER_THREAD: Final = "supervisors-timers"


@final
class Hooks:
    """The moments at which laid faults happen.

    Args:
        laid: what waits.
        agenda: what is held back is delivered by its thread.
        clock: real time.
        struck: told of each fault that happens.

    Attributes:
        healed: set when faults are over; ends whatever waits here.
    """

    def __init__(self, laid: LaidFaults, agenda: Agenda, clock: Clock, struck: Callable[[Laid], None]) -> None:
        self.laid = laid
        self.healed = threading.Event()
        self._agenda = agenda
        self._clock = clock
        self._struck = struck
        self._lock = threading.Lock()  # guards the next four; nothing is called while it is held
        self._held: dict[tuple[Any, ActorRef[Any]], deque[Callable[[], None]]] = {}
        self._unanswered: list[tuple[ScheduledFuture[Any], str]] = []
        self._storms: dict[int, tuple[int, Laid]] = {}
        self._split: tuple[int, Laid, float] | None = None
        self._pause_until = 0.0  # clock seconds; written by the agenda's thread, read by all

    @property
    def is_quiet(self) -> bool:
        """Whether no message can be disturbed now."""
        return not (self.laid or self._held or self._split)

    # -- messages ----------------------------------------------------------

    def of_message(self, ref: ActorRef[Any], item: Any, deliver: Callable[[], None]) -> bool:
        """Decide whether a message is lost or comes later; True: the sender must not put it in.

        Args:
            ref: the receiver.
            item: the message, or the `Ask`.
            deliver: puts it into the mailbox, from any thread.
        """
        if self.healed.is_set() and not self._held:
            return False
        sender = thread_turn.turn.current
        key = (sender if sender is not None else threading.get_ident(), ref)
        with self._lock:
            held = self._held.get(key)
            if held is not None:
                held.append(deliver)  # what one sends another stays in order
                return True
        if self._is_cut_off(ref, item, sender, key, deliver):
            return True
        if sender is None and threading.current_thread().name == _TIMER_THREAD:
            return self._of_timer(ref, key, deliver)
        take = self.laid.take
        if sender is not None and not sender.ending and (laid := take(sender, ("crash_inside",))) is not None:
            self._struck(laid)
            raise InjectedFaultError(laid.kind)
        if (laid := take(ref, ("drop_message",))) is not None:
            self._struck(laid)
            self.forget(item, laid.kind)
            return True
        if item.__class__ is not Ask and (laid := take(ref, ("duplicate_message",))) is not None:
            self._struck(laid)
            deliver()
        if (laid := take(ref, ("delay_message",))) is not None:
            self._struck(laid)
            self._hold(key, deliver, laid.seconds)
            return True
        return False

    def forget(self, item: Any, kind: str) -> None:
        """Note an ask that nobody will answer: when faults are over, it ends with an error."""
        if item.__class__ is Ask:
            with self._lock:
                self._unanswered.append((item.reply_to, kind))

    def split(self, laid: Laid, until: float) -> bool:
        """Part the actors in two groups; False when they are parted already."""
        with self._lock:
            if self._split is not None:
                return False
            self._split = (int(laid.occasion.whom * 2**53), laid, until)
        return True

    def pause(self, until: float) -> None:
        """Let no turn begin before a moment, clock seconds."""
        self._pause_until = until

    def stand_still(self) -> None:
        """Wait until turns may begin; at once, unless there is a pause."""
        while (left := self._pause_until - self._clock.monotonic()) > 0 and not self.healed.is_set():
            self.healed.wait(left)
            refuse_fenced()

    @property
    def is_pausing(self) -> bool:
        """Whether there has been a pause, and may be one now."""
        return self._pause_until > 0.0

    def join(self) -> None:
        """Let the groups hear each other again."""
        with self._lock:
            self._split = None

    def _is_cut_off(self, ref: ActorRef[Any], item: Any, sender: Any, key: Any, deliver: Callable[[], None]) -> bool:
        split = self._split
        if split is None or sender is None:
            return False
        sides, laid, until = split
        if _side(sides, sender.id) == _side(sides, ref.id):
            return False
        if laid.kind == "netsplit":
            self.forget(item, laid.kind)
        else:
            self._hold(key, deliver, max(until - self._clock.monotonic(), 0.0))
        return True

    def _of_timer(self, ref: ActorRef[Any], key: Any, deliver: Callable[[], None]) -> bool:
        if (laid := self.laid.take(ref, ("timer_lost",))) is not None:
            self._struck(laid)
            return True
        if (laid := self.laid.take(ref, ("timer_late",))) is None:
            return False
        self._struck(laid)
        self._hold((laid, key), deliver, laid.seconds)  # other timers of the actor go on
        return True

    def _hold(self, key: Any, deliver: Callable[[], None], seconds: float) -> None:
        with self._lock:
            held = self._held.get(key)
            if held is not None:
                held.append(deliver)
                return
            self._held[key] = deque((deliver,))
        self._agenda.at(self._clock.monotonic() + seconds, lambda: self._release(key), undoes=True)

    def _release(self, key: Any) -> None:
        # Whoever sends meanwhile still joins the queue, so that nobody overtakes.
        turn = thread_turn.turn
        while True:
            with self._lock:
                held = self._held.get(key)
                if not held:
                    self._held.pop(key, None)
                    return
                deliver = held.popleft()
            deliver()
            hand_over(turn)

    # -- an actor's own code -----------------------------------------------

    def of_turn(self, ref: ActorRef[Any], item: Any) -> Wrapping | None:
        """Return what happens around a turn; None: it goes as usual."""
        if is_stop(item):
            return None
        early = [laid for kind in _BEFORE if (laid := self.laid.take(ref, (kind,))) is not None]
        late = [laid for kind in _AFTER if (laid := self.laid.take(ref, (kind,))) is not None]
        if not early and not late:
            return None
        return (lambda: self._do(early)), (lambda: self._do(late))

    def loses_reply(self, ref: ActorRef[Any], ask: Ask) -> bool:
        """Decide whether the reply to an ask gets lost."""
        laid = None if is_stop(ask) else self.laid.take(ref, ("lose_reply",))
        if laid is None:
            return False
        self._struck(laid)
        self.forget(ask, laid.kind)
        return True

    def puts_back(self, ref: ActorRef[Any]) -> bool:
        """Decide whether a message is to come after all those that wait already."""
        laid = self.laid.take(ref, ("reorder_message",))
        if laid is not None:
            self._struck(laid)
        return laid is not None

    def refuses(self, ref: ActorRef[Any]) -> bool:
        """Decide whether a bounded mailbox has no room."""
        laid = self.laid.take(ref, ("mailbox_full",))
        if laid is not None:
            self._struck(laid)
        return laid is not None

    def of_init(self, ref: ActorRef[Any]) -> bool:
        """Decide whether an actor's constructor has failed."""
        laid = self.laid.take_start(ref, ("crash_in_init",))
        if laid is not None:
            self._struck(laid)
        return laid is not None

    def of_start(self, ref: ActorRef[Any]) -> Wrapping | None:
        """Return what happens around a start; None: it goes as usual."""
        early = [self.laid.take_start(ref, (kind,)) for kind in ("slow_start", "crash_in_start")]
        happens = [laid for laid in early if laid is not None]
        storm = self._storm_over(ref)
        if not happens and storm is None:
            return None

        def before() -> None:
            self._do(happens)
            if storm is not None:
                raise InjectedFaultError(storm.kind)

        return before, nothing

    def of_cleanup(self, ref: ActorRef[Any]) -> Wrapping | None:
        """Return what happens around a cleanup; None: it goes as usual."""
        slow, crash = (self.laid.take(ref, (kind,)) for kind in ("slow_cleanup", "crash_in_cleanup"))
        if slow is None and crash is None:
            return None
        return (
            (lambda: self._do([] if slow is None else [slow])),
            (lambda: self._do([] if crash is None else [crash])),
        )

    def raise_storm(self, parent: ActorRef[Any], starts: int, laid: Laid) -> None:
        """Have so many starts under a parent crash."""
        with self._lock:
            self._storms[parent.id] = (starts, laid)

    def _storm_over(self, ref: ActorRef[Any]) -> Laid | None:
        parent = ref.parent
        if parent is None or parent.id not in self._storms:
            return None
        with self._lock:
            left, laid = self._storms.pop(parent.id, (0, None))
            if left > 1 and laid is not None:
                self._storms[parent.id] = (left - 1, laid)
        return laid

    def _do(self, faults: list[Laid]) -> None:
        for laid in faults:
            if self.healed.is_set():
                return
            self._struck(laid)
            if laid.kind == "hang":
                self.healed.wait(None if laid.occasion.fault.seconds is None else laid.seconds)
                refuse_fenced()
            elif laid.kind.startswith("slow_"):
                self.healed.wait(laid.seconds)
                refuse_fenced()
            else:
                raise InjectedFaultError(laid.kind)

    # -- the end -----------------------------------------------------------

    def heal(self) -> None:
        """End everything that waits here, but for messages held back: the agenda delivers those."""
        self.healed.set()
        self._pause_until = 0.0
        with self._lock:
            self._storms.clear()
            self._split = None
            unanswered, self._unanswered = self._unanswered, []
        for future, kind in unanswered:
            future.offer(error=InjectedFaultError(kind))


def _side(sides: int, number: int) -> int:
    return sides >> (number * 7 % 53) & 1
