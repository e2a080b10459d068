from __future__ import annotations

import threading

import pytest

from supervisors import ActorSystem, VirtualClock
from supervisors.errors import InvalidArgumentError, InvalidTypeError, UsageError
from supervisors.inspection import (
    ActorEndedError,
    ActorHangsError,
    Inspector,
    InspectorBusyError,
    NoSuchActorError,
    StateUnknownError,
)
from supervisors.inspection import asking as asking_module
from supervisors.inspection import inspector as inspector_module
from supervisors.inspection.errors import InspectionRefused
from supervisors.runtime.outcomes import ActorDeadError
from tests.supervisors.inspection.watched import Counter, HeldServer, Quick


def test_those_that_live_are_listed_in_order_of_start(system, inspector):
    first, gone, last = (system.start(Quick, name=name) for name in ("first", "gone", "last"))
    gone.stop()
    assert [(row.id, row.name) for row in inspector.ps()] == [(first.id, "first"), (last.id, "last")]


def test_pages_meet_without_a_gap(system, inspector):
    ids = [system.start(Quick).id for _ in range(450)]
    seen = [row.id for page in inspector.pages(limit=1_000) for row in page]
    assert seen == ids
    assert [row.id for row in inspector.ps(limit=2, after=ids[9])] == ids[10:12]


def test_the_longest_mailbox_comes_first_when_that_is_wanted(system, inspector, hold):
    system.start(Quick)
    held = hold()
    for _ in range(3):
        held.tell("more")
    row = inspector.ps(sort="mailbox", limit=1)[0]
    assert (row.id, row.mailbox) == (held.id, 3)


def test_a_text_is_looked_for_in_names_and_classes_without_case(system, inspector):
    system.start(Quick, name="Alice")
    system.start(Counter, name="other")
    assert [row.name for row in inspector.ps(match="alIce")] == ["Alice"]
    assert [row.name for row in inspector.ps(match="COUNTER")] == ["other"]


def test_who_is_in_the_middle_of_a_message_is_running_and_later_shown_as_hung(system, inspector, hold, monkeypatch):
    held = hold()
    assert inspector.ps()[0].status == "running"
    from supervisors.inspection import rows

    monkeypatch.setattr(rows, "HUNG_AFTER", 0.0)
    row = inspector.ps()[0]
    assert (row.id, row.status) == (held.id, "hung")
    assert row.seconds is not None


def test_who_waits_for_a_reply_is_shown_with_whom_it_waits_for(system, inspector, hold):
    held = hold()

    class Asks(Quick):
        dispatch = "shared"

        def on_receive(self, message):
            return held.ask("more", timeout=30.0)

    asking = system.start(Asks)
    answer = asking.ask("go", block=False)
    rows = {}
    while not (rows.get(asking.id) and rows[asking.id].waits_for):
        rows = {row.id: row for row in inspector.ps()}
    assert rows[asking.id].status == "waiting"
    assert rows[asking.id].waits_for == held.id
    held.kill()
    with pytest.raises(ActorDeadError):
        answer.get(timeout=10.0)


def test_a_suspended_actor_is_shown_as_such(system, inspector):
    ref = system.start(Quick)
    ref.suspend()
    assert inspector.ps()[0].status == "suspended"
    ref.resume()


@pytest.mark.parametrize("field", ["sort", "limit", "after"])
@pytest.mark.parametrize("given", ["absent", True, -1, None, 1.5])
def test_what_is_not_allowed_names_the_field(inspector, field, given):
    with pytest.raises(InvalidArgumentError, match=field):
        inspector.ps(**{field: given})


def test_an_actor_is_found_by_number_name_and_urn(system, inspector):
    ref = system.start(Quick, name="alice")
    for reference in (ref, ref.id, str(ref.id), f"#{ref.id}", "alice", ref.actor_urn):
        assert inspector.find(reference) is ref


def test_a_name_that_is_no_text_is_found_as_it_is_shown(system, inspector):
    ref = system.start(Quick, name=17_000)
    assert inspector.ps()[0].name is not None
    assert inspector.find(inspector.ps()[0].name) is ref


@pytest.mark.parametrize("reference", ["nobody", "#9999", 9999, "", "urn:uuid:" + "z" * 36, "9" * 100])
def test_nobody_is_no_actor(inspector, reference):
    with pytest.raises(NoSuchActorError):
        inspector.find(reference)


@pytest.mark.parametrize("reference", [True, 1.5, None, b"alice"])
def test_what_is_no_reference_is_refused(inspector, reference):
    with pytest.raises(InvalidTypeError, match="ref"):
        inspector.find(reference)


def test_the_dead_and_those_of_other_systems_are_not_found(system, inspector):
    ref = system.start(Quick)
    ref.stop()
    with ActorSystem() as other, pytest.raises(NoSuchActorError):
        inspector.find(other.start(Quick))
    with pytest.raises(NoSuchActorError):
        inspector.find(ref)


def test_details_show_what_waits_and_what_it_does_without_the_content(system, inspector, hold):
    held = hold()
    held.tell(("login", "hunter2"))
    asked = held.ask({"password": "hunter2"}, block=False)
    found = inspector.info("held")
    assert found.messages == ("login(str)", "ask dict")
    assert "let_go.wait" in found.stack
    assert "hunter2" not in str(found)
    held.kill()
    with pytest.raises(ActorDeadError):
        asked.get(timeout=10.0)


def test_details_count_links_and_watchers(system, inspector):
    class Parent(Quick):
        dispatch = "shared"

        def on_start(self):
            self.child = Quick.start_link()
            self.monitor(self.child)

    parent = system.start(Parent)
    for ref in system.actors():
        ref.ask("hello")  # who answers has handled what came before: a monitor is a signal
    child = inspector.ps()[1]
    assert child.parent == parent.id
    found = inspector.info(child.id)
    assert found.links == (parent.id,)
    assert found.monitored_by == 1
    assert inspector.info(parent).monitors == 1


def test_the_state_of_a_server_is_shown_without_its_secrets(system, inspector):
    ref = system.start(Counter, 7)
    assert inspector.state(ref) == {"count": 7, "password": "[redacted]"}


def test_the_state_of_a_plain_actor_is_read_from_outside(system, inspector, hold):
    hold()
    assert set(inspector.state("held")) == {"entered", "let_go"}


def test_an_actor_that_hangs_does_not_hang_the_inspector_and_is_asked_once(system, inspector, let_go):
    entered = threading.Event()
    ref = system.start(HeldServer, entered, let_go)
    sending = threading.Thread(target=ref.tell, args=("stay",))
    sending.start()
    assert entered.wait(10.0)
    for _ in range(3):
        with pytest.raises(ActorHangsError):
            inspector.state(ref, timeout=0.01)
    assert ref.mailbox_length == 1
    let_go.set()
    sending.join(10.0)


def test_the_code_of_an_idle_inline_actor_does_not_run_on_the_inspecting_thread(system, inspector):
    seen = []

    class Nosy(Counter):
        dispatch = "inline"

        def receive_ask(self, message):
            seen.append(threading.current_thread())
            return super().receive_ask(message)

    inspector.state(system.start(Nosy))
    assert seen
    assert threading.current_thread() not in seen


def test_an_actor_that_ends_instead_of_answering_is_said_to_have_ended(system, inspector):
    class Ends(Counter):
        def receive_ask(self, message):
            raise SystemExit

    with pytest.raises((ActorEndedError, SystemExit)):
        inspector.state(system.start(Ends))


def test_state_has_a_limit_to_its_patience(inspector):
    with pytest.raises(InvalidArgumentError, match="timeout"):
        inspector.state("x", timeout=61.0)


def test_an_actor_in_another_process_cannot_be_looked_into(system, inspector, monkeypatch):
    ref = system.start(Quick)
    monkeypatch.setattr(Quick, "dispatch", "process")
    with pytest.raises(StateUnknownError):
        inspector.state(ref)


def test_in_virtual_time_a_state_is_there_as_well():
    with ActorSystem(clock=VirtualClock()) as system, Inspector(system) as inspector:
        assert inspector.state(system.start(Counter, 3))["count"] == 3


def test_one_at_a_time_walks_over_all_of_them(system, inspector, monkeypatch):
    monkeypatch.setattr(inspector_module, "_PATIENCE", 0.01)
    with inspector.walk(), pytest.raises(InspectorBusyError):
        inspector.ps()
    assert inspector.ps() == []


def test_a_dump_shows_who_is_busy(inspector, hold):
    hold()
    assert "let_go.wait" in inspector.dump()


def test_an_actor_s_turn_is_refused_what_would_make_it_wait(system, inspector):
    other = system.start(Counter)

    class Curious(Quick):
        dispatch = "shared"

        def on_receive(self, message):
            return inspector.state(other)

    with pytest.raises(UsageError, match="turn"):
        system.start(Curious).ask("look")


def test_not_more_questions_wait_than_may_be(system, inspector, let_go, monkeypatch):
    monkeypatch.setattr(asking_module, "UNANSWERED_MAX", 1)
    entered = threading.Event()
    hung = system.start(HeldServer, entered, let_go)
    sending = threading.Thread(target=hung.tell, args=("stay",))
    sending.start()
    assert entered.wait(10.0)
    with pytest.raises(ActorHangsError):
        inspector.state(hung, timeout=0.01)
    other = system.start(Counter, 1)
    with pytest.raises(InspectionRefused, match="nobody else is asked"):
        inspector.state(other)
    let_go.set()
    sending.join(10.0)
    while True:
        try:
            assert inspector.state(other)["count"] == 1
        except InspectionRefused:
            continue  # the answer of the first one is on its way
        break
