"""When a schedule comes due, and what a target may be. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from doppio.kernel.schedules import BadSchedule, parse, zone_of
from doppio.services.scheduler import limits
from doppio.services.scheduler.errors import Validation
from doppio.services.scheduler.records import Execution, Schedule
from doppio.wire import model
from doppio.wire.errors import NotImplementedByDoppio

_UNIVERSAL = ":aws-sdk:"
# Operations that only read begin with these: AWS takes none of them as a target.
_READING = (
    "get", "describe", "list", "poll", "receive", "search", "scan", "query", "select", "read",
    "lookup", "discover", "validate", "batchget", "batchdescribe", "batchread", "transactget",
    "adminget", "adminlist", "testmigration", "retrieve", "testconnection", "translatedocument",
    "isauthorized", "invokemodel",
)  # fmt: skip
_PARAMETERS = {"sqs": {"SqsParameters"}, "events": {"EventBridgeParameters"}}
_ALL_PARAMETERS = frozenset(
    {
        "EcsParameters", "EventBridgeParameters", "EventBridgePutEventsV2Parameters",
        "EventBridgePutRawEventsParameters", "KinesisParameters", "SageMakerPipelineParameters",
        "SqsParameters",
    }
)  # fmt: skip


class Universal(NamedTuple):
    """Any operation of any service, as a target."""

    service: str
    operation: model.Operation
    method: str


def next_due(schedule: Schedule, after: datetime) -> datetime | None:
    """When a schedule comes due next; None: never again."""
    zone = zone_of(schedule.zone)
    start = schedule.begins_at
    after = max(after, start - timedelta(microseconds=1))
    due = parse(schedule.expression, at=True).after(after, start=start, zone=zone)
    if due is None or (schedule.end is not None and due > schedule.end):
        return None
    return due


def check_expression(expression: str, zone: str) -> None:
    """Raise ValidationException unless the expression and its time zone mean something."""
    try:
        zone_of(zone)
    except BadSchedule as error:
        raise Validation(f"Invalid Schedule Expression Timezone {zone}.") from error
    try:
        parse(expression, at=True)
    except BadSchedule as error:
        raise Validation(f"Invalid Schedule Expression {expression}.") from error


def check_window(window: Mapping[str, Any]) -> None:
    """A flexible window says how long it is; none says nothing."""
    if (window["Mode"] == "FLEXIBLE") != ("MaximumWindowInMinutes" in window):
        raise Validation(
            "MaximumWindowInMinutes must be provided with the FlexibleTimeWindow mode FLEXIBLE, "
            "and not with OFF."
        )


def check_target(target: Mapping[str, Any], available: frozenset[str]) -> None:
    """Raise unless this cloud can call the target. Raises ValidationException."""
    arn = target["Arn"]
    text = target.get("Input")
    if text is not None and len(text.encode()) > limits.INPUT_BYTES_MAX:
        raise Validation("The target input is larger than 256 KB.")
    given = _ALL_PARAMETERS & set(target)
    if _UNIVERSAL in arn:
        if given:
            raise Validation("A universal target takes its parameters in Input.")
        universal = universal_of(arn)
        if universal.service not in available:
            raise NotImplementedByDoppio(
                f"scheduler: {universal.service} exists in AWS and not yet in this cloud"
            )
        if text is not None and not isinstance(_json(text), dict):
            raise Validation("The Input of a universal target must be a JSON object.")
        return
    kind = kind_of(arn)
    if kind not in available:
        raise NotImplementedByDoppio(
            f"scheduler: targets of {kind} exist in AWS and not yet in this cloud"
        )
    if given - _PARAMETERS.get(kind, set()):
        raise Validation(f"Parameters {', '.join(sorted(given))} do not go with the target {arn}.")
    if kind == "events" and "EventBridgeParameters" not in target:
        raise Validation("EventBridgeParameters must be provided for the target.")
    if kind == "sqs" and arn.endswith(".fifo") != ("SqsParameters" in target):
        raise Validation("SqsParameters must be provided for a FIFO queue, and for no other.")


def kind_of(arn: str) -> str:
    """The service of a templated target. Raises ValidationException."""
    parts = arn.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn" or not parts[2] or not parts[5]:
        raise Validation(f"Provided Arn is not in correct format. Arn: {arn}")
    if parts[2] not in {"sqs", "sns", "events", "lambda"}:
        raise NotImplementedByDoppio(
            f"scheduler: targets of {parts[2]} exist in AWS and not yet in this cloud"
        )
    return parts[2]


@cache
def universal_of(arn: str) -> Universal:
    """The operation that a universal target names. Raises ValidationException."""
    parts = arn.split(":")
    bad = Validation(f"Invalid RequestJson provided. Reason: {arn} is not a valid universal target")
    if len(parts) != 8 or parts[2] != "scheduler":
        raise bad
    name = _services().get(parts[6])
    if name is None:
        raise bad
    service = model.load(name)
    wanted = parts[7][:1].upper() + parts[7][1:]
    if wanted not in service.operations:
        raise bad
    if wanted.lower().startswith(_READING):
        raise Validation(f"The operation {parts[7]} only reads: it cannot be a target.")
    return Universal(name, service.operations[wanted], model.method_name(wanted))


@cache
def _services() -> dict[str, str]:
    """Model names by the names that universal targets use: service ids, small and in one word."""
    table = json.loads((files("doppio.data") / "services.json").read_bytes())["services"]
    return {
        "".join(char for char in named["id"].lower() if char.isalnum()): name
        for name, named in table.items()
    }


def input_of(execution: Execution) -> str:
    """What the target is told, with the context attributes filled in."""
    due = execution.due_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = execution.target.get("Input")
    if text is None:
        parts = execution.arn.split(":")
        return json.dumps(
            {
                "version": "0",
                "id": execution.id,
                "detail-type": "Scheduled Event",
                "source": "aws.scheduler",
                "account": parts[4],
                "time": due,
                "region": parts[3],
                "resources": [execution.arn],
                "detail": "{}",
            }
        )
    for name, value in (
        ("schedule-arn", execution.arn),
        ("scheduled-time", due),
        ("execution-id", execution.id),
        ("attempt-number", str(execution.attempts + 1)),
    ):
        text = text.replace(f"<aws.scheduler.{name}>", value)
    return str(text)


def as_request(shape: model.Shape | None, value: Any) -> Any:
    """JSON as an operation's request: bytes and moments as the shape wants them."""
    if shape is None:
        return {}
    kind = shape.type
    if kind == "structure" and isinstance(value, dict):
        known: dict[str, str] = {name.lower(): name for name in shape.members}
        found = {}
        for name, one in value.items():
            own = known.get(str(name).lower(), str(name))
            member = shape.members.get(own)
            found[own] = one if member is None else as_request(member.shape, one)
        return found
    if kind == "list" and isinstance(value, list):
        return [as_request(shape.member.shape, one) for one in value]
    if kind == "map" and isinstance(value, dict):
        return {name: as_request(shape.value.shape, one) for name, one in value.items()}
    if kind == "blob" and isinstance(value, str):
        return value.encode()
    if kind == "timestamp":
        return _moment(value)
    return value


def _moment(value: Any) -> Any:
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return value
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def retry_at(execution: Execution, now: datetime) -> tuple[datetime | None, str]:
    """When to try again, or None and which condition is used up."""
    policy = execution.target.get("RetryPolicy") or {}
    if execution.attempts > policy.get("MaximumRetryAttempts", limits.RETRIES_DEFAULT):
        return None, "MaximumRetryAttempts"
    pause = limits.RETRY_PAUSE_MIN * 2 ** min(execution.attempts - 1, 20)
    at = now + min(pause, limits.RETRY_PAUSE_MAX)
    age = policy.get("MaximumEventAgeInSeconds")
    most = limits.EVENT_AGE_DEFAULT if age is None else timedelta(seconds=age)
    if at > execution.due_at + most:
        return None, "MaximumEventAgeInSeconds"
    return at, ""


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
