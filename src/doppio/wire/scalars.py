"""Scalars as text, both ways: what XML elements, form values, headers and paths hold.

A text that is not what it should be is a ValueError; the codecs say in whose words.
"""

from __future__ import annotations

import binascii
import math
from collections.abc import Callable
from typing import Any

import msgspec

from doppio.wire import timestamps
from doppio.wire.model import Member

Read = Callable[[str], Any]
Show = Callable[[Any], str]

_INT_DIGITS_MAX = 40


def read_bool(text: str) -> bool:
    text = text.strip()
    if text == "true" or text == "True" or text == "1":
        return True
    if text == "false" or text == "False" or text == "0":
        return False
    raise ValueError(f"not a boolean: {text[:100]}")


def read_int(text: str) -> int:
    if len(text) > _INT_DIGITS_MAX or "_" in text:
        raise ValueError(f"not an integer: {text[:100]}")
    return int(text)


def read_float(text: str) -> float:
    if "_" in text:
        raise ValueError(f"not a number: {text[:100]}")
    return float(text)


def read_blob(text: str) -> bytes:
    """Base64; white space in it is skipped, as XML and forms may be folded."""
    return binascii.a2b_base64("".join(text.split()).encode("ascii"), strict_mode=True)


def read_json_value(text: str) -> Any:
    """A JSON document in base64, in a header."""
    return msgspec.json.decode(read_blob(text))


def show_bool(value: Any) -> str:
    return "true" if value else "false"


def show_float(value: Any) -> str:
    number = float(value)
    if math.isfinite(number):
        return repr(number)
    return "NaN" if number != number else "Infinity" if number > 0 else "-Infinity"


def show_blob(value: Any) -> str:
    content = value.encode() if isinstance(value, str) else value
    return binascii.b2a_base64(content, newline=False).decode("ascii")


def show_json_value(value: Any) -> str:
    return show_blob(msgspec.json.encode(value))


_READERS: dict[str, Read] = {
    "string": str,
    "character": str,
    "boolean": read_bool,
    "integer": read_int,
    "long": read_int,
    "biginteger": read_int,
    "float": read_float,
    "double": read_float,
    "bigdecimal": read_float,
    "blob": read_blob,
    "timestamp": timestamps.parse,
}

_SHOWERS: dict[str, Show] = {
    "string": str,
    "character": str,
    "boolean": show_bool,
    "integer": str,
    "long": str,
    "biginteger": str,
    "float": show_float,
    "double": show_float,
    "bigdecimal": show_float,
    "blob": show_blob,
}

_TIMESTAMPS: dict[str, Show] = {
    "iso8601": timestamps.format_iso8601,
    "iso8601-millis": timestamps.format_iso8601_millis,
    "iso8601-always-millis": timestamps.format_iso8601_millis,
    "rfc822": timestamps.format_rfc822,
    "unixTimestamp": timestamps.format_epoch_text,
}


def is_scalar(member: Member) -> bool:
    return member.shape.type in _READERS


def reader(member: Member) -> Read:
    """Turns the text of a scalar into its value."""
    if member.json_value and member.location == "header":
        return read_json_value
    return _READERS[member.shape.type]


def shower(member: Member, timestamp_format: str) -> Show:
    """Turns a scalar's value into text; `timestamp_format` holds where the model says none."""
    if member.json_value and member.location == "header":
        return show_json_value
    if member.shape.type == "timestamp":
        named = normal_format(member.timestamp_format)
        if named == "iso8601" and timestamp_format == "iso8601-always-millis":
            # S3 writes milliseconds where its model says that it does not: dates of lifecycles.
            named = timestamp_format
        return _TIMESTAMPS[named or timestamp_format]
    return _SHOWERS[member.shape.type]


def normal_format(name: str | None) -> str | None:
    """The model's names of timestamp formats vary in case."""
    if name is None:
        return None
    return {"iso8601": "iso8601", "rfc822": "rfc822"}.get(name.lower(), "unixTimestamp")
