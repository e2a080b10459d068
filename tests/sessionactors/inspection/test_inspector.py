from __future__ import annotations

import threading

import pytest

from sessionactors import Session, SessionSystem
from sessionactors.errors import InvalidTransition, InvalidValue, NotFound, SessionActorsError, SessionTerminated
from sessionactors.inspection import SessionInspector
from supervisors.inspection import ActorHangsError, NoSuchActorError


class Slow(Session):
    """Waits in its turn until a test lets it go on."""

    entered = threading.Event()
    let_go = threading.Event()
    dispatch = "shared"

    def on_activated(self):
        self.entered.set()
        self.let_go.wait(30.0)


@pytest.fixture
def system(tmp_path):
    with SessionSystem(audit_dir=tmp_path / "audit", session={"auth_required": False}) as system:
        yield system


@pytest.fixture
def inspector(system):
    with SessionInspector(system) as inspector:
        yield inspector


@pytest.fixture
def hung(system):
    """Return the id of a session that is in the middle of being activated."""
    system.start_session("slow", session_class=Slow)
    activating = threading.Thread(target=lambda: system.directory.get("slow").ask(("activate", None), timeout=60.0))
    activating.start()
    assert Slow.entered.wait(10.0)
    yield "slow"
    Slow.let_go.set()
    activating.join(10.0)
    Slow.let_go.clear()
    Slow.entered.clear()


def test_sessions_are_listed_in_order_of_start_and_page(system, inspector):
    for number in range(25):
        system.start_session(f"s{number}")
    first = inspector.sessions(limit=20)
    rest = inspector.sessions(limit=20, after=first[-1].number)
    assert [row.id for row in (*first, *rest)] == [f"s{number}" for number in range(25)]


def test_an_actor_of_a_session_is_shown_by_the_sessions_id(system, inspector, hung):
    system.start_session("alice")
    shown = {row.name: row.actor_class for row in inspector.actors.ps(after=system.directory.get(hung).id - 1)}
    assert shown == {"slow": "Slow", "alice": "Session"}
    assert [row.name for row in inspector.actors.ps(match="ALIC")] == ["alice"]
    assert "alice" in {branch.row.name for branch in inspector.actors.tree()}


def test_an_actor_whose_class_cannot_say_yet_what_it_is_shown_as_is_shown_by_its_class(system, inspector):
    class Unready(Session):
        def _shown_as(self):
            raise AttributeError(self)

    system.start_session("early", session_class=Unready)
    assert [(row.name, row.actor_class) for row in inspector.actors.ps(match="unready")] == [(None, "Unready")]


def test_the_list_can_be_narrowed_by_state_and_text(system, inspector):
    for name in ("alice", "bob", "alicia"):
        system.start_session(name)
    system.activate("alicia")
    assert [row.id for row in inspector.sessions(match="ALIC")] == ["alice", "alicia"]
    assert [row.id for row in inspector.sessions(state="active")] == ["alicia"]


def test_a_session_that_hangs_is_listed_and_refuses_to_be_shown_in_time(inspector, hung):
    assert inspector.sessions()[0].id == "slow"
    assert inspector.actors.ps(match="Slow")[0].status in ("running", "hung")
    with pytest.raises(ActorHangsError):
        inspector.session("slow", timeout=0.01)
    with pytest.raises(ActorHangsError):
        inspector.act("suspend", "slow", admin="al", timeout=0.01)


def test_looking_is_no_activity(system, inspector):
    system.start_session("alice")
    before = system.get_info("alice").last_activity
    inspector.sessions()
    inspector.session("alice")
    assert system.get_info("alice").last_activity == before


def test_everything_about_a_session_is_shown_but_its_secrets(system, inspector):
    system.start_session("alice", {"metadata": {"user_id": "al", "note": "hello"}})
    system.activate("alice")
    found = inspector.session("alice")
    assert found["info"]["state"] == "active"
    assert found["info"]["metadata"]["note"] == "hello"
    assert found["history"][-1]["to_state"] == "active"


def test_what_an_operator_does_is_audited_under_the_name(system, inspector):
    system.start_session("alice")
    system.activate("alice")
    assert inspector.act("suspend", "alice", admin="root", reason="noise") == "suspended"
    assert inspector.act("resume", "alice", admin="root") == "active"
    assert inspector.act("terminate", "alice", admin="root") == "terminated"
    with pytest.raises(SessionTerminated):
        inspector.act("suspend", "alice", admin="root")
    system.commit_audit()
    assert sum("root" in str(entry) for entry in inspector.audit_tail(100)) >= 3


def test_what_a_state_does_not_allow_is_refused(system, inspector):
    system.start_session("alice")
    with pytest.raises(InvalidTransition):
        inspector.act("resume", "alice", admin="root")


@pytest.mark.parametrize(
    "wanted", [{"limit": 0}, {"limit": 1_001}, {"after": -1}, {"state": "dead"}, {"match": 5}, {"limit": True}]
)
def test_what_is_not_allowed_names_the_field(inspector, wanted):
    with pytest.raises(SessionActorsError, match=next(iter(wanted))):
        inspector.sessions(**wanted)


def test_an_action_that_there_is_not_is_refused(inspector):
    with pytest.raises(InvalidValue, match="action"):
        inspector.act("delete", "alice", admin="root")


def test_nobody_is_not_found(inspector):
    with pytest.raises(NotFound):
        inspector.session("nobody")
    with pytest.raises(NoSuchActorError):
        inspector.find("nobody")


def test_a_session_is_an_actor_by_its_id_and_a_service_by_its_name(system, inspector):
    system.start_session("alice")
    assert inspector.find("alice") is system.directory.get("alice")
    assert inspector.find("reaper") is system.actors.whereis("reaper")


def test_limits_of_all_and_of_one_session_are_told(system, inspector):
    system.start_session("alice")
    system.check_rate_limit("alice")
    system.isolate("alice")
    everything = inspector.limits()
    assert everything["limiter"]["admitted"] == 1
    assert everything["isolation"]["accounts"] == 1
    one = inspector.limits("alice")
    assert one["buckets"]["requests"]["usage"]["tokens_used"] > 0
    assert one["isolation"]["messages"] is not None
    assert one["throttled"] is False
    assert inspector.limits("bob")["isolation"] is None


def test_the_tail_of_the_log_is_the_last_entries_in_order(system, inspector):
    for number in range(30):
        system.log_event(None, "security", {"number": number}, durable=number == 29)
    found = inspector.audit_tail(5)
    assert [entry["data"]["number"] for entry in found] == [25, 26, 27, 28, 29]
    following = inspector.audit_tail(2, after=found[0]["sequence"])
    assert [entry["data"]["number"] for entry in following] == [26, 27]


def test_a_log_in_memory_has_a_tail_as_well():
    with SessionSystem() as system, SessionInspector(system) as inspector:
        system.log_event(None, "security", {"number": 1}, durable=True)
        assert inspector.audit_tail(1)[0]["data"]["number"] == 1


def test_the_state_of_a_session_is_shown_without_asking_it(inspector, hung):
    found = inspector.state(hung)
    assert found["record"]["session_id"] == "slow"
    assert found["record"]["user_id"] == "anonymous"


def test_credentials_are_shown_nowhere():
    with SessionSystem(authenticator=lambda context: False) as system, SessionInspector(system) as inspector:
        system.start_session("alice")
        system.authenticate("alice", {"password": "hunter2", "pin": "hunter2", "x": "hunter2"})
        shown = [inspector.state("alice"), inspector.session("alice"), inspector.actors.info("rate_limiter")]
        assert shown[0]["record"]["state"] == "auth"
        assert "hunter2" not in str(shown)


def test_the_own_attributes_of_a_session_are_shown(system, inspector):
    class Chat(Session):
        def on_start(self):
            self.messages = ["hello"]
            self._private = 1

    system.start_session("alice", session_class=Chat)
    assert inspector.state("alice")["own"] == {"messages": ["hello"]}


def test_the_state_of_a_service_is_that_of_its_actor(inspector):
    assert inspector.state("reaper") == inspector.actors.state("reaper")
