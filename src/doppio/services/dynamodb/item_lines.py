"""Items as lines of DynamoDB JSON, as exports write and imports read them: binaries in Base64."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

import orjson

from doppio.services.dynamodb.errors import ValidationException
from doppio.services.dynamodb.values import Item, Value


def line_of(members: Mapping[str, Any]) -> bytes:
    """A line of an export."""
    return orjson.dumps(members, default=_text) + b"\n"


def _text(content: Any) -> str:
    assert isinstance(content, bytes), "attribute values are of JSON's types, but for binaries"
    return b64encode(content).decode()


def item_of(line: bytes | str) -> Item:
    """The item of a line of an import. Raises ValidationException."""
    try:
        given = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise ValidationException(f"The line is not JSON: {error}") from error
    item = given.get("Item") if isinstance(given, dict) else None
    if not isinstance(item, dict):
        raise ValidationException("The line has no Item")
    return {name: _value(value) for name, value in item.items()}


def _value(given: Any) -> Value:
    """An attribute value as it comes in JSON: its shape is checked, what it holds later."""
    if not isinstance(given, dict) or len(given) != 1:
        raise ValidationException(
            "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
        )
    [(kind, content)] = given.items()
    try:
        return {kind: _READ[kind](content)}
    except KeyError as error:
        raise ValidationException(f"{kind} is no type of attributes") from error
    except (TypeError, binascii.Error) as error:
        raise ValidationException(f"A value of type {kind} is not as it must be") from error


def _of(*types: type) -> Any:
    def read(content: Any) -> Any:
        if not isinstance(content, types):
            raise TypeError
        return content

    return read


def _binary(content: Any) -> bytes:
    return b64decode(_of(str)(content), validate=True)


def _all(read: Any) -> Any:
    return lambda content: [read(one) for one in _of(list)(content)]


_READ: dict[str, Any] = {
    "S": _of(str), "N": _of(str), "B": _binary, "BOOL": _of(bool), "NULL": _of(bool),
    "SS": _all(_of(str)), "NS": _all(_of(str)), "BS": _all(_binary),
    "L": lambda content: [_value(one) for one in _of(list)(content)],
    "M": lambda content: {name: _value(one) for name, one in _of(dict)(content).items()},
}  # fmt: skip
