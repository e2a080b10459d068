from __future__ import annotations

from typing import Any, cast

import pytest

from supervisors import ChildSpec, MonitorRef, Supervisor, server, start_named
from supervisors.quarantine import Quarantine, Quarantined, quarantined
from supervisors.runtime.signals import DownSignal
from supervisors.server import NoReply, Reply, Server
from tests.supervisors.actors import Doer


class Parser(Doer):
    """Crashes on "poison" and on {"poison": True}."""

    def on_receive(self, message):
        if message in ("poison", {"poison": True}):
            raise ValueError("cannot parse")
        return super().on_receive(message) if isinstance(message, tuple) else f"parsed {message}"


class Counter(Server):
    dispatch = "inline"

    def handle_call(self, request):
        return Reply(request)

    def handle_cast(self, request):
        if request == "poison":
            raise ValueError("cannot count")
        return NoReply()


def supervised(system, actor_class, after=2):
    quarantine = Quarantine(after=after)
    child = ChildSpec("child", start_named, ("child", quarantined(actor_class, quarantine)))
    system.start(Supervisor, [child], max_restarts=after, max_seconds=60.0)
    return quarantine


def test_a_message_that_crashed_its_receiver_too_often_is_refused(system):
    quarantine = supervised(system, Parser)
    for _ in range(2):
        with pytest.raises(ValueError, match="parse"):
            system.whereis("child").ask("poison")
    with pytest.raises(Quarantined) as caught:
        system.whereis("child").ask("poison")
    assert caught.value.crashes == 2
    assert quarantine.holds("poison")


def test_a_tree_survives_a_sender_that_does_not_give_up(system):
    supervised(system, Parser)
    for _ in range(50):
        system.whereis("child").send("poison")
    assert system.whereis("child").ask("text") == "parsed text"
    assert system.dead_letters == 48


def test_without_a_quarantine_the_same_sender_brings_the_tree_down(system):
    system.start(Supervisor, [ChildSpec("child", start_named, ("child", Parser))], max_restarts=2, max_seconds=60.0)
    for _ in range(3):
        system.whereis("child").send("poison")
    assert system.whereis("child") is None


def test_other_messages_are_handled_as_ever(system):
    supervised(system, Parser)
    assert system.whereis("child").ask("text") == "parsed text"


def test_messages_that_cannot_be_hashed_are_told_apart_by_their_looks(system):
    supervised(system, Parser)
    for _ in range(2):
        system.whereis("child").send({"poison": True})
    with pytest.raises(Quarantined):
        system.whereis("child").ask({"poison": True})
    assert system.whereis("child").ask({"poison": False}) == "parsed {'poison': False}"


def test_one_and_true_are_different_messages():
    quarantine = Quarantine(after=1)
    quarantine.note(1)
    assert quarantine.holds(1)
    assert not quarantine.holds(True)


def test_a_cast_to_a_server_is_quarantined_as_well(system):
    supervised(system, Counter)
    for _ in range(10):
        server.cast(system.whereis("child"), "poison")
    assert system.whereis("child").ask("alive") == "alive"


def test_an_orderly_end_and_a_kill_do_not_count(system):
    quarantine = supervised(system, Parser)
    system.whereis("child").send(("exit", "shutdown"))
    system.whereis("child").kill()
    assert len(quarantine) == 0


def test_an_abnormal_exit_of_the_handlers_own_counts(system):
    quarantine = supervised(system, Parser)
    system.whereis("child").send(("exit", "boom"))
    assert quarantine.crashes(("exit", "boom")) == 1


def test_long_messages_are_told_apart_to_their_end():
    quarantine = Quarantine(after=1)
    quarantine.note([*range(2000), -1])
    assert quarantine.holds([*range(2000), -1])
    assert not quarantine.holds([*range(2000), 7])


def test_a_message_whose_ask_failed_is_not_blamed_for_a_later_crash(system):
    quarantine = Quarantine(after=1)

    class Plain(Doer):
        crash_on_ask_error = False

        def on_receive(self, message):
            if not isinstance(message, str):
                raise TypeError("a Down crashes this one")
            if message == "bad ask":
                raise ValueError(message)
            return message

    watched = system.start(Doer)
    ref = system.start(quarantined(Plain, quarantine))
    with pytest.raises(ValueError, match="bad ask"):
        ref.ask("bad ask")
    monitor = MonitorRef(ref, watched)
    ref.monitors = (monitor,)
    ref.signal(DownSignal(monitor, "boom"))
    assert not ref.is_alive()
    assert quarantine.crashes("bad ask") == 0


def test_a_released_message_is_handled_again():
    quarantine = Quarantine(after=1)
    quarantine.note("x")
    assert quarantine.release("x") is True
    assert quarantine.release("x") is False
    assert not quarantine.holds("x")


def test_the_memory_of_a_quarantine_is_bounded():
    quarantine = Quarantine(after=1, kept=3)
    for number in range(10):
        quarantine.note(number)
    assert len(quarantine) == 3
    assert not quarantine.holds(0)
    assert quarantine.holds(9)


@pytest.mark.parametrize("after", [0, -1, 1.5, True, None])
def test_a_limit_that_makes_no_sense_is_refused(after):
    with pytest.raises((ValueError, TypeError), match="after"):
        Quarantine(after=after)


def test_only_actor_classes_can_be_wrapped():
    with pytest.raises(TypeError, match="actor_class"):
        quarantined(cast("Any", int), Quarantine())
    with pytest.raises(TypeError, match="quarantine"):
        quarantined(Parser, cast("Any", None))
