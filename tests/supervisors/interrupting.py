"""A `KeyboardInterrupt` at each place where CPython may run a signal handler, one after the other."""

from __future__ import annotations

import dis
import sys

from supervisors import ActorDeadError
from supervisors.runtime.turn import thread_turn

__all__ = ["interrupted"]


class InterruptAt:
    """Raises `KeyboardInterrupt` at the n-th place in some files where CPython may run a signal handler.

    These are the begin of a function, the end of a call, and a jump back. `does` may do something else there.
    """

    def __init__(self, position, files, does):
        self.left = position
        self.does = does
        self.files = files
        self.after_check = {}

    def __call__(self, frame, event, arg):
        if frame.f_code.co_filename not in self.files:
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        self.strike()
        return self.step

    def step(self, frame, event, arg):
        if event == "opcode":
            if self.after_check.pop(frame, False):
                self.strike()
            name = dis.opname[frame.f_code.co_code[frame.f_lasti]]
            self.after_check[frame] = name in ("CALL", "CALL_FUNCTION_EX", "CALL_KW", "JUMP_BACKWARD")
        elif event in ("return", "exception"):  # a call that raises ends without a look for signals
            self.after_check.pop(frame, None)
        return self.step

    def strike(self):
        self.left -= 1
        if not self.left:
            sys.settrace(None)
            self.does()


def interrupt():
    raise KeyboardInterrupt


def interrupted(position, work, files, does=interrupt):
    """Do the work with an interrupt at a position in the files; tell whether it was reached."""
    before = sys.gettrace()
    strike = InterruptAt(position, files, does)
    sys.settrace(strike)
    try:
        work()
    except (KeyboardInterrupt, ActorDeadError):
        pass
    finally:
        sys.settrace(before)
        thread_turn.turn.worker = None
    return strike.left <= 0
