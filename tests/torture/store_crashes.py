"""Kills the owner of a store at calls of the operating system, or has those calls fail, and looks at what is left.

Runs with `fatal_calls.c` in front of the C library. Each time a forked child writes
sessions in batches of many sizes, deletes some, moves one aside, and lets the log beside
the file go into it again and again; it tells through a pipe what is durable. At the
chosen call it is gone, or the call fails once, and then what failed is done again.
Prints one JSON object.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import random
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path

from sessionactors.storage import sqlite
from sessionactors.storage.codec import decode, deletion
from sessionactors.storage.errors import StoreError
from sessionactors.storage.sqlite import SqliteStore
from tests.sessionactors.storage.stored import record

BATCHES = (1, 17, 3, 130, 1, 40, 200, 2)
DELETED = "s0"
ASIDE = "s1"
FAILURES = {"EIO": errno.EIO, "ENOSPC": errno.ENOSPC}
calls = ctypes.CDLL(None)

setattr(sqlite, "_AUTOCHECKPOINT_PAGES", 8)  # noqa: B010 - it is final, and has to happen within these few writes


def again(call, *arguments):
    """Make a call; when that fails, make it once more, because the disk is back by then."""
    try:
        return call(*arguments)
    except StoreError:
        return call(*arguments)


def script(path, tell):
    """Write, and tell after each write what is durable: `<session> <requests>`, or `<session> gone`."""
    store = again(SqliteStore, path)
    epoch = again(store.claim)
    for number, count in enumerate(BATCHES, start=1):
        names = [f"s{each}" for each in range(count)]
        again(store.write, epoch, [record(name, requests=number) for name in names])
        os.write(tell, "".join(f"{name} {number}\n" for name in names).encode())
    os.write(tell, f"{DELETED} ending\n".encode())
    again(store.write, epoch, [deletion(DELETED)])
    os.write(tell, f"{DELETED} gone\n{ASIDE} ending\n".encode())
    again(aside, store)
    os.write(tell, f"{ASIDE} gone\n".encode())
    store.close()


def aside(store):
    found = store.read(ASIDE)
    if found is not None:  # else the first try has done it, and failed only after that
        store.quarantine([(found, "spoiled")], 1.0)


def child(path, arm):
    """Run the script in a child; return what it told, and how it ended."""
    read, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        arm()
        try:
            script(path, tell)
            os.write(tell, f"calls {calls.count()}\n".encode())
        except BaseException as error:  # noqa: BLE001 - told by the exit code, whatever it was
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
            os._exit(1)
        os._exit(0)
    os.close(tell)
    with os.fdopen(read) as lines:
        told = [line.split() for line in lines if line.endswith("\n")]
    _, status = os.waitpid(pid, 0)
    return told, status


def check(path, told):
    """Check that nothing that was told is lost, and that another owner goes on."""
    store = SqliteStore(path)
    epoch = store.claim()
    assert epoch >= 1
    found = {each.session_id.decode(): decode(each)["requests"] for each in store.page(None, 10_000)}
    assert store.count() == len(found)
    for name, what in dict(told).items():
        if what == "gone":
            assert name not in found, name
        elif what != "ending" and name != "calls":
            requests = found.get(name, 0)
            assert isinstance(requests, int)
            assert requests >= int(what), (name, what, requests)
    if [ASIDE, "gone"] in told:
        assert [each.session_id for each in store.quarantined()] == [ASIDE]
    assert store.write(epoch, [record("after", requests=1)]) == {}
    store.close()


def main():
    wanted, seed = int(sys.argv[1]), int(sys.argv[2])
    calls.arm.argtypes, calls.count.restype = [ctypes.c_long], ctypes.c_long
    calls.arm_failure.argtypes = [ctypes.c_long, ctypes.c_int]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "whole" / "store.db"
        path.parent.mkdir()
        told, status = child(path, lambda: calls.arm(-1))
        assert status == 0
        check(path, told)
        total = int(told[-1][1])
        numbers = range(1, total + 1)
        chosen = numbers if not 0 < wanted < total else sorted(random.Random(seed).sample(numbers, wanted))
        for number in chosen:
            ways = {"killed": partial(calls.arm, number)}
            for name, code in FAILURES.items():
                ways[name] = partial(calls.arm_failure, number, code)
            for way, arm in ways.items():
                path = Path(folder) / f"{number}-{way}" / "store.db"
                path.parent.mkdir()
                try:
                    told, status = child(path, arm)
                    assert os.WIFSIGNALED(status) if way == "killed" else status == 0, status
                    check(path, told)
                except Exception as error:
                    raise AssertionError(f"{way} at call {number} of {total}") from error
                shutil.rmtree(path.parent)
    sys.stdout.write(json.dumps({"calls": total, "chosen": len(chosen)}))


if __name__ == "__main__":
    main()
