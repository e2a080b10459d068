"""Performs faults: what happens to messages on their way, to turns, and between two steps.

`FaultPlan` says whether a fault fires; here it is done and noted in the transcript.
Each kind can be found under its name. A fault that finds nobody whom it could hit is
taken back, so that what is recorded has happened.
"""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, cast, final

from supervisors.clock import VirtualClock
from supervisors.runtime.cell import TICKET
from supervisors.runtime.fence import refuse_fenced
from supervisors.runtime.futures import ScheduledFuture
from supervisors.runtime.pykka_adapter import StopMessage
from supervisors.runtime.signals import Ask, Signal
from supervisors.runtime.turn import thread_turn
from supervisors.simulation.faults import DELAY_MAX, InjectedFaultError
from supervisors.simulation.transcript import label_of, message_in_words
from supervisors.simulation.wrapping import nothing
from supervisors.supervision.performer import SupervisorActor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from supervisors.runtime.cell import Cell
    from supervisors.runtime.ref import ActorRef
    from supervisors.simulation.faults import FaultPlan
    from supervisors.simulation.refs import Mailbox
    from supervisors.simulation.scheduler import SimulatedScheduler
    from supervisors.simulation.wrapping import Wrapping
    from supervisors.system import ActorSystem

__all__ = ["Disturbances", "Poison", "is_stop"]

HANG_SECONDS: Final = 3600.0
JUMP_MAX: Final = 3600.0
STORM_MAX: Final = 8


@final
class Poison:
    """A message that no actor knows."""

    __slots__ = ()


@final
class Disturbances:
    """What goes wrong in one run.

    Args:
        scheduler: of the simulated system.
        system: whose actors are hit.
        faults: the dice.
        spare: tells whether an actor is to be left alone.
    """

    __slots__ = (
        "_between",
        "_dead",
        "_faults",
        "_held",
        "_over",
        "_scheduler",
        "_side",
        "_spare",
        "_storms",
        "_system",
        "_turns",
    )

    def __init__(
        self,
        scheduler: SimulatedScheduler,
        system: ActorSystem,
        faults: FaultPlan,
        spare: Callable[[ActorRef[Any]], bool],
    ) -> None:
        self._scheduler = scheduler
        self._system = system
        self._faults = faults
        self._spare = spare
        self._held: dict[tuple[int, ...], deque[Any]] = {}
        self._storms: dict[int, int] = {}  # number of a parent -> starts under it that still crash
        self._side: tuple[int, bool] | None = None  # which group each actor is in, and whether messages are lost
        self._over: ScheduledFuture[None] | None = None
        self._dead: Cell | None = None  # on whose behalf somebody sends now
        between: dict[str, Callable[[], bool]] = {
            "pause": self._pause,
            "clock_jump": self._jump_clock,
            "kill": lambda: self._kill("kill", self._victims()),
            "kill_waiting": lambda: self._kill("kill_waiting", self._waiting()),
            "kill_supervisor": lambda: self._kill("kill_supervisor", self._supervisors()),
            "exit_signal": self._send_exit,
            "poison_message": self._send_poison,
            "restart_storm": self._raise_storm,
            "registry_loss": self._lose_name,
            "timer_early": self._hurry_timer,
            "partition": lambda: self._split("partition", loses=False),
            "netsplit": lambda: self._split("netsplit", loses=True),
        }
        self._between = [(kind, do) for kind, do in between.items() if kind in faults.armed]
        self._turns = bool(
            faults.armed & {"slow_turn", "hang", "crash_before", "crash_after", "slow_reply", "lose_reply"}
        )

    # -- a message on its way ----------------------------------------------

    def crash_sender(self, item: Any) -> None:
        """Have a handler fail at the point where it sends a message, or not."""
        sender = thread_turn.turn.current
        # A cleanup is no handler: crash_in_cleanup is for those.
        if sender is None or sender.ending or isinstance(item, Signal) or item is TICKET or is_stop(item):
            return  # signals are the runtime's own; it does not raise half way through
        if not self._spare(cast("ActorRef[Any]", sender)) and self._faults.fires("crash_inside"):
            self._fail(label_of(sender), "crash_inside")

    def intercepts(self, mailbox: Mailbox, item: Any) -> bool:
        """Decide whether a message is lost, or held back; True: it must not go in now."""
        faults = self._faults
        sender = self._dead if self._dead is not None else thread_turn.turn.current
        if sender is None:
            return self._scheduler.is_firing and self._disturbs_timer(mailbox, item)
        key = (sender.id, mailbox.ref.id)
        held = self._held.get(key)
        if held is not None:
            held.append(item)  # what one actor sends another stays in order
            return True
        if self._side is not None and self._is_cut_off(mailbox, item, sender):
            return True
        if isinstance(item, Signal) or item is TICKET or is_stop(item):
            return False
        if faults.fires("drop_message"):
            self._note(mailbox.label, f"drop_message {message_in_words(item)} of {label_of(sender)}")
            return True
        if item.__class__ is not Ask and faults.fires("duplicate_message"):
            self._note(mailbox.label, f"duplicate_message {message_in_words(item)} of {label_of(sender)}")
            list.append(mailbox, item)
        if faults.fires("delay_message"):
            seconds = faults.delay("delay_message")
            self._note(mailbox.label, f"delay_message of {label_of(sender)}, {seconds:.6f} s")
            self._hold(key, mailbox, item, seconds)
            return True
        if faults.fires("reorder_message"):
            if mailbox:
                self._note(mailbox.label, f"reorder_message {message_in_words(item)} of {label_of(sender)}")
                mailbox.insert(0, item)
                return True
            faults.missed()
        return False

    @contextmanager
    def on_behalf_of(self, ref: Cell) -> Iterator[None]:
        """Take for the sender an actor that has ended: whoever has killed it sends what it still owes.

        What is held back on its way from one actor to another must not be overtaken by the
        news of its end.
        """
        before, self._dead = self._dead, ref
        try:
            yield
        finally:
            self._dead = before

    def refuses(self, mailbox: Mailbox) -> bool:
        """Decide whether a bounded mailbox has no room for a message."""
        if self._spare(mailbox.ref) or not self._faults.fires("mailbox_full"):
            return False
        self._note(mailbox.label, "mailbox_full")
        return True

    def _disturbs_timer(self, mailbox: Mailbox, item: Any) -> bool:
        faults = self._faults
        if faults.fires("timer_lost"):
            self._note(mailbox.label, f"timer_lost {message_in_words(item)}")
            return True
        if not faults.fires("timer_late"):
            return False
        seconds = faults.delay("timer_late")
        self._note(mailbox.label, f"timer_late, {seconds:.6f} s")
        self._hold((0, mailbox.ref.id, self._scheduler.fired), mailbox, item, seconds)
        return True

    def _is_cut_off(self, mailbox: Mailbox, item: Any, sender: Cell) -> bool:
        assert self._side is not None
        sides, loses = self._side
        if _side(sides, sender.id) == _side(sides, mailbox.ref.id):
            return False
        if loses:
            # Signals stay: the runtime's own tables cannot be right without them.
            if isinstance(item, Signal) or item is TICKET or is_stop(item):
                return False
            self._scheduler.note(mailbox.label, f"loses {message_in_words(item)} of {label_of(sender)}")
            return True
        self._held[(sender.id, mailbox.ref.id)] = deque((mailbox, item))
        return True

    def _hold(self, key: Any, mailbox: Mailbox, item: Any, seconds: float) -> None:
        self._held[key] = deque((mailbox, item))
        self._scheduler.later(seconds, lambda: self._release(key))

    def _release(self, key: Any) -> None:
        held = self._held.pop(key, None)
        if held is None:
            return
        mailbox: Mailbox = held.popleft()
        for item in held:
            list.append(mailbox, item)
        ref = mailbox.ref
        ref._urgent = True  # noqa: SLF001 - as after every signal
        ref.look_again()

    # -- an actor's own code -----------------------------------------------

    def of_init(self, ref: ActorRef[Any]) -> bool:
        """Decide whether an actor's constructor has failed."""
        if self._spare(ref) or not self._faults.fires("crash_in_init"):
            return False
        self._note(label_of(ref), "crash_in_init")
        return True

    def of_start(self, ref: ActorRef[Any]) -> Wrapping | None:
        """Throw the dice of a start; None: it goes as usual."""
        faults = self._faults
        if self._spare(ref):
            return None
        parent = ref.parent
        storm = 0 if parent is None else self._storms.get(parent.id, 0)
        if storm:
            assert parent is not None
            self._storms[parent.id] = storm - 1
        late = faults.delay("slow_start") if faults.fires("slow_start") else 0.0
        crashes = faults.fires("crash_in_start")
        if not (late or crashes or storm):
            return None
        label = label_of(ref)

        def before() -> None:
            if late:
                self._sleep(label, "slow_start", late)
            if crashes:
                self._fail(label, "crash_in_start")
            if storm:
                self._scheduler.note(label, "crashes in a restart_storm")
                raise InjectedFaultError("restart_storm")

        return before, nothing

    def of_turn(self, ref: ActorRef[Any]) -> Wrapping | None:
        """Throw the dice of a turn; None: it goes as usual."""
        if not self._turns or self._spare(ref):
            return None
        faults = self._faults
        pause = faults.delay("slow_turn") if faults.fires("slow_turn") else 0.0
        hangs, before_it = faults.fires("hang"), faults.fires("crash_before")
        late = faults.delay("slow_reply") if faults.fires("slow_reply") else 0.0
        after_it = faults.fires("crash_after")
        if not (pause or hangs or before_it or late or after_it):
            return None
        label = label_of(ref)

        def before() -> None:
            if pause:
                self._sleep(label, "slow_turn", pause)
            if hangs:
                self._note(label, "hang")
                self._over = over = self._over or ScheduledFuture()
                self._scheduler.wait(over, HANG_SECONDS)
                refuse_fenced()
            if before_it:
                self._fail(label, "crash_before")

        def after() -> None:
            if late:
                self._sleep(label, "slow_reply", late)
            if after_it:
                self._fail(label, "crash_after")

        return before, after

    def loses_reply(self, ref: ActorRef[Any]) -> bool:
        """Decide whether the reply to an ask gets lost."""
        if not self._turns or self._spare(ref) or not self._faults.fires("lose_reply"):
            return False
        self._note(label_of(ref), "lose_reply")
        return True

    def of_cleanup(self, ref: ActorRef[Any]) -> Wrapping | None:
        """Throw the dice of a cleanup; None: it goes as usual."""
        faults = self._faults
        if self._spare(ref):
            return None
        late = faults.delay("slow_cleanup") if faults.fires("slow_cleanup") else 0.0
        crashes = faults.fires("crash_in_cleanup")
        if not (late or crashes):
            return None
        label = label_of(ref)

        def before() -> None:
            if late:
                self._sleep(label, "slow_cleanup", late)

        def after() -> None:
            if crashes:
                self._fail(label, "crash_in_cleanup")

        return before, after

    # -- between two steps -------------------------------------------------

    def between_steps(self) -> None:
        """Throw the dice that lie between two steps."""
        faults = self._faults
        for kind, do in self._between:
            if faults.fires(kind) and not do():
                faults.missed()

    def calm(self) -> None:
        """Let nothing go wrong from now on; what has been held back is delivered."""
        self._faults.active = False
        self._side = None
        for key in list(self._held):
            self._release(key)
        if self._over is not None:
            self._over.offer()

    def _victims(self) -> list[ActorRef[Any]]:
        return [ref for ref in self._system.actors() if not self._spare(ref)]

    def _waiting(self) -> list[ActorRef[Any]]:
        waiting = [cast("ActorRef[Any]", ref) for ref in self._scheduler.waiting_refs()]
        return [ref for ref in waiting if ref.is_alive() and not self._spare(ref)]

    def _supervisors(self) -> list[ActorRef[Any]]:
        return [ref for ref in self._victims() if issubclass(ref.actor_class, SupervisorActor)]

    def _pick(self, kind: str, among: list[Any]) -> Any:
        return among[int(self._faults.draw(kind) * len(among))] if among else None

    def _pause(self) -> bool:
        seconds = self._faults.delay("pause")
        self._note("simulation", f"pause, {seconds:.6f} s")
        clock = self._clock()
        clock.move_to(clock.monotonic() + seconds)
        return True

    def _jump_clock(self) -> bool:
        seconds = (self._faults.draw("clock_jump") * 2.0 - 1.0) * JUMP_MAX
        self._note("simulation", f"clock_jump, {seconds:.6f} s")
        self._clock().jump_wall(seconds)
        return True

    def _kill(self, kind: str, among: list[ActorRef[Any]]) -> bool:
        victim = self._pick(kind, among)
        if victim is None:
            return False
        self._note(label_of(victim), kind)
        victim.kill()
        return True

    def _send_exit(self) -> bool:
        victim = self._pick("exit_signal", self._victims())
        if victim is None:
            return False
        self._note(label_of(victim), "exit_signal")
        victim.exit("exit_signal")
        return True

    def _send_poison(self) -> bool:
        victim = self._pick("poison_message", self._victims())
        if victim is None:
            return False
        self._note(label_of(victim), "poison_message")
        victim.send(Poison())
        return True

    def _raise_storm(self) -> bool:
        victim = self._pick("restart_storm", [ref for ref in self._victims() if ref.parent is not None])
        if victim is None:
            return False
        starts = 1 + int(self._faults.draw("restart_storm") * STORM_MAX)
        self._note(label_of(victim), f"restart_storm, {starts} starts")
        self._storms[victim.parent.id] = starts
        victim.kill()
        return True

    def _lose_name(self) -> bool:
        registry = self._system.registry
        owned = [(name, registry.whereis(name)) for name in registry.names()]
        lost = self._pick("registry_loss", [each for each in owned if each[1] and not self._spare(each[1])])
        if lost is None:
            return False
        self._note(label_of(lost[1]), "registry_loss")
        registry.unregister(lost[0])
        return True

    def _hurry_timer(self) -> bool:
        timers, now = self._system.timers, self._clock().monotonic()
        due = timers.next_deadline()
        if due is None or not now < due <= now + DELAY_MAX:
            return False
        self._note("simulation", f"timer_early, {due - now:.6f} s")
        return timers.fire_early()

    def _split(self, kind: str, *, loses: bool) -> bool:
        if self._side is not None:
            return False
        seconds = DELAY_MAX if loses else self._faults.delay(kind)
        self._side = (int(self._faults.draw(kind) * 2**53), loses)
        self._note("simulation", f"{kind}, {seconds:.6f} s")
        self._scheduler.later(seconds, self._heal)
        return True

    def _heal(self) -> None:
        if self._side is None:
            return
        sides, self._side = self._side[0], None
        self._scheduler.note("simulation", "the groups hear each other again")
        for key in [key for key in self._held if len(key) == 2 and _side(sides, key[0]) != _side(sides, key[1])]:
            self._release(key)

    # -- parts -------------------------------------------------------------

    def _clock(self) -> VirtualClock:
        clock = self._system.clock
        assert isinstance(clock, VirtualClock)
        return clock

    def _note(self, who: str, fault: str) -> None:
        self._scheduler.note(who, "FAULT " + fault)

    def _sleep(self, label: str, kind: str, seconds: float) -> None:
        self._note(label, f"{kind}, {seconds:.6f} s")
        self._scheduler.sleep(seconds)
        refuse_fenced()

    def _fail(self, label: str, kind: str) -> None:
        self._note(label, kind)
        raise InjectedFaultError(kind)


def _side(sides: int, number: int) -> int:
    return sides >> (number * 7 % 53) & 1


def is_stop(item: Any) -> bool:
    """Tell whether a message is the order to stop, which nothing may hold up."""
    return item.__class__ is Ask and item.message.__class__ is StopMessage
