"""Sees when code under simulation touches what no seed decides: clocks, randomness, threads.

While a simulation runs, the functions of the standard library that read a clock, draw
from a shared or a true source of randomness, or start a thread, are replaced by ones
that do the same and note the place from which they were called. They are replaced in
their own modules, and under any name that the modules of the actors and of the
workload have imported them.

What logs and traces may look at the clock: modules in `_MAY` are let through, and the
standard library counts as the code that has called it.

Not seen: names that other modules have imported before, the order of a set, and what is
written in C.
"""

from __future__ import annotations

import _thread
import datetime as dt
import multiprocessing.process
import os
import random
import secrets
import subprocess
import sys
import sysconfig
import threading
import time
import uuid
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, final

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["OutsideWatch"]

_WATCHED: Final[tuple[tuple[Any, tuple[str, ...]], ...]] = (
    (
        time,
        (
            "time",
            "time_ns",
            "monotonic",
            "monotonic_ns",
            "perf_counter",
            "perf_counter_ns",
            "process_time",
            "process_time_ns",
            "thread_time",
            "thread_time_ns",
            "clock_gettime",
            "clock_gettime_ns",
            "localtime",
            "gmtime",
            "ctime",
            "strftime",
            "sleep",
        ),
    ),
    (
        random,
        (
            "random",
            "randint",
            "randrange",
            "randbytes",
            "getrandbits",
            "choice",
            "choices",
            "sample",
            "shuffle",
            "uniform",
            "gauss",
            "expovariate",
            "normalvariate",
            "lognormvariate",
            "vonmisesvariate",
            "gammavariate",
            "paretovariate",
            "weibullvariate",
            "binomialvariate",
            "triangular",
            "betavariate",
            "seed",
            "_urandom",
        ),
    ),
    (random.Random, ("seed",)),
    (os, ("urandom", "getrandom", "fork", "system", "posix_spawn")),
    (secrets, ("token_bytes", "token_hex", "token_urlsafe", "choice", "randbelow", "randbits")),
    (uuid, ("uuid1", "getnode")),
    (threading.Thread, ("start",)),
    (_thread, ("start_new_thread", "start_joinable_thread")),
    (subprocess.Popen, ("__init__",)),
    (multiprocessing.process.BaseProcess, ("start",)),
)
"""Where they are, and their names; not every Python and system has all of them."""

_WHEN: Final[dict[str, Callable[..., bool]]] = {
    "time.localtime": lambda seconds=None: seconds is None,
    "time.gmtime": lambda seconds=None: seconds is None,
    "time.ctime": lambda seconds=None: seconds is None,
    "time.strftime": lambda _form, moment=None: moment is None,
    "random.seed": lambda a=None, **_more: a is None,
    # What a generator without a seed is seeded with; one that draws from the system has none to set.
    "random.Random": lambda self, a=None, **_more: a is None and not isinstance(self, random.SystemRandom),
}
"""When those do that depend on their arguments."""

_NAMES: Final = {"random._urandom": "os.urandom", "Random.seed": "random.Random", "Popen.__init__": "subprocess.Popen"}

_MAY: Final = frozenset({"logging", "traceback", "warnings", "_pytest", "pluggy", "hypothesis", "coverage", "frontrun"})
"""Packages that look at a clock without any effect on what a program does."""

_OWN: Final = ("supervisors.simulation.", "supervisors.clock", "supervisors.entropy")

_STANDARD: Final = sysconfig.get_path("stdlib")

_REAL_DATETIME: Final = dt.datetime


@final
class OutsideWatch:
    """Watches from `begin()` to `end()`.

    Args:
        is_inside: tells whether the thread that asks runs the simulated program now.
        note: gets a sentence for the first touch.

    Attributes:
        touched: what was touched first, and where; None: nothing.

    Thread: that of the simulation begins and ends it.
    """

    def __init__(self, is_inside: Callable[[], bool], note: Callable[[str], None]) -> None:
        self.touched: str | None = None
        self._is_inside = is_inside
        self._note = note
        self._before: list[tuple[Any, str, Any]] = []
        self._instead: dict[int, Any] = {}
        self._seen: set[str] = set()

    def begin(self) -> None:
        """Replace the functions."""
        for owner, names in _WATCHED:
            for name in names:
                original = getattr(owner, name, None)
                if original is None:
                    continue
                self._instead[id(original)] = watched = self._watched(_name_of(owner, name), original)
                if isinstance(owner, ModuleType):
                    watched.__module__, watched.__qualname__ = owner.__name__, name  # where `pickle` finds it again
                self._replace(owner, name, watched)
        self._instead[id(_REAL_DATETIME)] = watched = self._watched_datetime()
        self._replace(dt, "datetime", watched)

    def look_at(self, module_name: str) -> None:
        """Replace them as well where a module has imported them by name."""
        if module_name in self._seen:
            return
        self._seen.add(module_name)
        module = sys.modules.get(module_name)
        if module is None or not self._before or f"{module_name}.".startswith(_OWN):
            return
        for name, value in list(vars(module).items()):
            instead = self._instead.get(id(value))
            if instead is not None:
                self._replace(module, name, instead)

    def saw(self, name: str, frame: FrameType | None) -> None:
        """Note that simulated code, which is in that frame, has called something."""
        if self.touched is None and self._before and self._is_inside():
            self._look(name, frame)

    def end(self) -> None:
        """Put everything back."""
        while self._before:
            owner, name, original = self._before.pop()
            setattr(owner, name, original)

    def _replace(self, owner: ModuleType | type, name: str, instead: Any) -> None:
        self._before.append((owner, name, getattr(owner, name)))
        setattr(owner, name, instead)

    def _watched(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        touches = _WHEN.get(name)

        def call(*args: Any, **kwargs: Any) -> Any:
            if self.touched is None and self._is_inside() and (touches is None or touches(*args, **kwargs)):
                self._look(name, sys._getframe(1))  # noqa: SLF001 - what inspect.currentframe() is
            return original(*args, **kwargs)

        return call

    def _watched_datetime(self) -> type:
        watch = self

        class Meta(type):
            def __instancecheck__(cls, instance: object) -> bool:
                return isinstance(instance, _REAL_DATETIME)

            def __subclasscheck__(cls, subclass: type) -> bool:
                return issubclass(subclass, _REAL_DATETIME)

            def __call__(cls, *args: Any, **kwargs: Any) -> Any:
                return _REAL_DATETIME(*args, **kwargs)

        def reading(name: str) -> Any:
            def read(*args: Any, **kwargs: Any) -> Any:
                if watch.touched is None and watch._is_inside():
                    watch._look(f"datetime.{name}", sys._getframe(1))  # noqa: SLF001 - as above
                return getattr(_REAL_DATETIME, name)(*args, **kwargs)

            return staticmethod(read)

        members = {name: reading(name) for name in ("now", "utcnow", "today")}
        return Meta("datetime", (_REAL_DATETIME,), members)

    def _look(self, name: str, frame: FrameType | None) -> None:
        caller = frame
        while caller is not None:
            module = str(caller.f_globals.get("__name__", ""))
            if module.partition(".")[0] in _MAY or f"{module}.".startswith(_OWN):
                return
            path = caller.f_code.co_filename
            if not path.startswith(_STANDARD) or "site-packages" in path:
                break
            caller = caller.f_back
        if caller is None:
            return
        code = caller.f_code
        self.touched = f"{name}() was called in {code.co_qualname}, {code.co_filename}:{caller.f_lineno}"
        self._note(f"{name}() was called in {code.co_qualname}")


def _name_of(owner: Any, name: str) -> str:
    known = f"{owner.__name__}.{name}"
    return _NAMES.get(known, known)
