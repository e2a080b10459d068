"""A session against a small model of its life, under any sequence of operations, timers, verdicts and restarts.

The machine plays the session actor: it keeps the one timer and delivers it when
time passes, brings stale timers and late verdicts, and restarts the session from
its snapshot in a process whose clock starts anew.
"""

from __future__ import annotations

from itertools import pairwise
from math import inf

import hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sessionactors.effects import Notify, Refuse, Terminate, Transition, Verdict, Verify, Wake
from sessionactors.errors import SessionRefusal
from sessionactors.lifecycle import (
    ACTIVATE,
    AUTHENTICATE,
    DEACTIVATE,
    FORCE_RESUME,
    FORCE_SUSPEND,
    FORCE_TERMINATE,
    INIT_SESSION,
    LOAD,
    LOCK,
    OVERRIDE_QUOTA,
    PERSIST,
    RESUME,
    SET_QUOTA,
    SUSPEND,
    TERMINATE,
    TOUCH,
    UNLOCK,
    UPDATE_RESOURCES,
    VERDICT,
    WAKE,
    Override,
    decide,
    start,
)
from sessionactors.session_data import SessionData, check_quota, deadline, history
from sessionactors.settings import Quota, SessionOptions
from sessionactors.snapshots import restore, snapshot
from sessionactors.states import ACTIVE, AUTH, EDGES, IDLE, NEW, STATES, SUSPENDED, TERMINATED
from tests.sessionactors.session_factory import all_of

durations = st.sampled_from([1.5, 5.0, 5.25, 30.0, 300.0])
maybe = st.one_of(st.none(), durations)
limits = st.sampled_from([None, None, 0, 1, 3, 8])
quotas = st.builds(Quota, limits, limits, limits)
session_options = st.builds(
    SessionOptions,
    idle_timeout=maybe,
    auth_timeout=durations,
    suspend_timeout=st.sampled_from([None, None, 30.0, 300.0]),
    absolute_timeout=st.sampled_from([None, None, None, 60.0, 5000.0]),
    max_auth_attempts=st.integers(1, 3),
    strict_authentication=st.booleans(),
    auth_required=st.booleans(),
    locked_out=st.sampled_from([False, False, False, True]),
    resume_allowed=st.booleans(),
    persistent=st.booleans(),
    max_history_size=st.integers(0, 4),
    quota=quotas,
)
ADMIN = Override("root")

# What leads where when nothing stands in the way.
STEPS = {
    (NEW, AUTHENTICATE): AUTH,
    (AUTH, AUTHENTICATE): AUTH,
    (ACTIVE, DEACTIVATE): IDLE,
    (ACTIVE, SUSPEND): SUSPENDED,
    (ACTIVE, FORCE_SUSPEND): SUSPENDED,
    (IDLE, RESUME): ACTIVE,
    (IDLE, FORCE_RESUME): ACTIVE,
    (IDLE, SUSPEND): SUSPENDED,
    (IDLE, FORCE_SUSPEND): SUSPENDED,
    (SUSPENDED, RESUME): ACTIVE,
    (SUSPENDED, FORCE_RESUME): ACTIVE,
}
TOUCHING = {AUTHENTICATE, DEACTIVATE, RESUME, FORCE_RESUME}


class Model:
    """What the specification says, in as few words as possible."""

    def __init__(self, options, now):
        self.options = options
        self.state = NEW
        self.created = self.entered = self.activity = now

    def enter(self, state, at, *, touch=False):
        self.state, self.entered = state, at
        if touch:
            self.activity = at

    def due(self):
        options = self.options
        own = {
            AUTH: lambda: self.entered + options.auth_timeout,
            ACTIVE: lambda: max(self.entered, self.activity) + (options.idle_timeout or inf),
            IDLE: lambda: max(self.entered, self.activity) + (options.idle_timeout or inf),
            SUSPENDED: lambda: self.entered + (options.suspend_timeout or inf),
        }.get(self.state, lambda: inf)()
        absolute = self.created + (options.absolute_timeout or inf)
        return (inf, None) if self.state == TERMINATED else min((absolute, TERMINATED), (own, self.after()))

    def after(self):
        return {ACTIVE: IDLE, IDLE: SUSPENDED}.get(self.state, TERMINATED)

    def pass_time(self, until):
        while (due := self.due())[0] <= until:
            self.enter(due[1], due[0])


class SessionMachine(RuleBasedStateMachine):
    @initialize(options=session_options, pre_authenticated=st.booleans(), active=st.sampled_from([True, True, False]))
    def begin(self, options, pre_authenticated, active):
        self.start(options, pre_authenticated, active)

    @precondition(lambda self: self.model.state == TERMINATED)
    @rule(options=session_options, pre_authenticated=st.booleans(), active=st.sampled_from([True, True, False]))
    def begin_again(self, options, pre_authenticated, active):
        self.start(options, pre_authenticated, active)

    def start(self, options, pre_authenticated, active):
        self.now = 1000.0
        self.wall = 1_700_000_000.0
        self.timer = None
        self.stale = [1.0]
        self.question = None
        self.told = []
        self.data = SessionData("s-1", options, self.now, self.wall - self.now)
        self.model = Model(options, self.now)
        self.perform(start(self.data))
        if pre_authenticated:
            self.ask(INIT_SESSION, {"pre_authenticated": True})
        if active and not self.data.locked:
            self.log_in()

    # -- the actor's part ------------------------------------------------------

    def perform(self, effects, came_from=None):
        moved = [effect for effect in effects if isinstance(effect, Transition)]
        for effect in effects:
            if isinstance(effect, Wake):
                if self.timer is not None:
                    self.stale.append(self.timer)
                self.timer = effect.at
            elif isinstance(effect, Notify):
                self.told.append(effect.event)
            elif isinstance(effect, Terminate):
                self.timer = None
            elif isinstance(effect, Verify):
                self.question = effect
        if came_from is not None:
            self.check_shape(effects, came_from, moved)
        return effects

    def check_shape(self, effects, came_from, moved):
        # Every change of state is exactly one transition along an edge, and nothing else is.
        assert [(each.from_state, each.to_state) for each in moved] == (
            [(came_from, self.data.state)] if came_from != self.data.state else []
        )
        assert all(each.to_state in EDGES[each.from_state] for each in moved)
        # There is one answer, one timer and one end.
        assert sum(isinstance(effect, Wake) for effect in effects) <= 1
        assert [index for index, effect in enumerate(effects) if isinstance(effect, Refuse)] in ([], [len(effects) - 1])
        ended = any(isinstance(effect, Terminate) for effect in effects)
        assert ended == (self.data.state == TERMINATED and came_from != TERMINATED)

    def ask(self, operation, argument=None):
        """Ask as a client does; return the code of the refusal, or None."""
        before, came_from = all_of(self.data), self.data.state
        try:
            effects = decide(self.data, operation, self.now, argument)
        except SessionRefusal as refusal:
            assert all_of(self.data) == before
            assert (came_from == TERMINATED) == (refusal.code == "session_terminated")  # noqa: PT017 - not to be refused is fine too
            return refusal.code
        self.perform(effects, came_from)
        return effects[-1].error.code if effects and isinstance(effects[-1], Refuse) else None

    def fire(self, at):
        came_from = self.data.state
        self.timer = None
        self.perform(decide(self.data, WAKE, self.now, at), came_from)

    # -- what clients do -------------------------------------------------------

    @precondition(lambda self: self.model.state in (NEW, AUTH) and not self.data.locked)
    @rule()
    def log_in(self):
        """Go the usual way to active, so that most runs get somewhere."""
        if self.ask(AUTHENTICATE, {"password": "x"}) is None:
            assert self.ask(ACTIVATE, lambda _: True) is None
            self.model.enter(ACTIVE, self.now, touch=True)
        elif self.data.state == TERMINATED:
            self.model.enter(TERMINATED, self.now)

    @precondition(lambda self: self.model.state in (ACTIVE, IDLE))
    @rule()
    def turn(self):
        self.go_round(DEACTIVATE if self.model.state == ACTIVE else RESUME)

    @precondition(lambda self: self.model.state not in (NEW, AUTH))
    @rule(operation=st.sampled_from([DEACTIVATE, SUSPEND, RESUME, RESUME, FORCE_SUSPEND, FORCE_RESUME]))
    def go_round(self, operation):
        state = self.model.state
        code = self.ask(operation, ADMIN if operation.startswith("force") else None)
        if state == SUSPENDED and operation == RESUME and not self.model.options.resume_allowed:
            assert code == "resume_blocked"
        elif (state, operation) in STEPS:
            assert code is None
            self.model.enter(STEPS[state, operation], self.now, touch=operation in TOUCHING)
        else:
            assert code == ("session_terminated" if state == TERMINATED else "invalid_transition")

    @precondition(lambda self: self.model.state in (NEW, AUTH, TERMINATED))
    @rule()
    def authenticate(self):
        state, attempts = self.model.state, self.data.auth_attempts
        code = self.ask(AUTHENTICATE, {"password": "x"})
        if state not in (NEW, AUTH):
            assert code in ("invalid_transition", "session_terminated")
        elif code is None:
            assert self.data.auth_attempts == attempts + 1
            self.model.activity = self.now
            if state == NEW:
                self.model.enter(AUTH, self.now)
        elif code == "max_attempts":
            assert attempts >= self.model.options.max_auth_attempts
            self.model.enter(TERMINATED, self.now)
        else:
            assert code in ("auth_blocked", "authentication_pending")

    @precondition(lambda self: self.model.state in (NEW, AUTH, IDLE))
    @rule(answer=st.sampled_from([True, False, "maybe", None]), quick=st.booleans())
    def activate(self, answer, quick):
        state = self.model.state
        code = self.ask(ACTIVATE, (lambda _: answer) if quick else None)
        self.follow_activation(state, code)

    def follow_activation(self, state, code):
        if self.data.state == ACTIVE and state in (NEW, AUTH):
            assert code is None
            assert not self.data.locked
            self.model.enter(ACTIVE, self.now, touch=True)
        elif code in ("max_attempts", "authentication_failed") and self.data.state == TERMINATED:
            assert state == AUTH
            self.model.enter(TERMINATED, self.now)
        elif state == NEW:
            assert code in ("auth_blocked", "not_authenticated")
        elif state != AUTH:
            assert code in ("invalid_transition", "session_terminated")

    @precondition(lambda self: self.question is not None)
    @rule(accepted=st.booleans(), failure=st.sampled_from([None, None, "deadline"]), keep=st.booleans())
    def hear_verdict(self, accepted, failure, keep):
        state = self.model.state
        is_awaited = self.data.verifying and self.data.question is self.question
        before = all_of(self.data)
        code = self.ask(VERDICT, Verdict(self.question, accepted, failure=failure))
        if not is_awaited:
            assert all_of(self.data) == before
        elif not accepted or failure:
            assert code in ("authentication_failed", "max_attempts")
        if is_awaited:
            self.follow_activation(state, code)
        if not keep:
            self.question = None

    @precondition(lambda self: self.model.state not in (NEW, AUTH, TERMINATED))
    @rule(deltas=st.tuples(st.integers(-2, 4), st.integers(-3, 4), st.integers(-5, 10), st.integers(-1, 9)))
    def use(self, deltas):
        state, quota = self.model.state, self.data.quota
        used = (self.data.requests, self.data.connections)
        code = self.ask(UPDATE_RESOURCES, deltas)
        if code is None:
            assert state == ACTIVE
            self.model.activity = self.now
            for before, after, limit in zip(
                used,
                (self.data.requests, self.data.connections),
                (quota.max_requests, quota.max_connections),
                strict=True,
            ):
                assert after >= 0
                assert limit is None or after <= max(limit, before)
        elif state == ACTIVE:
            assert code in ("quota_exceeded", "invalid_value")
            assert (self.data.requests, self.data.connections) == used

    @precondition(lambda self: self.model.state == ACTIVE)
    @rule(quota=quotas, override=st.booleans())
    def set_quota(self, quota, override):
        code = self.ask(OVERRIDE_QUOTA, ADMIN._replace(quota=quota)) if override else self.ask(SET_QUOTA, quota)
        assert (code is None) == (self.model.state != TERMINATED)
        if code is None:
            assert self.data.quota == quota

    @precondition(lambda self: self.model.state != TERMINATED)
    @rule()
    def touch(self):
        if self.ask(TOUCH) is None:
            self.model.activity = self.now

    @precondition(lambda self: self.model.state != TERMINATED)
    @rule(operation=st.sampled_from([LOCK, UNLOCK, UNLOCK, PERSIST]))
    def look_after(self, operation):
        activity = self.data.last_activity
        self.ask(operation, ADMIN)
        assert self.data.last_activity == activity

    @precondition(lambda self: self.data.transitions > 8)
    @rule(operation=st.sampled_from([TERMINATE, FORCE_TERMINATE]))
    def terminate(self, operation):
        code = self.ask(operation, ADMIN if operation == FORCE_TERMINATE else None)
        assert code == ("session_terminated" if self.model.state == TERMINATED else None)
        self.model.enter(TERMINATED, self.now)

    # -- what happens by itself ------------------------------------------------

    @precondition(lambda self: self.model.state != TERMINATED)
    @rule(seconds=st.sampled_from([0.0, 0.25, 0.25, 1.0, 4.0, 4.0, 30.0, 299.0, 300.0, 700.0]))
    def pass_time(self, seconds):
        until = self.now + seconds
        while self.timer is not None and self.timer <= until:
            self.now = max(self.now, self.timer)
            self.fire(self.timer)
        self.now = until
        self.model.pass_time(until)

    @precondition(lambda self: len(self.stale) > 1)
    @rule()
    def deliver_a_stale_timer(self):
        before = all_of(self.data)
        for at in self.stale:
            if at != self.timer:
                assert decide(self.data, WAKE, self.now, at) == ()
        assert all_of(self.data) == before

    @precondition(lambda self: self.model.state != TERMINATED)
    @rule(slept=st.sampled_from([0.0, 10.0, 1000.0, -1000.0]), epoch=st.sampled_from([0.0, 5e6]))
    def restart(self, slept, epoch):
        wall = self.now + self.data.wall_offset
        saved = snapshot(self.data, self.now, wall)
        restored = restore(saved, epoch, wall + slept)
        shift = epoch - max(slept, 0.0) - self.now
        data = SessionData("s-1", self.data.options, epoch)
        start(data)
        self.data, self.now = data, epoch
        self.timer, self.stale, self.question, self.told = None, [1.0], None, []
        self.perform(decide(data, LOAD, epoch, restored))
        model = self.model
        model.created, model.entered, model.activity = (
            data.created_at,
            model.entered + shift,
            data.last_activity,
        )
        if model.state == AUTH:
            model.state = NEW
        elif model.state == ACTIVE:
            model.enter(IDLE, data.last_activity)
        model.entered = data.state_entered_at
        self.fire_what_ran_out()

    def fire_what_ran_out(self):
        """A timer that ran out in the store fires at once, one state after the other."""
        while self.timer is not None and self.timer <= self.now:
            came_from = self.data.state
            self.fire(self.timer)
            if self.data.state != came_from:
                self.model.enter(self.data.state, self.now)

    # -- what always holds -----------------------------------------------------

    @invariant()
    def the_model_agrees(self):
        assert self.data.state == self.model.state
        if self.data.state != TERMINATED:
            assert self.data.state_entered_at == self.model.entered
            assert self.data.last_activity == self.model.activity

    @invariant()
    def there_is_one_timer_at_most_and_it_is_never_too_late(self):
        data = self.data
        assert data.state in STATES
        # Infinite beside a timer that is set: that one will be ignored.
        assert data.wake_at in (inf, self.timer)
        assert data.wake_at <= deadline(data) or data.state == TERMINATED
        assert data.state != TERMINATED or self.timer is None
        assert deadline(data) > self.now

    @invariant()
    def attempts_and_credentials_are_bounded(self):
        data = self.data
        assert 0 <= data.auth_attempts <= data.options.max_auth_attempts
        assert data.question is None or data.state == AUTH
        assert not data.verifying or data.question is not None
        assert (data.suspend_reason is not None) == (data.state == SUSPENDED)

    @invariant()
    def use_is_never_negative_and_its_check_tells_the_headroom(self):
        data = self.data
        assert min(data.requests, data.connections, data.bytes, data.largest_message) >= 0
        assert check_quota(data).has_quota == (not check_quota(data).exceeded)

    @invariant()
    def the_history_is_a_bounded_chain_in_time(self):
        entries = history(self.data)
        assert len(entries) <= self.data.options.max_history_size
        for earlier, later in pairwise(entries):
            assert earlier.to_state == later.from_state
            assert earlier.timestamp <= later.timestamp
        if entries:
            assert entries[-1].to_state == self.data.state
        elif self.data.options.max_history_size:
            assert self.data.state == NEW

    @invariant()
    def the_end_is_told_once_and_last(self):
        if self.data.state == TERMINATED:
            assert self.told.index("session_terminated") == len(self.told) - 1
        else:
            assert "session_terminated" not in self.told


TestSession = SessionMachine.TestCase
# Many rules and six states: fewer runs would leave corners unseen that it exists for.
TestSession.settings = hypothesis.settings(max_examples=max(200, hypothesis.settings().max_examples))
