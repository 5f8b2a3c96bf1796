"""The log of a pipe: what becomes of each batch, step by step, in CloudWatch Logs.

The lines of a batch are written when it is over, by the service that delivers AWS's logs; a log that is
gone or closed holds up nothing.

Source: "Logging Amazon EventBridge Pipes performance", its levels and the schema of its records.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from doppio.kernel.context import Context
from doppio.services.pipes import limits
from doppio.services.pipes.records import Pipe
from doppio.wire.errors import AwsError

DELIVERY = "delivery.logs"
POLICY = "AWSLogDeliveryWrite20150319"
# The steps that are told of at the level INFO; at ERROR those that fail, and at TRACE all.
_INFO = frozenset(
    {
        "EXECUTION_STARTED", "EXECUTION_SUCCEEDED", "ENRICHMENT_STAGE_ENTERED",
        "ENRICHMENT_STAGE_SUCCEEDED", "TARGET_STAGE_ENTERED", "TARGET_STAGE_SUCCEEDED",
        "TARGET_STAGE_SKIPPED",
    }
)  # fmt: skip
_DATA = ("payload", "awsRequest", "awsResponse")


class Journal:
    """What is to be told of one batch."""

    def __init__(self, ctx: Context, pipe: Pipe) -> None:
        given = pipe.given.get("LogConfiguration") or {}
        self._ctx = ctx
        self._pipe = pipe
        self._level = given.get("Level", "OFF")
        self._data = "ALL" in (given.get("IncludeExecutionData") or ())
        self._group = (given.get("CloudwatchLogsLogDestination") or {}).get("LogGroupArn", "")
        self._id = ctx.new_id() if self._level != "OFF" else ""
        self._lines: list[dict[str, Any]] = []

    def say(self, step: str, *, error: AwsError | None = None, **data: Any) -> None:
        """Tell of a step, if the pipe's level wants to know of it."""
        fails = step.endswith("FAILED")
        if self._level == "OFF" or not (
            fails or self._level == "TRACE" or (self._level == "INFO" and step in _INFO)
        ):
            return
        at = int(self._ctx.clock.now().timestamp() * 1000)
        record: dict[str, Any] = {
            "resourceArn": self._pipe.arn,
            "timestamp": at,
            "executionId": self._id,
            "messageType": step,
            "logLevel": self._level,
        }
        if error is not None:
            record["error"] = {
                "message": error.message or error.code,
                "httpStatusCode": error.status,
                "requestId": self._ctx.request_id,
            }
        if self._data:
            record |= _cut({name: data[name] for name in _DATA if name in data})
        text = json.dumps(record, separators=(",", ":"), ensure_ascii=False)
        self._lines.append({"timestamp": at, "message": text})

    async def write(self) -> None:
        """Put all that was told into the log."""
        if not self._lines:
            return
        parts = self._group.split(":")
        acting = self._ctx.as_service(DELIVERY, source=self._pipe.arn)
        acting = acting.derive(acting.caller, region=parts[3])
        where = {"logGroupName": parts[6], "logStreamName": self._pipe.name}
        req = {**where, "logEvents": self._lines}
        try:
            try:
                await acting.call("logs", "put_log_events", req)
            except AwsError as error:
                if error.code != "ResourceNotFoundException":
                    raise
                await acting.call("logs", "create_log_stream", where)
                await acting.call("logs", "put_log_events", req)
        except AwsError:
            self._ctx.read().meter("LogDeliveriesFailed")


def _cut(data: dict[str, Any]) -> dict[str, Any]:
    """What a record says of data, as texts; those that are too long are left out, and named."""
    found: dict[str, Any] = {}
    cut: list[str] = []
    room = limits.LOGGED_DATA_BYTES_MAX
    for name, value in data.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        room -= len(text.encode())
        if room < 0:
            cut.append(name)
        else:
            found[name] = text
    return {**found, "truncatedFields": cut} if cut else found


async def open_log(ctx: Context, given: Mapping[str, Any]) -> None:
    """See to it that a pipe's log may be written to: whoever sets it up must be allowed to.

    As in AWS, the account's policy for delivered logs is written or grows, as the caller.
    """
    arn = (given.get("CloudwatchLogsLogDestination") or {}).get("LogGroupArn")
    if arn is None or given.get("Level", "OFF") == "OFF":
        return
    await ctx.authorise("logs:CreateLogDelivery", "*")
    there = ctx.derive(ctx.caller, region=arn.split(":")[3])
    resource = f"{arn.removesuffix(':*')}:log-stream:*"
    found = await there.call("logs", "describe_resource_policies", {})
    texts = {one["policyName"]: one["policyDocument"] for one in found["resourcePolicies"]}
    policy = json.loads(texts.get(POLICY, '{"Version": "2012-10-17", "Statement": []}'))
    if any(resource in one.get("Resource", ()) for one in policy["Statement"]):
        return
    statement = {
        "Sid": f"AWSLogDeliveryWrite{len(policy['Statement'])}",
        "Effect": "Allow",
        "Principal": {"Service": f"{DELIVERY}.amazonaws.com"},
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": [resource],
        "Condition": {"StringEquals": {"aws:SourceAccount": ctx.account}},
    }
    policy["Statement"].append(statement)
    req = {"policyName": POLICY, "policyDocument": json.dumps(policy)}
    await there.call("logs", "put_resource_policy", req)
