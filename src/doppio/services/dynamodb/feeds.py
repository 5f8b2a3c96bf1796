"""Kinesis streams that a table's changes go to: switched on, changed, switched off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.services.dynamodb import limits
from doppio.services.dynamodb.errors import (
    LimitExceededException,
    ResourceNotFoundException,
    ValidationException,
)
from doppio.services.dynamodb.feeding import FEED, LINKED, feeds_of
from doppio.services.dynamodb.records import Feed, Table
from doppio.services.dynamodb.tables import existing
from doppio.services.iam.ports import linked_arn, role_of
from doppio.wire.errors import AwsError

if TYPE_CHECKING:
    from doppio._stubs import dynamodb as w

_PUTTING = ("DescribeStream", "PutRecord", "PutRecords")
_UNDER_WAY = ("ENABLING", "ACTIVE", "UPDATING")


class Feeds:
    """The operations on Kinesis destinations."""

    async def enable_kinesis_streaming_destination(
        self, ctx: Context, req: w.KinesisStreamingDestinationInput
    ) -> w.KinesisStreamingDestinationOutput:
        """Let a table's changes go to a stream, from now on.

        Whoever asks must be able to put there; DynamoDB does it by its own role in the account.
        """
        arn = req["StreamArn"]
        for action in _PUTTING:
            await ctx.authorise(f"kinesis:{action}", arn)
        await _check_stream(ctx, arn)
        await _ensure_role(ctx)
        given = req.get("EnableKinesisStreamingConfiguration", {})
        async with ctx.write() as tx:
            table = await _at_rest(tx, ctx, req["TableName"])
            rows = await feeds_of(tx, table)
            old = next((one for one in rows if one.stream == arn), None)
            if old is not None and old.status != "DISABLED":
                raise ValidationException(
                    "Table is not in a valid state to enable Kinesis Streaming Destination: "
                    "KinesisStreamingDestination must be DISABLED or ENABLE_FAILED to perform ENABLE "
                    "operation."
                )
            if sum(one.status in _UNDER_WAY for one in rows) >= limits.FEEDS_MAX:
                raise LimitExceededException(
                    f"Table {table.name} can have at most {limits.FEEDS_MAX} Kinesis streaming "
                    "destinations."
                )
            if old is not None:
                tx.delete(old)
            feed = tx.add(
                Feed(
                    id=ctx.new_id(), account=table.account, region=table.region, table=table.name,
                    table_id=table.id, stream=arn, status="ENABLING", made_at=ctx.now,
                    precision=given.get("ApproximateCreationDateTimePrecision", "MILLISECOND"),
                )
            )  # fmt: skip
            tx.put(replace(table, feeds=(*table.feeds, feed.id)))
            tx.wake(f"{FEED}/{feed.id}")
        return _answer(table, feed, EnableKinesisStreamingConfiguration=given or None)  # type: ignore[no-any-return]

    async def disable_kinesis_streaming_destination(
        self, ctx: Context, req: w.KinesisStreamingDestinationInput
    ) -> w.KinesisStreamingDestinationOutput:
        """Let changes go there no longer; those of before still arrive."""
        async with ctx.write() as tx:
            table = await _at_rest(tx, ctx, req["TableName"])
            feed = await _active(tx, table, req["StreamArn"], "disable", "DISABLE")
            feed = tx.put(replace(feed, status="DISABLING"))
            tx.put(replace(table, feeds=tuple(one for one in table.feeds if one != feed.id)))
            tx.wake(f"{FEED}/{feed.id}")
        return _answer(table, feed)  # type: ignore[no-any-return]

    async def update_kinesis_streaming_destination(
        self, ctx: Context, req: w.UpdateKinesisStreamingDestinationInput
    ) -> w.UpdateKinesisStreamingDestinationOutput:
        """Tell times more exactly, or less."""
        given = req.get("UpdateKinesisStreamingConfiguration", {})
        precision = given.get("ApproximateCreationDateTimePrecision")
        if precision is None:
            raise ValidationException(
                "Streaming destination cannot be updated with given parameters: "
                "UpdateKinesisStreamingConfiguration cannot be null or contain only null values"
            )
        async with ctx.write() as tx:
            table = await _at_rest(tx, ctx, req["TableName"])
            feed = await _active(tx, table, req["StreamArn"], "update", "UPDATE")
            if feed.precision == precision:
                raise ValidationException(
                    "Invalid Request: Precision is already set to the desired value of "
                    f"{precision} for tableId: {table.id}, kdsArn: {feed.stream}"
                )
            feed = tx.put(replace(feed, status="UPDATING", precision=precision))
            tx.wake(f"{FEED}/{feed.id}")
        return _answer(table, feed, UpdateKinesisStreamingConfiguration=given)  # type: ignore[no-any-return]

    async def describe_kinesis_streaming_destination(
        self, ctx: Context, req: w.DescribeKinesisStreamingDestinationInput
    ) -> w.DescribeKinesisStreamingDestinationOutput:
        """The streams that a table's changes go to, or went to."""
        reader = ctx.read()
        table = await existing(reader, ctx, req["TableName"])
        return {
            "TableName": table.name,
            "KinesisDataStreamDestinations": [
                {
                    "StreamArn": one.stream,
                    "DestinationStatus": one.status,
                    "ApproximateCreationDateTimePrecision": one.precision,
                }
                for one in await feeds_of(reader, table)
            ],
        }


async def _check_stream(ctx: Context, arn: str) -> None:
    try:
        await ctx.call("kinesis", "describe_stream_summary", {"StreamARN": arn})
    except AwsError as error:
        if error.code != "ResourceNotFoundException":
            raise
        raise ResourceNotFoundException(
            f"Requested resource not found: Kinesis stream: {arn} not found"
        ) from error


async def _ensure_role(ctx: Context) -> None:
    """Make DynamoDB's role for this, where it is not there, as the caller, who must be allowed to."""
    if await role_of(ctx.read(), linked_arn(ctx.partition, ctx.account, LINKED, None)) is None:
        await ctx.call("iam", "create_service_linked_role", {"AWSServiceName": LINKED})


async def _at_rest(tx: Tx, ctx: Context, name: str) -> Table:
    table = await existing(tx, ctx, name)
    if table.status not in ("ACTIVE", "UPDATING"):
        raise ResourceNotFoundException(
            f"Requested resource not found: Table: {table.name} not found"
        )
    return table


async def _active(tx: Tx, table: Table, stream: str, verb: str, word: str) -> Feed:
    rows = [one for one in await feeds_of(tx, table) if one.stream == stream]
    if not rows:
        raise ResourceNotFoundException(
            f"Requested resource not found: Table: {table.name} has no Kinesis streaming destination "
            f"{stream}"
        )
    feed: Feed = rows[-1]
    if feed.status != "ACTIVE":
        raise ValidationException(
            f"Table is not in a valid state to {verb} Kinesis Streaming Destination: "
            f"DestinationStatus must be ACTIVE to perform {word} operation."
        )
    return feed


def _answer(table: Table, feed: Feed, **more: Any) -> Any:
    shown = {
        "TableName": table.name,
        "StreamArn": feed.stream,
        "DestinationStatus": feed.status,
    }
    return shown | {name: value for name, value in more.items() if value is not None}
