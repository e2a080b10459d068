"""A writer that is killed leaves a log that verifies, and the next one goes on."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sessionactors.audit.log import AuditLog
from sessionactors.audit.verify import verify
from tests.sessionactors.audit.conftest import some_events

KILLS = int(os.environ.get("AUDIT_RANDOM_KILLS", "8"))
ROOT = Path(__file__).parents[3]

# Tells after each commit how much is durable.
WRITER = """
import sys
from sessionactors.audit.log import AuditLog
from tests.sessionactors.audit.conftest import some_events
log = AuditLog(sys.argv[1], personal=["n"])
while True:
    log.append_many(some_events(37, log.size))
    sys.stdout.write(f"{log.commit().size}\\n")
    sys.stdout.flush()
"""

# The same, with a fault: the process kills itself at one call of the operating system, after half of a write.
FAULTY = """
import os, signal, sys
call, number = sys.argv[2], int(sys.argv[3])
right = getattr(os, call)
done = 0
def fatal(*arguments):
    global done
    done += 1
    if done == number:
        if call == "pwrite":
            right(arguments[0], arguments[1][:len(arguments[1]) // 2], arguments[2])
        os.kill(os.getpid(), signal.SIGKILL)
    return right(*arguments)
setattr(os, call, fatal)
"""


def _start(source, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", source, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def _told(process):
    """Return the last size that the writer told as durable."""
    with process.stdout as lines:
        told = [int(line) for line in lines if line.endswith("\n")]
    assert process.wait(timeout=60) == -signal.SIGKILL
    return told[-1] if told else 0


def _check(path, told):
    result = verify(path)
    assert result.exit_code in (0, 2)
    assert result.size >= told
    with AuditLog(path) as log:
        assert log.size == result.size
        log.append_many(some_events(5, log.size))
    after = verify(path)
    assert (after.outcome, after.size) == ("valid", result.size + 5)


def test_a_writer_killed_at_random_loses_nothing_that_was_committed(tmp_path):
    dice = random.Random(5)
    path = tmp_path / "log"
    for _ in range(KILLS):
        process = _start(WRITER, str(path))
        # The time of the kill comes from how far the writer is, and a little from chance.
        for _ in range(dice.randrange(1, 25)):
            process.stdout.readline()
        process.kill()
        _check(path, _told(process))


@pytest.mark.parametrize(
    ("call", "number"),
    # A new log writes two keys and the first head; then come hashes and a head for each commit.
    [("link", 1), ("link", 2), ("fsync", 1), ("fsync", 2), ("fsync", 3)]
    + [(call, number) for call in ("pwrite", "fdatasync") for number in range(1, 7)],
)
def test_a_writer_killed_at_a_call_of_the_system_loses_nothing_that_was_committed(tmp_path, call, number):
    path = tmp_path / "log"
    process = _start(FAULTY + WRITER, str(path), call, str(number))
    _check(path, _told(process))


def test_a_log_is_valid_whenever_it_is_looked_at_while_it_grows(tmp_path):
    path = tmp_path / "log"
    process = _start(WRITER, str(path))
    seen = 0
    for _ in range(15):
        while int(process.stdout.readline()) <= seen:
            pass  # told before the last look
        result = verify(path)
        assert (result.outcome, result.is_live, result.findings) == ("valid", True, ())
        assert result.size > seen
        seen = result.size
    process.kill()
    _check(path, _told(process))
