"""What runs in the process of a sandbox: ``from sessionactors.sandbox.child import main``.

It is started before anybody needs it and waits for the name of a handler. Then it
makes one, answers requests one by one, and ends when the pipe is closed. What the
handler prints goes to standard error.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any, BinaryIO, Final

from supervisors.runtime.frames import Frames
from supervisors.runtime.program import begin

__all__ = ["OUT_OF_MEMORY", "main", "serve"]

OUT_OF_MEMORY: Final = 86
"""Exit code of a process that could not get the memory it asked for."""


def main() -> int:
    """Serve one handler until the pipe is closed."""
    return serve(*begin(), None)


def serve(reader: BinaryIO, writer: BinaryIO, _make_system: object) -> int:
    """Serve one handler over two pipes, as `main()` does; return the exit code."""
    frames = Frames(reader, writer)
    try:
        frames.write("warm")
        _serve(frames)
    except MemoryError:
        # Nothing that allocates may be relied on any more, and nobody knows what
        # state the handler is in.
        os._exit(OUT_OF_MEMORY)
    except OSError:
        pass  # the parent is gone
    return 0


def _serve(frames: Frames) -> None:
    first = frames.read()
    if first is None:
        return
    paths, module, name, arguments = first
    sys.path[:] = paths
    try:
        handler: Any = importlib.import_module(module)
        for part in name.split("."):
            handler = getattr(handler, part)
        handle = handler(*arguments).handle_request
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - the parent tells it
        frames.write("failed", _told(error))
        return
    frames.write("up")
    while (frame := frames.read()) is not None:
        try:
            answer = ("reply", handle(frame[0]))
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - the parent tells it, and the handler goes on
            answer = ("raised", _told(error))
        try:
            frames.write(*answer)
        except TypeError as error:  # the reply cannot travel
            frames.write("raised", _told(error))


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:1000]
