"""A session system inside an asyncio service.

Each connection is a session; its handler is a coroutine, so a session that waits for
something slow holds up nobody. A line is answered with the same line after a moment.

    python examples/embed_asyncio.py [--port 0] [--seconds 0.01]

It prints the port when it is ready, and stops on SIGTERM or Ctrl-C.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from typing import Any

from sessionactors import RateLimited, Session, SessionSystem, SessionTerminated


class Echo(Session):
    """Answers with what it was given, after something slow."""

    seconds = 0.01

    async def handle_request(self, request: str) -> str:
        """Wait, as for a database; meanwhile the session can be looked at, suspended and ended."""
        await asyncio.sleep(self.seconds)
        return request


class Service:
    """Connects sockets with sessions."""

    def __init__(self, system: SessionSystem) -> None:
        self.system = system

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client until it leaves."""
        system = self.system
        # Starting and ending a session takes microseconds, so the loop may do it itself.
        session = system.start_session(session_class=Echo)
        system.activate(session)
        try:
            while line := await reader.readline():
                writer.write(await self.answer(session, line))
                await writer.drain()
        except (ConnectionError, SessionTerminated):
            pass
        finally:
            if system.state_of(session) not in (None, "terminated"):
                system.terminate(session, "disconnected")
            writer.close()

    async def answer(self, session: str, line: bytes) -> bytes:
        """Have a session answer; who asks too often waits for its turn, without the loop."""
        request = line.decode(errors="replace").strip()
        try:
            answer: Any = await self.system.request_async(session, request, timeout=10.0)
        except RateLimited as refused:
            return f"no: wait {refused.wait:.1f} s\n".encode()
        return f"{answer}\n".encode()


async def serve(port: int) -> None:
    """Serve until a signal comes."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    system = SessionSystem(session={"auth_required": False}, limiter={"capacity": 20.0, "rate": 1.0})
    server = await asyncio.start_server(Service(system).connected, "127.0.0.1", port)
    print(f"listening at port {server.sockets[0].getsockname()[1]}", flush=True)
    await stop.wait()
    server.close()
    # stop() waits for actors, some of which may wait for this loop: so not on it.
    await asyncio.to_thread(system.stop)


def main() -> int:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0.01, help="that each request takes")
    options = parser.parse_args()
    Echo.seconds = options.seconds
    asyncio.run(serve(options.port))
    return 0


if __name__ == "__main__":
    sys.exit(main())
