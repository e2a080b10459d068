"""How long is an actor away after a crash, in other libraries?

Workload: an actor is told to crash; then its successor is asked until it has answered. Libraries that
restart nobody have a few lines that do, as a program of theirs would: an actor of Pykka
starts its successor when it fails, and a task of asyncio is awaited by another one. Ray
restarts an actor itself (`max_restarts`); Thespian's caller makes another actor when it
hears of the end. Ours is a child of a `Supervisor`.

Run it where they are installed (`pip install thespian ray`); whoever is not installed is
left out: `python -m benchmarks.peers_restarts`. Medians of so many crashes each, in turns
of eight. In the processes of Ray and Thespian most of the time is that of a new process.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import os
import queue
import time
from statistics import median
from typing import Any, Final

import pykka

from supervisors import Actor, ActorSystem, ChildSpec, Supervisor

RUNS: Final = 8
_NEVER_TOO_MANY: Final = 1_000_000


def ours(count: int) -> list[float]:
    """Crash a child of a supervisor."""
    latest: list[Any] = []

    class Child(Actor):
        dispatch = "inline"

        def on_start(self) -> None:
            latest[:] = [self.actor_ref]

        def on_receive(self, message: Any) -> Any:
            if message == "crash":
                raise ValueError(message)
            return message

    times = []
    with ActorSystem() as system:
        system.start(Supervisor, [ChildSpec("child", Child)], max_restarts=_NEVER_TOO_MANY)
        for _ in range(count):
            child = latest[0]
            begun = time.perf_counter()
            child.tell("crash")
            while latest[0] is child:
                time.sleep(0)
            latest[0].ask("ready")
            times.append(time.perf_counter() - begun)
    return times


def stock_pykka(count: int) -> list[float]:
    """Crash a `ThreadingActor` that starts its successor when it fails."""
    up: queue.SimpleQueue[Any] = queue.SimpleQueue()

    class Child(pykka.ThreadingActor):
        def on_start(self) -> None:
            up.put(self.actor_ref)

        def on_failure(self, *_: Any) -> None:
            type(self).start()

        def on_receive(self, message: Any) -> Any:
            if message == "crash":
                raise ValueError(message)
            return message

    times = []
    Child.start()
    child = up.get()
    for _ in range(count):
        begun = time.perf_counter()
        child.tell("crash")
        child = up.get()
        child.ask("ready")
        times.append(time.perf_counter() - begun)
    child.stop()
    return times


def by_hand(count: int) -> list[float]:
    """Crash a task that another task awaits and starts again."""

    async def measure() -> list[float]:
        requests: asyncio.Queue[tuple[str, asyncio.Future[str]]] = asyncio.Queue()

        async def child() -> None:
            while True:
                message, reply = await requests.get()
                if message == "crash":
                    raise ValueError(message)
                reply.set_result(message)

        async def supervisor() -> None:
            while True:
                with contextlib.suppress(ValueError):
                    await asyncio.create_task(child())

        task = asyncio.create_task(supervisor())
        loop = asyncio.get_running_loop()
        times = []
        for _ in range(count):
            reply = loop.create_future()
            begun = time.perf_counter()
            requests.put_nowait(("crash", loop.create_future()))
            requests.put_nowait(("ready", reply))
            await reply
            times.append(time.perf_counter() - begun)
        task.cancel()
        return times

    return asyncio.run(measure())


def ray(count: int) -> list[float]:
    """Kill an actor that Ray restarts."""
    import ray  # noqa: PLC0415 - not installed everywhere
    from ray.exceptions import RayActorError  # noqa: PLC0415 - likewise

    class Child:
        def process(self) -> int:
            return os.getpid()

    ray.init(num_cpus=2, include_dashboard=False, logging_level="CRITICAL", log_to_driver=False)
    times = []
    try:
        child = ray.remote(Child).options(max_restarts=-1).remote()
        process = latest = ray.get(child.process.remote())
        for _ in range(count):
            begun = time.perf_counter()
            ray.kill(child, no_restart=False)
            while latest == process:  # the killed one may answer still
                with contextlib.suppress(RayActorError):
                    latest = ray.get(child.process.remote())
            times.append(time.perf_counter() - begun)
            process = latest
    finally:
        ray.shutdown()
    return times


def thespian(count: int) -> list[float]:
    """End an actor in a process of its own, and make another one."""
    from thespian.actors import ActorExitRequest  # noqa: PLC0415 - not installed everywhere
    from thespian.actors import ActorSystem as Thespian  # noqa: PLC0415 - likewise

    from benchmarks.peers_thespian import Echo  # noqa: PLC0415 - likewise

    system = Thespian("multiprocTCPBase")
    times = []
    try:
        child = system.createActor(Echo)
        system.ask(child, 0, 10)
        for number in range(count):
            begun = time.perf_counter()
            system.tell(child, ActorExitRequest())
            child = system.createActor(Echo)
            system.ask(child, number, 10)
            times.append(time.perf_counter() - begun)
    finally:
        system.shutdown()
    return times


CONTENDERS: Final = (
    ("supervisors", "supervisors", ours, 200),
    ("asyncio", "asyncio", by_hand, 200),
    ("Pykka", "pykka", stock_pykka, 200),
    ("Thespian, TCP", "thespian", thespian, 20),
    ("Ray", "ray", ray, 2),
)


def main() -> None:
    """Measure whoever is installed."""
    logging.disable(logging.CRITICAL)  # each crash would be logged with its traceback
    print("microseconds from a crash until the successor has answered: median, lowest and highest of", RUNS)
    for name, module, measure, count in CONTENDERS:
        if importlib.util.find_spec(module) is None:
            print(f"{name:16} not installed")
            continue
        found = [median(measure(count)) * 1e6 for _ in range(RUNS)]
        print(f"{name:16} {median(found):12,.0f} {min(found):12,.0f} {max(found):12,.0f}")


if __name__ == "__main__":
    main()
