"""Keys, items and values of attributes, between DAX's wire and DynamoDB's JSON forms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from doppio.services.dax import sort_numbers
from doppio.services.dax.cbor import (
    BINARY_SET,
    NUMBER_SET,
    STRING_SET,
    BadWire,
    Ordinal,
    Reader,
    SetOf,
    number_text,
    put_bytes,
    put_head,
    put_int,
    put_null,
    put_number,
    put_text,
)

# The names and types of a key's attributes: the partition key, and maybe the sort key.
Schema = tuple[tuple[str, str], ...]
AttributeValue = Mapping[str, Any]
_SET_TAGS = {"SS": STRING_SET, "NS": NUMBER_SET, "BS": BINARY_SET}
_MEMBERS: dict[str, tuple[type, ...]] = {"SS": (str,), "NS": (int, Decimal), "BS": (bytes,)}


def attribute_value(value: Any) -> dict[str, Any]:
    """A value from the wire as DynamoDB's. Raises BadWire."""
    if value is None:
        return {"NULL": True}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, (int, Decimal)):
        return {"N": number_text(value)}
    if isinstance(value, bytes):
        return {"B": value}
    if isinstance(value, SetOf):
        wanted = _MEMBERS[value.kind]
        if not all(isinstance(one, wanted) and not isinstance(one, bool) for one in value.values):
            raise BadWire("a set of other things")
        if value.kind == "NS":
            return {"NS": [number_text(one) for one in value.values]}
        return {value.kind: list(value.values)}
    if isinstance(value, Ordinal):
        raise BadWire("no value")
    if isinstance(value, list):
        return {"L": [attribute_value(one) for one in value]}
    assert isinstance(value, dict), "the reader makes nothing else"
    if not all(isinstance(name, str) for name in value):
        raise BadWire("a name that is none")
    return {"M": {name: attribute_value(one) for name, one in value.items()}}


def put_value(out: bytearray, value: AttributeValue) -> None:
    """One of DynamoDB's values onto the wire."""
    ((kind, content),) = value.items()
    if kind == "S":
        put_text(out, content)
    elif kind == "N":
        put_number(out, content)
    elif kind == "B":
        put_bytes(out, bytes(content))
    elif kind == "BOOL":
        out.append(0xF5 if content else 0xF4)
    elif kind == "NULL":
        put_null(out)
    elif kind == "L":
        put_head(out, 4, len(content))
        for one in content:
            put_value(out, one)
    elif kind == "M":
        put_head(out, 5, len(content))
        for name, one in content.items():
            put_text(out, name)
            put_value(out, one)
    else:
        put_head(out, 6, _SET_TAGS[kind])
        put_head(out, 4, len(content))
        for one in content:
            put_value(out, {kind[0]: one})


def read_key(data: bytes, schema: Schema) -> dict[str, Any]:
    """A primary key. Raises BadWire.

    A partition key alone is its bytes as they are, unless it is a number; before a sort key it is
    a value, and the sort key is the rest of the bytes.
    """
    (name, kind), *more = schema
    if not more:
        if kind == "N":
            return {name: _number(_only(data))}
        return {name: _plain(data, kind)}
    reader = Reader(data)
    value = attribute_value(reader.value())
    if set(value) != {kind}:
        raise BadWire("a key of another type")
    ((sort_name, sort_kind),) = more
    rest = reader.rest()
    if sort_kind == "N":
        return {name: value, sort_name: {"N": number_text(sort_numbers.decode(rest))}}
    return {name: value, sort_name: _plain(rest, sort_kind)}


def key_bytes(item: Mapping[str, AttributeValue], schema: Schema) -> bytes:
    """The primary key of an item, as on the wire."""
    out = bytearray()
    (name, kind), *more = schema
    value = item[name]
    if not more and kind != "N":
        return _raw(value)
    put_value(out, value)
    for sort_name, sort_kind in more:
        sort = item[sort_name]
        out += sort_numbers.encode(Decimal(sort["N"])) if sort_kind == "N" else _raw(sort)
    return bytes(out)


def identity(key: Mapping[str, AttributeValue], schema: Schema) -> tuple[Any, ...]:
    """What two writings of one key have in common."""
    return tuple(
        Decimal(key[name][kind]) if kind == "N" else bytes(_raw(key[name])) for name, kind in schema
    )


def read_values(data: bytes) -> tuple[int, list[dict[str, Any]]]:
    """The number of a list of names, and the values of these attributes. Raises BadWire."""
    reader = Reader(data)
    number = reader.value()
    if not isinstance(number, int) or isinstance(number, bool):
        raise BadWire("no number of a list")
    values: list[dict[str, Any]] = []
    while reader.more:
        values.append(attribute_value(reader.value()))
    return number, values


def names_of(item: Iterable[str], schema: Schema) -> tuple[str, ...]:
    """The names of an item's attributes beside its key, in the order in which lists have them."""
    keys = {name for name, _ in schema}
    return tuple(sorted(name for name in item if name not in keys))


def put_values(
    out: bytearray, number: int, item: Mapping[str, AttributeValue], names: Sequence[str]
) -> None:
    """An item's attributes beside its key: the number of their names' list, and the values."""
    inner = bytearray()
    put_int(inner, number)
    for name in names:
        put_value(inner, item[name])
    put_bytes(out, bytes(inner))


def put_compound(out: bytearray, key: Mapping[str, AttributeValue]) -> None:
    """A key by names: where a page of an index ended."""
    inner = bytearray(b"\xbf")
    for name, value in key.items():
        put_text(inner, name)
        put_value(inner, value)
    inner.append(0xFF)
    put_bytes(out, bytes(inner))


def read_compound(data: bytes) -> dict[str, Any]:
    """A key by names. Raises BadWire."""
    found = attribute_value(_only(data))
    if "M" not in found:
        raise BadWire("no key")
    key: dict[str, Any] = found["M"]
    return key


def _only(data: bytes) -> Any:
    reader = Reader(data)
    found = reader.value()
    if reader.more:
        raise BadWire("more than a value")
    return found


def _plain(data: bytes, kind: str) -> dict[str, Any]:
    if kind == "B":
        return {"B": data}
    try:
        return {"S": data.decode()}
    except UnicodeDecodeError as error:
        raise BadWire("no UTF-8") from error


def _number(value: Any) -> dict[str, Any]:
    if not isinstance(value, (int, Decimal)) or isinstance(value, bool):
        raise BadWire("no number")
    return {"N": number_text(value)}


def _raw(value: AttributeValue) -> bytes:
    ((kind, content),) = value.items()
    if kind == "S":
        return bytes(content.encode())
    if kind == "N":
        try:
            return number_text(Decimal(content)).encode()
        except InvalidOperation as error:
            raise AssertionError("DynamoDB's numbers are numbers") from error
    return bytes(content)


def content_bytes(item: Mapping[str, AttributeValue] | None) -> int:
    """How much memory an item takes, roughly: its names and values, and what each costs beside."""
    if item is None:
        return 0
    return sum(len(name) + _value_bytes(value) for name, value in item.items())


def _value_bytes(value: AttributeValue) -> int:
    ((kind, content),) = value.items()
    if kind in {"S", "N", "B"}:
        return 64 + len(content)
    if kind == "L":
        return 64 + sum(_value_bytes(one) for one in content)
    if kind == "M":
        return 64 + content_bytes(content)
    if kind in _SET_TAGS:
        return 64 + sum(64 + len(one) for one in content)
    return 64
