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
from doppio.services.dynamodb.values import Item, Value, checked_item

INDEXED = pack("ddb.index")
# No key begins with 0xff, so that 0xff behind a prefix is the end of all keys that have it.
_BINARY = b"\x01"
_SHORT = min(limits.HASH_KEY_BYTES_MAX, limits.RANGE_KEY_BYTES_MAX)
_NO_KEY = "The provided key element does not match the schema"


def index_prefix(table: Table, index: SecondaryIndex) -> bytes:
    """What the rows of an index begin with."""
    return INDEXED + table.id.encode() + pack(index.id or index.name)


def encoded(value: Value) -> bytes:
    """A key attribute's bytes."""
    [(kind, content)] = value.items()
    if kind == "S":
        return _delimited(content.encode())
    return numbers.order_key(content) if kind == "N" else _BINARY + _delimited(bytes(content))


def _delimited(raw: bytes) -> bytes:
    return (raw.replace(b"\0", b"\0\xff") if b"\0" in raw else raw) + b"\0"


def row_key(prefix: bytes, parts: Sequence[KeyPart], item: Item) -> bytes:
    """The row key of an item whose key attributes were checked."""
    key = prefix
    for part in parts:
        key += encoded(item[part.name])
    return key


def row_of_key(table: Table, key: Item) -> bytes:
    """The row of a key as a request brings it: its values are checked, and numbers normalised.

    Raises ValidationException unless it is exactly a key of the table.
    """
    if len(key) == len(table.key):
        found = _row_of_texts(table, key)
        if found is not None:
            return found
    checked_item(key)
    row = table.prefix
    if len(key) == len(table.key):
        for part in table.key:
            value = key.get(part.name)
            if value is None:
                break
            row += checked_part(part, value, _NO_KEY)
        else:
            return row
    raise ValidationException(_NO_KEY)


def row_of_item(table: Table, item: Item) -> bytes:
    """The row of an item. Raises ValidationException unless it has its key attributes, of the right
    types."""
    found = _row_of_texts(table, item)
    if found is not None:
        return found
    row = table.prefix
    for part in table.key:
        value = item.get(part.name)
        if value is None:
            raise ValidationException(
                f"One or more parameter values were invalid: Missing the key {part.name} in the item"
            )
        row += checked_part(part, value)
    return row


def _row_of_texts(table: Table, item: Item) -> bytes | None:
    """The row where the key is of texts without anything special, as most are; None for any other,
    which has to be looked at closely."""
    texts = ""
    for name in table.text_key:
        value = item.get(name)
        if value is None or len(value) != 1:
            return None
        text = value.get("S")
        if not text:
            return None
        texts += text + "\0"
    raw = texts.encode()
    if not raw or len(raw) > _SHORT or raw.count(0) > len(table.key):
        return None
    return table.prefix + raw


def checked_part(part: KeyPart, value: Value, mismatch: str = "") -> bytes:
    """A value as `encoded`, if it may be this part of a key. Raises ValidationException."""
    kind = part.type
    content: Any = value.get(kind)
    if content is None:
        raise ValidationException(
            mismatch
            or "One or more parameter values were invalid: Type mismatch for key "
            f"{part.name} expected: {kind} actual: {next(iter(value), '')}"
        )
    if kind == "N":
        return numbers.order_key(content)
    raw: bytes = content.encode() if kind == "S" else content
    # The shorter of both limits: what is within it need not be told which one counts.
    if not raw or len(raw) > _SHORT:
        _check_length(part, len(raw))
    if b"\0" in raw:
        raw = raw.replace(b"\0", b"\0\xff")
    return raw + b"\0" if kind == "S" else _BINARY + raw + b"\0"


def _check_length(part: KeyPart, size: int) -> None:
    if not size:
        noun = "string" if part.type == "S" else "binary"
        raise ValidationException(
            "One or more parameter values are not valid. The AttributeValue for a key attribute "
            f"cannot contain an empty {noun} value. Key: {part.name}"
        )
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
            checked_part(part, value)
