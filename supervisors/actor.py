"""The actor: a `pykka.Actor` that the runtime runs.

Everything of Pykka's actor works: `on_start`, `on_receive`, `on_stop`,
`on_failure`, attributes and methods through `proxy()`. New is the class attribute
`dispatch`, links, monitors, exit reasons, timers, and that an actor belongs to an
`ActorSystem`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import pykka

from supervisors.aliases import make_alias, unalias
from supervisors.errors import InvalidTypeError, NoActorError, UsageError
from supervisors.exits import Crashed
from supervisors.links import link, unlink
from supervisors.monitors import demonitor, monitor
from supervisors.runtime.bounded import MailboxPolicy
from supervisors.runtime.fence import Fenced
from supervisors.runtime.futures import ScheduledFuture
from supervisors.runtime.pykka_adapter import PYKKA_MESSAGES, perform
from supervisors.runtime.ref import ActorRef
from supervisors.runtime.signals import MonitorRef
from supervisors.runtime.turn import thread_turn

if TYPE_CHECKING:
    from supervisors.runtime.frames import Coder
    from supervisors.runtime.replies import Reply
    from supervisors.runtime.signals import AliasMode, AliasRef
    from supervisors.system import ActorSystem
    from supervisors.timers.service import Timer

__all__ = ["Actor"]

logger = logging.getLogger("supervisors.actor")


class Actor(pykka.Actor):
    """An actor that shares threads with very many others.

    Start it with `ActorSystem.start()`, or inside another actor's turn with
    `start()` or `start_link()`.

    Attributes:
        dispatch: `"shared"` (default): run by the worker pool, may block now and
            then. `"inline"`: run by whichever thread gets there first, the asking
            thread included; its handlers never block. `"pinned"`: run by a thread of
            its own, for loops that block and libraries that want their thread. In
            virtual time, where there are no threads, `"pinned"` is `"shared"`.
            `"process"`: in a process of its own, for code that must be killable; see
            `supervisors.process_actor`.
        mailbox_capacity: messages that may wait, not counting the one in hand;
            None: without a bound.
        mailbox_capacity_bytes: bytes of messages that may wait, as `message_size()` gives
            them; None: without a bound. One that is larger than that never gets in.
        mailbox_policy: what happens to one message too many. `"reject"` (default):
            an ask or `tell()` raises `MailboxFullError`. `"drop_newest"`: it is
            dropped. `"drop_oldest"`: the one that has waited longest is dropped.
            `"block"`: the sender waits for room, in `tell()`, `ask()` and `ask_async()`; it
            is `"reject"` for `ask(block=False)`, and `"drop_newest"` for `send()` and timers.
            A dropped or rejected message is a dead letter; a dropped ask ends in
            `MailboxFullError`. Exit signals, links and monitors, and a stop, always get in.
        mailbox_patience: seconds that a sender waits for room at most.
        message_coders: with `"process"`, types that travel beside msgpack's own.
        client_messages: the messages of client functions, such as `cast()` or
            `start_child()`, that actors of this class know; for behaviours.
        system_messages: those that get into a full mailbox, and are handled while the
            actor is suspended (SRV-27); `Exited` among them means the parent's. For behaviours.
        crash_on_ask_error: False (Pykka's rule): an exception in an ask goes to
            the asker only. True (OTP's): it also crashes the actor, unless it is a
            `Refusal`.
    """

    dispatch: ClassVar[str] = "shared"
    client_messages: ClassVar[frozenset[type]] = frozenset()
    system_messages: ClassVar[frozenset[type]] = frozenset()
    crash_on_ask_error: ClassVar[bool] = False
    mailbox_capacity: ClassVar[int | None] = None
    mailbox_capacity_bytes: ClassVar[int | None] = None
    mailbox_policy: ClassVar[MailboxPolicy] = "reject"
    mailbox_patience: ClassVar[float] = 5.0
    message_coders: ClassVar[tuple[Coder, ...]] = ()

    # Set by ActorSystem.bind(), so that `SomeActor.start()` knows its system.
    bound_system: ClassVar[ActorSystem | None] = None

    _actor_ref: ActorRef[Any]
    _failed_to_start = False

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        """Set up the actor; an override must call this first."""
        birth = thread_turn.birth
        if birth is None and self.bound_system is not None:
            # Pykka lets one look at an actor that nobody starts. It is dead.
            birth = self.bound_system.stillborn
        if birth is None:
            raise UsageError(f"{type(self).__name__}() makes no actor; use ActorSystem.start({type(self).__name__})")
        thread_turn.birth = None
        self._actor_ref = cast("ActorRef[Any]", birth(self))

    @staticmethod
    def message_size(message: Any) -> int:
        """Return the bytes of a message, for `mailbox_capacity_bytes`; override it for messages that are not bytes.

        Returns:
            A whole number from 0.

        Thread: the sender's, before the message is put in.
        """
        if isinstance(message, (bytes, bytearray, memoryview)):
            return memoryview(message).nbytes
        raise InvalidTypeError("message", message, "bytes, or a class that overrides message_size()")

    # -- starting ----------------------------------------------------------

    @classmethod
    def start(cls, *args: Any, start_timeout: float | None = None, **kwargs: Any) -> ActorRef[Self]:
        """Start an actor in the system of the running actor (Pykka's verb).

        A class made by `ActorSystem.bind()` can be started from anywhere.
        A failing `on_start` does not raise here (Pykka's rule); it ends the actor.

        Args:
            *args: for its constructor.
            start_timeout: seconds that its start may take; it is waited for then, and
                what goes wrong raises, as from `start_link()` (PROC-7).
            **kwargs: for its constructor.
        """
        return cls._system().spawn(cls, args, kwargs, link=False, report=False, start_timeout=start_timeout)

    @classmethod
    def start_link(cls, *args: Any, start_timeout: float | None = None, **kwargs: Any) -> ActorRef[Self]:
        """Start an actor that is linked to the running actor, its parent (PROC-1).

        Args:
            *args: for its constructor.
            start_timeout: seconds that its start may take (PROC-7); None: no limit. Also among
                the `kwargs` of a `ChildSpec`.
            **kwargs: for its constructor.

        Raises:
            StartError: it did not come up, or not in time: then the reason is `"timeout"`.
            NoActorError: no actor is running on this thread.
        """
        current = thread_turn.turn.current
        if current is None:
            raise NoActorError("start_link() links to the running actor; there is none on this thread")
        system = cast("ActorSystem", current.system) if cls.bound_system is None else cls.bound_system
        return system.spawn(cls, args, kwargs, link=True, report=True, start_timeout=start_timeout)

    @classmethod
    def start_monitor(
        cls, *args: Any, start_timeout: float | None = None, **kwargs: Any
    ) -> tuple[ActorRef[Self], MonitorRef]:
        """Start an actor that the running actor monitors from its first step on (MON-10).

        Args:
            *args: for its constructor.
            start_timeout: seconds that its start may take (PROC-7); None: no limit.
            **kwargs: for its constructor.

        Returns:
            The new actor and the monitor.

        Raises:
            StartError: it did not come up; there is no `Down` then.
            NoActorError: no actor is running on this thread.
        """
        watcher = cast("ActorRef[Any] | None", thread_turn.turn.current)
        if watcher is None:
            raise NoActorError("start_monitor() tells the running actor; there is none on this thread")
        made = MonitorRef(watcher, None)
        try:
            ref = cls._system().spawn(
                cls, args, kwargs, link=False, report=True, monitor=made, start_timeout=start_timeout
            )
        except BaseException:
            demonitor(watcher, made, flush=True)
            raise
        return ref, made

    @classmethod
    def _system(cls) -> ActorSystem:
        if cls.bound_system is not None:
            return cls.bound_system
        current = thread_turn.turn.current
        if current is None:
            raise UsageError(
                f"{cls.__name__}.start() needs to know the actor system: use system.start({cls.__name__}, ...) "
                f"or system.bind({cls.__name__})"
            )
        return cast("ActorSystem", current.system)

    # -- who and where -----------------------------------------------------

    @property
    def actor_ref(self) -> ActorRef[Self]:
        """The actor's own ref."""
        return self._actor_ref

    @property
    def system(self) -> ActorSystem:
        """The actor system this actor belongs to."""
        return cast("ActorSystem", self._actor_ref.system)

    @property
    def actor_urn(self) -> str:  # type: ignore[override]  # kept in the ref
        """The actor's URN."""
        return self._actor_ref.actor_urn

    @property
    def actor_inbox(self) -> Any:  # type: ignore[override]  # kept in the ref
        """Pykka's view of the mailbox."""
        return self._actor_ref.actor_inbox

    @property
    def actor_stopped(self) -> Any:  # type: ignore[override]  # kept in the ref
        """Pykka's view of being dead."""
        return self._actor_ref.actor_stopped

    # -- links, monitors, exits: the actor's own turn only -----------------

    def link(self, ref: ActorRef[Any]) -> None:
        """Link to another actor: when one ends abnormally, so does the other.

        Raises:
            ActorDeadError: it is dead and this actor does not trap exits (LINK-3).
        """
        self._own_turn("link")
        link(self._actor_ref, ref)

    def unlink(self, ref: ActorRef[Any], *, flush: bool = False) -> None:
        """Remove the link, if there is one; its exit signal cannot arrive any more (LINK-10).

        Args:
            ref: the other actor.
            flush: also take an `Exited` of it out of the mailbox (LINK-11).
        """
        self._own_turn("unlink")
        unlink(self._actor_ref, ref, flush=flush)

    def monitor(
        self, target: ActorRef[Any] | object, *, tag: object = None, alias: AliasMode | None = None
    ) -> MonitorRef:
        """Be told by a `Down` message when an actor, or who has a name, ends (MON-1 to MON-4).

        Args:
            target: an actor, or a name; whoever has the name now is monitored.
            tag: comes back as `Down.tag` (MON-11).
            alias: makes the monitor an alias of this actor too (ALIAS-4), until
                `"explicit_unalias"`: `unalias()`; `"demonitor"`: also until the
                monitor fires or is removed; `"reply_demonitor"`: also until the first
                message came through it, which removes the monitor.
        """
        self._own_turn("monitor")
        return monitor(self._actor_ref, target, self.system.whereis, tag=tag, alias=alias)

    def demonitor(self, monitor_ref: AliasRef, *, flush: bool = False) -> bool:
        """Remove a monitor (MON-6 to MON-8).

        Args:
            monitor_ref: what `monitor()` returned.
            flush: also take a `Down` of it out of the mailbox (MON-7).

        Returns:
            True if it was still there, False if it had fired or never was (MON-8).
        """
        self._own_turn("demonitor")
        return demonitor(self._actor_ref, monitor_ref, flush=flush)

    def alias(self, *, reply: bool = False) -> AliasRef:
        """Make an address of this actor that it can take back (ALIAS-1, ALIAS-2).

        Args:
            reply: it ends with the first message that comes through it.
        """
        self._own_turn("alias")
        return make_alias(self._actor_ref, reply=reply)

    def unalias(self, alias: AliasRef) -> bool:
        """Take an alias back, also one of a monitor; return True if it was active (ALIAS-3)."""
        self._own_turn("unalias")
        return unalias(self._actor_ref, alias)

    def trap_exit(self, trap: bool = True) -> bool:
        """Choose whether exit signals arrive as `Exited` messages; return the old choice (LINK-9)."""
        self._own_turn("trap_exit")
        ref = self._actor_ref
        ref.take()  # signals that have arrived were decided by the old choice
        old, ref.traps_exits = ref.traps_exits, bool(trap)
        return old

    def send_after(self, delay: float, message: Any) -> Timer:
        """Send a message to this actor after so many seconds (TIMER-1)."""
        return self.system.timers.send_after(delay, self._actor_ref, message)

    def start_timer(self, delay: float, message: Any) -> Timer:
        """Send a `TimedOut` with the timer and the message to this actor after so many seconds (TIMER-1)."""
        return self.system.timers.start_timer(delay, self._actor_ref, message)

    def defer_reply(self) -> Reply:
        """Leave the ask in hand unanswered; reply later with what this returns (SRV-8)."""
        self._own_turn("defer_reply")
        return self._actor_ref.defer()

    # -- what the runtime calls --------------------------------------------

    def receive_ask(self, message: Any) -> Any:
        """Handle an ask; the return value is the reply. Called by the runtime."""
        if message.__class__ in PYKKA_MESSAGES:
            return perform(self, message)
        return self.on_receive(message)

    def receive_tell(self, message: Any) -> None:
        """Handle a message that wants no reply. Called by the runtime."""
        if message.__class__ in PYKKA_MESSAGES:
            perform(self, message)
        else:
            self.on_receive(message)

    def starting(self) -> None:
        """Come up, in the actor's own turn, before any message. Called by the runtime."""
        try:
            self.on_start()
        except BaseException:
            self._failed_to_start = True
            raise

    def ending(self, reason: object, *, crash: bool, by_signal: bool) -> object:
        """Clean up, in the actor's own turn; return the final reason. Called by the runtime.

        Not called when the actor is killed (EXIT-7). What it raises becomes the
        reason (SRV-21). An actor whose `on_start` has raised never ran, so there is
        nothing to stop, and `on_stop` is not called: Pykka's rule, and OTP's for
        `terminate` (PROC-4). An error in it is a failure, so `on_failure` is called; in
        stock Pykka it is not, and who holds something by then has no chance to let go.
        """
        del by_signal
        if crash:
            error = reason.error if isinstance(reason, Crashed) else None
            if error is not None and not isinstance(error, Exception):
                # Pykka's rule for what is no Exception: no failure, but a stop.
                if not self._failed_to_start:
                    self.on_stop()
                return reason
            logger.error("Unhandled exception in %s:", self, exc_info=error)  # PROC-13
            if error is None:
                self.on_failure(None, None, None)
            else:
                self.on_failure(type(error), error, error.__traceback__)
            return reason
        if not self._failed_to_start:
            self.on_stop()
        return reason

    def ended(self) -> None:
        """Leave the last traces. Called by the runtime, after the cleanup."""

    def ask_failed(self, error: Exception) -> None:
        """Note an exception that went to the asker only. Called by the runtime."""
        logger.info("Exception returned from %s to caller:", self, exc_info=error)

    def _own_turn(self, verb: str) -> None:
        if self._actor_ref.fenced:
            raise Fenced
        if thread_turn.turn.current is not self._actor_ref:
            raise NoActorError(f"{verb}() works in the actor's own turn only; this thread runs {_who()}")

    # -- Pykka's abstract hooks --------------------------------------------

    @staticmethod
    def _create_actor_inbox() -> Any:
        raise UsageError("the ref is the inbox; there is nothing to create")

    @staticmethod
    def _create_future() -> ScheduledFuture[Any]:
        return ScheduledFuture()

    def _start_actor_loop(self) -> None:
        raise UsageError("scheduled actors have no loop of their own; use ActorSystem.start()")


def _who() -> str:
    current = thread_turn.turn.current
    return "no actor" if current is None else str(current)
