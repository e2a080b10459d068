"""What goes over the pipe to an actor in another process: msgpack in frames.

A frame is four bytes of length, big-endian, and so many bytes of msgpack. Beside
what msgpack knows (None, booleans, numbers, text, bytes, lists, maps), an actor class
may name types of its own in `message_coders`; both sides import the class, so both
know them. Tuples arrive as lists.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final, final

import msgpack

from supervisors.errors import InvalidTypeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["FRAME_BYTES_MAX", "Coder", "Frames"]

FRAME_BYTES_MAX: Final = 256 * 1024 * 1024

_LENGTH: Final = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Coder:
    """How a type travels.

    Attributes:
        kind: the type.
        name: a short name, the same on both sides.
        encode: turns a value into something that msgpack knows.
        decode: turns that back into the value.
    """

    kind: type
    name: str
    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]


@final
class Frames:
    """Reads and writes frames.

    Args:
        reader: where frames come from.
        writer: where they go.
        coders: types beside msgpack's own.

    Thread: one reads and one writes at a time.
    """

    __slots__ = ("_by_kind", "_by_name", "_reader", "_writer")

    def __init__(self, reader: BinaryIO, writer: BinaryIO, coders: Sequence[Coder] = ()) -> None:
        self._reader = reader
        self._writer = writer
        self._by_kind = {coder.kind: coder for coder in coders}
        self._by_name = {coder.name: coder for coder in coders}

    def write(self, *frame: Any) -> None:
        """Write one frame.

        Raises:
            InvalidTypeError: something in it cannot travel; nothing was written.
            OSError: nobody reads any more.
        """
        try:
            packed = msgpack.packb(frame, default=self._encode, strict_types=False)
        except (TypeError, ValueError, OverflowError) as error:
            if isinstance(error, InvalidTypeError):
                raise
            raise InvalidTypeError("message", frame, f"what msgpack can carry ({error})") from error
        if len(packed) > FRAME_BYTES_MAX:
            raise InvalidTypeError("message", frame, f"at most {FRAME_BYTES_MAX} bytes")
        self._writer.write(_LENGTH.pack(len(packed)) + packed)
        self._writer.flush()

    def read(self) -> list[Any] | None:
        """Read one frame; None when the other side has closed, or died in the middle."""
        head = self._reader.read(_LENGTH.size)
        if len(head) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack(head)
        body = self._reader.read(length)
        if len(body) < length:
            return None
        frame: list[Any] = msgpack.unpackb(body, ext_hook=self._decode, strict_map_key=False)
        return frame

    def _encode(self, value: Any) -> msgpack.ExtType:
        coder = self._by_kind.get(type(value))
        if coder is None:
            raise InvalidTypeError("message", value, "what msgpack can carry, or a type in message_coders")
        return msgpack.ExtType(1, msgpack.packb([coder.name, coder.encode(value)], default=self._encode))

    def _decode(self, _code: int, data: bytes) -> Any:
        name, value = msgpack.unpackb(data, ext_hook=self._decode, strict_map_key=False)
        return self._by_name[name].decode(value)
