"""Code that is run in a process of its own by the tests."""

import hashlib
import os
import subprocess
import sys
import threading
import time


class Counter:
    """Counts, and keeps its count between requests."""

    def __init__(self, start=0):
        self.count = start

    def handle_request(self, request):
        self.count += request
        return self.count


class Worker:
    """Does what it is told, good or bad."""

    def handle_request(self, request):
        return getattr(self, request[0])(*request[1:])

    def pid(self):
        return os.getpid()

    def echo(self, value):
        return value

    def fail(self):
        raise ValueError("broken")

    def unpackable(self):
        return object()

    def shout(self):
        print("this goes to standard error")  # noqa: T201 - that is what it is about

    def leave(self, code):
        os._exit(code)

    def crash(self):
        os.kill(os.getpid(), 11)

    def spin(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pass
        return time.process_time()

    def hang(self):
        # One call into C that keeps the interpreter for minutes.
        hashlib.pbkdf2_hmac("sha256", b"x", b"y", 10**9)

    def hoard(self, size):
        held = bytearray(size)
        return len(held)

    def hold(self, size, seconds):
        held = bytearray(b"x") * size
        threading.Event().wait(seconds)
        return len(held)

    def child(self):
        return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]).pid


class Refusing:
    def __init__(self):
        raise RuntimeError("not today")

    def handle_request(self, request):
        return request
