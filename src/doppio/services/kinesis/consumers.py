"""Consumers with a throughput of their own, to whom records are pushed as they come."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

from doppio.kernel.authorise import forget_resource
from doppio.kernel.context import Context
from doppio.kernel.records import table_of
from doppio.kernel.tags import BadTags, merged
from doppio.services.kinesis import limits
from doppio.services.kinesis.consuming import (
    children_of,
    list_token,
    page_of,
    start_of,
    token_parts,
)
from doppio.services.kinesis.errors import (
    DryRunOperationException,
    InvalidArgumentException,
    LimitExceededException,
    ResourceInUseException,
)
from doppio.services.kinesis.lookup import (
    consumer_of,
    sequence_number,
    shard_of,
    stream_of,
    usable_stream,
)
from doppio.services.kinesis.producing import arrivals
from doppio.services.kinesis.records import Consumer, Shard, Stream

if TYPE_CHECKING:
    from doppio._stubs import kinesis as w


class Consumers:
    """The operations on consumers."""

    def __init__(self) -> None:
        # Who subscribes to what since when: connections of this process, gone with it.
        self._since: WeakKeyDictionary[Any, dict[tuple[str, str], datetime]] = WeakKeyDictionary()

    async def register_stream_consumer(
        self, ctx: Context, req: w.RegisterStreamConsumerInput
    ) -> w.RegisterStreamConsumerOutput:
        """Let somebody read with a throughput of its own."""
        name = req["ConsumerName"]
        try:
            tags = merged({}, req.get("Tags", {}))
        except BadTags as error:
            raise InvalidArgumentException(str(error)) from error
        async with ctx.write() as tx:
            stream = await usable_stream(tx, ctx, req)
            rows = await tx.list(Consumer, (stream.id,), limit=limits.CONSUMERS_MAX)
            if any(row.name == name for row in rows):
                raise ResourceInUseException(
                    f"Consumer {name} under stream {stream.arn} already exists for account "
                    f"{stream.account}."
                )
            if len(rows) >= limits.CONSUMERS_MAX:
                raise LimitExceededException(
                    f"Stream {stream.name} can have at most {limits.CONSUMERS_MAX} consumers."
                )
            consumer = tx.put(
                Consumer(
                    stream=stream.id, name=name, created_at=ctx.now, tags=tags,
                    arn=f"{stream.arn}/consumer/{name}:{int(ctx.now.timestamp())}",
                )
            )  # fmt: skip
        return {"Consumer": {**_shown(consumer), "ConsumerStatus": "CREATING"}}  # type: ignore[typeddict-item]

    async def deregister_stream_consumer(
        self, ctx: Context, req: w.DeregisterStreamConsumerInput
    ) -> None:
        """Let a consumer go; what it subscribes to ends."""
        async with ctx.write() as tx:
            consumer = await consumer_of(tx, ctx, req)
            forget_resource(tx, consumer.arn)
            tx.delete(consumer)

    async def describe_stream_consumer(
        self, ctx: Context, req: w.DescribeStreamConsumerInput
    ) -> w.DescribeStreamConsumerOutput:
        """A consumer."""
        consumer = await consumer_of(ctx.read(), ctx, req)
        arn = consumer.arn.partition("/consumer/")[0]
        return {"ConsumerDescription": {**_shown(consumer), "StreamARN": arn}}  # type: ignore[typeddict-item]

    async def list_stream_consumers(
        self, ctx: Context, req: w.ListStreamConsumersInput
    ) -> w.ListStreamConsumersOutput:
        """A stream's consumers, by page."""
        reader = ctx.read()
        stream = await stream_of(reader, ctx, req)
        most = req.get("MaxResults", limits.CONSUMERS_A_PAGE)
        after = None
        if "NextToken" in req:
            after = table_of(Consumer).key_of(
                (stream.id, token_parts(req["NextToken"], stream.id)[0])
            )
        rows = await reader.list(Consumer, (stream.id,), after=after, limit=most + 1)
        shown: dict[str, Any] = {"Consumers": [_shown(row) for row in rows[:most]]}
        if len(rows) > most:
            shown["NextToken"] = list_token(stream.id, rows[most - 1].name)
        return shown  # type: ignore[return-value]

    async def subscribe_to_shard(
        self, ctx: Context, req: w.SubscribeToShardInput
    ) -> w.SubscribeToShardOutput:
        """A shard's records as they come, for five minutes. A later subscription takes over."""
        reader = ctx.read()
        consumer = await consumer_of(reader, ctx, req)
        stream = await usable_stream(reader, ctx, req)
        shard = shard_of(stream, req["ShardId"])
        start = req["StartingPosition"]
        position = await start_of(
            reader, stream, shard, start["Type"], start.get("SequenceNumber"),
            start.get("Timestamp"),
        )  # fmt: skip
        since = self._since.setdefault(ctx.kernel, {})
        held = since.get((consumer.arn, shard.id))
        if held is not None and ctx.now < held + limits.SUBSCRIPTION_HELD:
            raise ResourceInUseException(
                f"Another active subscription exists for this consumer: {ctx.account}:{stream.name}:"
                f"{shard.id}:{consumer.name}"
            )
        if req.get("DryRun"):
            raise DryRunOperationException()
        since[consumer.arn, shard.id] = ctx.now
        events = self._events(ctx, consumer, stream, shard, position)
        return cast("w.SubscribeToShardOutput", {"EventStream": events})

    async def _events(
        self, ctx: Context, consumer: Consumer, stream: Stream, shard: Shard, position: int
    ) -> AsyncIterator[dict[str, Any]]:
        name = (consumer.arn, shard.id)
        since = self._since[ctx.kernel]
        began = since[name]
        until = began + limits.SUBSCRIPTION_LIFE
        try:
            while (now := ctx.clock.now()) < until:
                news = ctx.ticket(arrivals(stream, shard))  # drawn before looking
                if since.get(name) != began:
                    yield {"ResourceInUseException": {"message": "Another subscription took over."}}
                    return
                found = await self._still(ctx, consumer, stream)
                if found is None:
                    yield {
                        "ResourceNotFoundException": {
                            "message": f"Consumer {consumer.name} under stream {stream.arn} not found."
                        }
                    }
                    return
                shard = shard_of(found, shard.id)
                page = await page_of(ctx, found, shard, position)
                position = position if page.position is None else page.position
                event: dict[str, Any] = {
                    "Records": page.records,
                    "ContinuationSequenceNumber": sequence_number(shard.number, position),
                    "MillisBehindLatest": page.behind // timedelta(milliseconds=1),
                }
                if page.position is None:
                    if page.records:
                        event["ContinuationSequenceNumber"] = page.records[-1]["SequenceNumber"]
                    event["ChildShards"] = children_of(found, shard)
                yield {"SubscribeToShardEvent": event}
                if page.position is None:
                    return
                if not page.behind:
                    await news.wait(ctx.clock, min(until, now + limits.PULSE))
        finally:
            if since.get(name) == began:
                del since[name]

    async def _still(self, ctx: Context, consumer: Consumer, stream: Stream) -> Stream | None:
        reader = ctx.read()
        if await reader.get(Consumer, consumer.stream, consumer.name) != consumer:
            return None
        found = await reader.get(Stream, stream.account, stream.region, stream.name)
        return found if found is not None and found.id == stream.id else None


def _shown(consumer: Consumer) -> dict[str, Any]:
    return {
        "ConsumerName": consumer.name,
        "ConsumerARN": consumer.arn,
        "ConsumerStatus": "ACTIVE",
        "ConsumerCreationTimestamp": consumer.created_at,
    }
