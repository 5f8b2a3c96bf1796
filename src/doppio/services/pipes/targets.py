"""Where a pipe's events go, as the pipe's role. Each way says which of them did not arrive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from doppio.kernel.context import Context
from doppio.services.pipes import limits
from doppio.services.pipes.events import dynamic
from doppio.services.pipes.records import Pipe

# An event and what the target is to get of it.
Shaped = tuple[Mapping[str, Any], str]


async def send(ctx: Context, acting: Context, pipe: Pipe, batch: Sequence[Shaped]) -> set[int]:
    """Bring a batch to the target; the places of those that it did not take."""
    service = pipe.given["Target"].split(":")[2]
    way = {"sqs": _to_queue, "sns": _to_topic, "events": _to_bus, "logs": _to_logs}[service]
    failed: set[int] = set()
    for first in range(0, len(batch), limits.TARGET_BATCH_MAX):
        part = batch[first : first + limits.TARGET_BATCH_MAX]
        failed |= {first + one for one in await way(ctx, acting, pipe, part)}
    return failed


async def _to_queue(ctx: Context, acting: Context, pipe: Pipe, batch: Sequence[Shaped]) -> set[int]:
    parts = pipe.given["Target"].split(":")
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
        {"QueueUrl": f"{ctx.kernel.endpoint}/{parts[4]}/{parts[5]}", "Entries": entries},
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
    entries = []
    for event, text in batch:
        entry = {
            "EventBusName": pipe.given["Target"],
            "Source": dynamic(event, own.get("Source", f"Pipe {pipe.name}")),
            "DetailType": dynamic(event, own.get("DetailType", "Event from aws:sqs")),
            "Detail": text,
            "Resources": [dynamic(event, one) for one in own.get("Resources") or [pipe.arn]],
        }
        entries.append(entry)
    answer = await acting.call("events", "put_events", {"Entries": entries})
    told = answer.get("Entries", ())
    return {place for place, one in enumerate(told) if one.get("ErrorCode")}


async def _to_logs(ctx: Context, acting: Context, pipe: Pipe, batch: Sequence[Shaped]) -> set[int]:
    own = _own(pipe, "CloudWatchLogsParameters")
    now = int(ctx.clock.now().timestamp() * 1000)
    group = pipe.given["Target"].split(":")[6]
    await acting.call(
        "logs",
        "put_log_events",
        {
            "logGroupName": group,
            "logStreamName": dynamic(batch[0][0], own["LogStreamName"]),
            "logEvents": [{"timestamp": now, "message": text} for _, text in batch],
        },
    )
    return set()


def _own(pipe: Pipe, name: str) -> Mapping[str, Any]:
    return (pipe.given.get("TargetParameters") or {}).get(name) or {}
