"""Kills the writer of an audit log at calls of the operating system, and looks at what it has left.

Runs with `fatal_calls.c` in front of the C library. Each time a forked child writes
1,000 events in commits of many sizes, some with personal data, seals the log in the
middle, erases somebody, and tells through a pipe what is durable; at the chosen call it
is gone. Prints one JSON object.
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

from sessionactors.audit.checkpoint import Signer
from sessionactors.audit.handover import segment_number
from sessionactors.audit.log import AuditLog
from sessionactors.audit.record import kind_of
from sessionactors.audit.verify import verify

EVENTS = 1000
COMMITS = (1, 37, 5, 200, 1, 300, 56, 400)
SEAL_AFTER = 4
ERASE_AFTER = len(COMMITS) - 1
SUBJECT = "somebody-3"
KIND = kind_of("state_transition")
calls = ctypes.CDLL(None)


def events(first, count):
    return [(1e9 + at, float(at), f"s-{at % 9}", KIND, "session", _data(at)) for at in range(first, first + count)]


def _data(at):
    return {"n": at} if at % 10 else {"n": at, "user_id": f"somebody-{at % 7}"}


def script(path, tell):
    """Write 1,000 events; after each commit tell the number of the log and its size."""
    done = 0
    with AuditLog(path, key_file=path.with_name("key"), personal=["user_id"]) as log:
        for number, count in enumerate(COMMITS):
            log.append_many(events(done, count))
            size = log.commit().size
            done += count
            os.write(tell, f"{segment_number(log.origin)} {size}\n".encode())
            if number == SEAL_AFTER:
                log.seal(1e9, 1.0)
                os.write(tell, f"{segment_number(log.origin)} {log.size}\n".encode())
            if number == ERASE_AFTER:
                log.erase(SUBJECT, 1e9, 1.0)
                os.write(tell, f"{segment_number(log.origin)} {log.size} erased\n".encode())
    assert done == EVENTS


def killed_at(number, path):
    """Run the script in a child that is gone at a call; return what it told, and whether it was killed."""
    read, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        calls.arm(number)
        script(path, tell)
        if number < 0:
            os.write(tell, f"calls {calls.count()}\n".encode())
        os._exit(0)
    os.close(tell)
    with os.fdopen(read) as lines:
        told = [line.split() for line in lines if line.endswith("\n")]
    _, status = os.waitpid(child, 0)
    return told, os.WIFSIGNALED(status)


def check(path, told):
    """Check that nothing that was told is lost, and that a writer goes on; return the exit code of `verify`."""
    number, size = (int(part) for part in told[-1][:2]) if told else (1, 0)
    found = verify(path)
    if not told and found.exit_code == 3:
        return 3  # it was not there yet
    assert found.exit_code in (0, 2), found
    now = segment_number(found.origin or "a log that was about to be made")
    assert now >= number, (now, number)
    with AuditLog(path, key_file=path.with_name("key")) as log:
        before = log.size
        log.append_many(events(5000, 3))
    assert before - found.size in ((0, 1) if found.exit_code == 2 else (0,)), (before, found)
    after = verify(path)
    # An erasure that was interrupted is completed by the next writer, and is an entry.
    assert (after.outcome, after.size) == ("valid", before + 3), after
    if any(len(line) == 3 for line in told):
        assert after.personal_erased, after
    if after.personal_erased:
        assert SUBJECT.encode() not in (path / "personal.db").read_bytes()
    if now == number:
        assert before >= size, (before, size)
    else:
        archived = verify(path / "archive" / f"{number:08}")
        assert (archived.outcome, archived.size >= size) == ("valid", True), archived
    return found.exit_code


def main():
    wanted, seed = int(sys.argv[1]), int(sys.argv[2])
    ctypes.CDLL(None).arm.argtypes = [ctypes.c_long]
    calls.arm.argtypes, calls.count.restype = [ctypes.c_long], ctypes.c_long
    exits = {}
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        # The key is there already, so that the script does the same calls each time.
        signer = Signer("example.com/log", bytes(32))
        (base / "key").write_text(f"{signer.secret_text()}\n")
        (base / "key").chmod(0o600)
        told, was_killed = killed_at(-1, base / "whole")
        assert not was_killed
        total = int(told[-1][1])
        assert verify(base / "whole").outcome == "valid"
        numbers = range(1, total + 1)
        chosen = numbers if not 0 < wanted < total else sorted(random.Random(seed).sample(numbers, wanted))
        for number in chosen:
            path = base / f"log-{number}"
            told, was_killed = killed_at(number, path)
            assert was_killed or number > total - 5, number
            try:
                code = check(path, told)
            except Exception as error:
                raise AssertionError(f"killed at call {number} of {total}") from error
            exits[code] = exits.get(code, 0) + 1
            shutil.rmtree(path, ignore_errors=True)
    sys.stdout.write(json.dumps({"calls": total, "killed": len(chosen), "exits": exits}))


if __name__ == "__main__":
    main()
