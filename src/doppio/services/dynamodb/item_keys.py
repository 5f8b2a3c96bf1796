"""How items stand in the store: rows in the order of their keys.

A row key is a prefix for the table or index, then the hash key, then the range key, each in an
encoding that compares as DynamoDB orders: texts and binaries by bytes, numbers by value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from doppio.kernel.keys import pack
from doppio.services.dynamodb import limits, numbers
from doppio.services.dynamodb.errors import ValidationException
from doppio.services.dynamodb.records import KeyPart, SecondaryIndex, Table
from doppio.services.dynamodb.values import Item, Value

ITEMS = pack("ddb.item")
INDEXED = pack("ddb.index")
# No key begins with 0xff, so that 0xff behind a prefix is the end of all keys that have it.
_BINARY = b"\x01"


def table_prefix(table: Table) -> bytes:
    """What the rows of a table's items begin with."""
    return ITEMS + table.id.encode()


def index_prefix(table: Table, index: SecondaryIndex) -> bytes:
    """What the rows of an index begin with."""
    return INDEXED + table.id.encode() + pack(index.id or index.name)


def encoded(value: Value) -> bytes:
    """A key attribute's bytes."""
    [(kind, content)] = value.items()
    if kind == "S":
        raw: bytes = content.encode()
        return (raw.replace(b"\0", b"\0\xff") if b"\0" in raw else raw) + b"\0"
    if kind == "N":
        return numbers.order_key(content)
    return _BINARY + bytes(content).replace(b"\0", b"\0\xff") + b"\0"


def row_key(prefix: bytes, parts: Sequence[KeyPart], item: Item) -> bytes:
    """The row key of an item whose key attributes were checked."""
    key = prefix
    for part in parts:
        key += encoded(item[part.name])
    return key


def checked_key(table: Table, key: Item) -> None:
    """Raise ValidationException unless `key` is exactly a key of the table."""
    if len(key) != len(table.key) or any(part.name not in key for part in table.key):
        raise ValidationException("The provided key element does not match the schema")
    for part in table.key:
        check_part(part, key[part.name], "The provided key element does not match the schema")


def check_item_key(table: Table, item: Item) -> None:
    """Raise ValidationException unless an item has its key attributes, of the right types."""
    for part in table.key:
        value = item.get(part.name)
        if value is None:
            raise ValidationException(
                f"One or more parameter values were invalid: Missing the key {part.name} in the item"
            )
        check_part(part, value)


def check_part(part: KeyPart, value: Value, mismatch: str = "") -> None:
    """Raise ValidationException unless a value may be this part of a key."""
    content: Any = value.get(part.type)
    if content is None:
        kind = next(iter(value), "")
        raise ValidationException(
            mismatch
            or "One or more parameter values were invalid: Type mismatch for key "
            f"{part.name} expected: {part.type} actual: {kind}"
        )
    if part.type == "N":
        return
    if not content:
        noun = "string" if part.type == "S" else "binary"
        raise ValidationException(
            "One or more parameter values are not valid. The AttributeValue for a key attribute "
            f"cannot contain an empty {noun} value. Key: {part.name}"
        )
    size = len(content.encode()) if part.type == "S" else len(content)
    most = limits.HASH_KEY_BYTES_MAX if part.hash else limits.RANGE_KEY_BYTES_MAX
    if size > most:
        raise ValidationException(
            "One or more parameter values were invalid: Size of hashkey has exceeded the maximum "
            f"size limit of{most} bytes"
            if part.hash
            else "One or more parameter values were invalid: Aggregated size of all range keys has "
            f"exceeded the size limit of {most} bytes"
        )


def index_key(parts: Sequence[KeyPart], item: Item) -> bytes | None:
    """An item's key in an index; None where it lacks an attribute of it: then it is not in it."""
    key = b""
    for part in parts:
        value = item.get(part.name)
        if value is None:
            return None
        content = value.get(part.type)
        if content is None or (part.type != "N" and not content):
            return None
        key += encoded(value)
    return key


def check_index_types(table: Table, item: Item) -> None:
    """Raise ValidationException for an attribute of an index key that is of another type."""
    for index in table.indexes:
        for part in index.key:
            value = item.get(part.name)
            if value is None:
                continue
            content = value.get(part.type)
            if content is None:
                raise ValidationException(
                    "One or more parameter values were invalid: Type mismatch for Index Key "
                    f"{part.name} Expected: {part.type} Actual: {next(iter(value), '')} "
                    f"IndexName: {index.name}"
                )
            if part.type != "N" and not content:
                noun = "string" if part.type == "S" else "binary"
                raise ValidationException(
                    "One or more parameter values are not valid. A value specified for a secondary "
                    "index key is not supported. The AttributeValue for a key attribute cannot "
                    f"contain an empty {noun} value. IndexName: {index.name}, IndexKey: {part.name}"
                )
            check_part(part, value)
