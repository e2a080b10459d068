"""A state machine that answers as a table says, as an actor."""

from __future__ import annotations

from supervisors import Refusal
from supervisors.statem.machine import StateMachine
from supervisors.statem.results import initial_state, keep_state

__all__ = ["ENTER_KINDS", "KINDS", "EnterLog", "Log", "NotNow", "SharedEnterLog", "SharedLog", "owing", "raising"]


class Log(StateMachine):
    """Writes down every callback in a list, and answers as a table says.

    The table goes from contents, or pairs of state and content, to results, or to
    functions of the machine.
    """

    dispatch = "inline"
    callback_mode = "handle_event_function"

    def init(self, log=None, answers=None, *actions, data=0, trap=False, terminate=None):
        self.log = [] if log is None else log
        self.answers = answers or {}
        self.at_end = terminate
        self.trap_exit(trap)
        return initial_state("a", *actions, data=data)

    def handle_event(self, event_type, content, state, data):
        self.log.append((event_type, content, state))
        answer = self.answers.get((state, content), self.answers.get(content, keep_state()))
        return answer(self) if callable(answer) else answer

    def terminate(self, reason, state, data):
        self.log.append(("terminate", reason, state, data))
        if self.at_end is not None:
            raise self.at_end


class SharedLog(Log):
    dispatch = "shared"


class EnterLog(Log):
    state_enter = True


class SharedEnterLog(EnterLog):
    dispatch = "shared"


KINDS = [Log, SharedLog]
ENTER_KINDS = [EnterLog, SharedEnterLog]


class NotNow(Refusal):
    pass


def owing(owed):
    """Make an answer that puts the reply it owes into a list."""

    def answer(machine):
        owed.append(machine.defer_reply())
        return keep_state()

    return answer


def raising(error):
    def answer(machine):
        raise error

    return answer
