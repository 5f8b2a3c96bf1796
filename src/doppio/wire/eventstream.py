"""The framing of event streams: `application/vnd.amazon.eventstream`.

A message is: total length, length of the headers, CRC32 of those eight bytes, headers, payload,
CRC32 of all that. Bytes in, messages out; the other way round too.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from doppio.wire import timestamps

HEADERS_BYTES_MAX = 128 * 1024
MESSAGE_BYTES_MAX = 24 * 1024 * 1024

HeaderValue = bool | int | bytes | str | datetime | UUID

_PRELUDE = struct.Struct(">III")
_OVERHEAD = 16
_NUMBERS = {2: struct.Struct(">b"), 3: struct.Struct(">h"), 4: struct.Struct(">i")}
_LONG = struct.Struct(">q")
_SHORT = struct.Struct(">H")


class BadFrame(ValueError):
    """Bytes that are no event-stream message."""


class Message(NamedTuple):
    """One message. Header names that begin with `:` are the protocol's own."""

    headers: dict[str, HeaderValue]
    payload: bytes


def encode(headers: Mapping[str, HeaderValue], payload: bytes = b"") -> bytes:
    """The bytes of a message. Integers are written as 32 bits where they fit, else as 64."""
    head = b"".join(_header(name, value) for name, value in headers.items())
    total = len(head) + len(payload) + _OVERHEAD
    lengths = struct.pack(">II", total, len(head))
    prelude = lengths + struct.pack(">I", zlib.crc32(lengths))
    content = b"".join((prelude, head, payload))
    return content + struct.pack(">I", zlib.crc32(content))


def _header(name: str, value: HeaderValue) -> bytes:
    encoded = name.encode()
    start = bytes((len(encoded),)) + encoded
    if isinstance(value, bool):
        return start + (b"\x00" if value else b"\x01")
    if isinstance(value, int):
        if -(1 << 31) <= value < 1 << 31:
            return start + b"\x04" + struct.pack(">i", value)
        return start + b"\x05" + _LONG.pack(value)
    if isinstance(value, str):
        text = value.encode()
        return start + b"\x07" + _SHORT.pack(len(text)) + text
    if isinstance(value, bytes):
        return start + b"\x06" + _SHORT.pack(len(value)) + value
    if isinstance(value, datetime):
        return start + b"\x08" + _LONG.pack(round(timestamps.utc(value).timestamp() * 1000))
    return start + b"\x09" + value.bytes


def _headers(content: bytes) -> dict[str, HeaderValue]:
    out: dict[str, HeaderValue] = {}
    at = 0
    try:
        while at < len(content):
            size = content[at]
            name = content[at + 1 : at + 1 + size].decode()
            at += 1 + size
            kind = content[at]
            out[name], at = _value(content, at + 1, kind)
    except (IndexError, struct.error, ValueError, OverflowError) as error:
        raise BadFrame(f"bad header: {error}") from error
    if at != len(content):
        raise BadFrame("a header is cut off")
    return out


def _value(content: bytes, at: int, kind: int) -> tuple[HeaderValue, int]:
    if kind in (0, 1):
        return kind == 0, at
    if kind in _NUMBERS:
        form = _NUMBERS[kind]
        return form.unpack_from(content, at)[0], at + form.size
    if kind == 5:
        return _LONG.unpack_from(content, at)[0], at + 8
    if kind == 8:
        return timestamps.parse_epoch(_LONG.unpack_from(content, at)[0] / 1000), at + 8
    if kind in (6, 7):
        end = at + 2 + _SHORT.unpack_from(content, at)[0]
        value = content[at + 2 : end]
        if end > len(content):
            raise BadFrame("a header is cut off")
        return (value if kind == 6 else value.decode()), end
    if kind == 9:
        return UUID(bytes=content[at : at + 16]), at + 16
    raise BadFrame(f"unknown header type {kind}")


class Decoder:
    """Collects bytes and gives the messages that are complete."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """The messages that `data` completes; BadFrame where the bytes are none."""
        held = self._held
        held += data
        messages = []
        while len(held) >= 12:
            total, head, crc = _PRELUDE.unpack_from(held)
            if zlib.crc32(held[:8]) != crc:
                raise BadFrame("prelude checksum mismatch")
            if head > HEADERS_BYTES_MAX or total > MESSAGE_BYTES_MAX or total < head + _OVERHEAD:
                raise BadFrame("message lengths out of bounds")
            if len(held) < total:
                break
            message = bytes(held[:total])
            del held[:total]
            if zlib.crc32(message[:-4]) != int.from_bytes(message[-4:]):
                raise BadFrame("message checksum mismatch")
            messages.append(Message(_headers(message[12 : 12 + head]), message[12 + head : -4]))
        return messages

    @property
    def pending_bytes(self) -> int:
        """How much of an unfinished message is held; not 0 at the end means it was cut off."""
        return len(self._held)
