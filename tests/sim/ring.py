"""Ring: transactions swap neighbours in a ring; whatever happens, it is one ring with all nodes."""

from __future__ import annotations

import asyncio
from typing import Any

from doppio.wire.errors import AwsError

from .world import Lost, Refused, World

TABLE = "ring"
NODES = 6
CLIENTS = 3
SWAPS = 12


class Ring:
    """Each swap also leaves a row and adds to a tally, in the same transaction."""

    def __init__(self) -> None:
        self._told: set[str] = set()
        self._asked: set[str] = set()

    async def setup(self, world: World) -> None:
        await world.call(
            "dynamodb", "create_table", TableName=TABLE, BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": "id", "AttributeType": "S"},
                {"AttributeName": "kind", "AttributeType": "S"},
            ],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            GlobalSecondaryIndexes=[{
                "IndexName": "by-kind", "Projection": {"ProjectionType": "KEYS_ONLY"},
                "KeySchema": [{"AttributeName": "kind", "KeyType": "HASH"}],
            }],
        )  # fmt: skip
        while (await world.call("dynamodb", "describe_table", TableName=TABLE))["Table"][
            "TableStatus"
        ] != "ACTIVE":
            await asyncio.sleep(0.1)
        for number in range(NODES):
            item = {"id": _id(number), "next": {"N": str((number + 1) % NODES)}}
            await world.call("dynamodb", "put_item", TableName=TABLE, Item=item)

    async def act(self, world: World) -> None:
        async with asyncio.TaskGroup() as group:
            for client in range(CLIENTS):
                group.create_task(self._client(world, client))

    async def _client(self, world: World, client: int) -> None:
        for swap in range(SWAPS):
            await asyncio.sleep(world.random.uniform(0.0, 1.0))
            await self._swap(world, f"{client}.{swap}")

    async def _swap(self, world: World, name: str) -> None:
        links = await self._links(world)
        one = world.random.randrange(NODES)
        two = links[one]
        three = links[two]
        turns = {one: (two, three), three: (links[three], two), two: (three, links[three])}
        items: list[dict[str, Any]] = [_turn(*turn, number) for number, turn in turns.items()]
        row = {"id": {"S": name}, "kind": {"S": "swap"}}
        items += [
            {"Put": {"TableName": TABLE, "Item": row}},
            {"Update": {
                "TableName": TABLE, "Key": {"id": {"S": "tally"}}, "UpdateExpression": "ADD n :n",
                "ExpressionAttributeValues": {":n": {"N": "1"}},
            }},
        ]  # fmt: skip
        again = 1 + (world.random.random() < 0.3)
        for _ in range(again):
            # The same token: the second time changes nothing.
            try:
                self._asked.add(name)
                await world.call(
                    "dynamodb", "transact_write_items", TransactItems=items, ClientRequestToken=name
                )
                self._told.add(name)
                world.say(f"swap {name} behind {one}")
            except (Lost, Refused) as error:
                world.say(f"swap {name}: {type(error).__name__}")
            except AwsError as error:
                if error.code != "TransactionCanceledException":
                    raise
                if name not in self._told:
                    world.say(f"swap {name} cancelled")

    async def check(self, world: World) -> None:
        await self._links(world)
        rows = (await world.call("dynamodb", "scan", TableName=TABLE))["Items"]
        swaps = {row["id"]["S"] for row in rows if "kind" in row}
        assert self._told <= swaps <= self._asked, "what was acknowledged is there"
        tally = [int(row["n"]["N"]) for row in rows if "n" in row]
        assert sum(tally) == len(swaps), "each swap is counted once"
        found = await world.call(
            "dynamodb", "query", TableName=TABLE, IndexName="by-kind",
            KeyConditionExpression="kind = :k", ExpressionAttributeValues={":k": {"S": "swap"}},
        )  # fmt: skip
        assert {row["id"]["S"] for row in found["Items"]} == swaps, "the index is in step"

    async def _links(self, world: World) -> list[int]:
        items = [{"Get": {"TableName": TABLE, "Key": {"id": _id(n)}}} for n in range(NODES)]
        got = await world.surely("dynamodb", "transact_get_items", TransactItems=items)
        links = [int(one["Item"]["next"]["N"]) for one in got["Responses"]]
        at, passed = 0, []
        while at not in passed:
            passed.append(at)
            at = links[at]
        assert at == 0, f"torn: {links}"
        assert len(passed) == NODES, f"torn: {links}"
        return links


def _id(number: int) -> dict[str, str]:
    return {"S": f"node-{number}"}


def _turn(old: int, new: int, number: int) -> dict[str, Any]:
    return {
        "Update": {
            "TableName": TABLE,
            "Key": {"id": _id(number)},
            "UpdateExpression": "SET #n = :new",
            "ConditionExpression": "#n = :old",
            "ExpressionAttributeNames": {"#n": "next"},
            "ExpressionAttributeValues": {":new": {"N": str(new)}, ":old": {"N": str(old)}},
        }
    }
