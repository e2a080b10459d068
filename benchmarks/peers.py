"""How long is a request and its reply in other libraries that have what this one has?

Workload: one caller asks one echo actor (or task), one request after another. Asyncio
has no actors: there, a task takes requests from a queue, and sets the result of a future.

Run it where they are installed (`pip install uvloop otpylib thespian ray`); whoever is not
installed is left out: `python -m benchmarks.peers`. They are no contenders of `make bench`,
because each brings dependencies that nobody else here needs.

It does not show what they are made for: Thespian and Ray hand work to other processes and
machines, which costs what it costs, and is the point of it.
"""

from __future__ import annotations

import asyncio
import importlib.util
import time
from collections.abc import Callable
from statistics import median
from typing import Any, Final

import pykka

from supervisors import Actor, ActorSystem

RUNS: Final = 8


def ours(count: int) -> float:
    """Ask an inline actor."""

    class Echo(Actor):
        dispatch = "inline"

        def on_receive(self, message: Any) -> Any:
            return message

    with ActorSystem() as system:
        return _timed(system.start(Echo).ask, count)


def stock_pykka(count: int) -> float:
    """Ask a `ThreadingActor`."""

    class Echo(pykka.ThreadingActor):
        def on_receive(self, message: Any) -> Any:
            return message

    echo = Echo.start()
    try:
        return _timed(echo.ask, count)
    finally:
        echo.stop()


def otpylib(count: int) -> float:
    """Call a gen_server."""
    from otpylib import gen_server, process  # noqa: PLC0415 - not installed everywhere
    from otpylib.module import GEN_SERVER, OTPModule  # noqa: PLC0415 - not installed everywhere
    from otpylib.runtime.backends.asyncio_backend import AsyncIOBackend  # noqa: PLC0415 - not installed everywhere

    class Echo(  # type: ignore[call-arg]  # no types are published for it
        metaclass=OTPModule,  # type: ignore[metaclass]  # likewise
        behavior=GEN_SERVER,
        version="1.0.0",
    ):
        async def init(self, argument: Any) -> Any:
            return argument

        async def handle_call(self, request: Any, _caller: Any, state: Any) -> Any:
            return gen_server.Reply(request), state

        async def handle_cast(self, _message: Any, state: Any) -> Any:
            return gen_server.NoReply(), state

        async def handle_info(self, _message: Any, state: Any) -> Any:
            return gen_server.NoReply(), state

        async def terminate(self, _reason: Any, _state: Any) -> None:
            pass

    async def measure() -> float:
        runtime = AsyncIOBackend()
        await runtime.initialize()
        process.use_runtime(runtime)
        took: list[float] = []
        done = asyncio.Event()

        async def caller() -> None:
            server = "echo"  # a call needs a registered name
            await gen_server.start(Echo, None, name=server)
            begun = time.perf_counter()
            for number in range(count):
                await gen_server.call(server, number)
            took.append(time.perf_counter() - begun)
            done.set()

        await process.spawn(caller)
        await asyncio.wait_for(done.wait(), 120)
        await runtime.shutdown()
        return took[0]

    return asyncio.run(measure())


def by_hand(count: int, new_loop: Callable[[], asyncio.AbstractEventLoop] | None = None) -> float:
    """Ask a task of asyncio through a queue."""

    async def measure() -> float:
        queue: asyncio.Queue[tuple[int, asyncio.Future[int]]] = asyncio.Queue()

        async def echo() -> None:
            while True:
                number, reply = await queue.get()
                reply.set_result(number)

        task = asyncio.create_task(echo())
        loop = asyncio.get_running_loop()
        begun = time.perf_counter()
        for number in range(count):
            reply = loop.create_future()
            queue.put_nowait((number, reply))
            await reply
        took = time.perf_counter() - begun
        task.cancel()
        return took

    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(measure())


def by_hand_uvloop(count: int) -> float:
    """Ask the same task under uvloop."""
    import uvloop  # noqa: PLC0415 - not installed everywhere

    return by_hand(count, uvloop.new_event_loop)


def ray(count: int) -> float:
    """Ask an actor in a process of its own, on this machine."""
    import ray  # noqa: PLC0415 - not installed everywhere

    class Echo:
        def same(self, number: int) -> int:
            return number

    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    try:
        echo = ray.remote(Echo).remote()
        return _timed(lambda number: ray.get(echo.same.remote(number)), count)
    finally:
        ray.shutdown()


def thespian(count: int, base: str = "multiprocTCPBase") -> float:
    """Ask an actor in a process of its own."""
    from thespian.actors import ActorSystem as Thespian  # noqa: PLC0415 - not installed everywhere

    from benchmarks.peers_thespian import Echo  # noqa: PLC0415 - not installed everywhere

    system = Thespian(base)
    try:
        echo = system.createActor(Echo)
        return _timed(lambda number: system.ask(echo, number, 10), count)
    finally:
        system.shutdown()


def _timed(ask: Callable[[int], Any], count: int) -> float:
    ask(0)
    begun = time.perf_counter()
    for number in range(count):
        ask(number)
    return time.perf_counter() - begun


CONTENDERS: Final = (
    ("supervisors", "supervisors", ours, 100_000),
    ("Pykka", "pykka", stock_pykka, 5_000),
    ("asyncio", "asyncio", by_hand, 20_000),
    ("asyncio, uvloop", "uvloop", by_hand_uvloop, 20_000),
    ("otpylib", "otpylib", otpylib, 5_000),
    ("Thespian, TCP", "thespian", thespian, 500),
    ("Ray", "ray", ray, 500),
)


def main() -> None:
    """Measure whoever is installed, in turns."""
    print("requests a second, one caller: median, lowest and highest of", RUNS)
    for name, module, measure, count in CONTENDERS:
        if importlib.util.find_spec(module) is None:
            print(f"{name:16} not installed")
            continue
        rates = [count / measure(count) for _ in range(RUNS)]
        print(f"{name:16} {median(rates):12,.0f} {min(rates):12,.0f} {max(rates):12,.0f}")


if __name__ == "__main__":
    main()
