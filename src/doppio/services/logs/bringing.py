"""What fits a subscription filter is brought to its destination: by a follower for each filter.

A subscriber hands each row that came on to the filters of its group, by a log that each of them has;
a controller takes what lies in a log to its destination, in order and at least once. So a destination that
fails holds up its own filter and no other.

"If the ingestion into the destination fails with a retryable error, CloudWatch Logs tries for up to 24
hours". What a destination refuses is lost. Source: "Log group-level subscription filters" in the
CloudWatch Logs user guide.
"""

from __future__ import annotations

import base64
import gzip
import json
import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.kernel.controller import Again, Controller, Key
from doppio.kernel.events import Event
from doppio.kernel.keys import pack, unpack
from doppio.services.logs import limits
from doppio.services.logs.errors import InvalidParameter
from doppio.services.logs.lines import Event as Line
from doppio.services.logs.lines import events_of
from doppio.services.logs.patterns import compiled
from doppio.services.logs.records import Batch, Follower, Group, SubscriptionFilter
from doppio.wire.errors import AwsError, NotImplementedByDoppio

_log = logging.getLogger("doppio.logs")
FOLLOWERS = "logs-follower"
# What a destination says that takes no more just now.
_LATER = frozenset({
    "ProvisionedThroughputExceededException", "TooManyRequestsException", "ThrottlingException",
    "KMSThrottlingException",
})  # fmt: skip
_Told = dict[str, Any]


def log_of(follower: str) -> str:
    """The log of the rows that a follower is to bring."""
    return f"logs-brought/{follower}"


async def hand_on(ctx: Context, event: Event) -> None:
    """Hand a row that came on to the filters of its group."""
    name, group_id, slot, stream, number = event.key

    async def hand(tx: Tx) -> None:
        group = await tx.get(Group, ctx.account, ctx.region, name)
        if group is None or group.id != group_id or not group.subscriptions:
            return
        filters = await tx.list(
            SubscriptionFilter, (group_id,), limit=limits.SUBSCRIPTION_FILTERS_MAX
        )
        for one in filters:
            follower = one.follower
            if not follower:
                follower = ctx.new_id()
                tx.put(replace(one, follower=follower))
                tx.add(
                    Follower(
                        id=follower, account=ctx.account, region=ctx.region, group=group_id,
                        filter=one.name,
                    )
                )  # fmt: skip
            tx.raw.append(log_of(follower), pack(int(slot), stream, int(number)))
            tx.wake(f"{FOLLOWERS}/{follower}")

    await ctx.transact(hand)


class Bringing(Controller[Follower]):
    """Takes what lies in each log to its destination."""

    record = Follower
    family: ClassVar[str] = FOLLOWERS
    keys_at_once: ClassVar[int] = limits.FOLLOWERS_AT_ONCE
    resync: ClassVar[timedelta | None] = timedelta(hours=1)

    async def reconcile(self, ctx: Context, key: Key) -> Again | None:
        """Bring what there is; what its destination does not take just now is tried again."""
        while True:
            follower = await ctx.read().get(Follower, *key)
            if follower is None:
                return None
            one = await ctx.read().get(SubscriptionFilter, follower.group, follower.filter)
            if one is None or one.follower != follower.id:
                await _gone(ctx, follower)
                return None
            if follower.due_at is not None and follower.due_at > ctx.clock.now():
                return Again(at=follower.due_at)
            entries = await ctx.read().raw.log(
                log_of(follower.id), follower.sent, limit=limits.ROWS_BROUGHT_A_READ
            )
            if not entries:
                return None
            for at, entry in entries:
                again = await _bring(ctx, follower, one, entry)
                if again is not None:
                    return again
                follower = await _sent(ctx, follower, at)
            await ctx.kernel.store.trim_log(log_of(follower.id), follower.sent)


async def _bring(
    ctx: Context, follower: Follower, one: SubscriptionFilter, entry: bytes
) -> Again | None:
    """Bring a row's lines that fit. When to try again, if that is to be."""
    slot, stream, number = unpack(entry)
    reader = ctx.read()
    batch = await reader.get(Batch, follower.group, slot, stream, number)
    group = await reader.get(Group, follower.account, follower.region, one.group_name)
    if batch is None or group is None or group.id != follower.group:
        return None
    for part in _parts(one, events_of(batch)):
        told = {
            "messageType": "DATA_MESSAGE",
            "owner": group.account,
            "logGroup": group.name,
            "logStream": batch.stream_name,
            "subscriptionFilters": [one.name],
            "logEvents": part,
        }
        try:
            await send(ctx, group, one, told, batch.stream_name)
        except AwsError as error:
            now = ctx.clock.now()
            came = datetime.fromtimestamp(batch.ingested_at / 1_000, UTC)
            if _may_pass(error) and now - came < limits.BROUGHT_FOR:
                pause = limits.BRING_PAUSE_MIN * 2 ** min(follower.failures, 10)
                return await _rest(ctx, follower, now + min(pause, limits.BRING_PAUSE_MAX))
            _log.warning("lines of %s for %s were lost: %s", group.name, one.destination, error)
    return None


def _may_pass(error: AwsError) -> bool:
    """Whether what a destination says may be otherwise later."""
    fails = error.status >= 500 and error.status != NotImplementedByDoppio.status
    return fails or error.code in _LATER


async def _sent(ctx: Context, follower: Follower, at: int) -> Follower:
    async def move(tx: Tx) -> Follower:
        there = await tx.get(Follower, follower.id)
        if there is None or there.sent >= at:
            return there or replace(follower, sent=at)
        return tx.put(replace(there, sent=at, failures=0, due_at=None))

    return await ctx.transact(move)


async def _rest(ctx: Context, follower: Follower, until: datetime) -> Again:
    async def rest(tx: Tx) -> None:
        there = await tx.get(Follower, follower.id)
        if there is not None:
            tx.put(replace(there, failures=follower.failures + 1, due_at=until))

    await ctx.transact(rest)
    return Again(at=until)


async def _gone(ctx: Context, follower: Follower) -> None:
    """Forget what was to be brought for a filter that is there no more."""
    await ctx.kernel.store.drop_log(log_of(follower.id))

    async def forget(tx: Tx) -> None:
        there = await tx.get(Follower, follower.id)
        if there is not None:
            tx.delete(there)

    await ctx.transact(forget)


def _parts(one: SubscriptionFilter, lines: Sequence[Line]) -> Iterator[list[_Told]]:
    """What fits, in pieces that a destination takes."""
    fits = compiled(one.pattern)
    part: list[_Told] = []
    size = 0
    for line in lines:
        values = fits(line.text)
        if values is None:
            continue
        told: _Told = {"id": f"{line.id:056d}", "timestamp": line.at, "message": line.text}
        if values:
            told["extractedFields"] = {key.removeprefix("$"): text for key, text in values.items()}
        weight = len(line.text.encode()) + limits.EVENT_OVERHEAD_BYTES
        if part and size + weight > limits.BROUGHT_BYTES_MAX:
            yield part
            part, size = [], 0
        part.append(told)
        size += weight
    if part:
        yield part


def kind_of(one: SubscriptionFilter) -> str:
    """The service that takes what a filter lets through. Raises where it is none of those here."""
    parts = one.destination.split(":")
    kind = parts[2] if len(parts) > 5 else ""
    if kind in {"firehose", "logs", "es"}:
        raise NotImplementedByDoppio(f"logs: subscriptions to {kind} exist in AWS, not yet here")
    if kind not in {"lambda", "kinesis"}:
        raise InvalidParameter("destinationArn is not valid")
    if kind == "kinesis" and not one.role:
        raise InvalidParameter("destinationArn for vendor kinesis must have a roleArn")
    if kind == "lambda" and one.role:
        raise InvalidParameter("destinationArn for vendor lambda cannot be used with roleArn")
    return kind


async def send(
    ctx: Context, group: Group, one: SubscriptionFilter, told: _Told, stream: str
) -> None:
    """Bring lines to the destination of a filter."""
    data = gzip.compress(json.dumps(told).encode(), mtime=0)
    source = f"{group.arn}:*"
    if kind_of(one) == "lambda":
        payload = {"awslogs": {"data": base64.b64encode(data).decode()}}
        req = {
            "FunctionName": one.destination,
            "InvocationType": "Event",
            "Payload": json.dumps(payload).encode(),
        }
        await ctx.as_service("logs", source=source).call("lambda", "invoke", req)
        return
    region = one.destination.split(":")[3]
    acting = await ctx.as_role(
        one.role, "logs", source=source, session="CloudWatchLogs", region=region
    )
    key = stream if one.distribution == "ByLogStream" else ctx.new_id()
    record = {"StreamARN": one.destination, "Data": data, "PartitionKey": key[:256]}
    await acting.call("kinesis", "put_record", record)
