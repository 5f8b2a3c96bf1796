"""The call that a schedule makes, as the role that it was given."""

from __future__ import annotations

import json

from doppio.kernel.context import Context
from doppio.services.scheduler.definition import as_request, input_of, kind_of, universal_of
from doppio.services.scheduler.records import Execution
from doppio.services.sqs.ports import url_of
from doppio.wire.errors import AwsError

_SESSION = "EventBridgeScheduler"
_AGAIN = frozenset({"Throttling", "ThrottlingException", "TooManyRequestsException", "SlowDown"})


async def invoke(ctx: Context, execution: Execution) -> None:
    """Call the target. Raises what it answers."""
    target = execution.target
    arn, text = target["Arn"], input_of(execution)
    if ":aws-sdk:" in arn:
        universal = universal_of(arn)
        req = as_request(universal.operation.input, json.loads(text) if "Input" in target else {})
        await (await _acting(ctx, execution)).call(universal.service, universal.method, req)
        return
    kind = kind_of(arn)
    parts = arn.split(":")
    acting = await _acting(ctx, execution, parts[3])
    if kind == "sqs":
        req = {"QueueUrl": url_of(ctx, arn), "MessageBody": text}
        if "SqsParameters" in target:
            req["MessageGroupId"] = target["SqsParameters"]["MessageGroupId"]
        await acting.call("sqs", "send_message", req)
    elif kind == "sns":
        await acting.call("sns", "publish", {"TopicArn": arn, "Message": text})
    elif kind == "lambda":
        await acting.call(
            "lambda",
            "invoke",
            {"FunctionName": arn, "InvocationType": "Event", "Payload": text.encode()},
        )
    else:
        given = target["EventBridgeParameters"]
        entry = {
            "EventBusName": arn, "Source": given["Source"], "DetailType": given["DetailType"],
            "Detail": text,
        }  # fmt: skip
        answer = await acting.call("events", "put_events", {"Entries": [entry]})
        for failed in answer.get("Entries", []):
            if failed.get("ErrorCode"):
                raise Failed(f"{failed['ErrorCode']}: {failed.get('ErrorMessage', '')}")


class Failed(AwsError):
    """A target that answered that it did not take what it was given."""

    code = "PutEventsFailed"


def may_come_again(error: AwsError) -> bool:
    """Whether a target may take later what it refused now."""
    return (error.status >= 500 and error.status != 501) or is_throttled(error)


def is_throttled(error: AwsError) -> bool:
    """Whether a target has too much to do just now."""
    return error.status == 429 or error.code in _AGAIN


async def bury(ctx: Context, execution: Execution, error: AwsError, exhausted: str) -> bool:
    """Tell the dead-letter queue of an execution that came to nothing; whether there is one."""
    arn = (execution.target.get("DeadLetterConfig") or {}).get("Arn")
    if arn is None:
        return False
    said = {
        "ERROR_CODE": error.code,
        "ERROR_MESSAGE": error.message or error.code,
        "EXECUTION_ID": execution.id,
        "RETRY_ATTEMPTS": str(execution.attempts - 1),
        "SCHEDULED_TIME": execution.due_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "SCHEDULE_ARN": execution.arn,
        "TARGET_ARN": execution.target["Arn"],
        "IS_PAYLOAD_TRUNCATED": "false",
    }
    if exhausted:
        said["EXHAUSTED_RETRY_CONDITION"] = exhausted
    acting = await _acting(ctx, execution, arn.split(":")[3])
    await acting.call(
        "sqs",
        "send_message",
        {
            "QueueUrl": url_of(ctx, arn),
            "MessageBody": input_of(execution),
            "MessageAttributes": {
                name: {"DataType": "String", "StringValue": value} for name, value in said.items()
            },
        },
    )
    return True


async def check_role(ctx: Context, role: str, group_arn: str) -> bool:
    """Whether a role lets the Scheduler act as it."""
    try:
        await ctx.as_role(role, "scheduler", source=group_arn, session=_SESSION)
    except AwsError:
        return False
    return True


async def _acting(ctx: Context, execution: Execution, region: str | None = None) -> Context:
    role = execution.target["RoleArn"]
    return await ctx.as_role(
        role, "scheduler", source=execution.group_arn, session=_SESSION, region=region
    )
