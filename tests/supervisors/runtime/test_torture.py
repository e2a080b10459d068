"""Everything at once, from many threads: every ask ends, and nothing is left over.

TORTURE_SECONDS makes it last longer than the second that it takes by default.
"""

from __future__ import annotations

import logging
import os
import random
import threading

import pytest

from supervisors import (
    Actor,
    ActorDeadError,
    ActorSystem,
    AskTimeoutError,
    DeadlockError,
    MailboxFullError,
    SystemClock,
)

SECONDS = float(os.environ.get("TORTURE_SECONDS", "1"))
LONGEST = 25.0

EXPECTED = (ActorDeadError, AskTimeoutError, DeadlockError, MailboxFullError, ZeroDivisionError)


class Inline(Actor):
    dispatch = "inline"

    def on_receive(self, message):
        kind, *rest = message
        if kind == "crash":
            return 1 / 0
        if kind == "forward":
            other, answer = rest
            try:
                return other.ask(("echo", answer), timeout=2.0)
            except EXPECTED:
                return answer
        return rest[0]


class Shared(Inline):
    dispatch = "shared"


class Pinned(Inline):
    dispatch = "pinned"


class Bounded(Shared):
    mailbox_capacity = 5


KINDS = [Inline] * 5 + [Shared] * 3 + [Bounded] + [Pinned]


class Caller(threading.Thread):
    """Asks, tells, kills and starts at random; keeps what should not have happened."""

    def __init__(self, system, refs, seed, deadline):
        super().__init__()
        self.system, self.refs, self.deadline = system, refs, deadline
        self.random = random.Random(seed)
        self.asks, self.wrong = 0, []

    def run(self):
        clock = SystemClock()
        while clock.monotonic() < self.deadline:
            begun = clock.monotonic()
            place = self.random.randrange(len(self.refs))
            try:
                self.act(self.refs[place])
            except EXPECTED:
                pass
            except BaseException as error:  # noqa: BLE001 - kept and looked at
                self.wrong.append(error)
            if clock.monotonic() - begun > LONGEST:
                self.wrong.append(self.refs[place])
            if not self.refs[place].is_alive():
                self.refs[place] = self.system.start(self.random.choice(KINDS))

    def act(self, ref):
        draw, token = self.random.random(), self.random.random()
        if draw < 0.02:
            self.random.choice([ref.kill, ref.exit, lambda: ref.stop(block=False)])()
        elif draw < 0.1:
            ref.tell(("crash",) if draw < 0.03 else ("echo", token))
        else:
            other = self.refs[self.random.randrange(len(self.refs))]
            message = ("forward", other, token) if draw < 0.4 else ("echo", token)
            self.asks += 1
            reply = ref.ask(message, timeout=30) if draw < 0.8 else ref.ask(message, block=False).get(timeout=30)
            if reply != token:
                self.wrong.append((reply, token))


@pytest.mark.parametrize("seed", [1])
def test_every_ask_ends_and_nothing_is_left_over(seed, monkeypatch):
    monkeypatch.setattr(logging.root.manager, "disable", logging.CRITICAL)
    before = set(threading.enumerate())
    with ActorSystem(workers=4) as system:
        rolls = random.Random(seed)
        refs = [system.start(rolls.choice(KINDS)) for _ in range(200)]
        deadline = SystemClock().monotonic() + SECONDS
        callers = [Caller(system, refs, seed * 1000 + number, deadline) for number in range(16)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        assert [wrong for caller in callers for wrong in caller.wrong] == []
        assert sum(caller.asks for caller in callers) > 100
        assert system.stop() == []
    assert system.actors() == []
    left = [thread for thread in threading.enumerate() if thread not in before]
    for thread in left:
        thread.join(5)
    assert not any(thread.is_alive() for thread in left)
