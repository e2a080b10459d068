from __future__ import annotations

import asyncio
import threading

import pytest

from supervisors import ActorDeadError, DeadlockError, MailboxFullError
from tests.supervisors.actors import Doer, Recorder, SharedDoer


class Bounded(Doer):
    mailbox_capacity = 3


class DropsNewest(Bounded):
    mailbox_policy = "drop_newest"


class DropsOldest(Bounded):
    mailbox_policy = "drop_oldest"


class Blocks(Bounded):
    mailbox_policy = "block"
    mailbox_patience = 2.0


class SharedBlocks(SharedDoer):
    mailbox_capacity = 3
    mailbox_policy = "block"
    mailbox_patience = 30.0


@pytest.fixture
def letters(system):
    found = []
    system.on_dead_letter(lambda ref, message: found.append(message))
    return found


def full(system, actor_class):
    ref = system.start(actor_class)
    ref.suspend()
    for number in range(3):
        ref.tell(number)
    assert ref.mailbox_length == 3
    return ref


def seen(ref):
    ref.resume()
    return ref.ask("seen")


def test_an_idle_bounded_actor_answers(system):
    assert system.start(Bounded).ask(lambda _: 42) == 42


def test_reject_raises_to_whoever_tells_one_too_many(system, letters):
    ref = full(system, Bounded)
    with pytest.raises(MailboxFullError) as caught:
        ref.tell(3)
    assert caught.value.capacity == 3
    assert letters == [3]
    assert seen(ref) == [0, 1, 2]


def test_reject_raises_to_whoever_asks_one_too_many(system):
    ref = full(system, Bounded)
    with pytest.raises(MailboxFullError):
        ref.ask("seen")
    with pytest.raises(MailboxFullError):
        ref.ask("seen", block=False).get()


def test_send_never_raises_and_what_it_cannot_put_in_is_a_dead_letter(system, letters):
    for actor_class in (Bounded, DropsNewest, Blocks):
        ref = full(system, actor_class)
        ref.send("x")
        assert seen(ref) == [0, 1, 2]
    assert letters == ["x"] * 3


def test_drop_newest_drops_the_newest(system, letters):
    ref = full(system, DropsNewest)
    ref.tell(3)
    assert letters == [3]
    assert seen(ref) == [0, 1, 2]


def test_drop_oldest_drops_the_oldest_and_keeps_the_order(system, letters):
    ref = full(system, DropsOldest)
    ref.tell(3)
    ref.tell(4)
    assert letters == [0, 1]
    assert ref.mailbox_length == 3
    assert seen(ref) == [2, 3, 4]


def test_a_dropped_ask_ends_too(system):
    ref = system.start(DropsOldest)
    ref.suspend()
    future = ref.ask("seen", block=False)
    for number in range(3):
        ref.tell(number)
    with pytest.raises(MailboxFullError):
        future.get()


def test_block_waits_for_room_until_its_patience_ends(system, letters):
    ref = full(system, Blocks)
    with pytest.raises(MailboxFullError):
        ref.tell(3)
    assert system.clock.monotonic() == 2.0
    assert letters == [3]
    assert seen(ref) == [0, 1, 2]


def test_block_goes_on_when_there_is_room(real):
    ref, gate = real.start(SharedBlocks), threading.Event()
    ref.tell(lambda _: gate.wait(10))
    sender = threading.Thread(target=lambda: [ref.tell(number) for number in range(50)])
    sender.start()
    while len(ref._senders) < 1:
        pass
    assert ref.mailbox_length == 3
    gate.set()
    sender.join(10)
    assert ref.ask("seen") == list(range(50))


def test_a_turn_that_blocks_on_its_own_full_mailbox_is_a_deadlock_error(system):
    ref = system.start(Blocks)

    def fill(self):
        for number in range(4):
            self.actor_ref.tell(number)

    with pytest.raises(DeadlockError):
        ref.ask(fill)


def test_the_end_of_the_actor_lets_blocked_senders_go(real):
    ref, gate = real.start(SharedBlocks), threading.Event()
    ref.tell(lambda _: gate.wait(10))
    for number in range(3):
        ref.tell(number)
    sender = threading.Thread(target=lambda: ref.send(3) or ref.tell(4))
    sender.start()
    while not ref._senders:
        pass
    ref.exit("boom")
    gate.set()
    sender.join(10)
    assert not sender.is_alive()
    assert ref.exit_reason == "boom"


@pytest.mark.parametrize("actor_class", [Bounded, DropsNewest, DropsOldest, Blocks])
def test_signals_and_stops_always_get_in(system, actor_class):
    ref = full(system, actor_class)
    watcher = system.start(Recorder)
    future = ref.stop(block=False)
    ref.resume()
    assert future.get() is True
    assert watcher.is_alive()
    ref = full(system, actor_class)
    ref.exit("boom")
    assert ref.exit_reason == "boom"


def test_what_waits_in_a_mailbox_at_the_end_is_answered_or_a_dead_letter(system, letters):
    ref = system.start(Bounded)
    ref.suspend()
    ref.tell(1)
    future = ref.ask("seen", block=False)
    ref.exit("boom")
    assert letters == [1]
    with pytest.raises(ActorDeadError):
        future.get()


@pytest.mark.parametrize("policy", ["reject", "drop_newest", "drop_oldest", "block"])
def test_the_bound_is_exact_under_many_senders(real, policy):
    class Flooded(SharedDoer):
        mailbox_capacity = 10
        mailbox_policy = policy
        mailbox_patience = 30.0

    ref, longest, refused = real.start(Flooded), [], []

    def send(seed):
        for step in range(500):
            try:
                ref.tell((seed, step))
            except MailboxFullError:
                refused.append(step)
            longest.append(len(ref._waiting))

    senders = [threading.Thread(target=send, args=(seed,)) for seed in range(4)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join(60)
    seen = None
    while seen is None:
        try:
            seen = ref.ask("seen", timeout=30)
        except MailboxFullError:
            continue
    assert max(longest) <= 10
    assert len(seen) + real.dead_letters == 2000
    assert len(refused) == (real.dead_letters if policy == "reject" else 0)
    for seed in range(4):
        steps = [step for one, step in seen if one == seed]
        assert steps == sorted(steps)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mailbox_capacity", 0),
        ("mailbox_capacity", True),
        ("mailbox_capacity", "3"),
        ("mailbox_policy", "sideways"),
        ("mailbox_patience", -1.0),
        ("mailbox_patience", float("nan")),
        ("mailbox_patience", "1"),
    ],
)
def test_a_wrong_bound_is_refused_at_the_start(system, field, value):
    wrong = type("Wrong", (Bounded,), {field: value})
    with pytest.raises((TypeError, ValueError)) as caught:
        system.start(wrong)
    assert caught.value.field == field


class PinnedBounded(SharedDoer):
    dispatch = "pinned"
    mailbox_capacity = 2


def test_an_actor_with_a_thread_of_its_own_can_have_a_bound(real):
    ref, entered, gate = real.start(PinnedBounded), threading.Event(), threading.Event()

    def work(_):
        entered.set()
        return threading.current_thread().name if gate.wait(10) else None

    future = ref.ask(work, block=False)
    assert entered.wait(10)
    ref.tell(1)
    ref.tell(2)
    with pytest.raises(MailboxFullError):
        ref.tell(3)
    gate.set()
    assert future.get(timeout=10).startswith("supervisors-pinned-")
    assert ref.ask("seen") == [1, 2]
    assert (ref.dispatch, ref.mailbox_capacity) == ("pinned", 2)


def test_a_bounded_actor_that_is_killed_on_its_own_thread_answers_everybody(real):
    ref, entered, gate = real.start(PinnedBounded), threading.Event(), threading.Event()

    def work(_):
        entered.set()
        gate.wait(10)

    asked = [ref.ask(work, block=False)]
    assert entered.wait(10)
    asked += [ref.ask("seen", block=False), ref.ask("seen", block=False)]
    ref.kill()
    for future in asked:
        with pytest.raises(ActorDeadError):
            future.get(timeout=10)
    gate.set()


# -- ask_async() -----------------------------------------------------------------


class AwaitedBlocks(Blocks):
    mailbox_patience = 30.0


class Impatient(Blocks):
    mailbox_patience = 0.01


def test_ask_async_awaits_room_where_the_policy_is_to_block(system):
    ref = full(system, AwaitedBlocks)

    async def main():
        waiting = asyncio.ensure_future(ref.ask_async("seen", timeout=30))
        await asyncio.sleep(0)
        assert not waiting.done()  # only a loop that is not blocked gets here
        ref.resume()
        return await waiting

    assert asyncio.run(main()) == [0, 1, 2]


def test_ask_async_waits_for_room_no_longer_than_the_patience_says(system):
    ref = full(system, Impatient)
    with pytest.raises(MailboxFullError):
        asyncio.run(ref.ask_async("late", timeout=30))
    assert seen(ref) == [0, 1, 2]


def test_cancelling_an_ask_async_that_waits_for_room_leaves_nothing_behind(system, letters):
    ref = full(system, AwaitedBlocks)

    async def main():
        waiting = asyncio.ensure_future(ref.ask_async("cancelled", timeout=30))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(main())
    assert seen(ref) == [0, 1, 2]
    assert letters == []


def test_ask_async_of_an_actor_that_waits_for_the_asker_is_refused_though_its_mailbox_is_full(real):
    ref, asker = real.start(SharedBlocks), real.start(SharedDoer)

    def fill_and_ask_back(_):
        for number in range(3):
            ref.tell(number)
        return asyncio.run(ref.ask_async("x", timeout=20))

    with pytest.raises(DeadlockError):
        ref.ask(lambda _: asker.ask(fill_and_ask_back, timeout=10), timeout=10)


def test_an_ask_that_does_not_block_is_refused_at_once_where_the_policy_is_to_block(system):
    future = full(system, Blocks).ask("x", block=False)
    assert future.is_done()
    with pytest.raises(MailboxFullError):
        future.get()
