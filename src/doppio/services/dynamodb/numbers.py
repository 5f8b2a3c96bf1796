"""DynamoDB's numbers: 38 digits, exact, in text; and an order of bytes that is theirs."""

from __future__ import annotations

import re
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, InvalidOperation

from doppio.services.dynamodb.errors import ValidationException
from doppio.services.dynamodb.limits import NUMBER_DIGITS_MAX

_EXACT = Context(prec=300, Emax=MAX_EMAX, Emin=MIN_EMIN)
_SMALL = re.compile(r"-?[1-9][0-9]{0,36}|0")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,6})?")
_LARGEST = 125
_SMALLEST = -130
_EXPONENT_BIAS = 0x4000
_COMPLEMENT = bytes.maketrans(b"0123456789", b"9876543210")


def canonical(text: str) -> str:
    """A number as DynamoDB stores and returns it. Raises ValidationException."""
    if _SMALL.fullmatch(text):
        return text
    return plain(parse(text))


def parse(text: str) -> Decimal:
    """The value of a number's text. Raises ValidationException."""
    if not _NUMBER.fullmatch(text):
        raise ValidationException(
            f"The parameter cannot be converted to a numeric value: {text}"
            if text
            else "The parameter cannot be converted to a numeric value"
        )
    return checked(Decimal(text))


def checked(value: Decimal) -> Decimal:
    """A value within DynamoDB's range and precision. Raises ValidationException."""
    if not value:
        return Decimal(0)
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    length = len(digits)
    while length > 1 and digits[length - 1] == 0:
        length -= 1
        exponent += 1
    if length > NUMBER_DIGITS_MAX:
        raise ValidationException("Attempting to store more than 38 significant digits in a Number")
    magnitude = exponent + length - 1
    if magnitude > _LARGEST:
        raise ValidationException(
            "Number overflow. Attempting to store a number with magnitude larger than supported "
            "range"
        )
    if magnitude < _SMALLEST:
        raise ValidationException(
            "Number underflow. Attempting to store a number with magnitude smaller than supported "
            "range"
        )
    return value


def plain(value: Decimal) -> str:
    """A value without exponent and without zeros that say nothing."""
    if not value:
        return "0"
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.lstrip("+")


def add(a: str, b: str, *, sign: int = 1) -> str:
    """a + b, or a - b, exact. Raises ValidationException if the result is out of range."""
    if _SMALL.fullmatch(a) and _SMALL.fullmatch(b):
        # Of at most 37 digits each: the sum has no more than are allowed.
        return str(int(a) + sign * int(b))
    try:
        x, y = Decimal(a), Decimal(b)
        total = _EXACT.add(x, y) if sign > 0 else _EXACT.subtract(x, y)
    except InvalidOperation as error:
        raise ValidationException("The parameter cannot be converted to a numeric value") from error
    return plain(checked(total))


def order_key(text: str) -> bytes:
    """Bytes that compare as the numbers do; self-delimiting, first byte below 0xff.

    Sign, then the magnitude of the first digit, then the digits; negative numbers complemented.
    """
    value = Decimal(text)
    if not value:
        return b"\x80"
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    raw = "".join(map(str, digits)).lstrip("0")
    magnitude = exponent + len(raw) + _EXPONENT_BIAS
    mantissa = raw.rstrip("0").encode()
    if sign:
        return (
            b"\x7f"
            + (0xFFFF - magnitude).to_bytes(2, "big")
            + mantissa.translate(_COMPLEMENT)
            + b"\x7e"
        )
    return b"\x81" + magnitude.to_bytes(2, "big") + mantissa + b"\x00"


def size(text: str) -> int:
    """The bytes DynamoDB counts for a canonical number: one for two digits, and one or two more.

    Zeros before the first and behind the last other digit do not count; a sign does.
    """
    if text.isdigit():
        return (len(text.rstrip("0")) + 1) // 2 + 1
    digits = text.lstrip("-").replace(".", "").strip("0")
    return (len(digits) + 1) // 2 + 1 + (1 if text.startswith("-") else 0)
