"""How many transitions a second do live sessions make, and what does an idle one weigh?

Workload: 100,000 sessions of one system are active; they are deactivated and
resumed one after the other through the public functions, by one thread. Every
transition is audited, in memory. One peer is a stock `pykka.ThreadingActor` with the
same six-state table and no audit, limits or timers, of which 1,000 are live, because
100,000 threads are not to be had. The other ones are 100,000 `gen_statem`s of Erlang, with and
without an idle timer (`beam_statem`); without ``erl`` their rows are empty.

Does not show: several callers at once, the durable audit log (see `bench_audit`), user code.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping
from typing import Any

import psutil
import pykka

from benchmarks.beam_statem import erlang
from benchmarks.harness import Effort, Figure, benchmark, figure, rate
from sessionactors import SessionOptions, SessionSystem
from sessionactors.states import ACTIVE, EDGES, IDLE, State
from supervisors.clock import VirtualClock


class StockSession(pykka.ThreadingActor):
    """The least that a session on a stock actor can be."""

    def __init__(self) -> None:
        super().__init__()
        self.state: State = ACTIVE

    def on_receive(self, message: Any) -> Any:
        if message not in EDGES[self.state]:
            raise ValueError(message)
        self.state = message
        return self.state


def live_system(count: int, audit: Mapping[str, object] | None = None) -> tuple[SessionSystem, list[str]]:
    """Return a system with so many active sessions, whose timers never fire; `audit` has settings of its log."""
    system = SessionSystem(session=SessionOptions(auth_required=False), clock=VirtualClock(), audit=audit)
    ids = [system.start_session(f"session-{number}") for number in range(count)]
    for number, session_id in enumerate(ids):
        system.activate(session_id)
        if number % 10_000 == 0:
            system.commit_audit()  # in virtual time nobody does so every 50 ms
    return system, ids


def round_trip(system: SessionSystem, ids: list[str]) -> None:
    """Two transitions for each session."""
    deactivate, resume = system.deactivate, system.resume
    for session_id in ids:
        deactivate(session_id)
    for session_id in ids:
        resume(session_id)


def stock_round_trip(refs: list[Any]) -> None:
    """The same two transitions for each stock actor."""
    for ref in refs:
        ref.ask(IDLE)
    for ref in refs:
        ref.ask(ACTIVE)


@benchmark("sessions")
def transitions(effort: Effort) -> Mapping[str, Figure]:
    """Make live sessions idle and active again."""
    count = effort.size(100_000, smoke=200)
    stock = effort.size(1_000, smoke=20)
    system, ids = live_system(count)
    refs = [StockSession.start() for _ in range(stock)]
    try:
        with erlang(count) as beam:
            compared = effort.interleave({
                "ours": lambda: rate(2 * count, lambda: round_trip(system, ids)),
                "pykka": lambda: rate(2 * stock, lambda: stock_round_trip(refs)),
                "beam": (lambda: beam.rate("timed")) if beam is not None else None,
                "untimed": (lambda: beam.rate("plain")) if beam is not None else None,
            })  # fmt: skip
    finally:
        for ref in refs:
            ref.stop()
        system.stop()
    return {
        "session_transitions_per_s_100k": compared.figure("ours", "transitions/s"),
        "session_transitions_pykka_per_s": compared.figure("pykka", "transitions/s"),
        "session_transition_vs_pykka": compared.ratio("ours", "pykka"),
        "session_transitions_beam_per_s": compared.figure("beam", "transitions/s"),
        "session_transitions_beam_untimed_per_s": compared.figure("untimed", "transitions/s"),
        "session_transition_vs_beam_statem": compared.ratio("ours", "beam"),
        "session_transition_vs_beam_statem_untimed": compared.ratio("ours", "untimed"),
    }


@benchmark("sessions")
def weight(effort: Effort) -> Mapping[str, Figure]:
    """Weigh idle sessions with their records in all services."""
    count = effort.size(100_000, smoke=200)
    process = psutil.Process()
    sizes = []
    for _ in range(1 if effort.smoke else 3):
        gc.collect()
        before = process.memory_info().rss
        system, ids = live_system(count)
        for session_id in ids:
            system.check_rate_limit(session_id)
        system.commit_audit()
        sizes.append((process.memory_info().rss - before) / count)
        system.stop()
        del system, ids
    return {"bytes_per_idle_session": figure(sizes, "bytes")}


@benchmark("sessions")
def starting(effort: Effort) -> Mapping[str, Figure]:
    """Start sessions."""
    count = effort.size(20_000, smoke=100)

    def start_all() -> float:
        with SessionSystem(session=SessionOptions(auth_required=False), clock=VirtualClock()) as system:
            return rate(count, lambda: [system.start_session(f"session-{number}") for number in range(count)])

    return {"session_starts_per_s": effort.interleave({"ours": start_all}).figure("ours", "sessions/s")}
