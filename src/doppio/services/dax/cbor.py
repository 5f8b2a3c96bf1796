"""CBOR as DAX's clients speak it (RFC 8949, with tags of DAX's own), and where it ends on the wire.

Nothing on the wire says how long a request is: `Extent` finds that, reading each byte once.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from doppio.services.dax import limits

POSITIVE_BIG, NEGATIVE_BIG, DECIMAL = 2, 3, 4
STRING_SET, NUMBER_SET, BINARY_SET, ORDINAL = 3321, 3322, 3323, 3324
_BREAK = 0xFF
_NULL = 0xF6
_UNBOUNDED = 31
# More than any number of DynamoDB's needs: what is beyond is not even made.
_BIG_BYTES_MAX = 64
_EXPONENT_MAX = 400


class BadWire(Exception):
    """Bytes that no client of DAX's sends. There is no answer to them: the connection ends."""


class SetOf(NamedTuple):
    """A set of DynamoDB's: its type (`SS`, `NS`, `BS`), and what is in it."""

    kind: str
    values: list[Any]


class Ordinal(NamedTuple):
    """A place in a list, within a document path."""

    value: int


_SETS = {STRING_SET: "SS", NUMBER_SET: "NS", BINARY_SET: "BS"}


class Extent:
    """Finds the end of `count` values that arrive piece by piece."""

    __slots__ = ("_left", "at", "wants")

    def __init__(self, count: int, at: int = 0) -> None:
        # How many values are still to come at each level, -1: until a break.
        self._left = [count]
        self.at = at
        # Below so many bytes there is nothing new to be seen.
        self.wants = 0

    def ended(self, data: bytes | bytearray) -> bool:
        """Whether all values are there; then `at` is behind the last. Raises BadWire."""
        left = self._left
        while left:
            if left[-1] == 0:
                left.pop()
                continue
            if self.at >= len(data):
                self.wants = self.at + 1
                return False
            if data[self.at] == _BREAK:
                if left[-1] >= 0:
                    raise BadWire("a break where nothing is open")
                left.pop()
                self.at += 1
                continue
            head = _head(data, self.at)
            if head is None:
                self.wants = self.at + 1 + (1 << (data[self.at] & 31) - 24)
                return False
            major, info, value, behind = head
            if major in (2, 3) and info != _UNBOUNDED:
                behind += value
                if behind > limits.REQUEST_BYTES_MAX:
                    raise BadWire("too many bytes")
                if behind > len(data):
                    self.wants = behind
                    return False
            self.at = behind
            if left[-1] > 0:
                left[-1] -= 1
            self._open(major, info, value)
        return True

    def _open(self, major: int, info: int, value: int) -> None:
        if major < 2 or major == 7 or (major in (2, 3) and info != _UNBOUNDED):
            return
        if len(self._left) >= limits.CBOR_DEPTH_MAX:
            raise BadWire("too deep")
        if info == _UNBOUNDED:
            self._left.append(-1)
        elif major == 6:
            self._left.append(1)
        else:
            if value > limits.REQUEST_BYTES_MAX:
                raise BadWire("too many values")
            self._left.append(value * 2 if major == 5 else value)


def _head(data: bytes | bytearray, at: int) -> tuple[int, int, int, int] | None:
    """Major type, its information, its value and what is behind; None if not all is there."""
    first = data[at]
    major, info = first >> 5, first & 31
    if info < 24:
        return major, info, info, at + 1
    if info == _UNBOUNDED:
        if major in (0, 1, 6):
            raise BadWire("a number without end")
        return major, info, 0, at + 1
    if info > 27:
        raise BadWire("no such size")
    size = 1 << (info - 24)
    if at + 1 + size > len(data):
        return None
    return major, info, int.from_bytes(data[at + 1 : at + 1 + size]), at + 1 + size


class Reader:
    """Reads values that are there as a whole. Raises BadWire for what is none."""

    __slots__ = ("_data", "at")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    @property
    def more(self) -> bool:
        """Whether anything is left."""
        return self.at < len(self._data)

    def rest(self) -> bytes:
        """All that is left, as it is."""
        found, self.at = self._data[self.at :], len(self._data)
        return found

    def value(self, depth: int = 0) -> Any:
        """The next value: numbers as int and Decimal, sets as `SetOf`."""
        if depth > limits.CBOR_DEPTH_MAX:
            raise BadWire("too deep")
        if self.at >= len(self._data):
            raise BadWire("a value is missing")
        major, info, value, behind = self._next()
        if major == 7:
            return self._simple(info, value)
        if major == 0:
            return value
        if major == 1:
            return -1 - value
        if major in (2, 3):
            return self._text(major, info, value, behind, depth)
        if major == 6:
            return self._tagged(value, depth)
        if major == 4:
            return self._array(info, value, depth)
        return self._map(info, value, depth)

    def _next(self) -> tuple[int, int, int, int]:
        head = _head(self._data, self.at)
        if head is None:
            raise BadWire("a value is cut")
        self.at = head[3]
        return head

    def _ends(self) -> bool:
        if self.at >= len(self._data):
            raise BadWire("a break is missing")
        if self._data[self.at] == _BREAK:
            self.at += 1
            return True
        return False

    def _text(self, major: int, info: int, value: int, behind: int, depth: int) -> Any:
        if info == _UNBOUNDED:
            parts: list[Any] = []
            while not self._ends():
                if self._data[self.at] >> 5 != major:
                    raise BadWire("a part of another type")
                parts.append(self.value(depth + 1))
            return b"".join(parts) if major == 2 else "".join(parts)
        if behind + value > len(self._data):
            raise BadWire("a text is cut")
        self.at = behind + value
        found = self._data[behind : self.at]
        if major == 2:
            return found
        try:
            return found.decode()
        except UnicodeDecodeError as error:
            raise BadWire("no UTF-8") from error

    def _simple(self, info: int, value: int) -> Any:
        if info in (20, 21):
            return info == 21
        if info in (22, 23):
            return None
        # Doubles are all that clients write; what is no number is none of DynamoDB's either.
        formats = {25: (">e", 2), 26: (">f", 4), 27: (">d", 8)}
        if info not in formats:
            raise BadWire("no such value")
        form, size = formats[info]
        (number,) = struct.unpack(form, value.to_bytes(size))
        found = Decimal(repr(number))
        if not found.is_finite():
            raise BadWire("no finite number")
        return found

    def _array(self, info: int, count: int, depth: int) -> list[Any]:
        found: list[Any] = []
        while len(found) < count or info == _UNBOUNDED:
            if info == _UNBOUNDED and self._ends():
                break
            found.append(self.value(depth + 1))
        return found

    def _map(self, info: int, count: int, depth: int) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        read = 0
        while read < count or info == _UNBOUNDED:
            if info == _UNBOUNDED and self._ends():
                break
            key = self.value(depth + 1)
            if not isinstance(key, (str, int, bytes)):
                raise BadWire("no such key")
            found[key] = self.value(depth + 1)
            read += 1
        return found

    def _tagged(self, tag: int, depth: int) -> Any:
        value = self.value(depth + 1)
        if tag in (POSITIVE_BIG, NEGATIVE_BIG):
            if not isinstance(value, bytes) or len(value) > _BIG_BYTES_MAX:
                raise BadWire("no number")
            number = int.from_bytes(value)
            return number if tag == POSITIVE_BIG else -1 - number
        if tag == DECIMAL:
            return _decimal(value)
        if tag in _SETS:
            if not isinstance(value, list):
                raise BadWire("no set")
            return SetOf(_SETS[tag], value)
        if tag == ORDINAL and isinstance(value, int):
            return Ordinal(value)
        raise BadWire("no such tag")


def _decimal(value: Any) -> Decimal:
    if not isinstance(value, list) or len(value) != 2:
        raise BadWire("no decimal")
    exponent, mantissa = value
    if not isinstance(exponent, int) or not isinstance(mantissa, int):
        raise BadWire("no decimal")
    if abs(exponent) > _EXPONENT_MAX:
        raise BadWire("too large a number")
    sign, digits = int(mantissa < 0), tuple(map(int, str(abs(mantissa))))
    return Decimal((sign, digits, exponent))


def number_text(number: int | Decimal) -> str:
    """A number as DynamoDB writes it: all its digits, and no more."""
    if isinstance(number, int):
        return str(number)
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def put_head(out: bytearray, major: int, value: int) -> None:
    """The beginning of a value: its type, and its length or number."""
    first = major << 5
    if value < 24:
        out.append(first | value)
        return
    for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if value < 1 << (8 * size):
            out.append(first | info)
            out += value.to_bytes(size)
            return
    raise AssertionError("no length has more than 64 bits")


def put_int(out: bytearray, value: int) -> None:
    """A whole number, however large."""
    major, size = (0, value) if value >= 0 else (1, -1 - value)
    if size < 1 << 64:
        put_head(out, major, size)
        return
    put_head(out, 6, POSITIVE_BIG if value >= 0 else NEGATIVE_BIG)
    put_bytes(out, size.to_bytes((size.bit_length() + 7) // 8))


def put_number(out: bytearray, text: str) -> None:
    """A number of DynamoDB's."""
    try:
        number = Decimal(text)
    except InvalidOperation as error:
        raise AssertionError("DynamoDB's numbers are numbers") from error
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int), "DynamoDB's numbers are finite"
    if exponent >= 0:
        put_int(out, int(number))
        return
    put_head(out, 6, DECIMAL)
    put_head(out, 4, 2)
    put_int(out, exponent)
    mantissa = int("".join(map(str, digits)))
    put_int(out, -mantissa if sign else mantissa)


def put_bytes(out: bytearray, value: bytes) -> None:
    """A byte string."""
    put_head(out, 2, len(value))
    out += value


def put_text(out: bytearray, value: str) -> None:
    """A text."""
    encoded = value.encode()
    put_head(out, 3, len(encoded))
    out += encoded


def put_float(out: bytearray, value: float) -> None:
    """A double."""
    out.append(0xFB)
    out += struct.pack(">d", value)


def put_null(out: bytearray) -> None:
    """Nothing."""
    out.append(_NULL)


def put(out: bytearray, value: Any) -> None:
    """Any plain value: for what is small, and of many types."""
    if value is None:
        put_null(out)
    elif isinstance(value, bool):
        out.append(0xF5 if value else 0xF4)
    elif isinstance(value, int):
        put_int(out, value)
    elif isinstance(value, float):
        put_float(out, value)
    elif isinstance(value, str):
        put_text(out, value)
    elif isinstance(value, (bytes, bytearray)):
        put_bytes(out, bytes(value))
    elif isinstance(value, Mapping):
        put_head(out, 5, len(value))
        for key, one in value.items():
            put(out, key)
            put(out, one)
    else:
        assert isinstance(value, Sequence), "nothing else is written"
        put_head(out, 4, len(value))
        for one in value:
            put(out, one)
