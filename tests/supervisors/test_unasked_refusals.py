"""A refusal where nobody has asked is an error (SRV-11, STM-47); in a call it is the answer."""

from __future__ import annotations

import pytest

from supervisors import Crashed, Refusal
from supervisors.callbacks import UnaskedRefusalError
from supervisors.server import Server, cast
from supervisors.statem.machine import StateMachine
from supervisors.statem.results import initial_state


class Refuser(Server):
    dispatch = "inline"

    def handle_call(self, request):
        raise Refusal(request)

    def handle_cast(self, request):
        raise Refusal(request)

    def handle_info(self, message):
        raise Refusal(message)


class RefusingMachine(StateMachine):
    dispatch = "inline"
    callback_mode = "handle_event_function"

    def init(self):
        return initial_state("only")

    def handle_event(self, event_type, content, state, data):
        raise Refusal(content)


BOTH = pytest.mark.parametrize("behaviour", [Refuser, RefusingMachine])


@BOTH
def test_srv_11_stm_47_a_cast_that_is_refused_is_a_crash(system, behaviour):
    ref = system.start(behaviour)
    cast(ref, "no")
    system.settle()
    assert isinstance(ref.exit_reason, Crashed)
    assert isinstance(ref.exit_reason.error, UnaskedRefusalError)


@BOTH
def test_srv_11_stm_47_a_message_that_is_refused_is_a_crash(system, behaviour):
    ref = system.start(behaviour)
    ref.send("no")
    system.settle()
    assert isinstance(ref.exit_reason, Crashed)


@BOTH
def test_a_call_that_is_refused_is_answered_and_the_actor_lives_on(system, behaviour):
    ref = system.start(behaviour)
    with pytest.raises(Refusal):
        ref.ask("no")
    assert ref.is_alive()
