"""The condition keys that DynamoDB adds: what a request touches, worked out when a policy asks.

Source: "Using IAM policy conditions for fine-grained access control" and the service authorization
reference. What is in the request alone is answered at once; what the table's key must tell
(`dynamodb:LeadingKeys`, `dynamodb:Attributes`, `dynamodb:FullTableScan`) is read only when a policy
bears on it (`Beyond`).
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.service import Granted, Need
from doppio.services.dynamodb import numbers
from doppio.services.dynamodb.access import find_table
from doppio.services.dynamodb.expressions.binding import Binding, bind
from doppio.services.dynamodb.expressions.keys import KIND as KEY_CONDITION
from doppio.services.dynamodb.expressions.legacy import with_expressions
from doppio.services.dynamodb.expressions.paths import projected_paths
from doppio.services.dynamodb.expressions.syntax import Tree, condition, update
from doppio.services.dynamodb.partiql.ranges import reach, terms
from doppio.services.dynamodb.partiql.syntax import Statement
from doppio.services.dynamodb.partiql.writes import prepared
from doppio.services.dynamodb.records import KeyPart, Table
from doppio.services.dynamodb.values import Value

_LEADING, _ATTRIBUTES, _SCAN = (
    "dynamodb:leadingkeys", "dynamodb:attributes", "dynamodb:fulltablescan",
)  # fmt: skip
_SELECT, _RETURNED, _CAPACITY, _ENCLOSING = (
    "dynamodb:select", "dynamodb:returnvalues", "dynamodb:returnconsumedcapacity",
    "dynamodb:enclosingoperation",
)  # fmt: skip
_READS = frozenset(
    {"GetItem", "BatchGetItem", "Query", "Scan", "TransactGetItems"}
)  # fmt: skip
_WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem"})
_ENCLOSE = frozenset({"TransactWriteItems", "TransactGetItems", "ExecuteTransaction"})


class ItemKeys(Mapping[str, Any]):
    """The condition keys of one part of an item operation: `part` is the request or its part."""

    __slots__ = ("_operation", "_part", "_req")

    def __init__(self, operation: str, req: Mapping[str, Any], part: Any) -> None:
        self._operation = operation
        self._req = req
        self._part = part

    def __getitem__(self, key: str) -> Any:
        if key == _CAPACITY:
            return self._req["ReturnConsumedCapacity"]
        if key == _ENCLOSING and self._operation in _ENCLOSE:
            return self._operation
        if key == _SELECT and self._operation in _READS:
            return self._part.get("Select") or _selected(self._part)
        if key == _RETURNED and self._operation in _WRITES:
            return self._part.get("ReturnValues", "NONE")
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        for key in (_CAPACITY, _ENCLOSING, _SELECT, _RETURNED):
            try:
                self[key]
            except KeyError:
                continue
            yield key

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def knows(self, key: str) -> bool:
        """The keys for which the table must be known."""
        return key == _ATTRIBUTES or (key == _LEADING and self._operation != "Scan")

    async def conditions(self, ctx: Context, need: Need) -> Mapping[str, Any]:
        """The partition keys and the attributes that the request names."""
        table = await find_table(ctx.read(), ctx, need.policy or need.resource)
        if table is None:
            return {}
        found: dict[str, Any] = {_ATTRIBUTES: sorted(_attributes(self._operation, self._part))}
        if self._operation != "Scan":
            found[_LEADING] = _leading(self._operation, self._part, table)
        return found

    async def grants(self, ctx: Context, need: Need) -> Granted | None:
        """Nothing but policies lets anybody in."""
        return None


class StatementKeys(Mapping[str, Any]):
    """The condition keys of a PartiQL statement."""

    __slots__ = ("_given", "_operation", "_req", "_statement")

    def __init__(
        self, operation: str, req: Mapping[str, Any], given: Mapping[str, Any], statement: Statement
    ) -> None:
        self._operation = operation
        self._req = req
        self._given = given
        self._statement = statement

    def __getitem__(self, key: str) -> Any:
        if key == _ENCLOSING and self._operation in _ENCLOSE:
            return self._operation
        if key == _SELECT and self._statement.verb == "SELECT":
            if self._statement.paths is not None:
                return "SPECIFIC_ATTRIBUTES"
            return (
                "ALL_ATTRIBUTES"
                if self._statement.index_name is None
                else "ALL_PROJECTED_ATTRIBUTES"
            )
        if key == _RETURNED and self._statement.verb in ("UPDATE", "DELETE"):
            return self._statement.returning
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        for key in (_ENCLOSING, _SELECT, _RETURNED):
            try:
                self[key]
            except KeyError:
                continue
            yield key

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def knows(self, key: str) -> bool:
        """The keys for which the table must be known."""
        return key in (_LEADING, _ATTRIBUTES) or (key == _SCAN and self._statement.reads)

    async def conditions(self, ctx: Context, need: Need) -> Mapping[str, Any]:
        """The partition keys and attributes that the statement names; whether it names none."""
        table = await find_table(ctx.read(), ctx, need.policy or need.resource)
        if table is None:
            return {}
        statement, bound = prepared(self._given)
        found: dict[str, Any] = {}
        if statement.item is not None:
            item = bound.value(statement.item, "VALUE").get("M", {})
            found[_ATTRIBUTES] = sorted(item)
            found[_LEADING] = _texts([item.get(part.name) for part in _hashes(table, None)])
            return found
        parts = _hashes(table, statement.index_name)
        reached = reach(statement.where, parts, bound)
        names = _names(statement.where) | {str(path[0]) for path in statement.paths or ()}
        for clause in statement.clauses.values():
            names |= _names(clause)
        found[_ATTRIBUTES] = sorted(names)
        if reached.hashes:
            found[_LEADING] = _texts([values[0] for values in reached.hashes])
        if statement.reads:
            found[_SCAN] = "false" if reached.hashes else "true"
        return found

    async def grants(self, ctx: Context, need: Need) -> Granted | None:
        """Nothing but policies lets anybody in."""
        return None


def _selected(part: Mapping[str, Any]) -> str:
    if "ProjectionExpression" in part or "AttributesToGet" in part:
        return "SPECIFIC_ATTRIBUTES"
    return "ALL_PROJECTED_ATTRIBUTES" if "IndexName" in part else "ALL_ATTRIBUTES"


def _hashes(table: Table, index: str | None) -> list[KeyPart]:
    found = table.index(index) if index is not None else None
    return [part for part in (table.key if found is None else found.key) if part.hash]


def _texts(values: Iterable[Value | None]) -> list[str]:
    """Values as policies compare them."""
    found = []
    for value in values:
        for kind, content in (value or {}).items():
            if kind == "N":
                found.append(numbers.canonical(content))
            elif kind in ("S", "B"):
                found.append(content if kind == "S" else b64encode(content).decode())
    return found


def _leading(operation: str, part: Any, table: Table) -> list[str]:
    """The partition keys that a request names."""
    if operation == "Query":
        name = _hashes(table, part.get("IndexName"))[0].name
        given = with_expressions(part)
        if KEY_CONDITION not in given:
            return []
        binding = Binding(
            given.get("ExpressionAttributeNames"), given.get("ExpressionAttributeValues")
        )
        return _texts(
            binding.value(one[3][1], KEY_CONDITION)
            for one in map(_turned, terms(condition(given[KEY_CONDITION], KEY_CONDITION)))
            if one[0] == "cmp" and one[1] == "=" and one[2][0] == "path" and one[3][0] == "value"
            and binding.path(one[2], KEY_CONDITION) == (name,)
        )  # fmt: skip
    name = table.key[0].name
    return _texts(key.get(name) for key in _keys(operation, part))


def _turned(tree: Tree) -> Tree:
    """`:v = name` as `name = :v`."""
    if tree[0] == "cmp" and tree[2][0] == "value":
        return (tree[0], tree[1], tree[3], tree[2])
    return tree


def _keys(operation: str, part: Any) -> list[Mapping[str, Any]]:
    if operation == "BatchGetItem":
        return list(part["Keys"])
    if operation == "BatchWriteItem":
        return [
            one["PutRequest"]["Item"] if "PutRequest" in one else one["DeleteRequest"]["Key"]
            for one in part
            if one
        ]
    return [part.get("Key", part.get("Item", {}))]


def _attributes(operation: str, part: Any) -> set[str]:
    """The names of all attributes that a request touches."""
    found: set[str] = set()
    if operation != "Query" and operation != "Scan":
        for key in _keys(operation, part):
            found |= key.keys()
    if operation == "BatchWriteItem":
        return found
    given = with_expressions(part)
    binding = bind(given, "FilterExpression", KEY_CONDITION, "ConditionExpression", "UpdateExpression")  # fmt: skip
    trees: list[Any] = [
        condition(given[kind], kind)
        for kind in ("ConditionExpression", "FilterExpression", KEY_CONDITION)
        if kind in given
    ]
    if "UpdateExpression" in given:
        trees += update(given["UpdateExpression"]).values()
    for tree in trees:
        for path in _paths(tree):
            found.add(str(binding.path(path, "expression")[0]))
    found |= {str(path[0]) for path in projected_paths(given, binding) or ()}
    return found


def _names(tree: Any) -> set[str]:
    return {str(path[1][0]) for path in _paths(tree)}


def _paths(tree: Any) -> list[Tree]:
    """The paths of a tree."""
    if not isinstance(tree, tuple) or not tree:
        return []
    if tree[0] == "path":
        return [tree]
    return [path for part in tree for path in _paths(part)]
