from __future__ import annotations

import pytest

from supervisors import Actor, AskTimeoutError, Down
from supervisors.errors import NoActorError
from tests.supervisors.actors import Doer


@pytest.fixture
def owner(system):
    return system.start(Doer)


@pytest.fixture
def other(system):
    return system.start(Doer)


def test_alias_1_anybody_can_send_through_an_alias(owner, other):
    alias = owner.ask(lambda self: self.alias())
    alias.send("from outside")
    other.ask(lambda self: alias.send("from an actor"))
    assert owner.ask("seen") == ["from outside", "from an actor"]


def test_alias_1_order_is_as_for_sending_to_the_ref(owner, other):
    alias = owner.ask(lambda self: self.alias())

    def send_both_ways(self):
        for number in range(0, 6, 2):
            alias.send(number)
            owner.send(number + 1)

    other.ask(send_both_ways)
    assert owner.ask("seen") == [0, 1, 2, 3, 4, 5]


def test_alias_1_what_comes_after_the_end_vanishes_and_counts_as_dead_letter(system, owner):
    alias = owner.ask(lambda self: self.alias())
    owner.ask(lambda self: self.unalias(alias))
    alias.send("too late")
    assert owner.ask("seen") == []
    assert system.statistics()["dead_letters"] == 1


def test_alias_2_an_alias_stays_until_it_is_taken_back(owner):
    alias = owner.ask(lambda self: self.alias())
    for number in range(3):
        alias.send(number)
    assert owner.ask("seen") == [0, 1, 2]


def test_alias_2_a_reply_alias_ends_with_the_first_message(owner):
    alias = owner.ask(lambda self: self.alias(reply=True))
    alias.send("first")
    alias.send("second")
    assert owner.ask("seen") == ["first"]
    assert owner.ask(lambda self: self.unalias(alias)) is False


def test_alias_2_an_alias_ends_with_its_owner(system, owner):
    alias = owner.ask(lambda self: self.alias())
    owner.stop()
    alias.send("to nobody")
    assert system.statistics()["dead_letters"] == 1


def test_alias_3_unalias_tells_whether_it_was_active(owner):
    alias = owner.ask(lambda self: self.alias())
    assert owner.ask(lambda self: [self.unalias(alias), self.unalias(alias)]) == [True, False]


def test_alias_3_a_message_that_has_arrived_stays(owner, other):
    alias = owner.ask(lambda self: self.alias())

    def act(self):
        other.ask(lambda _: alias.send("in time"))
        self.system.settle()
        assert self.unalias(alias)

    owner.ask(act)
    assert owner.ask("seen") == ["in time"]


@pytest.mark.parametrize("reply", [False, True])
def test_alias_3_a_message_that_waits_has_not_arrived_and_vanishes(owner, reply):
    def act(self):
        alias = self.alias(reply=reply)
        alias.send("from the same turn")
        return self.unalias(alias)

    assert owner.ask(act) is True
    assert owner.ask("seen") == []


def test_only_the_owner_can_take_an_alias_back(owner, other):
    alias = owner.ask(lambda self: self.alias())
    assert other.ask(lambda self: self.unalias(alias)) is False
    alias.send("still there")
    assert owner.ask("seen") == ["still there"]


# What is left of an alias after something has happened to its monitor (ALIAS-4).
LIVES_ON = {"explicit_unalias": True, "demonitor": False, "reply_demonitor": False}


@pytest.mark.parametrize(("mode", "lives_on"), LIVES_ON.items())
def test_alias_4_when_the_monitor_fires(owner, other, mode, lives_on):
    monitor = owner.ask(lambda self: self.monitor(other, alias=mode))
    other.exit("boom")
    monitor.send("hello")
    assert owner.ask("seen") == [Down(monitor, other, "boom")] + ["hello"] * lives_on


@pytest.mark.parametrize(("mode", "lives_on"), LIVES_ON.items())
def test_alias_4_when_the_monitor_is_removed(owner, other, mode, lives_on):
    monitor = owner.ask(lambda self: self.monitor(other, alias=mode))
    assert owner.ask(lambda self: self.demonitor(monitor)) is True
    monitor.send("hello")
    assert owner.ask("seen") == ["hello"] * lives_on


@pytest.mark.parametrize("mode", LIVES_ON)
def test_alias_4_when_the_alias_is_taken_back_the_monitor_stays(owner, other, mode):
    monitor = owner.ask(lambda self: self.monitor(other, alias=mode))
    assert owner.ask(lambda self: self.unalias(monitor)) is True
    monitor.send("hello")
    other.exit("boom")
    assert owner.ask("seen") == [Down(monitor, other, "boom")]


@pytest.mark.parametrize("mode", ["explicit_unalias", "demonitor"])
def test_alias_4_a_message_leaves_alias_and_monitor_as_they_are(owner, other, mode):
    monitor = owner.ask(lambda self: self.monitor(other, alias=mode))
    monitor.send(1)
    monitor.send(2)
    assert owner.ask(lambda self: self.demonitor(monitor)) is True
    assert owner.ask("seen") == [1, 2]


def test_alias_4_the_first_reply_ends_a_reply_demonitor_alias_and_its_monitor(owner, other):
    monitor = owner.ask(lambda self: self.monitor(other, alias="reply_demonitor"))
    monitor.send("the reply")
    monitor.send("another")
    assert other.watchers is None
    other.exit("boom")
    assert owner.ask("seen") == ["the reply"]
    assert owner.ask(lambda self: self.demonitor(monitor)) is False


def test_a_monitor_that_is_no_alias_takes_no_messages(owner, other):
    monitor = owner.ask(lambda self: self.monitor(other))
    monitor.send("hello")
    assert owner.ask("seen") == []
    assert owner.ask(lambda self: self.unalias(monitor)) is False


def test_alias_5_a_reply_after_the_asker_has_given_up_never_shows_up(system, owner):
    class Slow(Actor):
        def on_receive(self, message):
            self.send_after(10.0, self.defer_reply())

        def receive_tell(self, message):
            message.set("too late")

    slow = system.start(Slow)

    def ask_and_give_up(self):
        with pytest.raises(AskTimeoutError):
            slow.ask("hurry", timeout=1.0)

    owner.ask(ask_and_give_up, timeout=None)
    system.advance(20.0)
    assert owner.ask("seen") == []
    assert slow.is_alive()


def test_an_unknown_mode_is_refused(owner, other):
    with pytest.raises(ValueError, match="alias: 'reply' is not allowed"):
        owner.ask(lambda self: self.monitor(other, alias="reply"))


def test_only_an_alias_can_be_taken_back(system):
    owner = system.start(Doer)
    with pytest.raises(TypeError, match="alias: a ActorRef"):
        owner.ask(lambda self: self.unalias(owner))


@pytest.mark.parametrize("verb", [lambda self: self.alias(), lambda self: self.unalias(None)])
def test_aliases_are_for_the_actors_own_turn(owner, verb):
    kept = owner.ask(lambda self: self)
    with pytest.raises(NoActorError):
        verb(kept)


def test_aliases_work_between_threads(real):
    from tests.supervisors.actors import SharedDoer

    owner = real.start(SharedDoer)
    senders = [real.start(SharedDoer) for _ in range(4)]
    alias = owner.ask(lambda self: self.alias())
    once = owner.ask(lambda self: self.alias(reply=True))

    def send_all(self):
        for number in range(100):
            alias.send((self.actor_ref, number))
            once.send("once")
        return True

    futures = [sender.ask(send_all, block=False) for sender in senders]
    assert all(future.get(timeout=5) for future in futures)
    seen = owner.ask("seen")
    assert len(seen) == 401
    assert seen.count("once") == 1
    for sender in senders:
        assert [each[1] for each in seen if each[0] is sender] == list(range(100))
