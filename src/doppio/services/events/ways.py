"""How one event reaches one target, by the kind of target."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.identity import root_of, service_caller
from doppio.kernel.regions import region_is_up
from doppio.services.events import measures
from doppio.services.events.calling import call_destination
from doppio.services.events.lookup import bus_at, place_of
from doppio.services.events.measures import count_of
from doppio.services.events.outcomes import Done, Failed, Outcome, failed_by
from doppio.services.events.putting import Event, count_matches, follow
from doppio.services.events.records import Delivery
from doppio.services.events.rules import hop_too_far
from doppio.services.events.transform import at_path, payload
from doppio.services.sqs.ports import url_of
from doppio.wire.arn import parse
from doppio.wire.errors import AwsError

SESSION = "events"


async def deliver(ctx: Context, delivery: Delivery) -> Outcome:
    """Bring an event to a target, once."""
    target = delivery.target
    try:
        if way_of(target["Arn"]) == "events":
            return await _to_bus(ctx, delivery)
        text = payload(
            target,
            delivery.event,
            rule_arn=delivery.rule,
            ingested=delivery.first_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
        if way_of(target["Arn"]) == "api-destination":
            if target.get("RoleArn"):
                acting = await _acting(ctx, delivery)
                await acting.authorise("events:InvokeApiDestination", target["Arn"])
            return await call_destination(ctx, delivery, text)
        await _WAYS[way_of(target["Arn"])](await _acting(ctx, delivery), delivery, text)
    except AwsError as error:
        return failed_by(error)
    return Done()


async def dead_letter(ctx: Context, delivery: Delivery, failed: Failed, limit: str | None) -> bool:
    """Put an event that could not be delivered into the target's dead-letter queue.

    False: the queue cannot take it now. One that never will is nobody's error, as in AWS.
    """
    arn = (delivery.target.get("DeadLetterConfig") or {}).get("Arn")
    if not arn:
        return True
    told = {
        "ERROR_CODE": failed.code,
        "ERROR_MESSAGE": failed.text or failed.code,
        "RULE_ARN": delivery.rule,
        "TARGET_ARN": delivery.target["Arn"],
    }
    if limit is not None:
        told["EXHAUSTED_RETRY_CONDITION"] = limit
        told["RETRY_ATTEMPTS"] = str(delivery.tries)
    parts = arn.split(":")
    try:
        await _as_events(ctx, delivery, parts[3]).call(
            "sqs",
            "send_message",
            {
                "QueueUrl": url_of(ctx, arn),
                "MessageBody": delivery.event,
                "MessageAttributes": {
                    name: {"DataType": "String", "StringValue": value}
                    for name, value in told.items()
                },
            },
        )
    except AwsError as error:
        again = failed_by(error).again
        if not again:
            count_of(ctx, measures.NOT_SENT_TO_DLQ, delivery.rule)
        return not again
    count_of(ctx, measures.SENT_TO_DLQ, delivery.rule)
    return True


def way_of(arn: str) -> str:
    """The kind of target: its service, but for EventBridge's own two."""
    found = parse(arn)
    if found.service == "events" and found.resource.startswith("api-destination/"):
        return "api-destination"
    return found.service


def _as_events(ctx: Context, delivery: Delivery, region: str) -> Context:
    return ctx.derive(service_caller("events", delivery.account, delivery.rule), region=region)


async def _acting(ctx: Context, delivery: Delivery) -> Context:
    """Who tells a target: the role that its rule names, or EventBridge on behalf of the rule."""
    region = parse(delivery.target["Arn"]).region
    role = delivery.target.get("RoleArn")
    if role:
        return await ctx.as_role(
            role, "events", source=delivery.rule, session=SESSION, region=region
        )
    return _as_events(ctx, delivery, region)


async def _to_bus(ctx: Context, delivery: Delivery) -> Outcome:
    """Put the event, as it is, on another bus: as the role, or as the rule's account."""
    arn = delivery.target["Arn"]
    body = json.loads(delivery.event)
    too_far = hop_too_far(delivery.target, delivery.rule, body)
    if too_far is not None:
        return Failed(too_far, "An event is passed on to one more account or Region only.", False)
    place = place_of(ctx, arn)
    elsewhere = place.region != parse(delivery.rule).region
    if elsewhere and not await region_is_up(ctx.read(), place.region):
        return Failed("INTERNAL_ERROR", f"Region {place.region} is not available.", True)
    if delivery.target.get("RoleArn"):
        acting = await _acting(ctx, delivery)
    else:
        acting = ctx.derive(root_of(delivery.account, partition=ctx.partition), region=place.region)
    keys = {
        "events:source": body["source"],
        "events:detail-type": body["detail-type"],
        "events:eventbusinvocation": "true",
    }
    await acting.authorise("events:PutEvents", arn, keys)
    at = datetime.fromisoformat(body["time"]).astimezone(UTC)
    async with acting.write() as tx:
        if await bus_at(tx, place) is None:
            return Failed("NO_RESOURCE", f"Event bus {place.name} does not exist.", False)
        matches = await follow(tx, Event(place, body, at))
    count_matches(ctx, matches)
    return Done()


async def _to_queue(acting: Context, delivery: Delivery, text: str) -> None:
    req = {"QueueUrl": url_of(acting, delivery.target["Arn"]), "MessageBody": text}
    group = (delivery.target.get("SqsParameters") or {}).get("MessageGroupId")
    if group:
        req["MessageGroupId"] = group
    await acting.call("sqs", "send_message", req)


async def _to_topic(acting: Context, delivery: Delivery, text: str) -> None:
    await acting.call("sns", "publish", {"TopicArn": delivery.target["Arn"], "Message": text})


async def _to_log(acting: Context, delivery: Delivery, text: str) -> None:
    group = parse(delivery.target["Arn"]).resource.removeprefix("log-group:").removesuffix(":*")
    where = {"logGroupName": group, "logStreamName": delivery.id}
    try:
        await acting.call("logs", "create_log_stream", where)
    except AwsError as error:
        # An earlier try may have come so far.
        if error.code != "ResourceAlreadyExistsException":
            raise
    at = int(datetime.fromisoformat(json.loads(delivery.event)["time"]).timestamp() * 1000)
    line = {"timestamp": at, "message": text}
    await acting.call("logs", "put_log_events", {**where, "logEvents": [line]})


async def _to_function(acting: Context, delivery: Delivery, text: str) -> None:
    req = {
        "FunctionName": delivery.target["Arn"],
        "InvocationType": "Event",
        "Payload": text.encode(),
    }
    await acting.call("lambda", "invoke", req)


async def _to_stream(acting: Context, delivery: Delivery, text: str) -> None:
    event: Any = json.loads(delivery.event)
    path = (delivery.target.get("KinesisParameters") or {}).get("PartitionKeyPath")
    key = event["id"] if path is None else str(at_path(event, path))
    name = parse(delivery.target["Arn"]).resource.partition("/")[2]
    req = {"StreamName": name, "Data": text.encode(), "PartitionKey": key}
    await acting.call("kinesis", "put_record", req)


async def _to_firehose(acting: Context, delivery: Delivery, text: str) -> None:
    name = parse(delivery.target["Arn"]).resource.partition("/")[2]
    req = {"DeliveryStreamName": name, "Record": {"Data": text.encode()}}
    await acting.call("firehose", "put_record", req)


async def _to_machine(acting: Context, delivery: Delivery, text: str) -> None:
    req = {"stateMachineArn": delivery.target["Arn"], "name": delivery.id, "input": text}
    await acting.call("stepfunctions", "start_execution", req)


_Way = Callable[[Context, Delivery, str], Awaitable[None]]
_WAYS: dict[str, _Way] = {
    "sqs": _to_queue,
    "sns": _to_topic,
    "logs": _to_log,
    "lambda": _to_function,
    "kinesis": _to_stream,
    "firehose": _to_firehose,
    "states": _to_machine,
}
