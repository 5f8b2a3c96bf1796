"""DynamoDB under load: items with an index, a counter, and a ring that transactions turn."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from .clients import Clients, code
from .ledgers import Register
from .load import Worker

TABLE = "crash"
INDEX = "by-colour"
COLOURS = ("red", "green", "blue")
NODES = 8
ITEMS = 12
# An item as a client tells it from others: colour and value. None: no item.
Item = tuple[str, int] | None


class Table(Worker):
    """Base: all share one table, which is made once."""

    def setup(self) -> None:
        text = "S"
        try:
            self.call(
                "create_table",
                AttributeDefinitions=[
                    {"AttributeName": name, "AttributeType": text} for name in ("id", "colour")
                ],
                KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                BillingMode="PAY_PER_REQUEST",
                GlobalSecondaryIndexes=[
                    {
                        "IndexName": INDEX,
                        "KeySchema": [
                            {"AttributeName": "colour", "KeyType": "HASH"},
                            {"AttributeName": "id", "KeyType": "RANGE"},
                        ],
                        "Projection": {"ProjectionType": "ALL"},
                    }
                ],
            )
        except ClientError as error:
            assert code(error) == "ResourceInUseException"  # noqa: PT017
        while self.surely("describe_table")["Table"]["TableStatus"] != "ACTIVE":
            pass

    def call(self, method: str, **req: Any) -> dict[str, Any]:
        """A call on the table."""
        return self.clients.call("dynamodb", method, TableName=TABLE, **req)

    def surely(self, method: str, **req: Any) -> dict[str, Any]:
        """A read of the table."""
        return self.clients.surely("dynamodb", method, TableName=TABLE, **req)

    def get(self, item_id: str) -> dict[str, Any]:
        """An item, as it is now."""
        got = self.surely("get_item", Key=key(item_id), ConsistentRead=True)
        item: dict[str, Any] = got.get("Item", {})
        return item


class Items(Table):
    """Puts, updates and deletes items that are also in an index."""

    def __init__(self, clients: Clients, seed: int) -> None:
        super().__init__(clients, seed)
        self.registers: list[Register[Item]] = [
            Register(f"item-{seed}-{number}", None) for number in range(ITEMS)
        ]

    def step(self) -> None:
        register = self.random.choice(self.registers)
        register.seen(shown(self.get(register.name)))
        value = (self.random.choice(COLOURS), self.steps)
        colour, number = {"S": value[0]}, {"N": str(value[1])}
        chance = self.random.random()
        if chance < 0.2:
            self.write(register, None, lambda: self.call("delete_item", Key=key(register.name)))
        elif chance < 0.6:
            item = {**key(register.name), "colour": colour, "value": number}
            self.write(register, value, lambda: self.call("put_item", Item=item))
        else:
            update: dict[str, Any] = {
                "UpdateExpression": "SET colour = :c, #v = :v",
                "ExpressionAttributeNames": {"#v": "value"},
                "ExpressionAttributeValues": {":c": colour, ":v": number},
            }
            self.write(
                register, value, lambda: self.call("update_item", Key=key(register.name), **update)
            )

    def check(self) -> None:
        for register in self.registers:
            register.seen(shown(self.get(register.name)))
        rows = self._rows()
        by_colour = {name: shown(item) for name, item in rows.items() if "colour" in item}
        indexed = {}
        for colour in COLOURS:
            got = self.surely(
                "query", IndexName=INDEX, KeyConditionExpression="colour = :c",
                ExpressionAttributeValues={":c": {"S": colour}},
            )  # fmt: skip
            indexed.update({item["id"]["S"]: shown(item) for item in got["Items"]})
        assert indexed == by_colour, "the index is in step with its table"

    def _rows(self) -> dict[str, dict[str, Any]]:
        return {item["id"]["S"]: item for item in self.surely("scan")["Items"]}


class Counter(Table):
    """Counts: as much as was acknowledged, at most what was asked for, and never less again."""

    def __init__(self, clients: Clients, seed: int) -> None:
        super().__init__(clients, seed)
        self._name = f"counter-{seed}"
        self._least = self._asked = 0

    def step(self) -> None:
        self._asked += 1
        got = self.call(
            "update_item", Key=key(self._name), UpdateExpression="ADD n :one",
            ExpressionAttributeValues={":one": {"N": "1"}}, ReturnValues="UPDATED_NEW",
        )  # fmt: skip
        self._is(int(got["Attributes"]["n"]["N"]), more_than=self._least)

    def check(self) -> None:
        self._is(int(self.get(self._name)["n"]["N"]), more_than=self._least - 1)

    def _is(self, value: int, *, more_than: int) -> None:
        assert more_than < value <= self._asked
        self._least = value


class Ring(Table):
    """Swaps neighbours in a ring, three nodes at a time, and counts each swap in the same go."""

    def __init__(self, clients: Clients, seed: int) -> None:
        super().__init__(clients, seed)
        self._told = 0
        self._asked = 0

    def setup(self) -> None:
        super().setup()
        for number in range(NODES):
            item = {**key(node(number)), "next": {"N": str((number + 1) % NODES)}}
            self.call("put_item", Item=item)

    def step(self) -> None:
        links = self.links()
        one = self.random.randrange(NODES)
        two = links[one]
        three = links[two]
        four = links[three]
        swap = {one: (two, three), three: (four, two), two: (three, four)}
        self._asked += 1
        try:
            self.clients.call("dynamodb", "transact_write_items", TransactItems=[
                *(_turn(number, *turn) for number, turn in swap.items()),
                {"Update": {
                    "TableName": TABLE, "Key": key(self._tally()), "UpdateExpression": "ADD n :n",
                    "ExpressionAttributeValues": {":n": {"N": "1"}},
                }},
            ])  # fmt: skip
        except ClientError as error:
            if code(error) != "TransactionCanceledException":
                raise
            self._asked -= 1
        else:
            self._told += 1

    def check(self) -> None:
        self.links()
        tally = self.get(self._tally())
        swaps = int(tally["n"]["N"]) if tally else 0
        assert self._told <= swaps <= self._asked

    def links(self) -> list[int]:
        """Whom each node points to, in one snapshot; it is a ring."""
        items = [{"Get": {"TableName": TABLE, "Key": key(node(n))}} for n in range(NODES)]
        while True:
            try:
                got = self.clients.surely("dynamodb", "transact_get_items", TransactItems=items)
                break
            except ClientError as error:
                if code(error) != "TransactionCanceledException":
                    raise
        links = [int(answer["Item"]["next"]["N"]) for answer in got["Responses"]]
        assert is_ring(links), f"torn: {links}"
        return links

    def _tally(self) -> str:
        return f"tally-{self.seed}"


def is_ring(links: list[int]) -> bool:
    """Whether following the links from the first node leads through all and back."""
    at, passed = 0, set()
    while at not in passed:
        passed.add(at)
        at = links[at]
    return at == 0 and len(passed) == len(links)


def node(number: int) -> str:
    """The id of a node."""
    return f"node-{number}"


def key(item_id: str) -> dict[str, Any]:
    """The key of an item."""
    return {"id": {"S": item_id}}


def shown(item: dict[str, Any]) -> Item:
    """What is compared of an item."""
    return (item["colour"]["S"], int(item["value"]["N"])) if item else None


def _turn(number: int, old: int, new: int) -> dict[str, Any]:
    return {
        "Update": {
            "TableName": TABLE,
            "Key": key(node(number)),
            "UpdateExpression": "SET #n = :new",
            "ConditionExpression": "#n = :old",
            "ExpressionAttributeNames": {"#n": "next"},
            "ExpressionAttributeValues": {":new": {"N": str(new)}, ":old": {"N": str(old)}},
        }
    }
