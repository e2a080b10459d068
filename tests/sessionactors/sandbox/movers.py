"""Sessions whose code moves; importable by another process."""

from __future__ import annotations

import os
import signal
import threading

from sessionactors import Session
from supervisors.errors import Refusal


class Movable(Session):
    """Remembers what it was asked, and says where it is."""

    dispatch = "shared"

    def __init__(self, *given):
        super().__init__(*given)
        self.said = []

    def handle_request(self, request):
        if request == "where":
            return os.getpid()
        if request == "refuse":
            raise Refusal("no")
        if request == "raise":
            raise ArithmeticError("broken")
        if request == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if request == "spin":
            while True:
                pass
        if isinstance(request, float):
            threading.Event().wait(request)
        self.said.append(request)
        return list(self.said)

    def on_suspended(self, reason):
        self.said.append("suspended")

    def snapshot(self):
        return list(self.said)

    def restore(self, state):
        if "poison" in state and os.environ.get("TIERS_POISON") == str(os.getpid()):
            raise ArithmeticError("poisoned")
        self.said = list(state)


class DiesOnArrival(Movable):
    """Kills the process that it arrives in."""

    def restore(self, state):
        if os.getpid() != state[0]:
            os.kill(os.getpid(), signal.SIGKILL)


class Unrestorable(Movable):
    """Cannot be taken up anywhere."""

    def restore(self, state):
        raise ArithmeticError


class Rambling(Movable):
    """Has no plain state."""

    def snapshot(self):
        return object()


class Unpacked(Session):
    """Has no snapshot."""

    def handle_request(self, request):
        return request


class Waiting(Movable):
    """Is a coroutine."""

    async def handle_request(self, request):
        return request
