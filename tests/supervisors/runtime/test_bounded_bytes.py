from __future__ import annotations

import contextlib
import threading

import pytest

from supervisors import DeadlockError, InvalidArgumentError, InvalidTypeError, MailboxFullError
from tests.supervisors.actors import Doer, SharedDoer


class Weighed(Doer):
    """Texts weigh as many bytes as they have characters; all else weighs nothing."""

    mailbox_capacity_bytes = 10

    @staticmethod
    def message_size(message):
        if message == "a lie":
            return -1
        return len(message) if isinstance(message, str) and message != "seen" else 0


class DropsOldest(Weighed):
    mailbox_policy = "drop_oldest"


class DropsNewest(Weighed):
    mailbox_policy = "drop_newest"


class Blocks(Weighed):
    mailbox_policy = "block"
    mailbox_patience = 2.0


class SharedBlocks(SharedDoer):
    mailbox_capacity_bytes = 10
    mailbox_policy = "block"
    mailbox_patience = 30.0
    message_size = staticmethod(Weighed.message_size)


@pytest.fixture
def letters(system):
    found = []
    system.on_dead_letter(lambda ref, message: found.append(message))
    return found


def filled(system, actor_class, *messages):
    ref = system.start(actor_class)
    ref.suspend()
    for message in messages:
        ref.tell(message)
    return ref


def seen(ref):
    ref.resume()
    return ref.ask("seen")


def test_as_many_bytes_as_the_bound_get_in_and_not_one_more(system, letters):
    ref = filled(system, Weighed, "aaaa", "bbbbbb")
    assert (ref.mailbox_bytes, ref.mailbox_capacity_bytes, ref.mailbox_capacity) == (10, 10, None)
    with pytest.raises(MailboxFullError) as caught:
        ref.tell("c")
    assert (caught.value.capacity, caught.value.capacity_bytes) == (None, 10)
    assert "at most 10 bytes of messages" in str(caught.value)
    assert letters == ["c"]
    assert seen(ref) == ["aaaa", "bbbbbb"]
    assert ref.mailbox_bytes == 0


def test_what_weighs_nothing_gets_in_however_full_it_is(system):
    ref = filled(system, Weighed, "aaaaabbbbb", 1, 2, 3)
    assert seen(ref) == ["aaaaabbbbb", 1, 2, 3]


def test_drop_newest_drops_what_does_not_fit(system, letters):
    ref = filled(system, DropsNewest, "aaaaaaaa", "bbb", "cc")
    assert letters == ["bbb"]
    assert seen(ref) == ["aaaaaaaa", "cc"]


def test_drop_oldest_drops_as_many_as_the_new_one_needs(system, letters):
    ref = filled(system, DropsOldest, "aaa", "bbb", "ccc", "dddddd")
    assert letters == ["aaa", "bbb"]
    assert (ref.mailbox_length, ref.mailbox_bytes) == (2, 9)
    ref.tell("e")
    assert seen(ref) == ["ccc", "dddddd", "e"]


def test_one_that_pushes_out_many_leaves_a_mailbox_that_still_works(system, letters):
    ref = filled(system, DropsOldest, *"abcdefghij")
    ref.tell("x" * 10)
    assert letters == list("abcdefghij")
    assert ref.mailbox_length == 1
    assert seen(ref) == ["x" * 10]
    ref.suspend()
    for message in "klm":
        ref.tell(message)
    assert seen(ref) == ["x" * 10, "k", "l", "m"]


@pytest.mark.parametrize("actor_class", [Weighed, DropsNewest, DropsOldest, Blocks])
def test_one_that_is_larger_than_the_bound_never_gets_in(system, letters, actor_class):
    ref = filled(system, actor_class, "a")
    ref.send("x" * 11)
    assert letters == ["x" * 11]
    assert system.clock.monotonic() == 0.0
    assert seen(ref) == ["a"]


def test_an_ask_that_is_too_large_is_refused_at_once(system):
    ref = filled(system, Blocks, "a")
    with pytest.raises(MailboxFullError):
        ref.ask("x" * 11)
    assert system.clock.monotonic() == 0.0


def test_block_waits_for_bytes_until_its_patience_ends(system, letters):
    ref = filled(system, Blocks, "aaaaaaaa")
    with pytest.raises(MailboxFullError):
        ref.tell("bbb")
    assert system.clock.monotonic() == 2.0
    assert letters == ["bbb"]


def test_a_small_one_does_not_overtake_a_large_one_that_waits_for_room(real):
    ref, gate = real.start(SharedBlocks), threading.Event()
    held = ref.ask(lambda _: gate.wait(30), block=False)
    ref.tell("aaaaaaaa")
    large = threading.Thread(target=ref.tell, args=("bbbbb",))
    large.start()
    while not ref._senders:
        pass
    small = threading.Thread(target=ref.tell, args=("c",))
    small.start()
    while len(ref._senders) < 2:
        pass
    gate.set()
    large.join(30)
    small.join(30)
    assert held.get(timeout=30)
    assert ref.ask("seen", timeout=30) == ["aaaaaaaa", "bbbbb", "c"]


def test_those_behind_one_that_gives_up_get_in_if_there_is_room_for_them(real):
    class Impatient(SharedBlocks):
        mailbox_patience = 0.05

    ref, gate, entered = real.start(Impatient), threading.Event(), threading.Event()

    def hold(_):
        entered.set()
        return gate.wait(30)

    held = ref.ask(hold, block=False)
    assert entered.wait(30)
    ref.tell("aaaaaaaa")
    outcomes = []

    def tell(message):
        try:
            ref.tell(message)
            outcomes.append((message, "in"))
        except MailboxFullError:
            outcomes.append((message, "full"))

    large = threading.Thread(target=tell, args=("bbbbb",))
    large.start()
    while not ref._senders and large.is_alive():
        pass
    tell("c")
    large.join(30)
    gate.set()
    assert held.get(timeout=30)
    # The small one came behind the large one: it got in when that gave up, or found it gone.
    assert dict(outcomes)["bbbbb"] == "full"
    expected = ["aaaaaaaa", "c"] if dict(outcomes)["c"] == "in" else ["aaaaaaaa"]
    assert ref.ask("seen", timeout=30) == expected


@pytest.mark.parametrize("policy", ["reject", "drop_newest", "drop_oldest", "block"])
def test_the_bound_is_exact_under_many_senders(real, policy):
    class Flooded(SharedDoer):
        mailbox_capacity = 8
        mailbox_capacity_bytes = 20
        mailbox_policy = policy
        mailbox_patience = 30.0

        @staticmethod
        def message_size(message):
            return message[1] % 7 if isinstance(message, tuple) else 0

    ref, most, lengths = real.start(Flooded), [], []

    def send(seed):
        for step in range(500):
            with contextlib.suppress(MailboxFullError):
                ref.tell((seed, step))
            most.append(ref.mailbox_bytes)
            lengths.append(len(ref._waiting))

    senders = [threading.Thread(target=send, args=(seed,)) for seed in range(4)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join(60)
    found = None
    while found is None:
        try:
            found = ref.ask("seen", timeout=30)
        except MailboxFullError:
            continue
    assert max(most) <= 20
    assert max(lengths) <= 8
    assert len(found) + real.dead_letters == 2000
    for seed in range(4):
        steps = [step for one, step in found if one == seed]
        assert steps == sorted(steps)
    assert (ref.mailbox_length, ref.mailbox_bytes) == (0, 0)


def test_what_still_waits_at_the_end_is_a_dead_letter(system, letters):
    ref = filled(system, DropsOldest, *"abcdefghij", "x" * 9)
    ref.kill()
    assert letters == [*"abcdefghij", "x" * 9]


def test_a_size_that_is_none_is_told_to_the_sender(system, letters):
    ref = system.start(Weighed)
    with pytest.raises(InvalidArgumentError) as caught:
        ref.tell("a lie")
    assert caught.value.field == "message_size"
    ref.send("a lie")
    assert letters == ["a lie"]
    assert seen(ref) == []


class Plain(Doer):
    mailbox_capacity_bytes = 10


def test_bytes_need_no_size_of_ones_own(system):
    ref = filled(system, Plain, b"aaaa", bytearray(2), memoryview(b"four"))
    assert ref.mailbox_bytes == 10
    with pytest.raises(MailboxFullError):
        ref.tell(b"b")


def test_what_is_no_bytes_wants_a_size_of_ones_own(system):
    ref = system.start(Plain)
    with pytest.raises(InvalidTypeError, match="overrides message_size"):
        ref.tell({"a": 1})


def test_a_turn_that_blocks_on_its_own_full_mailbox_is_a_deadlock_error(system):
    ref = system.start(Blocks)

    def work(actor):
        actor.actor_ref.tell("aaaaaaaa")
        actor.actor_ref.tell("bbb")

    with pytest.raises(DeadlockError):
        ref.ask(work)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mailbox_capacity_bytes", 0),
        ("mailbox_capacity_bytes", True),
        ("mailbox_capacity_bytes", 1.5),
        ("mailbox_capacity_bytes", 2**60 + 1),
        ("message_size", None),
        ("message_size", 3),
    ],
)
def test_a_wrong_bound_is_refused_at_the_start(system, field, value):
    wrong = type("Wrong", (Weighed,), {field: value})
    with pytest.raises((TypeError, ValueError)) as caught:
        system.start(wrong)
    assert caught.value.field == field
