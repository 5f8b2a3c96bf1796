"""Which streams there are, and what one is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from doppio.kernel.context import Context, Reader, row_key
from doppio.services.dynamodb.ports import Stream, find_stream, log_name
from doppio.services.dynamodbstreams import limits
from doppio.services.dynamodbstreams.errors import ResourceNotFoundException, ValidationException
from doppio.services.dynamodbstreams.shards import sequence_number, shard_id

if TYPE_CHECKING:
    from doppio._stubs import dynamodbstreams as w


class Streams:
    """The operations on streams."""

    async def list_streams(self, ctx: Context, req: w.ListStreamsInput) -> w.ListStreamsOutput:
        """The streams of an account or of one table, by table and age."""
        most = req.get("Limit", limits.STREAMS_A_PAGE)
        prefix = [ctx.account, ctx.region]
        if "TableName" in req:
            prefix.append(req["TableName"].rpartition("/")[2])
        reader = ctx.read()
        after = None
        if "ExclusiveStartStreamArn" in req:
            after = row_key(await existing(reader, req["ExclusiveStartStreamArn"]))
        rows = await reader.list(Stream, tuple(prefix), after=after, limit=most + 1)
        shown: dict[str, Any] = {
            "Streams": [
                {"StreamArn": one.arn, "TableName": one.table, "StreamLabel": one.label}
                for one in rows[:most]
            ]
        }
        if len(rows) > most:
            shown["LastEvaluatedStreamArn"] = rows[most - 1].arn
        return shown  # type: ignore[return-value]

    async def describe_stream(
        self, ctx: Context, req: w.DescribeStreamInput
    ) -> w.DescribeStreamOutput:
        """A stream and its shard. One that is closed says where it ends."""
        reader = ctx.read()
        stream = await existing(reader, req["StreamArn"])
        shard = shard_id(stream)
        start = req.get("ExclusiveStartShardId")
        if start is not None and start != shard:
            raise ValidationException(
                f"Invalid ExclusiveStartShardId: the stream has no shard {start}"
            )
        # The shard is nobody's child, and comes behind no other.
        left = start is None and "ShardFilter" not in req
        numbers = {"StartingSequenceNumber": sequence_number(stream.trimmed)}
        if stream.closed_at is not None:
            end = await reader.raw.log_end(log_name(stream.id))
            numbers["EndingSequenceNumber"] = sequence_number(max(end, stream.trimmed))
        shown = {
            "StreamArn": stream.arn,
            "StreamLabel": stream.label,
            "StreamStatus": "ENABLED" if stream.closed_at is None else "DISABLED",
            "StreamViewType": stream.view,
            "CreationRequestDateTime": stream.created_at,
            "TableName": stream.table,
            "KeySchema": [
                {"AttributeName": part.name, "KeyType": "HASH" if part.hash else "RANGE"}
                for part in stream.key
            ],
            "Shards": [{"ShardId": shard, "SequenceNumberRange": numbers}] if left else [],
        }
        return {"StreamDescription": shown}  # type: ignore[typeddict-item]


async def existing(reader: Reader, arn: str) -> Stream:
    """The stream of an ARN. Raises ResourceNotFoundException."""
    stream = await find_stream(reader, arn)
    if stream is None:
        raise ResourceNotFoundException(f"Requested resource not found: Stream: {arn} not found")
    return stream
