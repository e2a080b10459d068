"""What an actor system is doing right now, as text for people."""

from __future__ import annotations

import signal
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

from supervisors.errors import InvalidArgumentError, InvalidTypeError, UsageError
from supervisors.runtime.turn import all_turns
from supervisors.runtime.watchdog import Watchdog, stack_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

__all__ = ["dump", "dump_on_signal"]


MAILBOXES_SHOWN: Final = 20
"""Mailboxes in a dump that nobody has asked for in person."""


def dump(system: Any, longest: int, watchdog: Watchdog | None) -> str:
    """Describe busy actors with their stacks, waits-for edges and mailboxes.

    Args:
        system: the actor system.
        longest: mailboxes to show.
        watchdog: knows how long turns and messages take; None: nobody does.
    """
    return "\n".join(_lines(system, longest, watchdog)) + "\n"


def dump_on_signal(
    system: Any, watchdog: Watchdog | None, number: int | None, write: Callable[[str], object] | None
) -> Callable[[], None]:
    """See `ActorSystem.dump_on_signal()`."""
    if write is not None and not callable(write):
        raise InvalidTypeError("write", write, "a function of the text, or None")
    chosen = getattr(signal, "SIGUSR1", None) if number is None else number
    if isinstance(chosen, bool) or not isinstance(chosen, int):
        raise InvalidTypeError("number", number, "the number of a signal, or None for SIGUSR1 where there is one")
    if chosen not in signal.valid_signals():
        raise InvalidArgumentError("number", number, "one of signal.valid_signals()")
    if threading.current_thread() is not threading.main_thread():
        raise UsageError("signals are handled in the main thread alone; call dump_on_signal() there")
    tell = sys.stderr.write if write is None else write

    def show() -> None:
        tell(dump(system, MAILBOXES_SHOWN, watchdog))

    shows = _shows.get(chosen)
    if shows is None or signal.getsignal(chosen) is not shows.on_signal:
        shows = _Shows()
        try:
            shows.before = signal.signal(chosen, shows.on_signal)
        except OSError as error:
            raise InvalidArgumentError("number", number, "a signal that can be handled") from error
        _shows[chosen] = shows
    shows.of.append(show)

    def end() -> None:
        if show in shows.of:
            shows.of.remove(show)
            if not shows.of and signal.getsignal(chosen) is shows.on_signal:
                signal.signal(chosen, shows.before)

    return end


class _Shows:
    """What one signal shows: the dumps of all systems that have asked for it."""

    def __init__(self) -> None:
        self.of: list[Callable[[], None]] = []
        self.before: Any = signal.SIG_DFL
        self.on_signal: Callable[[int, FrameType | None], None] = self._start  # one and the same object each time

    def _start(self, _number: int, _frame: FrameType | None) -> None:
        for show in tuple(self.of):
            threading.Thread(target=show, name="supervisors-dump", daemon=True).start()


_shows: Final[dict[int, _Shows]] = {}
"""By signal; the main thread's alone, where signals are handled."""


def _lines(system: Any, longest: int, watchdog: Watchdog | None) -> Iterator[str]:
    yield repr(system)
    yield repr(system.scheduler)
    for name, count in system.statistics().items():
        yield f"  {name}: {count}"
    actors = system.actors()
    yield "busy:"
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    frames = sys._current_frames()  # noqa: SLF001 - there is no public way
    busy = 0
    for turn in all_turns():
        ref = turn.current
        if ref is None or ref.system is not system:
            continue
        busy += 1
        in_hand = 0.0 if watchdog is None else watchdog.in_hand(turn.thread_id, ref)
        yield (
            f"  {ref} on {names.get(turn.thread_id, turn.thread_id)}, {ref.messages_handled} messages handled"
            + (f", at this one for at least {in_hand:.3f} s" if in_hand else "")
        )
        frame = frames.get(turn.thread_id)
        if frame is not None:
            yield from ("    " + line for line in stack_of(frame).splitlines())
    if not busy:
        yield "  nobody"
    yield "waiting for a reply:"
    edges = [(ref, ref.waits_for) for ref in actors]
    waiting = [f"  {ref} waits for {target}" for ref, target in edges if target is not None]
    yield from waiting or ["  nobody"]
    yield "longest mailboxes:"
    lengths = ((ref.mailbox_length, ref) for ref in actors)
    full = sorted((each for each in lengths if each[0]), key=lambda each: -each[0])[:longest]
    for length, ref in full:
        age = 0.0 if watchdog is None else watchdog.age_of(ref)
        yield f"  {length} in that of {ref}" + (f", the oldest for at least {age:.3f} s" if age else "")
    if not full:
        yield "  all are empty"
    if watchdog is not None:
        watchdog.follow(ref for _, ref in full)  # so that the next dump knows their ages
