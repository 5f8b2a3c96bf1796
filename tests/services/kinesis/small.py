"""Streams for tests."""

from __future__ import annotations

from typing import Any

from tests.services.world import ACCOUNT, World

ORDERS = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/orders"


async def stream(world: World, name: str = "orders", shards: int = 1, **more: Any) -> None:
    """A stream that is there."""
    await world.call("kinesis", "create_stream", StreamName=name, ShardCount=shards, **more)
    await world.settle()


async def put(world: World, data: str, key: str = "k", **more: Any) -> str:
    """Put a record; its sequence number."""
    found = await world.call(
        "kinesis", "put_record", StreamName="orders", PartitionKey=key, Data=data.encode(), **more
    )
    number: str = found["SequenceNumber"]
    return number


async def iterator(world: World, kind: str = "TRIM_HORIZON", shard: int = 0, **more: Any) -> str:
    """Where to begin."""
    found = await world.call(
        "kinesis", "get_shard_iterator", StreamName="orders", ShardId=f"shardId-{shard:012d}",
        ShardIteratorType=kind, **more,
    )  # fmt: skip
    text: str = found["ShardIterator"]
    return text


async def texts(world: World, kind: str = "TRIM_HORIZON", shard: int = 0, **more: Any) -> list[str]:
    """What is in a shard from somewhere on."""
    begin = await iterator(world, kind, shard, **more)
    page = await world.call("kinesis", "get_records", ShardIterator=begin)
    return [record["Data"].decode() for record in page["Records"]]


async def described(world: World, name: str = "orders") -> dict[str, Any]:
    """A stream's description."""
    found = await world.call("kinesis", "describe_stream", StreamName=name)
    shown: dict[str, Any] = found["StreamDescription"]
    return shown
