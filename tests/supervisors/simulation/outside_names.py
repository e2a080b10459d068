"""User code that touches what no seed decides."""

from __future__ import annotations

import time

__all__ = ["Reading", "wall_clock"]


def wall_clock():
    return time.time()


class Reading:
    """The handler of a sandbox that looks at the clock."""

    def handle_request(self, request):
        return wall_clock() if request == "look" else request
