"""Programs for processes: each reads bytes and answers. See `supervisors.runtime.machine.Program`."""

from __future__ import annotations

import os
import signal
import sys

__all__ = ["main", "serve"]


def main():
    reader, writer = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    return serve(reader, writer, None)


def serve(reader, writer, make_system):
    """Do what each byte says."""
    while order := reader.read(1):
        if order == b"e":  # echo eight bytes
            writer.write(reader.read(8)[::-1])
        elif order == b"p":
            writer.write(os.getpid().to_bytes(8, "big"))
        elif order == b"x":
            os._exit(7)
        elif order == b"s":
            sys.exit(9)
        elif order == b"r":
            raise ValueError("broken")
        elif order == b"k":
            os.kill(os.getpid(), signal.SIGTERM)
        elif order == b"f" and not os.fork():
            signal.pause()
        elif order == b"l":
            writer.write(bytes(1 << 18))
        writer.flush()
    return 3
