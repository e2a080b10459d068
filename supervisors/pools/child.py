"""What runs user code: the handler of one worker, and the main program of a worker process.

Standard library only, and imported by path in a worker process: importing the whole
package would take ten times as long as starting Python does.

A process reads *frames* from one pipe and writes frames to another one: a header, and
so many bytes. Before it begins a task it writes the task's number into memory that
its parent can see: that is how the parent knows, when the process has died, which task
it was at.
"""

from __future__ import annotations

import contextlib
import importlib
import mmap
import os
import pickle
import signal
import struct
import sys
import traceback
from collections.abc import Callable
from time import perf_counter
from typing import Any, Final

__all__ = [
    "ANSWER",
    "BOOT",
    "DONE",
    "FRAME",
    "HEARD",
    "RAISED",
    "RESET",
    "RESET_FAILED",
    "RUN",
    "SETUP",
    "SETUP_FAILED",
    "STOP",
    "TOO_LARGE",
    "UNREADABLE",
    "UNSENDABLE",
    "UP",
    "WARM",
    "Child",
    "Handler",
    "Prepared",
    "main",
]

FRAME: Final = struct.Struct("<BQI")
"""To a process: kind, number of the task, length."""

ANSWER: Final = struct.Struct("<BQdI")
"""From a process: kind, number of the task, seconds that it took, length."""

# Kinds of frames to a process.
RUN: Final = 1
SETUP: Final = 2
RESET: Final = 3
STOP: Final = 4

# Kinds of answers.
DONE: Final = 1
RAISED: Final = 2
UNREADABLE: Final = 3  # the task could not be unpickled
UNSENDABLE: Final = 4  # the result could not be pickled
TOO_LARGE: Final = 5
UP: Final = 6
SETUP_FAILED: Final = 7
RESET_FAILED: Final = 8
WARM: Final = 9  # a spare has prepared what can be prepared
HEARD: Final = 10  # it has been told to come up, and is at it

READ_BYTES: Final = 1 << 16


class Prepared:
    """What an executor with an initializer has in place of a worker: tasks bring their functions along."""

    def __init__(self, initializer: Callable[..., object], initargs: tuple[Any, ...]) -> None:
        self.initializer = initializer
        self.initargs = initargs

    def setup(self) -> None:
        """Call the initializer."""
        self.initializer(*self.initargs)


class Handler:
    """One worker's own copy of what the pool was given.

    Args:
        worker: a function; a class with `handle` and, as it likes, `setup`, `reset` and
            `teardown`; or None, where each task brings its function along.
    """

    __slots__ = ("call", "has_reset", "instance")

    def __init__(self, worker: Callable[..., Any] | type | Prepared | None) -> None:
        self.instance: Any = None
        self.call: Callable[..., Any] | None = None
        if isinstance(worker, Prepared):
            self.instance = worker
        elif isinstance(worker, type) and hasattr(worker, "handle"):
            self.instance = worker()
            self.call = self.instance.handle
        else:
            self.call = worker
        self.has_reset = hasattr(self.instance, "reset")

    def setup(self) -> Any:
        """Call the setup hook; what it returns matters only if it can be awaited."""
        return self.instance.setup() if hasattr(self.instance, "setup") else None

    def reset(self) -> Any:
        """Call the reset hook: a task has failed, or a borrower has gone."""
        return self.instance.reset() if self.has_reset else None

    def teardown(self) -> Any:
        """Call the teardown hook."""
        return self.instance.teardown() if hasattr(self.instance, "teardown") else None

    def run(self, payload: tuple[Callable[..., Any] | None, tuple[Any, ...], dict[str, Any]]) -> Any:
        """Do a task."""
        function, args, kwargs = payload
        if function is None:
            function = self.call
            assert function is not None
        return function(*args, **kwargs)


BOOT: Final = """
import sys
from importlib.util import module_from_spec, spec_from_file_location
spec = spec_from_file_location("supervisors.pools.child", sys.argv[1])
module = sys.modules[spec.name] = module_from_spec(spec)
spec.loader.exec_module(module)
module.main(sys.argv[2:])
"""
"""The program of a worker process; its first argument is the path of this file.

Whatever imports this module by its name later on gets the same one.
"""


def main(arguments: list[str]) -> None:
    """Serve tasks until the parent says stop, or is gone."""
    tasks, answers, mark, parent = (int(text) for text in arguments)
    for descriptor in (tasks, answers, mark):
        os.set_inheritable(descriptor, False)
    _die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's matter; it tells us what to do
    Child(tasks, answers, memoryview(mmap.mmap(mark, mmap.PAGESIZE)).cast("Q"), perf_counter).serve()


def _die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent dies, where it can (Linux)."""
    if sys.platform != "linux":
        return
    import ctypes  # noqa: PLC0415 - only worker processes need it, and not everywhere

    pr_set_pdeathsig = 1
    ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)  # it has died before we asked


class Child:
    """The loop of a worker process.

    Args:
        tasks: descriptor of the pipe to it.
        answers: descriptor of the pipe from it.
        mark: memory that its parent sees.
        now: reads a clock, seconds.
    """

    def __init__(self, tasks: int, answers: int, mark: memoryview[int], now: Callable[[], float]) -> None:
        self._tasks = tasks
        self._answers = answers
        self._mark = mark
        self._now = now
        self._buffer = bytearray()
        self._position = 0
        self._handler: Handler | None = None
        self._result_bytes_max = 1 << 31
        self._main_path: dict[str, Any] = {}
        self._authkey = b""  # until it is needed
        self._main_is_ready = False  # only once tasks or the worker come from it

    def serve(self) -> None:
        """Do what comes over the pipe until that says stop."""
        while True:
            kind, number, body = self._read()
            if kind == RUN:
                self._run(number, body)
            elif kind == RESET:
                self._reset()
            elif kind == SETUP:
                if not self._setup(body):
                    break
            else:
                break
        if self._handler is not None:
            try:
                self._handler.teardown()
            except Exception:  # noqa: BLE001 - it ends anyhow
                traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()

    def _read(self) -> tuple[int, int, bytes]:
        kind, number, length = FRAME.unpack(self._take(FRAME.size))
        return kind, number, self._take(length)

    def _take(self, count: int) -> bytes:
        buffer = self._buffer
        while len(buffer) - self._position < count:
            if self._position:
                del buffer[: self._position]
                self._position = 0
            more = self._read_some(max(READ_BYTES, count - len(buffer)))
            if not more:
                os._exit(0)  # the parent is gone: nobody wants anything any more
            buffer += more
        start = self._position
        self._position = start + count
        return bytes(buffer[start : start + count])

    def _answer(self, kind: int, number: int, seconds: float, body: bytes) -> None:
        left = memoryview(ANSWER.pack(kind, number, seconds, len(body)) + body)
        while left:
            left = left[self._write_some(left) :]

    def _read_some(self, count: int) -> bytes:
        """Return what is in the pipe, waiting for something; nothing when the parent is gone."""
        return os.read(self._tasks, count)

    def _write_some(self, data: memoryview) -> int:
        """Write what the pipe takes, waiting for some room."""
        return os.write(self._answers, data)

    def _setup(self, body: bytes) -> bool:
        """Come up; False: it failed, and the parent was told."""
        facts = pickle.loads(body)  # noqa: S301 - from our own parent
        sys.path[:] = facts["path"]
        sys.argv[:] = facts["argv"]
        self._main_path = facts["main"]
        self._authkey = facts["authkey"]
        self._result_bytes_max = facts["result_bytes_max"]
        if not facts["warm_up"]:
            self._answer(HEARD, 0, 0.0, b"")
        try:
            worker = self._load(facts["worker"])
            if facts["warm_up"]:
                self._import(facts["modules"])
                self._answer(WARM, 0, 0.0, b"")
                return True
            self._handler = Handler(worker)
            self._handler.setup()
        except BaseException as error:  # noqa: BLE001 - the parent is told, whatever it is
            if not facts["warm_up"]:
                self._answer(SETUP_FAILED, 0, 0.0, _told(error))
                return False
            self._answer(WARM, 0, 0.0, b"")  # it will fail again when it counts, and be told then
            return True
        self._answer(UP, 0, 0.0, b"")
        return True

    def _import(self, modules: list[str]) -> None:
        """Import what tasks have come from so far: the next ones will, too."""
        for module in modules:
            with contextlib.suppress(Exception):  # it will fail again when it counts, and be told then
                if module == "__main__":
                    self._prepare_main()
                else:
                    importlib.import_module(module)

    def _prepare_main(self) -> None:
        if not self._main_is_ready:
            self._main_is_ready = True
            _load_main(self._main_path)

    def _reset(self) -> None:
        try:
            if self._handler is not None:
                self._handler.reset()
        except BaseException as error:  # noqa: BLE001 - the parent is told, whatever it is
            self._answer(RESET_FAILED, 0, 0.0, _told(error))
            os._exit(1)

    def _run(self, number: int, body: bytes) -> None:
        handler = self._handler
        assert handler is not None
        mark = self._mark
        mark[0] = number
        if mark[1] <= number <= mark[2]:
            return  # it was taken back while this process was at another one
        begun = self._now()
        try:
            payload = self._load(body)
        except BaseException as error:  # noqa: BLE001 - the parent is told, whatever it is
            self._answer(UNREADABLE, number, 0.0, _told(error))
            return
        try:
            value = handler.run(payload)
        except BaseException as error:  # noqa: BLE001 - the parent is told, whatever it is
            self._answer(RAISED, number, self._now() - begun, _told(error))
            if handler.has_reset:
                self._reset()
            return
        seconds = self._now() - begun
        try:
            result = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        except BaseException as error:  # noqa: BLE001 - a __reduce__ may raise anything
            self._answer(UNSENDABLE, number, seconds, _told(error))
            return
        if len(result) > self._result_bytes_max:
            self._answer(TOO_LARGE, number, seconds, str(len(result)).encode())
            return
        self._answer(DONE, number, seconds, result)

    def _load(self, body: bytes) -> Any:
        if b"__main__" in body:
            self._prepare_main()
        if self._authkey and b"multiprocessing" in body:
            # So that what a manager of our parent shares can be reached from here.
            from multiprocessing import process  # noqa: PLC0415 - most tasks have nothing to do with it

            process.current_process().authkey, self._authkey = self._authkey, b""
        return pickle.loads(body)  # noqa: S301 - from our own parent


PREPARING: list[bool] = [False]
"""True while the parent's main program is imported: it must not start pools then."""


def _load_main(facts: dict[str, Any]) -> None:
    """Import the parent's main program under another name, so that its functions are found."""
    if not facts:
        return
    from multiprocessing import spawn  # noqa: PLC0415 - only where tasks come from the main program

    PREPARING[0] = True
    try:
        spawn.prepare(facts)
    finally:
        PREPARING[0] = False


def _told(error: BaseException) -> bytes:
    """Return an exception so that the other side gets it, or at least what it says."""
    kind = type(error).__name__
    try:
        said = str(error)
    except Exception:  # noqa: BLE001 - a broken __str__
        said = "<an error that cannot be shown>"
    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    try:
        packed = pickle.dumps(error, pickle.HIGHEST_PROTOCOL)
    except BaseException:  # noqa: BLE001 - a __reduce__ may raise anything
        packed = b""
    return pickle.dumps((packed, kind, said, trace), pickle.HIGHEST_PROTOCOL)
