"""Vector indexes: which items are in one, under which rows, and how near vectors are. Pure but for
what an entry's rows are put into.

An entry lies under the index, then its partition (the HASH attributes of the search schema), then the
item's own key, so that a search of a partition is a range of rows. It holds the vector as 32-bit floats,
what can be filtered by, and what is projected as bytes: a search reads that of what it has found alone.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from operator import mul
from typing import Any

import msgspec

from doppio.kernel.keys import pack
from doppio.services.dynamodb import limits
from doppio.services.dynamodb.errors import ValidationException
from doppio.services.dynamodb.item_keys import INDEXED, encoded
from doppio.services.dynamodb.records import Table, VectorIndex
from doppio.services.dynamodb.values import Item, Value, size_of

# Where an entry keeps all: no attribute has an empty name.
PACKED = ""
encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(dict[str, dict[str, Any]]).decode
_BAD = "One or more parameter values were invalid: "
HASH, FILTER = "HASH", "INLINE_FILTER"


def vector_index(given: Mapping[str, Any], name: str, rows: str, status: str) -> VectorIndex:
    """An index as it is asked for; `rows` is the id under which it lies. Raises ValidationException."""
    projection = given["Projection"]
    kind = projection.get("ProjectionType")
    included = tuple(projection.get("NonKeyAttributes", ()))
    if kind is None:
        raise ValidationException(f"{_BAD}Unknown ProjectionType: null")
    if bool(included) != (kind == "INCLUDE"):
        raise ValidationException(
            f"{_BAD}NonKeyAttributes must be specified if and only if ProjectionType is INCLUDE"
        )
    if given["Dimensions"] > limits.DIMENSIONS_MAX:
        raise ValidationException(
            f"{_BAD}Dimensions must be at most {limits.DIMENSIONS_MAX} for index: {name}"
        )
    schema = tuple(
        (one["AttributeName"], one["SearchSchemaElementType"])
        for one in given.get("SearchSchema", ())
    )
    attribute = given["VectorAttribute"]["AttributeName"]
    names = [attribute, *(one for one, _ in schema)]
    if len(set(names)) < len(names):
        raise ValidationException(
            f"{_BAD}An attribute is named twice in the search schema of index: {name}"
        )
    return VectorIndex(
        name=name, id=rows, attribute=attribute, schema=schema, projection=kind, included=included,
        dimensions=given["Dimensions"], distance=given["DistanceFunction"], status=status,
    )  # fmt: skip


def check_together(found: Sequence[VectorIndex], others: Sequence[str]) -> None:
    """Raise where indexes of one table do not go together; `others` are its other indexes' names."""
    names = [one.name for one in found] + list(others)
    for name in names:
        if names.count(name) > 1:
            raise ValidationException(f"{_BAD}Duplicate index name: {name}")
    if len(found) > limits.VECTOR_INDEXES_MAX:
        raise ValidationException(
            f"{_BAD}VectorIndex count exceeds the per-table limit of {limits.VECTOR_INDEXES_MAX}"
        )
    dimensions: dict[str, int] = {}
    for one in found:
        if dimensions.setdefault(one.attribute, one.dimensions) != one.dimensions:
            raise ValidationException(
                f"{_BAD}Vector indexes on one attribute must have the same number of dimensions: "
                f"{one.attribute}"
            )


def floats(value: Value, dimensions: int, what: str) -> array[float]:
    """A list of numbers as 32-bit floats. Raises ValidationException."""
    listed = value.get("L")
    if listed is None or any(set(one) != {"N"} for one in listed):
        raise ValidationException(f"{_BAD}{what} must be a list of numbers")
    if len(listed) != dimensions:
        raise ValidationException(
            f"{_BAD}{what} has {len(listed)} dimensions, but the index has {dimensions}"
        )
    found = [float(one["N"]) for one in listed]
    if any(abs(one) > limits.FLOAT32_MAX for one in found):
        raise ValidationException(f"{_BAD}{what} holds a number that is no 32-bit float")
    return array("f", found)


def entry(table: Table, index: VectorIndex, item: Item) -> tuple[bytes, Item] | None:
    """The row and the entry of an item; None where it lacks the vector or a part of the partition.

    Raises ValidationException for an attribute that is no vector of the index.
    """
    value = item.get(index.attribute)
    if value is None or any(name not in item for name, kind in index.schema if kind == HASH):
        return None
    vector = floats(value, index.dimensions, f"Vector attribute {index.attribute}")
    held = projected(table, index, item)
    filters = {name: item[name] for name, kind in index.schema if kind == FILTER and name in item}
    row = partition(table, index, item)
    own = b"".join(encoded(item[part.name]) for part in table.key)
    inside = {"V": vector.tobytes(), "F": filters, "I": encode(held), "N": size_of(held)}
    if index.distance == "COSINE":
        inside["L"] = norm(vector)
    return row + own, {PACKED: inside}


def partition(table: Table, index: VectorIndex, item: Item) -> bytes:
    """What the rows of a partition begin with."""
    parts = []
    for name, kind in index.schema:
        if kind == HASH:
            if not {"S", "N", "B"} & set(item[name]):
                raise ValidationException(
                    f"{_BAD}Type mismatch for Index Key {name} IndexName: {index.name}"
                )
            parts.append(encoded(item[name]))
    return rows_prefix(table, index) + b"".join(parts)


def rows_prefix(table: Table, index: VectorIndex) -> bytes:
    """What the rows of a vector index begin with."""
    return INDEXED + table.id.encode() + pack(index.id)


def projected(table: Table, index: VectorIndex, item: Item) -> Item:
    """What an index keeps of an item."""
    names = held_names(table, index)
    return item if names is None else {one: item[one] for one in item if one in names}


def held_names(table: Table, index: VectorIndex) -> set[str] | None:
    """The attributes that an index holds; None for all."""
    if index.projection == "ALL":
        return None
    names = {part.name for part in table.key} | {name for name, _ in index.schema}
    return names | {index.attribute} | set(index.included)


def norm(vector: Sequence[float]) -> float:
    """A vector's length."""
    return math.sqrt(math.fsum(map(mul, vector, vector)))


def score(distance: str, asked: Sequence[float], length: float, inside: Mapping[str, Any]) -> float:
    """How near an entry is: the distance, or the product of the two vectors. `length` is that of
    `asked`."""
    vector = array("f")
    vector.frombytes(inside["V"])
    if distance == "EUCLIDEAN":
        return math.dist(asked, vector)
    product: float = sum(map(mul, asked, vector))
    if distance == "DOT_PRODUCT":
        return product
    other: float = inside["L"]
    return 1.0 - product / (length * other) if other else 1.0


def shown(table: Table, index: VectorIndex, items: int, size: int) -> dict[str, Any]:
    """An index as DescribeTable shows it."""
    projection: dict[str, Any] = {"ProjectionType": index.projection}
    if index.included:
        projection["NonKeyAttributes"] = list(index.included)
    found: dict[str, Any] = {
        "IndexName": index.name,
        "Projection": projection,
        "VectorAttribute": {"AttributeName": index.attribute},
        "Dimensions": index.dimensions,
        "DistanceFunction": index.distance,
        "IndexStatus": index.status,
        "IndexSizeBytes": size,
        "ItemCount": items,
        "IndexArn": f"{table.arn}/index/{index.name}",
    }
    if index.schema:
        found["SearchSchema"] = [
            {"AttributeName": name, "SearchSchemaElementType": kind} for name, kind in index.schema
        ]
    if index.status == "CREATING":
        found["Backfilling"] = True
    return found
