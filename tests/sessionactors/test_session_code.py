"""The hooks of a derived class: what comes of what they raise."""

import pytest

from sessionactors import Session
from sessionactors.errors import InvalidKind, SessionExists
from supervisors.callbacks import UnaskedRefusalError
from tests.sessionactors.session_world import TRUSTED, ends, entries, start_active, virtual


class Refusing(Session):
    """Says no where nobody has asked, as what it calls in another system may."""

    def on_activated(self):
        if self.data.metadata.get("refuses") == "on_activated":
            raise SessionExists("another")

    def on_resumed(self):
        raise SessionExists("another")

    def on_suspended(self, reason):
        raise SessionExists(reason)

    def handle_request(self, request):
        return request


HOOKS = {
    "on_activated": lambda system: system.activate("a"),
    "on_suspended": lambda system: system.suspend("a"),
    "on_resumed": lambda system: system.resume("a"),
    "on_resumed, by a request": lambda system: system.request("a", 1),
}


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_that_refuses_crashes_the_session_as_one_that_raises_anything_else(hook):
    with virtual(users={"max_sessions": 1}) as system:
        heard = []
        system.start_session("a", {"metadata": {"refuses": hook}}, session_class=Refusing)
        system.subscribe("a", heard.append)
        system.authenticate("a", {**TRUSTED, "user_id": "bob"})
        if hook != "on_activated":
            system.activate("a")
        if hook.startswith("on_resumed"):
            system.deactivate("a")
        with pytest.raises(UnaskedRefusalError) as caught:
            HOOKS[hook](system)
        assert isinstance(caught.value.refusal, SessionExists)
        assert system.state_of("a") == "terminated"
        records = entries(system, "a")
        assert ends(records) == {"a": 1}
        assert records[-1].data["reason"] == "crashed"
        assert [each.event for each in heard].count("session_terminated") == 1
        assert system.list_user("bob") == []


def test_a_hook_that_refuses_when_the_timer_calls_it_crashes_the_session():
    with virtual(session={"idle_timeout": 10.0}) as system:
        system.start_session("a", session_class=Refusing)
        system.authenticate("a", TRUSTED)
        system.activate("a")
        system.actors.advance(20.0)
        assert system.state_of("a") == "terminated"


def test_a_session_whose_hook_refuses_is_not_one_more_of_its_user():
    with virtual(users={"max_sessions": 1}) as system:
        start_active(system, "b", user_id="bob")
        system.start_session("a", {"metadata": {"refuses": "on_activated"}}, session_class=Refusing)
        system.authenticate("a", {**TRUSTED, "user_id": "bob"})
        with pytest.raises(UnaskedRefusalError):
            system.activate("a")
        assert ends(entries(system)) == {"a": 1}
        assert [each.id for each in system.list_user("bob")] == ["b"]


async def _later(*_given):
    raise AssertionError


async def _bit_by_bit(*given):
    yield given


@pytest.mark.parametrize("function", [_later, _bit_by_bit])
@pytest.mark.parametrize(
    "name",
    ["on_activated", "on_resumed", "on_suspended", "on_terminated", "on_memory_pressure", "snapshot", "restore"],
)
def test_a_class_with_a_coroutine_where_nothing_is_awaited_is_refused_when_it_is_defined(name, function):
    with pytest.raises(InvalidKind) as refused:
        type("Chat", (Session,), {name: function})
    assert refused.value.field == f"Chat.{name}"


def test_a_handler_may_be_a_coroutine_function():
    assert type("Chat", (Session,), {"handle_request": _later}).dispatch == "inline"


def test_a_class_that_inherits_a_coroutine_from_elsewhere_is_refused_too():
    mixin = type("Mixin", (), {"on_activated": _later})
    with pytest.raises(InvalidKind):
        type("Chat", (mixin, Session), {})
