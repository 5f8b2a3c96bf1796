"""A checker that no index is out of step with its table, and a load that tries to make one so."""

from __future__ import annotations

import random
from typing import Any

from botocore.exceptions import ClientError

from .clients import Clients, code
from .load import Worker

TABLE = "indexed"
PAIRS = 6
NAMES = ("a", "b", "c")
# Attributes of what each index keeps beside keys; None: all.
INDEXES: dict[str, tuple[tuple[str, ...], tuple[str, ...] | None]] = {
    "all": (("group", "n"), None),
    "keys": (("mark",), ()),
    "some": (("group",), ("note",)),
    "local": (("id", "mark"), ()),
}


def make_table(clients: Clients) -> None:
    """A table with global indexes of each projection, sparse ones among them, and a local one."""
    kinds = {"id": "S", "at": "S", "group": "S", "mark": "S", "n": "N"}
    made = [shape(name) for name in INDEXES]
    clients.call(
        "dynamodb", "create_table", TableName=TABLE, BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": kind} for name, kind in kinds.items()
        ],
        KeySchema=schema("id", "at"),
        GlobalSecondaryIndexes=[one for one in made if one["IndexName"] != "local"],
        LocalSecondaryIndexes=[one for one in made if one["IndexName"] == "local"],
    )  # fmt: skip
    while True:
        shown = clients.surely("dynamodb", "describe_table", TableName=TABLE)
        if shown["Table"]["TableStatus"] == "ACTIVE":
            return


def schema(*names: str) -> list[dict[str, str]]:
    """A key schema."""
    kinds = ("HASH", "RANGE")
    return [
        {"AttributeName": name, "KeyType": kind} for name, kind in zip(names, kinds, strict=False)
    ]


def shape(name: str) -> dict[str, Any]:
    """An index as CreateTable wants it."""
    names, kept = INDEXES[name]
    projection: dict[str, Any] = {"ProjectionType": "ALL" if kept is None else "KEYS_ONLY"}
    if kept:
        projection = {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(kept)}
    return {"IndexName": name, "KeySchema": schema(*names), "Projection": projection}


def out_of_step(clients: Clients) -> list[str]:
    """What is wrong with the indexes and counts of the table: nothing, where all is well."""
    table = scanned(clients)
    shown = clients.surely("dynamodb", "describe_table", TableName=TABLE)["Table"]
    wrong = []
    if shown["ItemCount"] != len(table):
        wrong.append(f"the table counts {shown['ItemCount']} of {len(table)} items")
    for one in (*shown["GlobalSecondaryIndexes"], *shown["LocalSecondaryIndexes"]):
        name = one["IndexName"]
        names, kept = INDEXES[name]
        expected = [
            item if kept is None else {
                attribute: value for attribute, value in item.items()
                if attribute in {"id", "at", *names, *kept}
            }
            for item in table if all(attribute in item for attribute in names)
        ]  # fmt: skip
        found = scanned(clients, IndexName=name)
        if sorted(map(str, map(ordered, found))) != sorted(map(str, map(ordered, expected))):
            wrong.append(f"index {name}: {found} is not {expected}")
        if one["ItemCount"] != len(expected):
            wrong.append(f"index {name} counts {one['ItemCount']} of {len(expected)} entries")
    return wrong


def torn(clients: Clients) -> list[str]:
    """Pairs that were written by halves: nothing, where all is well."""
    items = {(one["id"]["S"], one["at"]["S"]): one for one in scanned(clients)}
    wrong = []
    for number in range(PAIRS):
        halves = [items.get((f"pair-{number}", half)) for half in ("left", "right")]
        values = {None if half is None else half["note"]["S"] for half in halves}
        if len(values) > 1:
            wrong.append(f"pair {number}: {values}")
    return wrong


def ordered(item: dict[str, Any]) -> list[Any]:
    """An item in a form that compares."""
    return sorted(item.items())


def scanned(clients: Clients, **req: Any) -> list[dict[str, Any]]:
    """All items of the table or an index, by small pages."""
    found: list[dict[str, Any]] = []
    while True:
        page = clients.surely("dynamodb", "scan", TableName=TABLE, Limit=20, **req)
        found += page["Items"]
        if "LastEvaluatedKey" not in page:
            return found
        req["ExclusiveStartKey"] = page["LastEvaluatedKey"]


class Changes(Worker):
    """Puts, updates, deletes and batches of items that come into indexes, move in them and go."""

    def step(self) -> None:
        chance = self.random.random()
        req = {"TableName": TABLE}
        if chance < 0.3:
            self.clients.call("dynamodb", "put_item", **req, Item=some_item(self.random))
        elif chance < 0.5:
            self.clients.call("dynamodb", "delete_item", **req, Key=some_key(self.random))
        elif chance < 0.8:
            self.clients.call(
                "dynamodb", "update_item", **req, Key=some_key(self.random),
                **self.random.choice(UPDATES)(self.random),
            )  # fmt: skip
        else:
            items = {str(key_of(one)): one for one in (some_item(self.random) for _ in range(5))}
            puts = [{"PutRequest": {"Item": one}} for one in items.values()]
            self.clients.call("dynamodb", "batch_write_item", RequestItems={TABLE: puts})


class Pairs(Worker):
    """Transactions that put both halves of a pair, move them, or delete them."""

    def step(self) -> None:
        number = self.random.randrange(PAIRS)
        note = {"S": f"{self.seed}-{self.steps}"}
        gone = self.random.random() < 0.3
        parts: list[dict[str, Any]] = []
        for half in ("left", "right"):
            key = {"id": {"S": f"pair-{number}"}, "at": {"S": half}}
            if gone:
                parts.append({"Delete": {"TableName": TABLE, "Key": key}})
            else:
                item = {**some_item(self.random), **key, "note": note}
                parts.append({"Put": {"TableName": TABLE, "Item": item}})
        if self.random.random() < 0.3:
            key = {"id": {"S": "pair-0"}, "at": {"S": "left"}}
            if number:
                check = {
                    "TableName": TABLE,
                    "Key": key,
                    "ConditionExpression": "attribute_exists(id)",
                }
                parts.append({"ConditionCheck": check})
        try:
            self.clients.call("dynamodb", "transact_write_items", TransactItems=parts)
        except ClientError as error:
            if code(error) != "TransactionCanceledException":
                raise


def moved(chance: random.Random) -> dict[str, Any]:
    """An update that puts an item elsewhere in the indexes."""
    return {
        "UpdateExpression": chance.choice(["SET #g = :g", "SET mark = :g, #g = :g REMOVE n"]),
        "ExpressionAttributeNames": {"#g": "group"},
        "ExpressionAttributeValues": {":g": {"S": chance.choice(NAMES)}},
    }


def taken_out(chance: random.Random) -> dict[str, Any]:
    """An update that takes an item out of indexes."""
    return {
        "UpdateExpression": chance.choice(["REMOVE #g", "REMOVE #g, mark"]),
        "ExpressionAttributeNames": {"#g": "group"},
    }


UPDATES = (moved, moved, taken_out)


def some_key(chance: random.Random) -> dict[str, Any]:
    """The key of one of a few items."""
    return {"id": {"S": chance.choice(NAMES)}, "at": {"S": str(chance.randrange(8))}}


def key_of(item: dict[str, Any]) -> tuple[str, str]:
    """An item's key."""
    return item["id"]["S"], item["at"]["S"]


def some_item(chance: random.Random) -> dict[str, Any]:
    """An item that may be in each index, or not."""
    item = {**some_key(chance), "note": {"S": chance.choice(NAMES)}}
    if chance.random() < 0.7:
        item["group"] = {"S": chance.choice(NAMES)}
    if chance.random() < 0.5:
        item["mark"] = {"S": chance.choice(NAMES)}
    if chance.random() < 0.5:
        item["n"] = {"N": str(chance.randrange(4))}
    return item
