"""How the audit actor looks after a log on disk.

It seals a log that is too old or too large, packs what was sealed, reads the
entries again and compares them with what was written, and signs silence. What
takes long is done in small steps, each a message of the actor to itself, so that
events never wait for it.
"""

from __future__ import annotations

import logging
from collections.abc import Generator
from typing import TYPE_CHECKING, Final

from sessionactors.audit.archives import pack, to_be_packed
from sessionactors.audit.errors import AuditDamagedError, AuditError
from sessionactors.audit.patrol import patrol
from sessionactors.effects import Audit
from sessionactors.flusher import Flusher

if TYPE_CHECKING:
    from sessionactors.audit.service import AuditLedger
    from sessionactors.surroundings import Surroundings
    from supervisors.timers.service import Timer

__all__ = ["CHECK", "IDLE", "STEP", "SWEEP", "LogKeeper"]

logger = logging.getLogger("sessionactors.audit")

SWEEP: Final = "sweep"
"""Message of the audit actor to itself: seal the log if that is due, pack what was sealed."""
CHECK: Final = "check"
"""Begin to read all entries again."""
IDLE: Final = "idle"
"""Sign a head if nothing was written for long."""
STEP: Final = "step"
"""Go on with what is done in steps."""

_ALIVE: Final = Audit("lifecycle", "log_alive", "debug")
"""Entry over which a head is signed when there is nothing else to say."""


class LogKeeper(Flusher):
    """The part of the audit actor that looks after a log on disk.

    Args:
        ledger: log and queue, which an earlier audit actor may have left.
        around: the system around it.
    """

    def __init__(self, ledger: AuditLedger, around: Surroundings) -> None:
        super().__init__(around.timers)
        self.ledger = ledger
        self._now = around.now
        self._ticks: dict[str, Timer] = {}
        # What is done step by step: packing what was sealed, or reading what was written.
        self._chore: Generator[None, None, None] | None = None
        self._is_checking = False
        self._is_seal_hindered = False
        self._wrote_at = around.now()
        self._size = ledger.log.size

    def on_start(self) -> None:
        """See that what waits is written, and that a log on disk is looked after."""
        super().on_start()
        settings = self.ledger.settings
        if self.ledger.log.directory is not None:
            self._tick(SWEEP, settings.sweep_interval)
            self._tick(CHECK, settings.verify_interval)
            self._tick(IDLE, settings.idle_head_interval)
            self._pack_more()

    def ended(self) -> None:
        """Leave no timer and no open file behind."""
        super().ended()
        for timer in self._ticks.values():
            timer.cancel()
        self._drop_chore()

    def wrote(self, size: int) -> None:
        """Note that the log has so many entries."""
        if size != self._size:
            self._size = size
            self._wrote_at = self._now()
            limit = self.ledger.settings.max_events
            if limit is not None and size >= limit and not self._is_seal_hindered:
                self._actor_ref.send(SWEEP)

    def look_after(self, message: object) -> bool:
        """Do what a message of this actor to itself wants; return whether it was one."""
        if message == STEP:
            self._step()
        elif message == SWEEP:
            self._sweep()
        elif message == CHECK:
            self._check()
        elif message == IDLE:
            self._idle()
        else:
            return False
        return True

    def _sweep(self) -> None:
        ledger = self.ledger
        self._tick(SWEEP, ledger.settings.sweep_interval)
        if self.is_failing:
            return
        if self._is_checking:
            self._drop_chore()  # it reads the log, which keeps it from being sealed
        try:
            ledger.sweep()
        except AuditError:
            self._is_seal_hindered = True
            logger.exception("the audit log cannot be sealed; the next sweep tries again")
        else:
            self._is_seal_hindered = False
        self._size = ledger.log.size
        self._pack_more()

    def _check(self) -> None:
        ledger = self.ledger
        self._tick(CHECK, ledger.settings.verify_interval)
        directory = ledger.log.directory
        if self._chore is None and directory is not None and not ledger.log.is_closed:
            self._is_checking = True
            self._begin(patrol(directory, ledger.log.head()))

    def _idle(self) -> None:
        interval = self.ledger.settings.idle_head_interval or 0.0
        quiet = self._now() - self._wrote_at
        # An event that waits is no silence; and behind a full queue nobody may wait here.
        if quiet >= interval and not self.is_failing and not len(self.ledger.intake):
            self.ledger.intake.put((self._now(), None, _ALIVE, None, "audit"))
            self.flush()
            quiet = 0.0
        self._tick(IDLE, max(interval - quiet, 0.0) or interval)

    def _step(self) -> None:
        """Go on with what is done step by step."""
        if self._chore is None:
            return
        try:
            next(self._chore)
        except StopIteration:
            self.ledger.checks += self._is_checking
            self._drop_chore()
            self._pack_more()
        except AuditError as error:
            was_checking = self._is_checking
            self._drop_chore()
            logger.exception("looking after the audit log failed")
            if was_checking and isinstance(error, AuditDamagedError):
                self._accuse(error)
        else:
            self._actor_ref.send(STEP)

    def _accuse(self, error: AuditDamagedError) -> None:
        ledger = self.ledger
        ledger.checks += 1
        ledger.failed_checks += 1
        if len(ledger.intake) < ledger.intake.queue_max:
            event = Audit("security", "verification_failed", "critical", {"problem": str(error)})
            ledger.intake.put((self._now(), None, event, None, "audit"))

    def _pack_more(self) -> None:
        directory = self.ledger.log.directory
        if self._chore is not None or directory is None:
            return
        try:
            waiting = to_be_packed(directory)
        except AuditError:
            logger.exception("the audit archive cannot be read; the next sweep tries again")
            return
        if waiting:
            self._begin(pack(waiting[0]))

    def _begin(self, chore: Generator[None, None, None]) -> None:
        self._chore = chore
        self._actor_ref.send(STEP)

    def _drop_chore(self) -> None:
        chore, self._chore = self._chore, None
        self._is_checking = False
        if chore is not None:
            chore.close()  # closes what it has open, now and not when the memory is cleaned up

    def _tick(self, message: str, delay: float | None) -> None:
        """Send this message to itself after so many seconds, in place of the one before."""
        before = self._ticks.pop(message, None)
        if before is not None:
            before.cancel()
        if delay is not None:
            self._ticks[message] = self._timers.send_after(delay, self._actor_ref, message)
