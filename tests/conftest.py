"""What every test gets: no leftovers, the data next door, and a fixed amount of searching."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

# How long the threads of a test may take to end after it, all together, in seconds.
GRACE = 10.0

# The same examples in every run: a failure that comes and goes helps nobody.
# `make properties` looks further, and elsewhere each time.
hypothesis.settings.register_profile("usual", deadline=None, derandomize=True, max_examples=50)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=2_000, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "usual"))


# A shell has what it runs behind ignore Ctrl-C, and children inherit that: tests that
# send one would wait for nothing.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def no_thread_left_behind() -> Iterator[None]:
    """Fail the test that leaves a thread running which somebody has to end.

    That is any thread that keeps the process from ending, and any thread of
    ours. Threads that were there before the test are not its business.
    """
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + GRACE
    left = [thread for thread in threading.enumerate() if thread not in before and _is_ours_to_end(thread)]
    for thread in left:
        thread.join(max(0.0, deadline - time.monotonic()))
    names = [thread.name for thread in left if thread.is_alive()]
    if names:
        pytest.fail(f"threads left behind: {', '.join(names)}", pytrace=False)


def _is_ours_to_end(thread: threading.Thread) -> bool:
    return not thread.daemon or thread.name.startswith("supervisors-")


@pytest.fixture(scope="session")
def shared_path() -> Path:
    """Return the folder of real logs and recorded traces; skip where it is missing.

    It lies beside the checkout, or where the variable SESSIONACTORS_SHARED says.
    """
    beside = Path(__file__).parents[2] / "shared"
    path = Path(os.environ.get("SESSIONACTORS_SHARED") or beside)
    if not path.is_dir():
        pytest.skip("no folder 'shared' beside the checkout, and SESSIONACTORS_SHARED names none")
    return path
