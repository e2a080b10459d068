from __future__ import annotations

import contextlib
import threading

import pytest

from supervisors import Actor, ActorDeadError, ActorSystem, Down, StartError, SupervisorsError, SystemClock
from supervisors.runtime.fence import Fenced
from tests.supervisors.actors import Recorder, SharedDoer, SharedEcho


def until(condition):
    """Wait for what another thread is about to do; a test that fails hangs for 10 s."""
    clock = SystemClock()
    deadline = clock.monotonic() + 10
    while not condition():
        assert clock.monotonic() < deadline


class PinnedDoer(SharedDoer):
    dispatch = "pinned"


class Stuck:
    """A handler that does not end before it is let go, and what became of it."""

    def __init__(self, then=lambda self: None):
        self.entered, self.gate, self.left = threading.Event(), threading.Event(), threading.Event()
        self.then = then
        self.outcome = None

    def __call__(self, actor):
        self.entered.set()
        self.gate.wait(10)
        try:
            self.outcome = self.then(actor)
        except BaseException as error:
            self.outcome = error
            raise
        finally:
            self.left.set()

    def let_go(self):
        self.gate.set()
        assert self.left.wait(10)
        return self.outcome


@pytest.fixture(params=[SharedDoer, PinnedDoer])
def victim(real, request):
    return real.start(request.param)


def test_a_killed_actor_is_dead_at_once_though_its_turn_goes_on(victim):
    stuck = Stuck()
    victim.tell(stuck)
    assert stuck.entered.wait(10)
    victim.kill()
    assert not victim.is_alive()
    assert victim.exit_reason == "killed"
    with pytest.raises(ActorDeadError):
        victim.ask("there?", timeout=10)
    stuck.let_go()


@pytest.mark.parametrize("act", ["crash", "stop"])
def test_whoever_asked_gets_an_answer_when_the_cleanup_that_follows_is_killed(real, act):
    stuck = Stuck()

    class CleansUp(SharedDoer):
        def on_failure(self, *_error):
            stuck(self)

        on_stop = on_failure

    def crash(_self):
        raise ValueError("on purpose")

    victim = real.start(CleansUp)
    answer = victim.stop(block=False) if act == "stop" else victim.ask(crash, block=False)
    assert stuck.entered.wait(10)
    victim.kill()
    if act == "stop":
        assert answer.get(timeout=10) is False
    else:
        with pytest.raises(ActorDeadError) as caught:
            answer.get(timeout=10)
        assert caught.value.reason == "killed"
    stuck.let_go()


def test_whoever_asked_gets_an_answer_at_the_kill(victim):
    stuck = Stuck()
    future = victim.ask(stuck, block=False)
    assert stuck.entered.wait(10)
    behind = victim.ask("seen", block=False)
    victim.kill()
    for each in (future, behind):
        with pytest.raises(ActorDeadError):
            each.get(timeout=10)
    stuck.let_go()


def test_monitors_hear_of_the_kill_at_once(victim, real):
    watcher, stuck = real.start(SharedDoer), Stuck()
    watcher.ask(lambda self: self.monitor(victim))
    victim.tell(stuck)
    assert stuck.entered.wait(10)
    victim.kill()
    (down,) = watcher.ask("seen")
    assert isinstance(down, Down)
    assert down.reason == "killed"
    stuck.let_go()


@pytest.mark.parametrize(
    "effect",
    [
        lambda actor, other: other.tell("x"),
        lambda actor, other: other.send("x"),
        lambda actor, other: other.ask("seen"),
        lambda actor, other: other.exit("boom"),
        lambda actor, other: actor.link(other),
        lambda actor, other: actor.system.start(Recorder),
        lambda actor, other: actor.trap_exit(),
        lambda actor, other: actor.send_after(0.0, "x"),
        lambda actor, other: actor.system.register("taken", other),
    ],
)
def test_what_a_fenced_turn_does_does_not_count(victim, real, effect):
    other = real.start(Recorder)
    stuck = Stuck(lambda actor: effect(actor, other))
    victim.tell(stuck)
    assert stuck.entered.wait(10)
    victim.kill()
    assert isinstance(stuck.let_go(), Fenced)
    assert other.is_alive()
    assert other.ask("seen") == []
    assert real.actors() == [other]


def test_a_worker_that_is_abandoned_is_replaced_and_counted():
    with ActorSystem(workers=1) as system:
        stuck, victim = Stuck(), system.start(SharedDoer)
        victim.tell(stuck)
        assert stuck.entered.wait(10)
        victim.kill()
        assert system.start(SharedEcho).ask("x", timeout=10) == "x"
        assert system.scheduler.statistics()["abandoned"] == 1
        stuck.let_go()
        assert system.start(SharedEcho).ask("y", timeout=10) == "y"
    assert system.scheduler.statistics()["workers"] == 0


@pytest.mark.parametrize("dispatch", ["shared", "pinned"])
def test_a_kill_ends_a_start_that_hangs_with_a_start_error(real, dispatch):
    stuck, caught = Stuck(), []

    class Hanging(Actor):
        def on_start(self):
            stuck(self)

    def start():
        with pytest.raises(StartError) as refused:
            real.spawn(Hanging, link=False, report=True, dispatch=dispatch)
        caught.append(refused.value.reason)

    starter = threading.Thread(target=start)
    starter.start()
    assert stuck.entered.wait(10)
    (ref,) = real.actors()
    ref.kill()
    starter.join(10)
    stuck.let_go()
    assert caught == ["killed"]


def test_a_kill_ends_a_cleanup_that_hangs(real):
    stuck = Stuck()

    class Hanging(Actor):
        def on_stop(self):
            stuck(self)

    ref = real.start(Hanging)
    ref.exit("shutdown")
    assert stuck.entered.wait(10)
    assert ref.is_alive()
    ref.kill()
    assert ref.exit_reason == "killed"
    assert ref.join(timeout=10) == "killed"
    stuck.let_go()


def test_an_actor_that_kills_itself_ends_after_its_turn(victim):
    assert victim.ask(lambda self: (self.actor_ref.kill(), "still here")[1]) == "still here"
    assert victim.join(timeout=10) == "killed"


def test_either_the_turn_ends_or_the_killer_takes_over_but_never_both(real):
    for _ in range(200):
        ref, ends = real.start(SharedDoer), []
        ref.when_ended().when_done(lambda ends=ends: ends.append(1))
        future = ref.ask(lambda _: "done", block=False)
        ref.kill()
        with contextlib.suppress(ActorDeadError):
            assert future.get(timeout=10) == "done"
        assert ref.join(timeout=10) == "killed"
        assert ends == [1]


def test_a_pinned_actor_keeps_its_own_thread(real):
    one, two = real.start(PinnedDoer), real.start(PinnedDoer)
    names = [ref.ask(lambda _: threading.current_thread().name) for ref in (one, two, one, two)]
    assert names[:2] == names[2:]
    assert names[0] != names[1]
    assert names[0].startswith("supervisors-pinned")
    assert one.dispatch == "pinned"


def test_a_pinned_actors_thread_ends_with_it_and_the_dead_still_answer(real):
    ref = real.start(PinnedDoer)
    thread = ref.ask(lambda _: threading.current_thread())
    ref.stop()
    thread.join(10)
    assert not thread.is_alive()
    with pytest.raises(ActorDeadError):
        ref.ask("there?", timeout=10)


def test_pinned_actors_can_ask_each_other(real):
    one, two = real.start(PinnedDoer), real.start(PinnedDoer)
    assert one.ask(lambda _: two.ask(lambda _: 42)) == 42


def test_in_virtual_time_pinned_is_shared(system):
    ref = system.start(PinnedDoer)
    assert ref.ask(lambda _: 42) == 42
    assert ref.dispatch == "shared"


def test_a_proxy_reaches_through_the_fence(real):
    assert real.start(PinnedDoer).proxy().trap.get(timeout=10) is False


def test_whoever_was_killed_while_it_waited_waits_for_nobody(real):
    owed, heard = [], []
    owes = real.start(SharedDoer)

    def wait(_):
        owes.ask(lambda self: owed.append(self.defer_reply()), timeout=None)

    waits = real.start(SharedDoer)
    asked = waits.ask(wait, block=False)
    until(lambda: owed)
    waits.kill()
    with pytest.raises(ActorDeadError):
        asked.get(timeout=5)

    def ask_back(_):
        try:
            waits.ask("seen", timeout=5)
        except SupervisorsError as error:
            heard.append(type(error))

    owes.ask(ask_back, timeout=5)
    assert heard == [ActorDeadError]
    owed[0].set(None)
