from __future__ import annotations

from itertools import count

import pytest

from supervisors import KILL, KILLED, NORMAL, SHUTDOWN, Shutdown
from supervisors.supervision.child_spec import ChildSpec
from supervisors.supervision.effects import ArmShutdownTimer, CancelShutdownTimer, MonitorChild, SendExit
from supervisors.supervision.inputs import ChildDown, ShutdownTimeout
from supervisors.supervision.shutdown import Termination, is_expected_end


def start():
    """Stand for a start function; nothing here calls it."""


def spec(shutdown=5.0, restart="permanent"):
    return ChildSpec("a", start, shutdown=shutdown, restart=restart)


class Run:
    """A termination and the effects it has asked for since the last look."""

    def __init__(self, *children, unread=None):
        self.unread = unread if unread is not None else {}
        self.effects = []
        self.termination = Termination(self.unread, count(1))
        self.termination.begin(children, self.effects)

    def seen(self):
        effects, self.effects = self.effects, []
        return effects

    def down(self, ref, reason=SHUTDOWN):
        self.termination.down(ChildDown(ref, reason), self.effects)

    def timeout(self, token):
        self.termination.timeout(ShutdownTimeout(token), self.effects)

    @property
    def reasons(self):
        return {one.ref: one.reason for one in self.termination.ended.values()}


def test_sup_40_a_child_is_asked_and_given_its_time():
    run = Run(("p", spec(2.5)))
    assert run.seen() == [MonitorChild("p"), SendExit("p", SHUTDOWN), ArmShutdownTimer(2.5, 1)]
    run.down("p")
    assert run.seen() == [CancelShutdownTimer(1)]
    assert not run.termination.waiting


def test_sup_40_a_child_that_takes_too_long_is_killed_and_then_awaited_without_limit():
    run = Run(("p", spec(2.5)))
    run.seen()
    run.timeout(1)
    assert run.seen() == [SendExit("p", KILL)]
    assert run.termination.waiting
    run.down("p", KILLED)
    assert run.seen() == []
    assert run.reasons == {"p": KILLED}


def test_sup_40_brutal_kill_is_a_kill_at_once_and_without_a_timer():
    assert Run(("p", spec("brutal_kill"))).seen() == [MonitorChild("p"), SendExit("p", KILL)]


def test_sup_40_infinity_has_no_timer():
    assert Run(("p", spec("infinity"))).seen() == [MonitorChild("p"), SendExit("p", SHUTDOWN)]


def test_sup_40_no_time_at_all_means_that_the_kill_follows_at_once():
    assert Run(("p", spec(0))).seen() == [MonitorChild("p"), SendExit("p", SHUTDOWN), SendExit("p", KILL)]


def test_sup_41_the_exit_message_is_better_informed_than_the_monitor():
    run = Run(("p", spec()))
    run.unread["p"] = "boom"
    run.down("p", "noproc")
    assert run.reasons == {"p": "boom"}
    assert run.unread == {}


def test_sup_41_the_monitor_is_enough_for_a_child_that_has_unlinked_itself():
    run = Run(("p", spec()))
    run.down("p", SHUTDOWN)
    assert run.reasons == {"p": SHUTDOWN}


def test_sup_45_a_child_that_is_dead_already_is_not_signalled():
    run = Run(("p", spec()), unread={"p": "boom", "q": "other"})
    assert run.seen() == []
    assert run.reasons == {"p": "boom"}
    assert run.unread == {"q": "other"}


def test_sup_46_all_get_their_signal_first_and_share_one_timer():
    run = Run(("p", spec(2.5)), ("q", spec(2.5)))
    assert run.seen() == [
        MonitorChild("p"),
        SendExit("p", SHUTDOWN),
        MonitorChild("q"),
        SendExit("q", SHUTDOWN),
        ArmShutdownTimer(2.5, 1),
    ]
    run.down("q")
    assert run.seen() == []
    run.timeout(1)
    assert run.seen() == [SendExit("p", KILL)]


def test_dyn_9_each_child_has_its_own_time():
    run = Run(("p", spec(2.5)), ("q", spec(1.0)), ("r", spec("brutal_kill")), ("s", spec(2.5)))
    timers = [effect for effect in run.seen() if isinstance(effect, ArmShutdownTimer)]
    assert timers == [ArmShutdownTimer(2.5, 1), ArmShutdownTimer(1.0, 2)]
    run.timeout(2)
    assert run.seen() == [SendExit("q", KILL)]
    run.timeout(1)
    assert run.seen() == [SendExit("p", KILL), SendExit("s", KILL)]


def test_news_of_somebody_else_means_nothing():
    run = Run(("p", spec()))
    run.seen()
    run.down("stranger")
    run.timeout(99)
    assert run.seen() == []
    assert set(run.termination.waiting) == {"p"}


@pytest.mark.parametrize(
    ("shutdown", "restart", "reason", "expected"),
    [
        (5.0, "permanent", SHUTDOWN, True),
        (5.0, "permanent", NORMAL, False),
        (5.0, "permanent", Shutdown("x"), False),
        (5.0, "permanent", KILLED, False),
        (5.0, "transient", NORMAL, True),
        (5.0, "temporary", Shutdown("x"), True),
        (5.0, "transient", KILLED, False),
        (5.0, "temporary", "boom", False),
        ("brutal_kill", "permanent", KILLED, True),
        ("brutal_kill", "permanent", SHUTDOWN, False),
        ("brutal_kill", "transient", SHUTDOWN, True),
        ("brutal_kill", "temporary", "boom", False),
        ("infinity", "permanent", SHUTDOWN, True),
    ],
)
def test_sup_44_what_counts_as_an_expected_end(shutdown, restart, reason, expected):
    assert is_expected_end(spec(shutdown, restart), reason) is expected
