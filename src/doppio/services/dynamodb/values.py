"""Attribute values in DynamoDB's JSON form: checked, normalised and measured in one pass.

`{"S": "x"}`; numbers are texts, binaries bytes. Sizes are as AWS counts them ("Item sizes and
formats"): names and texts in UTF-8, one byte for a null or boolean, three and one an element for a
list or map.
"""

from __future__ import annotations

from base64 import b64encode
from decimal import Decimal
from typing import Any

from doppio.services.dynamodb import numbers
from doppio.services.dynamodb.errors import ValidationException
from doppio.services.dynamodb.limits import ITEM_BYTES_MAX, NESTING_MAX

Value = dict[str, Any]
Item = dict[str, Value]

_ONE_TYPE = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
_MORE_TYPES = (
    "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the "
    "supported datatypes"
)
_BAD = "One or more parameter values were invalid: "
_EMPTY_SETS = {
    "SS": "An string set  may not be empty",
    "NS": "An number set  may not be empty",
    "BS": "Binary sets should not be empty",
}
_TYPES = frozenset({"S", "N", "B", "SS", "NS", "BS", "M", "L", "BOOL", "NULL"})


def checked_item(item: Item) -> int:
    """Check an item and normalise its numbers in place; its size in bytes."""
    size = _names_size(item)
    for value in item.values():
        # Texts are what items are mostly made of.
        text = value.get("S") if len(value) == 1 else None
        if text is None:
            size += checked(value, 1)
        else:
            size += len(text) if text.isascii() else len(text.encode())
    if size > ITEM_BYTES_MAX:
        raise ValidationException("Item size has exceeded the maximum allowed size")
    return size


def _names_size(item: Item) -> int:
    names = "".join(item)
    return len(names) if names.isascii() else len(names.encode())


def checked(value: Value, depth: int = 1) -> int:
    """Check a value and normalise its numbers in place; its size. Raises ValidationException."""
    if len(value) != 1:
        raise ValidationException(_MORE_TYPES if value else _ONE_TYPE)
    [(kind, content)] = value.items()
    if kind == "S":
        return len(content) if content.isascii() else len(content.encode())
    if kind == "N":
        value["N"] = number = numbers.canonical(content)
        return numbers.size(number)
    if kind == "B":
        return len(content)
    if kind == "BOOL":
        return 1
    if kind == "NULL":
        if content is not True:
            raise ValidationException(
                f"{_BAD}Null attribute value types must have the value of true"
            )
        return 1
    if kind in ("M", "L"):
        return _checked_nested(kind, content, depth)
    if kind in _TYPES:
        return _checked_set(value, kind, content)
    raise ValidationException(_ONE_TYPE)


def _checked_nested(kind: str, content: Any, depth: int) -> int:
    if depth > NESTING_MAX:
        raise ValidationException("Nesting Levels have exceeded supported limits")
    if kind == "L":
        return 3 + sum(1 + checked(one, depth + 1) for one in content)
    return 3 + sum(
        1 + len(name.encode()) + checked(one, depth + 1) for name, one in content.items()
    )


def _checked_set(value: Value, kind: str, content: list[Any]) -> int:
    if not content:
        raise ValidationException(_BAD + _EMPTY_SETS[kind])
    if kind == "NS":
        content = value["NS"] = [numbers.canonical(one) for one in content]
        size = sum(numbers.size(one) for one in content)
    elif kind == "SS":
        size = sum(len(one.encode()) for one in content)
    else:
        size = sum(map(len, content))
    if len(set(content)) < len(content):
        raise ValidationException(_BAD + _duplicates(kind, content))
    return size


def _duplicates(kind: str, content: list[Any]) -> str:
    if kind == "NS":
        return "Input collection contains duplicates"
    if kind == "SS":
        return f"Input collection [{', '.join(content)}] contains duplicates."
    shown = ", ".join(b64encode(one).decode() for one in content)
    return f"Input collection [{shown}]of type BS contains duplicates."


def size_of(item: Item) -> int:
    """The size of an item that was checked before."""
    size = _names_size(item)
    for value in item.values():
        text = value.get("S")
        if text is None:
            size += _size(value)
        else:
            size += len(text) if text.isascii() else len(text.encode())
    return size


def _size(value: Value) -> int:
    [(kind, content)] = value.items()
    if kind == "S":
        return len(content.encode())
    if kind == "N":
        return numbers.size(content)
    if kind == "B":
        return len(content)
    if kind in ("BOOL", "NULL"):
        return 1
    if kind == "L":
        return 3 + sum(1 + _size(one) for one in content)
    if kind == "M":
        return 3 + sum(1 + len(name.encode()) + _size(one) for name, one in content.items())
    if kind == "NS":
        return sum(map(numbers.size, content))
    return sum(len(one.encode()) if isinstance(one, str) else len(one) for one in content)


def equal(a: Value, b: Value) -> bool:
    """Whether two values are the same; sets without regard to order."""
    [(kind, x)] = a.items()
    if kind not in b:
        return False
    y = b[kind]
    if kind == "N":
        return bool(x == y or Decimal(x) == Decimal(y))
    if kind == "NS":
        return {Decimal(one) for one in x} == {Decimal(one) for one in y}
    if kind in ("SS", "BS"):
        return set(x) == set(y)
    if kind == "L":
        return len(x) == len(y) and all(equal(p, q) for p, q in zip(x, y, strict=True))
    if kind == "M":
        return x.keys() == y.keys() and all(equal(x[name], y[name]) for name in x)
    return bool(x == y)


def compare(a: Value, b: Value) -> int | None:
    """-1, 0 or 1; None where the two cannot be compared."""
    [(kind, x)] = a.items()
    if kind not in b or kind not in ("S", "N", "B"):
        return None
    y = b[kind]
    if kind == "N":
        x, y = Decimal(x), Decimal(y)
    elif kind == "S":
        x, y = x.encode(), y.encode()
    return int(x > y) - int(x < y)
