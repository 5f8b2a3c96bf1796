"""How an item lies in its row: its size, then itself.

What a read or a write consumes follows from an item's size. The size was worked out when the item was
checked; in the row it need not be worked out again, and a put that nobody asks about what was there
before reads no more of that than its size. Rows from before sizes were kept are the item alone: they
are read as well, until they are written again.
"""

from __future__ import annotations

from typing import Any

import msgspec

from doppio.services.dynamodb.values import Item, size_of

# What a row with a size begins with in msgpack, an array of two; an item alone is a map.
_SIZED = 0x92
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[int, dict[str, dict[str, Any]]]).decode
_decode_size = msgspec.msgpack.Decoder(tuple[int, msgspec.Raw]).decode
_decode_alone = msgspec.msgpack.Decoder(dict[str, dict[str, Any]]).decode


def encode_row(size: int, item: Item) -> bytes:
    """An item of this size as a row."""
    return _encode((size, item))


def decode_row(raw: bytes) -> tuple[int, Item]:
    """The size of an item, and the item."""
    if raw[0] == _SIZED:
        return _decode(raw)
    item = _decode_alone(raw)
    return size_of(item), item


def size_in(raw: bytes) -> int:
    """The size of the item in a row."""
    return _decode_size(raw)[0] if raw[0] == _SIZED else size_of(_decode_alone(raw))


def item_in(raw: bytes) -> Item:
    """The item in a row."""
    return _decode(raw)[1] if raw[0] == _SIZED else _decode_alone(raw)
