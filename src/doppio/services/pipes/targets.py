"""Where a pipe's events go, as the pipe's role. Each way says which of them did not arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from doppio.kernel.context import Context
from doppio.services.events.ports import Done, call_server
from doppio.services.pipes import limits
from doppio.services.pipes.definition import kind_of
from doppio.services.pipes.errors import CallFailed
from doppio.services.pipes.events import dynamic, moment_of
from doppio.services.pipes.functions import to_function, waits
from doppio.services.pipes.records import Pipe
from doppio.services.sqs.ports import url_of
from doppio.wire.errors import AwsError

# An event and what the target is to get of it.
Shaped = tuple[Any, str]
_HTTP = "HttpParameters"


async def send(
    ctx: Context, acting: Context, pipe: Pipe, batch: Sequence[Shaped]
) -> tuple[set[int], AwsError | None]:
    """Bring a batch to the target; the places of those that it did not take, and what it said."""
    kind = kind_of(pipe.given["Target"])
    way, room = _WAYS[kind], (limits.TARGET_BATCH_MAX, limits.TARGET_BATCH_BYTES_MAX)
    if kind == "lambda":
        size = limits.FUNCTION_BYTES_MAX if waits(pipe) else limits.FUNCTION_EVENT_BYTES_MAX
        room = (limits.FUNCTION_BATCH_MAX, size)
    failed: set[int] = set()
    first = 0
    while first < len(batch):
        part = batch[first : first + _fitting(batch, first, *room)]
        try:
            failed |= {first + one for one in await way(ctx, acting, pipe, part)}
        except AwsError as error:
            # What comes behind stays behind.
            return failed | set(range(first, len(batch))), error
        first += len(part)
    return failed, None


def _fitting(batch: Sequence[Shaped], first: int, most: int, bytes_max: int) -> int:
    """How many of a batch go in one request, from a place on."""
    size = 0
    for count, (_, text) in enumerate(batch[first : first + most]):
        size += len(text.encode()) + 1
        if count and size > bytes_max:
            return count
    return min(most, len(batch) - first)


async def _to_queue(ctx: Context, acting: Context, pipe: Pipe, batch: Sequence[Shaped]) -> set[int]:
    entries = []
    for place, (event, text) in enumerate(batch):
        entry = {"Id": str(place), "MessageBody": text}
        own = _own(pipe, "SqsQueueParameters")
        for name in ("MessageGroupId", "MessageDeduplicationId"):
            if name in own:
                entry[name] = dynamic(event, own[name])
        entries.append(entry)
    answer = await acting.call(
        "sqs",
        "send_message_batch",
        {"QueueUrl": url_of(ctx, pipe.given["Target"]), "Entries": entries},
    )
    return {int(one["Id"]) for one in answer.get("Failed", ())}


async def _to_topic(ctx: Context, acting: Context, pipe: Pipe, batch: Sequence[Shaped]) -> set[int]:
    entries = [{"Id": str(place), "Message": text} for place, (_, text) in enumerate(batch)]
    answer = await acting.call(
        "sns",
        "publish_batch",
        {"TopicArn": pipe.given["Target"], "PublishBatchRequestEntries": entries},
    )
    return {int(one["Id"]) for one in answer.get("Failed", ())}


async def _to_bus(ctx: Context, acting: Context, pipe: Pipe, batch: Sequence[Shaped]) -> set[int]:
    own = _own(pipe, "EventBridgeEventBusParameters")
    source = pipe.given["Source"].split(":")[2]
    entries = []
    for event, text in batch:
        entry: dict[str, Any] = {
            "EventBusName": pipe.given["Target"],
            "Source": dynamic(event, own.get("Source", f"Pipe {pipe.name}")),
            "DetailType": dynamic(event, own.get("DetailType", f"Event from aws:{source}")),
            "Detail": text,
            "Resources": [dynamic(event, one) for one in own.get("Resources") or [pipe.arn]],
        }
        told_at = moment_of(dynamic(event, own["Time"])) if "Time" in own else None
        if told_at is not None:
            entry["Time"] = told_at
        entries.append(entry)
    req: dict[str, Any] = {"Entries": entries}
    if "EndpointId" in own:
        req["EndpointId"] = own["EndpointId"]
    answer = await acting.call("events", "put_events", req)
    told = answer.get("Entries", ())
    return {place for place, one in enumerate(told) if one.get("ErrorCode")}


async def _to_logs(ctx: Context, acting: Context, pipe: Pipe, batch: Sequence[Shaped]) -> set[int]:
    """Lines, in a request for each log stream that events name, and in the order of their times."""
    own = _own(pipe, "CloudWatchLogsParameters")
    now = int(ctx.clock.now().timestamp() * 1000)
    streams: dict[str, list[tuple[int, int, str]]] = {}
    for place, (event, text) in enumerate(batch):
        at = str(dynamic(event, own["Timestamp"])) if "Timestamp" in own else ""
        line = (int(at) if at.isdecimal() else now, place, text)
        streams.setdefault(str(dynamic(event, own["LogStreamName"])), []).append(line)
    failed: set[int] = set()
    for name, lines in streams.items():
        lines.sort()
        req = {
            "logGroupName": pipe.given["Target"].split(":")[6],
            "logStreamName": name,
            "logEvents": [{"timestamp": at, "message": text} for at, _, text in lines],
        }
        try:
            await acting.call("logs", "put_log_events", req)
        except AwsError:
            failed |= {place for _, place, _ in lines}
    return failed


async def _to_server(
    ctx: Context, acting: Context, pipe: Pipe, batch: Sequence[Shaped]
) -> set[int]:
    """Call the server of an API destination for each event."""
    arn = pipe.given["Target"]
    failed: set[int] = set()
    for first in range(0, len(batch), limits.CALLS_AT_ONCE):
        part = batch[first : first + limits.CALLS_AT_ONCE]
        calls = (call_outside(acting, arn, event, text, _own(pipe, _HTTP)) for event, text in part)
        for place, said in enumerate(await asyncio.gather(*calls, return_exceptions=True), first):
            if isinstance(said, AwsError):
                failed.add(place)
            elif isinstance(said, BaseException):
                raise said
    return failed


async def call_outside(
    acting: Context, arn: str, event: Any, text: str, http: Mapping[str, Any]
) -> bytes:
    """What the server of an API destination says to an event. Raises CallFailed, AccessDenied."""
    await acting.authorise("events:InvokeApiDestination", arn)
    given: dict[str, Any] = {
        member: {
            name: str(dynamic(event, value)) for name, value in (http.get(member) or {}).items()
        }
        for member in ("HeaderParameters", "QueryStringParameters")
    }
    values = http.get("PathParameterValues") or ()
    given["PathParameterValues"] = [str(dynamic(event, value)) for value in values]
    called = await call_server(acting, arn, given, text)
    if not isinstance(called.outcome, Done):
        raise CallFailed(getattr(called.outcome, "text", "The rate of the destination is used up."))
    return called.body


def _own(pipe: Pipe, name: str) -> Mapping[str, Any]:
    return (pipe.given.get("TargetParameters") or {}).get(name) or {}


_WAYS = {
    "sqs": _to_queue,
    "sns": _to_topic,
    "events": _to_bus,
    "logs": _to_logs,
    "api-destination": _to_server,
    "lambda": to_function,
}
