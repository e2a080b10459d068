"""Start so many sessions, touch each once, end them all; print what that took as one JSON object.

``python -m benchmarks.live_sessions COUNT``. A process of its own, so that its peak of
memory is that of the sessions and of nothing else. The log is the one in memory, which
keeps its entries: a program that runs long gives it a directory.
"""

from __future__ import annotations

import gc
import json
import resource
import sys
import time

from sessionactors import SessionOptions, SessionSystem

__all__ = ["main"]

_STOP = 600.0  # seconds that the end of all may take


def main(count: int) -> dict[str, float]:
    """Do it; return seconds by step, and the peak of memory in bytes."""
    took: dict[str, float] = {}
    clock = time.perf_counter
    # A log that is sealed at its usual million entries would be measured along with it.
    system = SessionSystem(
        session=SessionOptions(auth_required=False), audit={"max_events": None}, reaper={"interval": 3600.0}
    )
    began = clock()
    ids = system.start_sessions(f"session-{number}" for number in range(count)).done
    took["start"] = clock() - began
    # What lives for long is not looked at again by each collection.
    gc.freeze()
    began = clock()
    for session_id in ids:
        system.touch(session_id)
    took["touch"] = clock() - began
    began = clock()
    done = system.terminate_sessions(ids).done
    took["terminate"] = clock() - began
    assert len(done) == count
    system.stop(_STOP)
    took["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
    return took


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]))))
