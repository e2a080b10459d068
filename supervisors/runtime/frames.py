"""What goes over the pipe to an actor in another process: msgpack in frames.

A frame is four bytes of length, big-endian, and so many bytes of msgpack. Beside
what msgpack knows (None, booleans, numbers, text, bytes, lists, maps), an actor class
may name types of its own in `message_coders`; both sides import the class, so both
know them. Without a coder, tuples arrive as lists, and what is derived from a number, a text
or another type of msgpack's arrives as that.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final, final

import msgpack

from supervisors.errors import InvalidTypeError, SupervisorsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["FRAME_BYTES_MAX", "Coder", "Frames", "Packing", "UnreadableError", "in_words", "plain_text"]

FRAME_BYTES_MAX: Final = 256 * 1024 * 1024

CODED: Final = 1
"""The type, in msgpack's extension, of what a coder has made."""

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


class UnreadableError(SupervisorsError):
    """What has come cannot be made into a value again: the `decode` of a coder has raised, mostly.

    The message or reply is lost, and nothing else.
    """


@final
class Packing:
    """Turns values into bytes, and back.

    Args:
        coders: types beside msgpack's own.

    Thread: any, and several at a time.
    """

    __slots__ = ("_by_kind", "_by_name")

    def __init__(self, coders: Sequence[Coder] = ()) -> None:
        self._by_kind = {coder.kind: coder for coder in coders}
        self._by_name = {coder.name: coder for coder in coders}

    def pack(self, value: Any) -> bytes:
        """Return a value as bytes.

        Raises:
            InvalidTypeError: something in it cannot travel, or could not be read.
        """
        lists: list[None] = []  # of what has become one on the way

        def encode(part: Any) -> Any:
            if type(part) not in self._by_kind and isinstance(part, tuple):
                lists.append(None)
            return self._encode(part)

        try:
            # Strictly, so that a coder's type may be one of msgpack's: a named tuple, an enum of numbers.
            packed: bytes = msgpack.packb(value, default=encode, strict_types=True)
            if lists:
                # As a key, it could not be read.
                msgpack.unpackb(packed, ext_hook=lambda *_: None, strict_map_key=False)
        except (InvalidTypeError, MemoryError):
            raise
        except Exception as error:
            raise InvalidTypeError("message", value, f"what msgpack can carry ({in_words(error)})") from error
        if len(packed) > FRAME_BYTES_MAX:
            raise InvalidTypeError("message", value, f"at most {FRAME_BYTES_MAX} bytes")
        return packed

    def unpack(self, packed: bytes) -> Any:
        """Return the value again.

        Raises:
            UnreadableError: it cannot be had.
        """
        try:
            return msgpack.unpackb(packed, ext_hook=self._decode, strict_map_key=False)
        except MemoryError:
            raise  # it says nothing about the message
        except Exception as error:
            raise UnreadableError(f"a message cannot be read: {in_words(error)}") from error

    def _encode(self, value: Any) -> Any:
        coder = self._by_kind.get(type(value))
        if coder is not None:
            return msgpack.ExtType(CODED, self.pack([coder.name, coder.encode(value)]))
        for kind, plain in _PLAIN:
            if isinstance(value, kind):
                return plain(value)
        raise InvalidTypeError("message", value, "what msgpack can carry, or a type in message_coders")

    def _decode(self, code: int, data: bytes) -> Any:
        if code != CODED:
            return msgpack.ExtType(code, data)  # somebody's own
        name, value = msgpack.unpackb(data, ext_hook=self._decode, strict_map_key=False)
        return self._by_name[name].decode(value)


_PLAIN: Final[tuple[tuple[type, Callable[[Any], Any]], ...]] = (
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
    (bytes, lambda value: bytes(memoryview(value))),
    (tuple, list),
    (list, list),
    (dict, dict),
)
"""What msgpack makes of a type that is derived from one that it knows."""


@final
class Frames:
    """Reads and writes frames.

    Args:
        reader: where frames come from.
        writer: where they go.
        packing: turns what is in them into bytes; None: knows msgpack's own types.

    Thread: one reads and one writes at a time.
    """

    __slots__ = ("_packing", "_reader", "_writer")

    def __init__(self, reader: BinaryIO, writer: BinaryIO, packing: Packing | None = None) -> None:
        self._reader = reader
        self._writer = writer
        self._packing = Packing() if packing is None else packing

    def write(self, *frame: Any) -> None:
        """Write one frame.

        Raises:
            InvalidTypeError: something in it cannot travel; nothing was written.
            OSError: nobody reads any more.
        """
        packed = self._packing.pack(list(frame))
        self._writer.write(_LENGTH.pack(len(packed)) + packed)
        self._writer.flush()

    def read(self) -> list[Any] | None:
        """Read one frame; None when the other side has closed, or died in the middle.

        Raises:
            UnreadableError: there was one, and it has no meaning here; the next one may have.
        """
        head = self._reader.read(_LENGTH.size)
        if len(head) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack(head)
        body = self._reader.read(length)
        if len(body) < length:
            return None
        frame: list[Any] = self._packing.unpack(body)
        return frame


def in_words(error: BaseException) -> str:
    """Tell what an error says, as text that can travel, whatever its `__str__` does."""
    try:
        said = str(error)
    except Exception:  # noqa: BLE001 - a broken __str__
        said = "<an error that cannot be shown>"
    return plain_text(f"{type(error).__name__}: {said}")


def plain_text(text: str) -> str:
    """Return a text without the halves of characters that cannot travel."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
