"""A session system inside a daemon of one's own.

The daemon is yours: its sockets, its signals, its exit code. The session system is one
object in it. Here each TCP connection is a session that adds up numbers: a line with a
number is answered with the sum, anything else with the reason why not.

    python examples/embed_daemon.py DIRECTORY [--port 0]

It prints the port when it is ready, stops on SIGTERM or Ctrl-C, and leaves an audit log
in DIRECTORY/audit. Under systemd (Type=notify) it says when it is ready and when it stops.
"""

from __future__ import annotations

import argparse
import os
import signal
import socketserver
import sys
import threading
from pathlib import Path
from typing import Any, cast

from sessionactors import Session, SessionRefusal, SessionSystem
from supervisors.errors import Refusal
from supervisors.health import Health, Notifier


class NotANumberError(Refusal):
    """A request is no number: the client hears of it, and the session lives on."""


class Adder(Session):
    """Adds up what it is given."""

    dispatch = "inline"  # handle_request() never blocks

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.total = 0

    def handle_request(self, request: str) -> int:
        """Add a number; return the sum."""
        try:
            self.total += int(request)
        except ValueError as error:
            raise NotANumberError(f"{request!r} is no whole number") from error
        return self.total


class Connection(socketserver.StreamRequestHandler):
    """One client: a session that begins and ends with the connection."""

    def handle(self) -> None:
        """Answer line by line."""
        system = cast("Server", self.server).system
        session = system.start_session(session_class=Adder)
        try:
            system.activate(session)
            for line in self.rfile:
                self.wfile.write(f"{answer(system, session, line.decode(errors='replace').strip())}\n".encode())
        except SessionRefusal:
            pass  # the session has ended first: it was reaped, or the daemon stops
        finally:
            if system.state_of(session) not in (None, "terminated"):
                system.terminate(session, "disconnected")


def answer(system: SessionSystem, session: str, line: str) -> str:
    """Have a session handle a line; return what the client reads.

    Raises:
        SessionTerminated: the session has ended.
    """
    try:
        return str(system.request(session, line, size=len(line)))
    except Refusal as refused:
        if system.state_of(session) == "terminated":
            raise
        return f"no: {refused}"


class Server(socketserver.ThreadingTCPServer):
    """Listens at the loopback interface."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int, system: SessionSystem) -> None:
        self.system = system
        super().__init__(("127.0.0.1", port), Connection)


def serve(directory: Path, port: int) -> int:
    """Serve until a signal comes; return the exit code."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())  # the signals are the daemon's, not the library's
    notifier = Notifier.from_environment(os.environ)
    system = SessionSystem(
        audit_dir=directory / "audit",
        session={"auth_required": False, "idle_timeout": 600.0},
        limiter={"capacity": 100.0, "rate": 50.0},
        reaper={"interval": 60.0},
    )
    health = Health(system.actors)
    health.watch("audit", within=30.0)
    health.start()
    server = Server(port, system)
    threading.Thread(target=server.serve_forever, name="listener").start()
    notifier.ready()
    print(f"listening at port {server.server_address[1]}", flush=True)

    while not stop.wait(5.0):
        if not health.look():
            notifier.watchdog()  # a sign of life, while everybody makes progress

    notifier.stopping()
    server.shutdown()  # no new connections
    server.server_close()
    health.stop()
    late = system.stop(timeout=10.0)  # sessions end, and every end is audited
    return 3 if late else 0


def main() -> int:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    return serve(options.directory, options.port)


if __name__ == "__main__":
    sys.exit(main())
