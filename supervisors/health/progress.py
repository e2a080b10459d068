"""Who is alive but does not work: a pure decision.

An actor makes progress when it has handled a message since the last look, when
nothing waits for it, or when it is another actor than before. An actor for which
something waits, the message in hand included, and which has not made progress for
as long as its watch allows, is stuck. So is a name that nobody has had for that long.

A look sees only what is there at that moment: an actor that was idle in between has
handled something, so it counts as progress as well. What is stuck is found at the
first look after its time is up; look a few times within the shortest time allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, final

__all__ = ["Judgement", "Mark", "Reading", "Stuck", "Watch", "judge"]


@final
@dataclass(frozen=True, slots=True)
class Watch:
    """What is expected of an actor.

    Attributes:
        within: seconds within which it makes progress while something waits for it.
        restart: kill it when it does not, so that its supervisor starts another one.
    """

    within: float
    restart: bool = False


class Reading(NamedTuple):
    """What was seen of an actor.

    Attributes:
        actor: its number; None when nobody has the name.
        handled: messages that it has handled.
        waiting: messages that wait, the one in hand included.
    """

    actor: int | None
    handled: int
    waiting: int


class Mark(NamedTuple):
    """What is remembered of an actor between two looks.

    Attributes:
        actor: its number; None when nobody had the name.
        handled: messages that it had handled.
        since: monotonic seconds of the look that saw its last progress.
        is_killed: it has been told to end.
    """

    actor: int | None
    handled: int
    since: float
    is_killed: bool = False


@final
@dataclass(frozen=True, slots=True)
class Stuck:
    """An actor that is alive and does not work, or is not there.

    Attributes:
        label: which watch found it.
        seconds: how long it has not made progress, as far as was seen.
        waiting: messages that wait, the one in hand included.
        is_absent: nobody has the name.
    """

    label: str
    seconds: float
    waiting: int
    is_absent: bool = False

    def __str__(self) -> str:
        if self.is_absent:
            return f"{self.label} has not been there for {self.seconds:.1f} s"
        return f"{self.label} has made no progress for {self.seconds:.1f} s; {self.waiting} messages wait"


class Judgement(NamedTuple):
    """What follows from a look.

    Attributes:
        marks: to be handed to the next judgement.
        stuck: who does not work now, in the order of the watches.
        kill: labels of those to be killed, each actor once.
    """

    marks: Mapping[str, Mark]
    stuck: tuple[Stuck, ...]
    kill: tuple[str, ...]


def judge(
    watches: Mapping[str, Watch], marks: Mapping[str, Mark], readings: Mapping[str, Reading], now: float
) -> Judgement:
    """Decide who is stuck.

    Args:
        watches: by label.
        marks: of the last judgement; empty at first.
        readings: what was seen, by label; a watch without one is looked at next time.
        now: monotonic seconds.
    """
    new: dict[str, Mark] = {}
    stuck: list[Stuck] = []
    kill: list[str] = []
    for label, watch in watches.items():
        reading = readings.get(label)
        if reading is None:
            continue
        before = marks.get(label)
        if before is None or _has_progressed(before, reading):
            new[label] = Mark(reading.actor, reading.handled, now)
            continue
        lasted = now - before.since
        is_killed = before.is_killed
        if lasted >= watch.within:
            stuck.append(Stuck(label, lasted, reading.waiting, is_absent=reading.actor is None))
            if watch.restart and not is_killed and reading.actor is not None:
                kill.append(label)
                is_killed = True
        new[label] = Mark(before.actor, before.handled, before.since, is_killed)
    return Judgement(new, tuple(stuck), tuple(kill))


def _has_progressed(before: Mark, reading: Reading) -> bool:
    if reading.actor != before.actor:
        # Also from somebody to nobody: the time of the absence begins here.
        return True
    return reading.actor is not None and (reading.handled != before.handled or not reading.waiting)
