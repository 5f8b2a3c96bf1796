"""Log streams: made, listed by name or by their last event, and deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from doppio.kernel.context import Context
from doppio.kernel.paging import begins, page_of
from doppio.services.logs import limits
from doppio.services.logs.errors import InvalidParameter, StreamExists
from doppio.services.logs.groups import position
from doppio.services.logs.lookup import existing, existing_stream, group_name, milliseconds
from doppio.services.logs.records import BY_LAST_EVENT, Group, Stream
from doppio.services.logs.retention import REMOVE

if TYPE_CHECKING:
    from doppio._stubs import logs as w


class Streams:
    """The operations on log streams."""

    async def create_log_stream(self, ctx: Context, req: w.CreateLogStreamRequest) -> None:
        """Make a stream, whose name is free within its group."""
        async with ctx.write() as tx:
            group = await existing(tx, req["logGroupName"])
            name = req["logStreamName"]
            if await tx.get(Stream, group.id, name) is not None:
                raise StreamExists
            stream = Stream(
                group=group.id, name=name, id=ctx.new_id("hex16"), created_at=milliseconds(ctx.now)
            )
            tx.put(stream)

    async def delete_log_stream(self, ctx: Context, req: w.DeleteLogStreamRequest) -> None:
        """Remove a stream at once, and its lines soon after."""
        async with ctx.write() as tx:
            group = await existing(tx, req["logGroupName"])
            stream = await existing_stream(tx, group, req["logStreamName"])
            tx.delete(stream)
            await tx.schedule(ctx.now, REMOVE, stream.id, group=group.id)

    async def describe_log_streams(
        self, ctx: Context, req: w.DescribeLogStreamsRequest
    ) -> w.DescribeLogStreamsResponse:
        """The streams of a group by pages, by name or by the time of their last event."""
        by_time = req.get("orderBy") == "LastEventTime"
        prefix = req.get("logStreamNamePrefix")
        if by_time and prefix:
            raise InvalidParameter("Cannot order by LastEventTime with a logStreamNamePrefix.")
        reader = ctx.read()
        group = await existing(reader, group_name(ctx, req))
        down = bool(req.get("descending"))
        most = req.get("limit", limits.PAGE_MAX)
        scope = f"streams/{group.id}/{by_time}/{prefix}/{down}"
        shown, token = await page_of(
            reader, BY_LAST_EVENT if by_time else Stream, (group.id,), most=most, scope=scope,
            after=position(req, scope), reverse=down, **begins(prefix),
        )  # fmt: skip
        told: w.DescribeLogStreamsResponse = {
            "logStreams": [_described(group, one) for one in shown]
        }
        if token is not None:
            told["nextToken"] = token
        return told


def sequence_token(stream: Stream) -> str:
    """What PutLogEvents still gives, and nobody has to bring any more."""
    return f"{int(stream.id, 16) + stream.batches:056d}"


def _described(group: Group, stream: Stream) -> w.LogStream:
    told: dict[str, Any] = {
        "logStreamName": stream.name,
        "creationTime": stream.created_at,
        "arn": f"{group.arn}:log-stream:{stream.name}",
        # AWS has told no size of streams since 2019.
        "storedBytes": 0,
    }
    if stream.last_event is not None:
        told["firstEventTimestamp"] = stream.first_event
        told["lastEventTimestamp"] = stream.last_event
        told["lastIngestionTime"] = stream.last_ingestion
        told["uploadSequenceToken"] = sequence_token(stream)
    return cast("w.LogStream", told)
