"""The limiter as a whole, through its actor, against exact fractions."""

from __future__ import annotations

import os
from collections import deque
from decimal import Decimal
from fractions import Fraction

import hypothesis
from hypothesis import given
from hypothesis import strategies as st

from sessionactors import SessionSystem
from sessionactors.limits.waiting_line import PRIORITIES, Request
from supervisors.clock import VirtualClock
from tests.sessionactors.session_world import kill

NANO = 10**9

# `make properties` tries at least 10,000 sequences of these; they are short and cheap.
SEQUENCES = 10_000 if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else 50


class ExactLimiter:
    """Buckets in fractions; the time is in whole nanoseconds."""

    def __init__(self, capacity, rate, shared=None):
        self.default = (Fraction(capacity), exact(rate))
        self.buckets = {}
        self.shared = None if shared is None else [Fraction(shared[0]), exact(shared[1]), Fraction(shared[0]), 0]

    def bucket(self, name, at):
        known = self.buckets.setdefault(name, [*self.default, self.default[0], at])
        refill(known, at)
        return known

    def together(self, name, at):
        found = [self.bucket(name, at)]
        if self.shared is not None and name[1] == "requests":
            refill(self.shared, at)
            found.append(self.shared)
        return found

    def check(self, name, cost, at):
        found = self.together(name, at)
        if all(each[2] >= cost for each in found):
            for each in found:
                each[2] -= cost
            return True
        return False

    def record(self, name, cost, at):
        for each in self.together(name, at):
            each[2] -= cost

    def set_quota(self, name, capacity, rate, at):
        known = self.bucket(name, at)
        if known[2] > 0:
            known[2] = known[2] * capacity / known[0]
        known[0], known[1] = Fraction(capacity), exact(rate)


def exact(rate):
    return Fraction(Decimal(repr(rate)))


def refill(bucket, at):
    capacity, rate, tokens, since = bucket
    bucket[2:] = [min(capacity, tokens + rate * Fraction(at - since, NANO)), at]


rates = st.integers(1, 50_000).map(lambda thousandths: thousandths / 1000)
capacities = st.sampled_from([1, 2, 5, 10, 64, 1000])  # scaling between them is exact in our units
costs = st.one_of(st.integers(1, 20), st.integers(1, 1 << 8).map(lambda parts: parts / 16))
names = st.tuples(st.sampled_from("ab"), st.sampled_from(["requests", "bytes"]))
actions = st.one_of(
    st.tuples(st.just("check"), names, costs),
    st.tuples(st.just("check"), names, costs),
    st.tuples(st.just("record"), names, costs),
    st.tuples(st.just("reset"), names, st.none()),
    st.tuples(st.just("quota"), names, st.tuples(capacities, rates)),
    st.tuples(st.just("crash"), st.none(), st.none()),
)
steps = st.one_of(st.sampled_from([0, 1, NANO // 16, NANO, 60 * NANO]), st.integers(0, 5 * NANO))


@hypothesis.settings(max_examples=SEQUENCES, deadline=None)
@given(
    capacities,
    rates,
    st.one_of(st.none(), st.tuples(st.integers(1, 50), rates)),
    st.lists(st.tuples(steps, actions), max_size=25),
)
def test_every_answer_of_the_limiter_is_that_of_exact_fractions(capacity, rate, shared, sequence):
    clock = VirtualClock()
    settings = {"capacity": capacity, "rate": rate, "cleanup_interval": 1e8}
    if shared is not None:
        settings |= {"global_quota_enabled": True, "global_capacity": shared[0], "global_rate": shared[1]}
    model = ExactLimiter(capacity, rate, shared)
    with SessionSystem(clock=clock, limiter=settings, max_restarts=100) as system:
        at = 0
        for step, (action, name, value) in sequence:
            at += step
            system.actors.advance_to(at / NANO)
            if action == "check":
                session_id, quota_type = name
                assert system.check_rate_limit(session_id, quota_type, value)[0] == model.check(
                    name, Fraction(value), at
                )
            elif action == "record":
                system.record_request(name[0], name[1], value)
                model.record(name, Fraction(value), at)
            elif action == "quota":
                system.set_rate_limit(name[0], {"capacity": value[0], "rate": value[1]}, name[1])
                model.set_quota(name, value[0], value[1], at)
            elif action == "reset":
                system.reset_rate_limit(*name)
                if name in model.buckets:
                    model.bucket(name, at)[2] = model.bucket(name, at)[0]
            else:
                kill(system, "rate_limiter")
                system.actors.settle()
        for name in model.buckets:
            assert abs(Fraction(system.get_rate_limit(*name).tokens) - model.bucket(name, at)[2]) < Fraction(1, 10**9)


arrivals = st.lists(
    st.tuples(
        st.sampled_from([0, NANO // 4, NANO, 3 * NANO]),
        st.sampled_from(PRIORITIES),
        st.integers(1, 3),
        st.sampled_from([1.0, 5.0, 1000.0]),
    ),
    min_size=1,
    max_size=15,
)


@given(st.sampled_from([1, 3, 5]), st.sampled_from([0.5, 1.0, 2.0]), arrivals)
def test_a_line_admits_no_more_than_exact_fractions_allow_and_keeps_its_order(capacity, rate, coming):
    clock = VirtualClock()
    settings = {"capacity": capacity, "rate": rate, "cleanup_interval": 1e8, "age_after": 4.0}
    with SessionSystem(clock=clock, limiter=settings) as system:
        limiter = system.actors.whereis("rate_limiter")
        asked = []
        at = 0
        for step, priority, cost, deadline in coming:
            at += step
            system.actors.advance_to(at / NANO)
            future = limiter.ask(("acquire", "a", Request("requests", cost, priority, deadline)), block=False)
            asked.append((at / NANO, priority, cost, deadline, future))
        system.actors.advance(2000.0)
        admitted = []
        for came, priority, cost, deadline, future in asked:
            assert future.is_done()
            try:
                waited = future.get(timeout=0)
            except Exception:  # noqa: BLE001 - refused; what matters is who was admitted
                continue
            assert waited <= deadline
            admitted.append((came + waited, came, priority, cost))
        admitted.sort()
        within = deque(admitted)
        while within:
            start = within[0][0]
            total = Fraction(0)
            for moment, _, _, cost in within:
                total += cost
                assert total <= capacity + exact(rate) * (Fraction(moment) - Fraction(start) + Fraction(2, NANO))
            within.popleft()
        # First come, first served within a class; nobody is overtaken by who came 3 * age_after later.
        for priority in PRIORITIES:
            came = [each[1] for each in admitted if each[2] == priority]
            assert came == sorted(came)
        for moment, came, *_ in admitted:
            assert not any(other > came + 12.0 and done < moment for done, other, *_ in admitted)
