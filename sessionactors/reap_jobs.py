"""The reaper's work: sessions are looked at, a batch a turn, and those that have to go end.

A session judges itself: it gets a policy, and either ends, with its reason in the log,
or answers when it could have to go at the earliest. So whatever happens to it before
that turn counts. Only a custom filter runs in the reaper's own turn, after the session
has described itself, and then the session goes only if it was not used meanwhile.

Inline sessions are asked one after the other, which is as good as a function call. Any
other has a thread of its own to wait for, and may hang: all of a batch are asked at
once, and the reaper goes on when the last has answered or the time is up. Who has not
answered by then keeps the question, is asked no second time, and may still answer it.
It is killed if it has to go for sure: by the policy `all`, because it was judged already,
or because it has not had a turn for longer than the policy's limit. All others are left
alone until the next sweep: who cannot be asked cannot be judged either.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

from sessionactors.effects import Audit
from sessionactors.errors import SessionTerminated
from sessionactors.expiry import SessionEntry
from sessionactors.reap_entry import REAPED
from sessionactors.session_messages import PEEK, Reaping
from sessionactors.surroundings import ISOLATION, RATE_LIMITER, REAPER
from supervisors.runtime.cell import INLINE
from supervisors.runtime.futures import refuse_cycle
from supervisors.runtime.outcomes import ActorDeadError, AskTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessionactors.expiry import ReapPolicy
    from sessionactors.reaper_ledger import ReaperLedger
    from sessionactors.surroundings import Surroundings
    from supervisors.runtime.futures import ScheduledFuture
    from supervisors.runtime.ref import ActorRef
    from supervisors.runtime.replies import Reply
    from supervisors.timers.service import Timer

__all__ = ["ANSWERED", "CONTINUE", "LATE", "Candidates", "Job", "ReapJobs"]

logger = logging.getLogger("sessionactors.reaper")

CONTINUE: Final = "continue"
"""Message to the reaper: look at the next batch."""
ANSWERED: Final = "answered"
"""First half of the message to the reaper that a session that was asked has answered, or died."""
LATE: Final = "late"
"""First half of the message to the reaper that the time to answer is up for a batch."""

Candidates: TypeAlias = "list[tuple[str, ActorRef[Any]]]"


@final
class Job:
    """Sessions that are looked at, a batch a turn.

    Attributes:
        candidates: those that are left, the next one last.
        policy: which of them go; None is a sweep, by the policy in force.
        reply: who is told how many have ended, or None.
        ended: how many have so far.
    """

    __slots__ = ("candidates", "ended", "policy", "reply")

    def __init__(self, candidates: Candidates, policy: ReapPolicy | None, reply: Reply | None) -> None:
        self.candidates = candidates
        self.policy = policy
        self.reply = reply
        self.ended = 0


@final
class _Question:
    """What a session was asked that is not run by the reaper itself.

    Attributes:
        session_id: whose answer it is.
        message: `PEEK` or a `Reaping`.
        policy: by which it is judged.
        answer: what it will answer.
        asked_at: monotonic seconds.
    """

    __slots__ = ("answer", "asked_at", "message", "policy", "session_id")

    def __init__(
        self, session_id: str, message: object, policy: ReapPolicy, answer: ScheduledFuture[Any], asked_at: float
    ) -> None:
        self.session_id = session_id
        self.message = message
        self.policy = policy
        self.answer = answer
        self.asked_at = asked_at


@final
class ReapJobs:
    """What is being worked at: sweeps and manual reaps, in order.

    Args:
        ledger: settings and counts.
        around: the system around the reaper.
        reaper: whose turns the work is done in.
        keep: takes the earliest monotonic moment at which a session could have to go, its id and its ref.
        swept: called when a sweep is complete.

    Attributes:
        sweep: the sweep that is being worked at, or None.
        has_reported: whether the custom filter has been reported for raising.

    Thread: the reaper's own turn.
    """

    __slots__ = (
        "_around",
        "_jobs",
        "_keep",
        "_ledger",
        "_number",
        "_open",
        "_overdue",
        "_reaper",
        "_swept",
        "_timer",
        "has_reported",
        "sweep",
    )

    def __init__(
        self,
        ledger: ReaperLedger,
        around: Surroundings,
        reaper: ActorRef[Any],
        keep: Callable[[float, str, ActorRef[Any]], None],
        swept: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._around = around
        self._reaper = reaper
        self._keep = keep
        self._swept = swept
        self._jobs: deque[Job] = deque()
        # Those of the batch in hand that have not answered yet, and those that missed their time.
        self._open: dict[ActorRef[Any], _Question] = {}
        self._overdue: dict[ActorRef[Any], _Question] = {}
        self._timer: Timer | None = None
        self._number = 0  # tells the timer of this batch from one that is in the mailbox already
        self.sweep: Job | None = None
        self.has_reported = False

    def take_on(self, job: Job) -> bool:
        """Begin with a job, or do so when those before it are done; True if it is done already."""
        self._jobs.append(job)
        if job.policy is None:
            self.sweep = job
        if len(self._jobs) == 1:
            self.go_on()  # otherwise the message for it is on its way
        return job not in self._jobs

    def close(self) -> None:
        """Leave no timer behind; who waits is answered by the runtime."""
        if self._timer is not None:
            self._timer.cancel()

    def go_on(self) -> None:
        """Look at one batch, and leave the rest to another turn: others may ask meanwhile."""
        if not self._jobs or self._open:
            return
        job = self._jobs[0]
        size = self._ledger.settings.batch_size
        batch = job.candidates[-size:]
        del job.candidates[-size:]
        batch.reverse()
        self._look_at(batch, job)
        if not self._open:
            self._finish_batch(job)
            return
        self._number += 1
        due = self._around.now() + self._ledger.settings.termination_timeout
        self._timer = self._around.timers.send_at(due, self._reaper, (LATE, self._number))

    def heard(self, ref: ActorRef[Any]) -> None:
        """Take the answer of a session that was not asked in the reaper's own turn."""
        question = self._open.pop(ref, None)
        if question is None:
            question = self._overdue.pop(ref, None)
            if question is not None:  # the batch is over, and the session was kept
                self._settle(question, ref, None)
            return
        job = self._jobs[0]
        self._settle(question, ref, job)
        if not self._open:
            self.close()
            self._finish_batch(job)

    def time_is_up(self, number: int) -> None:
        """Go on without those that have not answered."""
        if number != self._number or not self._open:
            return
        job = self._jobs[0]
        missing, self._open = self._open, {}
        for ref, question in missing.items():
            if question.answer.is_done():
                self._settle(question, ref, job)
            else:
                self._overdue[ref] = question
                self._do_without(question, ref, job)
        self._finish_batch(job)

    def _finish_batch(self, job: Job) -> None:
        if not job.candidates:
            self._jobs.popleft()
            if job is self.sweep:
                self.sweep = None
                self._swept()
            if job.reply is not None:
                job.reply.set(job.ended)
        if self._jobs:
            # Not a message to itself: this thread would go on at once and hold the
            # interpreter until it is taken away, five milliseconds at a time. The
            # timer comes from another thread, and whoever has waited goes first.
            self._around.timers.send_at(self._around.now(), self._reaper, CONTINUE)

    # -- one batch -----------------------------------------------------------------

    def _look_at(self, batch: Candidates, job: Job) -> None:
        ledger = self._ledger
        policy = job.policy or ledger.policy
        live = self._around.directory.get
        message = PEEK if policy.name == "custom" else Reaping(policy)
        patience = ledger.settings.termination_timeout
        ended = 0
        for session_id, ref in batch:
            if live(session_id) is not ref:
                continue  # it has ended
            try:
                if policy.name == "orphaned" and ref.is_alive():
                    self._spare(session_id, ref, self._around.now(), job)
                elif ref.dispatch == INLINE:
                    answer = ref.ask(message, timeout=patience)
                    if answer is None:  # as for most of them
                        ended += 1
                    else:
                        self._judge(answer, session_id, ref, policy, job)
                else:
                    self._send(message, session_id, ref, policy, job)
            except Exception as error:  # noqa: BLE001 - whatever it is, the other sessions have their turn
                self._unheard(error, session_id, ref, policy, job, is_judged=policy.name == "all")
        ledger.count_ends(ended)
        job.ended += ended

    def _send(self, message: object, session_id: str, ref: ActorRef[Any], policy: ReapPolicy, job: Job) -> None:
        """Ask a session that others run, unless it has not answered the last question yet."""
        question = self._overdue.get(ref)
        if question is not None:
            self._do_without(question, ref, job)
            return
        refuse_cycle(self._reaper, ref)  # it waits for us, for example because it has asked for this
        answer = ref.ask(message, block=False)
        self._open[ref] = _Question(session_id, message, policy, answer, self._around.now())
        answer.when_done(lambda: self._reaper.send((ANSWERED, ref)))

    def _settle(self, question: _Question, ref: ActorRef[Any], job: Job | None) -> None:
        """Take an answer that is there."""
        message, session_id, policy = question.message, question.session_id, question.policy
        try:
            self._judge(question.answer.get(timeout=0), session_id, ref, policy, job)
        except Exception as error:  # noqa: BLE001 - as in _look_at()
            is_judged = isinstance(message, Reaping) and message.seen is not None
            self._unheard(error, session_id, ref, policy, job, is_judged=is_judged)

    def _judge(self, answer: Any, session_id: str, ref: ActorRef[Any], policy: ReapPolicy, job: Job | None) -> None:
        """Take note of what a session has answered."""
        if answer is None:
            self._ledger.count_ends(1)
            if job is not None:
                job.ended += 1
        elif job is None:
            pass  # it was kept when its time was up
        elif isinstance(answer, SessionEntry):
            self._filter(answer, ref, policy, job)
        else:
            self._spare(session_id, ref, answer, job)

    def _filter(self, entry: SessionEntry, ref: ActorRef[Any], policy: ReapPolicy, job: Job) -> None:
        """Have a custom filter judge a session that has described itself."""
        selection = policy.select((entry,))
        for fault in selection.faults[: 0 if self.has_reported else 1]:
            self.has_reported = True
            logger.error("the reaper's filter raised, which keeps the session", exc_info=fault.error)
        if not selection.picked:
            self._spare(entry.id, ref, self._around.now(), job)
            return
        reaping = Reaping(policy, entry.last_accessed)
        if ref.dispatch != INLINE:
            self._send(reaping, entry.id, ref, policy, job)
            return
        try:
            answer = ref.ask(reaping, timeout=self._ledger.settings.termination_timeout)
        except Exception as error:  # noqa: BLE001 - as in _look_at()
            self._unheard(error, entry.id, ref, policy, job, is_judged=True)
        else:
            self._judge(answer, entry.id, ref, policy, job)

    def _spare(self, session_id: str, ref: ActorRef[Any], moment: float, job: Job) -> None:
        """Let a session go on; whoever is looked at in a sweep is looked at in another one."""
        if job is self.sweep:
            self._keep(moment, session_id, ref)

    # -- those that do not answer ----------------------------------------------------

    def _unheard(
        self,
        error: Exception,
        session_id: str,
        ref: ActorRef[Any],
        policy: ReapPolicy,
        job: Job | None,
        *,
        is_judged: bool,
    ) -> None:
        """Take note that a session has given an error for an answer."""
        if isinstance(error, SessionTerminated):
            return  # somebody else was faster
        if isinstance(error, ActorDeadError):
            if job is not None and policy.name in ("orphaned", "all") and not ref.is_alive():
                self._bury(session_id, ref, policy, job)
            return
        if job is None:
            return
        if is_judged and isinstance(error, AskTimeoutError):
            self._force(session_id, ref, policy, job)
            return
        logger.warning("%s does not answer the reaper, and is asked again at the next sweep: %s", ref, error)
        self._spare(session_id, ref, self._around.now(), job)

    def _do_without(self, question: _Question, ref: ActorRef[Any], job: Job) -> None:
        """Kill a session that has not had a turn for too long, or leave it alone until the next sweep."""
        policy, message = question.policy, question.message
        is_judged = policy.name == "all" or (isinstance(message, Reaping) and message.seen is not None)
        now = self._around.now()
        waited = now - question.asked_at
        if is_judged or (policy.name == "idle_timeout" and waited > policy.idle_threshold):
            del self._overdue[ref]
            self._force(question.session_id, ref, policy, job)
            return
        logger.warning("%s has not answered the reaper for %.3g s, and is left alone", ref, waited)
        self._spare(question.session_id, ref, now, job)

    def _force(self, session_id: str, ref: ActorRef[Any], policy: ReapPolicy, job: Job) -> None:
        """End a session that has to go and does not."""
        self._audit(session_id, {"policy": policy.name, "forced": True})
        self._delete(session_id)
        ref.kill()
        self._ledger.count_ends(1)
        job.ended += 1

    def _bury(self, session_id: str, ref: ActorRef[Any], policy: ReapPolicy, job: Job) -> None:
        """Clear up after a session that died without doing so itself."""
        if self._around.directory.remove(session_id, ref):
            self._audit(session_id, {"policy": policy.name, "orphaned": True})
            self._delete(session_id)
            for name in (ISOLATION, RATE_LIMITER):
                self._around.send(name, ("forget", session_id))
            self._ledger.count_ends(1)
            job.ended += 1

    def _delete(self, session_id: str) -> None:
        """See that the session does not come back from the store; it cannot do that itself any more."""
        saves = self._around.saves
        if saves is not None:
            saves.delete(session_id)

    def _audit(self, session_id: str, facts: Mapping[str, object]) -> None:
        event = Audit("lifecycle", REAPED, "info", facts)
        self._around.audit.put((self._around.now(), session_id, event, None, REAPER))
