"""Keys as tuples: packed so that bytes compare as the tuples do.

Packing is concatenation: pack(*a) + pack(*b) == pack(*a, *b). Kinds sort in the order of their
codes; within a kind, values sort as in Python (texts by code point, which UTF-8 keeps).
Datetimes are whole microseconds in UTC. No packed part begins with 0xff, so `prefix + 0xff` ends
the range of all keys under a prefix.
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from typing import Any

NONE, BYTES, TEXT, FALSE, TRUE, MOMENT, FLOAT = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07
# Integers: 0x20 is zero; 0x21..0x28 are positive with so many bytes, 0x1f..0x18 negative ones.
# 0x29 and 0x17 introduce a length byte for the rare larger ones.
ZERO, LARGE, LARGE_NEGATIVE = 0x20, 0x29, 0x17
_INT_BYTES_MAX = 255

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MOMENT_BIAS = 1 << 63
_pack_u64 = struct.Struct(">Q").pack
_unpack_u64 = struct.Struct(">Q").unpack_from
_pack_double = struct.Struct(">d").pack
_unpack_double = struct.Struct(">d").unpack


def pack(*parts: Any) -> bytes:
    """A tuple as bytes."""
    out = b""
    for part in parts:
        kind = part.__class__
        if kind is str and "\0" not in part:
            out += f"\x03{part}\0".encode()
        elif kind is datetime:
            out += b"\x06" + _pack_u64((part - _EPOCH) // _MICROSECOND + _MOMENT_BIAS)
        elif kind is int:
            out += _pack_int(part)
        else:
            out += _pack_other(part)
    return out


def _pack_other(part: Any) -> bytes:
    if part is None:
        return b"\x01"
    if part is True:
        return b"\x05"
    if part is False:
        return b"\x04"
    if isinstance(part, int):
        return _pack_int(part)
    if isinstance(part, (bytes, bytearray, memoryview)):
        return b"\x02" + bytes(part).replace(b"\0", b"\0\xff") + b"\0"
    if isinstance(part, float):
        raw = int.from_bytes(_pack_double(part), "big")
        # Positive doubles compare as integers once the sign bit is set; negative ones reversed.
        raw = raw ^ ((1 << 64) - 1) if raw >> 63 else raw | 1 << 63
        return b"\x07" + _pack_u64(raw)
    if isinstance(part, str):
        return b"\x03" + str(part).encode().replace(b"\0", b"\0\xff") + b"\0"
    if isinstance(part, datetime):
        # A subclass: the arithmetic is the same.
        return b"\x06" + _pack_u64((part - _EPOCH) // _MICROSECOND + _MOMENT_BIAS)
    raise TypeError(f"{type(part).__name__} cannot be part of a key")


def _pack_int(value: int) -> bytes:
    if value == 0:
        return b"\x20"
    size = (value.bit_length() + 7) // 8
    if size > _INT_BYTES_MAX:
        raise ValueError("an integer of more than 255 bytes cannot be part of a key")
    if value > 0:
        raw = value.to_bytes(size, "big")
        return (bytes((ZERO + size,)) if size <= 8 else bytes((LARGE, size))) + raw
    # A negative number is stored as what is missing to all ones, so that smaller ones come first.
    raw = (value + (1 << (8 * size)) - 1).to_bytes(size, "big")
    return (bytes((ZERO - size,)) if size <= 8 else bytes((LARGE_NEGATIVE, 255 - size))) + raw


def unpack(key: bytes) -> list[Any]:
    """The tuple of a packed key. Raises ValueError for bytes that are none."""
    parts: list[Any] = []
    at = 0
    try:
        while at < len(key):
            part, at = _unpack_one(key, at)
            parts.append(part)
    except (IndexError, struct.error, UnicodeDecodeError, OverflowError) as error:
        raise ValueError("not a packed key") from error
    return parts


def _unpack_one(key: bytes, at: int) -> tuple[Any, int]:
    code = key[at]
    at += 1
    if code in (TEXT, BYTES):
        raw, at = _unpack_bytes(key, at)
        return (raw.decode() if code == TEXT else raw), at
    if code == MOMENT:
        micros = _unpack_u64(key, at)[0] - _MOMENT_BIAS
        return _EPOCH + timedelta(microseconds=micros), at + 8
    if code == FLOAT:
        raw_int = _unpack_u64(key, at)[0]
        raw_int = raw_int & ~(1 << 63) if raw_int >> 63 else raw_int ^ ((1 << 64) - 1)
        return _unpack_double(_pack_u64(raw_int))[0], at + 8
    if LARGE_NEGATIVE <= code <= LARGE:
        return _unpack_int(key, code, at)
    if code in (NONE, FALSE, TRUE):
        return {NONE: None, FALSE: False, TRUE: True}[code], at
    raise ValueError("not a packed key")


def _unpack_bytes(key: bytes, at: int) -> tuple[bytes, int]:
    end = key.index(b"\0", at)
    while key[end + 1 : end + 2] == b"\xff":
        end = key.index(b"\0", end + 2)
    return key[at:end].replace(b"\0\xff", b"\0"), end + 1


def _unpack_int(key: bytes, code: int, at: int) -> tuple[int, int]:
    if code == ZERO:
        return 0, at
    if code == LARGE:
        size, at, negative = key[at], at + 1, False
    elif code == LARGE_NEGATIVE:
        size, at, negative = 255 - key[at], at + 1, True
    else:
        size, negative = abs(code - ZERO), code < ZERO
    raw = key[at : at + size]
    if len(raw) < size:
        raise ValueError("not a packed key")
    value = int.from_bytes(raw, "big")
    return (value - (1 << (8 * size)) + 1 if negative else value), at + size


def prefix_range(*parts: Any) -> tuple[bytes, bytes]:
    """All keys that begin with these parts: lo <= key < hi."""
    prefix = pack(*parts)
    return prefix, prefix + b"\xff"
