"""SearchVectors: the items whose vectors are nearest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from doppio.kernel.context import Context
from doppio.services.dynamodb import limits, vectors
from doppio.services.dynamodb.access import usable_table
from doppio.services.dynamodb.errors import ResourceNotFoundException, ValidationException
from doppio.services.dynamodb.expressions.binding import Binding, bind
from doppio.services.dynamodb.expressions.paths import project, projected_paths
from doppio.services.dynamodb.expressions.syntax import Tree, condition
from doppio.services.dynamodb.records import Table, VectorIndex
from doppio.services.dynamodb.values import Item
from doppio.services.dynamodb.vector_indexes import nearest

if TYPE_CHECKING:
    from doppio._stubs import dynamodb as w

KIND = "SearchConditionExpression"
SEARCHED = "VectorSearchRequestBytes"


class Searches:
    """The operation on vectors."""

    async def search_vectors(
        self, ctx: Context, req: w.SearchVectorsInput
    ) -> w.SearchVectorsOutput:
        """The nearest items, the most similar first, each with its score."""
        reader = ctx.read()
        table = await usable_table(reader, ctx, req["TableName"])
        index = _index(table, req["IndexName"])
        if req["TopK"] > limits.TOP_K_MAX:
            raise ValidationException(f"TopK must be at most {limits.TOP_K_MAX}")
        vector = vectors.floats({"L": req["SearchVector"]}, index.dimensions, "SearchVector")
        if index.distance == "COSINE" and not any(vector):
            raise ValidationException("SearchVector must not be zero for the distance COSINE")
        binding = bind(req, KIND)
        wanted = _wanted(index, req, binding)
        paths = projected_paths(req, binding)
        binding.finish()
        held = vectors.held_names(table, index)
        missing = [path[0] for path in paths or () if held is not None and path[0] not in held]
        if missing:
            raise ValidationException(
                f"One or more parameter values were invalid: Vector index {index.name} does not "
                f"project [{', '.join(map(str, missing))}]"
            )
        found = await nearest(reader, table, index, list(vector), wanted, req["TopK"])
        reader.meter(SEARCHED, float(found.bytes))
        results = [
            {"Item": entry if paths is None else project(entry, paths), "Score": score}
            for score, entry in found.best()
        ]
        shown: dict[str, Any] = {"SearchResults": results}
        if req.get("ReturnConsumedCapacity", "NONE") != "NONE":
            shown["ConsumedCapacity"] = {SEARCHED: float(found.bytes)}
        return shown  # type: ignore[return-value]


def _index(table: Table, name: str) -> VectorIndex:
    found = next((one for one in table.vectors if one.name == name), None)
    if found is None:
        raise ResourceNotFoundException(
            f"Requested resource not found: Vector index: {name} not found"
        )
    if found.status != "ACTIVE":
        raise ValidationException(f"Cannot read from backfilling vector index: {name}")
    return found


def _wanted(index: VectorIndex, req: Mapping[str, Any], binding: Binding) -> Item:
    """What the condition says of each attribute: only that it is equal to a value."""
    found: Item = {}
    text = req.get(KIND)
    known = dict(index.schema)
    for term in [] if text is None else _terms(condition(text, KIND)):
        if term[0] != "cmp" or term[1] != "=" or term[2][0] != "path" or term[3][0] != "value":
            raise ValidationException(
                f"Invalid {KIND}: Only conditions of equality of an attribute of the search schema "
                "with a value are supported"
            )
        path = binding.path(term[2], KIND)
        name = str(path[0])
        if len(path) != 1 or name not in known:
            raise ValidationException(
                f"Invalid {KIND}: {name} is not part of the search schema of index {index.name}"
            )
        if name in found:
            raise ValidationException(f"Invalid {KIND}: {name} is named in two conditions")
        found[name] = binding.value(term[3][1], KIND)
    for name, kind in index.schema:
        if kind == vectors.HASH and name not in found:
            raise ValidationException(
                f"Invalid {KIND}: Condition on the partition key {name} is missing"
            )
    return found


def _terms(tree: Tree) -> list[Tree]:
    if tree[0] == "and":
        return [*_terms(tree[1]), *_terms(tree[2])]
    return [tree]
