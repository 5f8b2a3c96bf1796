"""Which permissions an operation takes, and the condition keys that DynamoDB adds to them.

Source: "Actions, resources, and condition keys for Amazon DynamoDB".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.service import Need
from doppio.services.dynamodb.records import table_arn
from doppio.wire.errors import NotImplementedByDoppio

_PARTS = {
    "Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem", "Get": "GetItem",
}  # fmt: skip
_GIVEN = {
    "dynamodb:select": "Select",
    "dynamodb:returnvalues": "ReturnValues",
    "dynamodb:returnconsumedcapacity": "ReturnConsumedCapacity",
}
# What only the table can tell, and a policy must not go without: left out, `ForAllValues` would hold.
_ABSENT = frozenset({"dynamodb:leadingkeys", "dynamodb:attributes"})
_OF_ITEMS = frozenset(
    {"PutItem", "GetItem", "UpdateItem", "DeleteItem", "Query", "Scan", "BatchGetItem",
     "BatchWriteItem", "TransactWriteItems", "TransactGetItems"}
)  # fmt: skip


def needs(ctx: Context, operation: str, req: Mapping[str, Any]) -> Sequence[Need]:
    """The actions and the tables or indexes that an operation touches."""
    action = f"dynamodb:{operation}"
    keys = _Conditions(operation, req) if operation in _OF_ITEMS else {}
    if "TransactItems" in req:
        return [
            Need(f"dynamodb:{_PARTS[kind]}", _arn(ctx, one["TableName"]), keys)
            for entry in req["TransactItems"]
            for kind, one in entry.items()
            if kind in _PARTS
        ]
    if "RequestItems" in req:
        return [Need(action, _arn(ctx, name), keys) for name in req["RequestItems"]]
    if "TableName" in req:
        arn = _arn(ctx, req["TableName"])
        if "IndexName" in req:
            arn = f"{arn}/index/{req['IndexName']}"
        return (Need(action, arn, keys),)
    if "ResourceArn" in req:
        return (Need(action, req["ResourceArn"]),)
    return (Need(action),)


def _arn(ctx: Context, name: str) -> str:
    return name if name.startswith("arn:") else table_arn(ctx.account, ctx.region, name)


class _Conditions(Mapping[str, Any]):
    """The condition keys of an item operation, worked out only when a policy asks for one."""

    __slots__ = ("_operation", "_req")

    def __init__(self, operation: str, req: Mapping[str, Any]) -> None:
        self._operation = operation
        self._req = req

    def __getitem__(self, key: str) -> Any:
        if key in _ABSENT:
            raise NotImplementedByDoppio(
                f"dynamodb: policies with the condition key {key} exist in AWS and not yet in this "
                "cloud; nothing is allowed by them"
            )
        if key == "dynamodb:enclosingoperation" and self._operation.startswith("Transact"):
            return self._operation
        return self._req[_GIVEN[key]]

    def __contains__(self, key: object) -> bool:
        return key in _ABSENT or key in set(self)

    def __iter__(self) -> Iterator[str]:
        if self._operation.startswith("Transact"):
            yield "dynamodb:enclosingoperation"
        for key, member in _GIVEN.items():
            if member in self._req:
                yield key

    def __len__(self) -> int:
        return sum(1 for _ in self)
