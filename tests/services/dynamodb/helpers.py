"""What DynamoDB's tests say often."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from tests.services.world import ACCOUNT, REGION, World

Item = dict[str, dict[str, Any]]


def arn(name: str) -> str:
    """The ARN of a table of the account."""
    return f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}"


def key_of(*names: str) -> list[dict[str, str]]:
    """A key schema: the hash key, and perhaps the range key."""
    kinds = ("HASH", "RANGE")
    return [
        {"AttributeName": name, "KeyType": kind} for name, kind in zip(names, kinds, strict=False)
    ]


def types(**given: str) -> list[dict[str, str]]:
    """Attribute definitions."""
    return [{"AttributeName": name, "AttributeType": kind} for name, kind in given.items()]


def index(name: str, *key: str, projection: str = "ALL", include: tuple[str, ...] = ()) -> Any:
    """A secondary index."""
    shown: dict[str, Any] = {"ProjectionType": projection}
    if include:
        shown["NonKeyAttributes"] = list(include)
    return {"IndexName": name, "KeySchema": key_of(*key), "Projection": shown}


def caller(world: World) -> Callable[..., Awaitable[Any]]:
    """`call("put_item", TableName=...)`."""

    def call(method: str, /, **req: Any) -> Awaitable[Any]:
        return world.call("dynamodb", method, **req)

    return call


async def make(
    world: World,
    name: str = "orders",
    key: tuple[str, ...] = ("id",),
    kinds: Mapping[str, str] | None = None,
    **req: Any,
) -> None:
    """Create a table on demand, and wait until it is ACTIVE."""
    await world.call(
        "dynamodb",
        "create_table",
        TableName=name,
        KeySchema=key_of(*key),
        AttributeDefinitions=types(**(kinds or dict.fromkeys(key, "S"))),
        **{"BillingMode": "PAY_PER_REQUEST", **req},
    )
    await world.advance(1)


def wire(value: Any) -> dict[str, Any]:
    """A Python value as an attribute value."""
    if isinstance(value, bool):
        return {"BOOL": value}
    if value is None:
        return {"NULL": True}
    if isinstance(value, int | float):
        return {"N": str(value)}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, bytes):
        return {"B": value}
    if isinstance(value, list):
        return {"L": [wire(one) for one in value]}
    if isinstance(value, set):
        kind = {str: "SS", bytes: "BS", int: "NS"}[type(next(iter(value)))]
        return {kind: sorted(str(one) if kind == "NS" else one for one in value)}
    return {"M": {name: wire(one) for name, one in value.items()}}


def item(**attributes: Any) -> Item:
    """An item of Python values."""
    return {name: wire(value) for name, value in attributes.items()}


async def put(world: World, table: str = "orders", /, **attributes: Any) -> Any:
    """Put an item."""
    return await world.call("dynamodb", "put_item", TableName=table, Item=item(**attributes))


async def get(world: World, table: str = "orders", /, **key: Any) -> Item | None:
    """Get an item, or None."""
    got = await world.call("dynamodb", "get_item", TableName=table, Key=item(**key))
    found: Item | None = got.get("Item")
    return found


async def described(world: World, table: str = "orders") -> dict[str, Any]:
    """DescribeTable."""
    got = await world.call("dynamodb", "describe_table", TableName=table)
    found: dict[str, Any] = got["Table"]
    return found


async def scanned(world: World, table: str = "orders", **req: Any) -> list[Item]:
    """All items of a scan, page by page."""
    return await _all(world, "scan", TableName=table, **req)


async def queried(world: World, table: str = "orders", **req: Any) -> list[Item]:
    """All items of a query, page by page."""
    return await _all(world, "query", TableName=table, **req)


async def _all(world: World, method: str, **req: Any) -> list[Item]:
    found: list[Item] = []
    while True:
        page = await world.call("dynamodb", method, **req)
        found += page["Items"]
        if "LastEvaluatedKey" not in page:
            return found
        req["ExclusiveStartKey"] = page["LastEvaluatedKey"]
