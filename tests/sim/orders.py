"""Orders: each that was accepted is brewed at least once, and none is lost."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from .world import Lost, Refused, World

BUCKET = "orders"
CUSTOMERS = 2
ORDERS = 8
BARISTAS = 2
VISIBILITY_SECONDS = 20
# The larger ones are files beside the store.
SIZES = (30, 3_000, 70_000)


class Orders:
    """Customers put an order into a bucket and its key into a queue; baristas do the rest."""

    def __init__(self) -> None:
        self._url = ""
        self._bodies: dict[str, bytes] = {}
        self._accepted: set[str] = set()
        # While the messages were still hidden: later, an old receipt handle may delete nothing.
        self._deleted: set[str] = set()
        self._closing = False

    async def setup(self, world: World) -> None:
        await world.call("s3", "create_bucket", Bucket=BUCKET)
        self._url = (
            await world.call(
                "sqs", "create_queue", QueueName="orders",
                Attributes={"VisibilityTimeout": str(VISIBILITY_SECONDS)},
            )
        )["QueueUrl"]  # fmt: skip

    async def act(self, world: World) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(BARISTAS):
                group.create_task(self._barista(world))
            async with asyncio.TaskGroup() as customers:
                for customer in range(CUSTOMERS):
                    customers.create_task(self._customer(world, customer))
            self._closing = True

    async def _customer(self, world: World, customer: int) -> None:
        for number in range(ORDERS):
            await asyncio.sleep(world.random.uniform(0.0, 3.0))
            order = f"{customer}.{number}"
            body = order.encode() * (world.random.choice(SIZES) // len(order))
            self._bodies[order] = body
            await world.surely("s3", "put_object", Bucket=BUCKET, Key=f"new/{order}", Body=body)
            await world.surely("sqs", "send_message", QueueUrl=self._url, MessageBody=order)
            self._accepted.add(order)
            world.say(f"order {order} is accepted, {len(body)} bytes")

    async def _barista(self, world: World) -> None:
        while not self._closing or await self._waiting(world):
            try:
                await self._shift(world)
            except (Lost, Refused) as error:
                world.say(f"a barista stops: {type(error).__name__}")
                await asyncio.sleep(world.random.uniform(0.1, 2.0))

    async def _shift(self, world: World) -> None:
        deleted = set(self._deleted)
        hidden_until = world.cloud.clock.now() + timedelta(seconds=VISIBILITY_SECONDS)
        got = await world.call(
            "sqs", "receive_message", QueueUrl=self._url, MaxNumberOfMessages=3, WaitTimeSeconds=5
        )
        for message in got.get("Messages", []):
            assert message["MessageId"] not in deleted, "a deleted message has come back"
            order = message["Body"]
            found = await world.call("s3", "get_object", Bucket=BUCKET, Key=f"new/{order}")
            assert found["Body"] == self._bodies[order], f"order {order} is not what was put"
            if world.random.random() < 0.1:
                world.say(f"a barista drops {order}")
                continue
            await world.call(
                "s3", "put_object", Bucket=BUCKET, Key=f"brewed/{order}", Body=found["Body"]
            )
            await asyncio.sleep(world.random.uniform(0.0, 4.0))
            await world.call(
                "sqs", "delete_message", QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"]
            )
            if world.cloud.clock.now() < hidden_until:
                self._deleted.add(message["MessageId"])
            world.say(f"{order} is brewed")

    async def _waiting(self, world: World) -> bool:
        shown = await world.surely(
            "sqs", "get_queue_attributes", QueueUrl=self._url, AttributeNames=["All"]
        )
        start = "ApproximateNumberOfMessages"
        counts: dict[str, str] = shown["Attributes"]
        return counts[start] != "0" or counts[f"{start}NotVisible"] != "0"

    async def check(self, world: World) -> None:
        assert len(self._accepted) == CUSTOMERS * ORDERS
        listed = await world.call("s3", "list_objects_v2", Bucket=BUCKET, Prefix="brewed/")
        brewed = {entry["Key"].partition("/")[2] for entry in listed.get("Contents", [])}
        assert brewed == self._accepted, "each order was brewed"
        for order in brewed:
            got = await world.call("s3", "get_object", Bucket=BUCKET, Key=f"brewed/{order}")
            assert got["Body"] == self._bodies[order]
        assert not await self._waiting(world)
