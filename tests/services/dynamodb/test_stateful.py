"""A table beside a dict, in any order of operations, with crashes: they always agree.

What was answered is there after a crash, what was not is there whole or not at all, and an index
holds exactly what its table says.
"""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from doppio.kernel.memory_store import MemoryStore
from doppio.kernel.store import StoreError
from doppio.wire.errors import AwsError
from tests.services.world import World

from .helpers import described, index, item, make, scanned, wire

IDS = st.sampled_from(["a", "a\0", "b", "\uffff"])
RANGES = st.sampled_from([-1, 0, 0.5, 12])
OWNERS = st.one_of(st.none(), st.sampled_from(["me", "you"]))
Key = tuple[str, float]
Model = dict[Key, dict[str, Any]]


class Tables(RuleBasedStateMachine):
    """One table with a global and a local index."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.model: Model = {}
        self.fails_at = 0
        self.world = World(MemoryStore(reaches_disk=self.reaches_disk))

    def reaches_disk(self, number: int) -> bool | StoreError:
        """The disk is lost at one commit, if so wished."""
        return not self.fails_at or number < self.fails_at

    def run(self, coroutine: Any) -> Any:
        """Run to the end."""
        return self.loop.run_until_complete(coroutine)

    @initialize()
    def open(self) -> None:
        async def opened() -> None:
            await self.world.start()
            await make(
                self.world,
                key=("id", "at"),
                kinds={"id": "S", "at": "N", "who": "S"},
                GlobalSecondaryIndexes=[index("by-who", "who", "at")],
                LocalSecondaryIndexes=[index("local", "id", "who", projection="KEYS_ONLY")],
            )

        self.run(opened())

    def attempt(self, wanted: Model, method: str, **req: Any) -> None:
        """Call. What is answered is `wanted`; a condition that fails or a lost disk changes nothing."""
        error = self.run(self._error(method, req))
        if error is None:
            self.model = wanted
        else:
            codes = ("ConditionalCheckFailedException", "TransactionCanceledException")
            assert error.code == "ServiceUnavailable" if self.fails_at else error.code in codes

    async def _error(self, method: str, req: dict[str, Any]) -> AwsError | None:
        try:
            await self.world.call("dynamodb", method, **req)
        except AwsError as error:
            return error
        return None

    def with_one(self, key: Key, **attributes: Any) -> Model:
        """The model with one item more."""
        given = {name: value for name, value in attributes.items() if value is not None}
        return {**self.model, key: given}

    def without(self, key: Key) -> Model:
        """The model with one item less."""
        return {one: value for one, value in self.model.items() if one != key}

    @rule(name=IDS, at=RANGES, who=OWNERS, n=st.integers(0, 3))
    def put(self, name: str, at: float, who: str | None, n: int) -> None:
        wanted = self.with_one((name, at), who=who, n=n)
        attributes = item(id=name, at=at, **wanted[(name, at)])
        self.attempt(wanted, "put_item", TableName="orders", Item=attributes)

    @rule(name=IDS, at=RANGES, n=st.integers(0, 3))
    def put_if_new(self, name: str, at: float, n: int) -> None:
        key = (name, at)
        wanted = self.model if key in self.model else self.with_one(key, n=n)
        self.attempt(
            wanted,
            "put_item",
            TableName="orders",
            Item=item(id=name, at=at, n=n),
            ConditionExpression="attribute_not_exists(id)",
        )

    @rule(name=IDS, at=RANGES, who=OWNERS)
    def update(self, name: str, at: float, who: str | None) -> None:
        old = self.model.get((name, at), {})
        wanted = self.with_one((name, at), **{**old, "n": old.get("n", 0) + 1, "who": who})
        text = "ADD n :n REMOVE who" if who is None else "SET who = :w ADD n :n"
        values = {":n": wire(1), **({} if who is None else {":w": wire(who)})}
        self.attempt(
            wanted,
            "update_item",
            TableName="orders",
            Key=item(id=name, at=at),
            UpdateExpression=text,
            ExpressionAttributeValues=values,
        )

    @rule(name=IDS, at=RANGES)
    def delete(self, name: str, at: float) -> None:
        key = item(id=name, at=at)
        self.attempt(self.without((name, at)), "delete_item", TableName="orders", Key=key)

    @rule(name=IDS, other=IDS, at=RANGES, who=OWNERS, only_if=st.booleans())
    def transact(self, name: str, other: str, at: float, who: str | None, only_if: bool) -> None:
        """Put one and delete another, perhaps only if the other is there."""
        if name == other:
            return
        wanted = self.with_one((name, at), who=who)
        wanted.pop((other, at), None)
        if only_if and (other, at) not in self.model:
            wanted = self.model
        new = item(id=name, at=at, **({} if who is None else {"who": who}))
        delete: dict[str, Any] = {"TableName": "orders", "Key": item(id=other, at=at)}
        if only_if:
            delete["ConditionExpression"] = "attribute_exists(id)"
        parts = [{"Put": {"TableName": "orders", "Item": new}}, {"Delete": delete}]
        self.attempt(wanted, "transact_write_items", TransactItems=parts)

    @rule(name=IDS, at=RANGES, who=OWNERS, after=st.integers(1, 2))
    def crash_while_putting(self, name: str, at: float, who: str | None, after: int) -> None:
        """The disk is lost at this commit or the next; a cloud starts from what it holds."""
        self.fails_at = self.world.memory.groups + after
        self.put(name, at, who, n=9)
        self.fails_at = 0

        async def again() -> None:
            old = self.world
            self.world = old.again()
            await old.close()
            self.world.memory._reaches_disk = self.reaches_disk
            await self.world.start()

        self.run(again())

    @invariant()
    def table_and_indexes_agree_with_the_model(self) -> None:
        async def look() -> tuple[Any, ...]:
            return (
                await scanned(self.world),
                await scanned(self.world, IndexName="by-who"),
                await scanned(self.world, IndexName="local"),
                await described(self.world),
            )

        table, by_who, local, shown = self.run(look())
        rows = sorted(self.model.items(), key=lambda one: (one[0][0].encode(), one[0][1]))
        expected = [item(id=key[0], at=key[1], **rest) for key, rest in rows]
        assert table == expected
        held = [one for one in expected if "who" in one]
        assert sorted(by_who, key=str) == sorted(held, key=str)
        keys = [{name: one[name] for name in ("id", "at", "who")} for one in held]
        assert sorted(local, key=str) == sorted(keys, key=str)
        assert shown["ItemCount"] == len(expected)
        counts = {
            one["IndexName"]: one["ItemCount"]
            for kind in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes")
            for one in shown[kind]
        }
        assert counts == {"by-who": len(held), "local": len(held)}

    def teardown(self) -> None:
        self.run(self.world.close())
        self.loop.close()


Tables.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestTables = Tables.TestCase
