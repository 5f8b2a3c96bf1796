"""Who hears of an asynchronous event that is over: destinations, and dead-letter queues and topics.

All are told as the function's role. What they do not take is lost, and measured.
Source: "Capturing records of Lambda asynchronous invocations".
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from doppio.kernel.context import Context
from doppio.services.lambda_ import limits, measures
from doppio.services.lambda_.records import Queued
from doppio.services.lambda_.running import Outcome
from doppio.services.lambda_.specs import Target
from doppio.services.sqs.ports import post
from doppio.wire.errors import AwsError
from doppio.wire.json_write import dumps
from doppio.wire.timestamps import format_iso8601_millis


class Ended(NamedTuple):
    """An event that is over. `condition` says how, `destination` who asked to hear of that.

    `outcome` is of its last invocation; None where it never began.
    """

    queued: Queued
    target: Target
    outcome: Outcome | None
    condition: str
    destination: str | None


async def report(ctx: Context, ended: Ended) -> None:
    """Tell the destination, and of a failure the dead-letter queue or topic."""
    function = ended.target.function
    where = (function.account, function.region, (function.name,))
    if ended.destination is not None:
        try:
            await _tell(ctx, ended, ended.destination)
        except AwsError as error:
            if error.status == 503:
                # This cloud's disk is full, or it is closing: the event stays.
                raise
            ctx.count(measures.DESTINATION_ERRORS, *where)
    dead_letter = ended.target.version.config.dead_letter
    if dead_letter is not None and ended.condition != "Success":
        try:
            await _bury(ctx, ended, dead_letter)
        except AwsError as error:
            if error.status == 503:
                raise
            ctx.count(measures.DEAD_LETTER_ERRORS, *where)


def record_of(ctx: Context, ended: Ended) -> dict[str, Any]:
    """What a destination is told."""
    queued, version, outcome = ended.queued, ended.target.version, ended.outcome
    told: dict[str, Any] = {
        "version": "1.0",
        "timestamp": format_iso8601_millis(ctx.clock.now()),
        "requestContext": {
            "requestId": queued.id,
            "functionArn": f"{version.function_arn}:{queued.qualifier or version.name}",
            "condition": ended.condition,
            "approximateInvokeCount": queued.attempts,
        },
        "requestPayload": _json(queued.payload),
    }
    if outcome is not None:
        context: dict[str, Any] = {
            "statusCode": outcome.status, "executedVersion": outcome.executed_version,
        }  # fmt: skip
        if outcome.error is not None:
            context["functionError"] = outcome.error
        told["responseContext"] = context
        told["responsePayload"] = _json(outcome.payload)
    return told


def _json(payload: bytes) -> Any:
    try:
        return msgspec.json.decode(payload)
    except msgspec.DecodeError:
        return payload.decode(errors="replace")


async def _acting(ctx: Context, ended: Ended, arn: str) -> Context:
    version = ended.target.version
    return await ctx.as_role(
        version.config.role, "lambda", source=version.function_arn, session=version.function,
        region=arn.split(":")[3] or version.region,
    )  # fmt: skip


async def _tell(ctx: Context, ended: Ended, arn: str) -> None:
    acting = await _acting(ctx, ended, arn)
    told = record_of(ctx, ended)
    text = dumps(told).decode()
    kind = arn.split(":")[2]
    if kind in ("sqs", "sns"):
        await post(acting, arn, text)
    elif kind == "lambda":
        await acting.call(
            "lambda", "invoke",
            {"FunctionName": arn, "InvocationType": "Event", "Payload": text.encode()},
        )  # fmt: skip
    elif kind == "s3":
        now = ctx.clock.now()
        key = (
            f"aws/lambda/async/{ended.queued.function}/{now:%Y/%m/%d}/"
            f"{now:%Y-%m-%dT%H.%M.%S}-{ctx.new_id()}"
        )
        bucket = arn.rpartition(":")[2]
        await acting.call("s3", "put_object", {"Bucket": bucket, "Key": key, "Body": text.encode()})
    else:
        success = ended.condition == "Success"
        entry = {
            "EventBusName": arn, "Source": "lambda", "Detail": text,
            "DetailType": f"Lambda Function Invocation Result - {'Success' if success else 'Failure'}",
            "Resources": [arn, told["requestContext"]["functionArn"]],
        }  # fmt: skip
        answer = await acting.call("events", "put_events", {"Entries": [entry]})
        if answer.get("FailedEntryCount"):
            raise NotTaken(answer["Entries"][0].get("ErrorMessage"))


class NotTaken(AwsError):
    """A bus that did not take an event."""

    code = "PutEventsFailed"


async def _bury(ctx: Context, ended: Ended, arn: str) -> None:
    queued, outcome = ended.queued, ended.outcome
    why = ended.condition if outcome is None else outcome.payload.decode(errors="replace")
    told = _json(outcome.payload) if outcome is not None else None
    if isinstance(told, dict) and told.get("errorMessage"):
        why = str(told["errorMessage"])
    attributes = {
        "RequestID": {"DataType": "String", "StringValue": queued.id},
        "ErrorCode": {"DataType": "Number", "StringValue": str(outcome.status if outcome else 200)},
        "ErrorMessage": {
            "DataType": "String", "StringValue": why[: limits.DEAD_LETTER_MESSAGE_CHARS] or "-",
        },
    }  # fmt: skip
    acting = await _acting(ctx, ended, arn)
    body = queued.payload.decode(errors="replace")
    await post(acting, arn, body, MessageAttributes=attributes)
