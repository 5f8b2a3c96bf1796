"""Numbers as sort keys on DAX's wire: bytes that compare as the numbers do.

The form is that of the open clients' `LexDecimal`: a byte or five say sign and exponent; behind them
come the digits, three at a time in ten bits, and an end that says how many of the last three count.
"""

from __future__ import annotations

from decimal import Decimal

from doppio.services.dax.cbor import BadWire

_SMALL = 0x3E
_DIGITS_MAX = 60
_EXPONENT_MAX = 400


def encode(number: Decimal) -> bytes:
    """A number as bytes."""
    if not number:
        return b"\x80"
    negative, digits, power = number.as_tuple()
    assert isinstance(power, int), "keys are finite"
    exponent = len(digits) + power
    out = bytearray()
    if -_SMALL <= exponent < _SMALL:
        out.append(0x3F - exponent if negative else 0xC0 + exponent)
    elif negative:
        out.append(0x7E if exponent < 0 else 0x01)
        out += ((exponent & 0xFFFFFFFF) ^ 0x7FFFFFFF).to_bytes(4)
    else:
        out.append(0x81 if exponent < 0 else 0xFE)
        out += ((exponent & 0xFFFFFFFF) ^ 0x80000000).to_bytes(4)
    text = "".join(map(str, digits))
    last = (len(text) - 1) % 3
    text += "0" * (2 - last)
    groups = [int(text[at : at + 3]) for at in range(0, len(text), 3)]
    groups = [1011 - one if negative else one + 12 for one in groups]
    groups.append(1023 - last if negative else last)
    bits = 0
    for one in groups:
        bits = bits << 10 | one
    size = len(groups) * 10
    padded = -(-size // 8)
    out += (bits << (padded * 8 - size)).to_bytes(padded)
    return bytes(out)


def decode(data: bytes) -> Decimal:
    """The number of all these bytes. Raises BadWire."""
    if not data:
        raise BadWire("no number")
    first = data[0]
    if first in (0x7F, 0x80):
        return Decimal(0)
    if first in (0x00, 0xFF):
        raise BadWire("no number")
    negative = first < 0x80
    at = 1
    if first in (0x01, 0x7E, 0x81, 0xFE):
        if len(data) < 5:
            raise BadWire("a number is cut")
        mask = 0x7FFFFFFF if negative else 0x80000000
        exponent = int.from_bytes(data[1:5]) ^ mask
        if first in (0x7E, 0x81):
            exponent -= 1 << 32
        at = 5
    else:
        exponent = 0x3F - first if negative else first - 0xC0
    if abs(exponent) > _EXPONENT_MAX:
        raise BadWire("too large a number")
    digits = _digits(data[at:], negative)
    return Decimal((int(negative), tuple(map(int, digits)), exponent - len(digits)))


def _digits(data: bytes, negative: bool) -> str:
    bits, size = int.from_bytes(data[: 2 * _DIGITS_MAX]), min(len(data), 2 * _DIGITS_MAX) * 8
    digits = ""
    while size >= 10:
        size -= 10
        group = bits >> size & 0x3FF
        if group < 12 or group > 1011:
            last = 1023 - group if negative else group
            if not 0 <= last <= 2 or not digits:
                break
            return digits[: len(digits) - 2 + last]
        digits += f"{1011 - group if negative else group - 12:03}"
    raise BadWire("a number without end")
