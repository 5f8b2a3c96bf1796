"""What an event source mapping may be, by its source. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping as Given
from functools import lru_cache
from typing import Any

from doppio.kernel.event_patterns import BadPattern, Pattern
from doppio.services.lambda_ import limits
from doppio.services.lambda_.errors import InvalidParameterValue
from doppio.services.lambda_.records import Mapping
from doppio.wire.errors import NotImplementedByDoppio

# What a request may say of a mapping and is kept as it says it.
GIVEN = (
    "BatchSize", "MaximumBatchingWindowInSeconds", "FilterCriteria", "FunctionResponseTypes",
    "ScalingConfig", "StartingPosition", "StartingPositionTimestamp", "ParallelizationFactor",
    "BisectBatchOnFunctionError", "MaximumRecordAgeInSeconds", "MaximumRetryAttempts",
    "DestinationConfig",
)  # fmt: skip
# What AWS acts on and this cloud does not.
_ABSENT = (
    "KMSKeyArn", "MetricsConfig", "LoggingConfig", "ProvisionedPollerConfig",
    "TumblingWindowInSeconds", "Topics", "Queues", "SourceAccessConfigurations",
    "SelfManagedEventSource", "AmazonManagedKafkaEventSourceConfig",
    "SelfManagedKafkaEventSourceConfig", "DocumentDBEventSourceConfig",
)  # fmt: skip
_OF_STREAMS = (
    "StartingPosition", "StartingPositionTimestamp", "ParallelizationFactor",
    "BisectBatchOnFunctionError", "MaximumRecordAgeInSeconds", "MaximumRetryAttempts",
    "DestinationConfig",
)  # fmt: skip
# Whom the role must be able to ask of a source, and what.
ACTIONS = {
    "sqs": ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"),
    "dynamodb": (
        "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:DescribeStream",
    ),
    "kinesis": ("kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards"),
}  # fmt: skip
_NAMES = {"sqs": "SQS", "dynamodb": "DynamoDB", "kinesis": "Kinesis"}


def kind_of(source: str) -> str:
    """The service of a source. Raises where it is none from which this cloud can read."""
    parts = source.split(":", 5)
    kind = parts[2] if len(parts) == 6 else ""
    if kind not in ACTIONS:
        raise NotImplementedByDoppio(f"Event sources of {kind or source} are not supported.")
    if "/consumer/" in source:
        raise NotImplementedByDoppio("Consumers of Kinesis streams are not supported as sources.")
    if (kind == "dynamodb" and "/stream/" not in source) or (
        kind == "kinesis" and not parts[5].startswith("stream/")
    ):
        raise InvalidParameterValue(f"Unrecognized event source, must be a stream: {source}")
    return kind


def checked(source: str, old: Given[str, Any], req: Given[str, Any]) -> dict[str, Any]:
    """How a mapping is to be, with what a request says of it.

    Raises InvalidParameterValueException, and what is not here is said.
    """
    for name in _ABSENT:
        if req.get(name):
            raise NotImplementedByDoppio(f"{name} is not supported by this cloud.")
    kind_of(source)
    given = {**old, **{name: req[name] for name in GIVEN if name in req}}
    for one in filters_of(given):
        pattern_of(one)
    if len(filters_of(given)) > limits.FILTERS_MAX:
        raise InvalidParameterValue(f"A mapping can have at most {limits.FILTERS_MAX} filters.")
    if kind_of(source) == "sqs":
        _check_queue(source, req, given)
    else:
        _check_stream(kind_of(source), req, given)
    return given


def _check_stream(kind: str, req: Given[str, Any], given: Given[str, Any]) -> None:
    if req.get("ScalingConfig"):
        raise InvalidParameterValue(
            f"Unsupported source parameter: ScalingConfig for {_NAMES[kind]}."
        )
    position = given.get("StartingPosition")
    if position is None:
        raise InvalidParameterValue(
            "1 validation error detected: Value null at 'startingPosition' failed to satisfy "
            "constraint: Member must not be null."
        )
    if position == "AT_TIMESTAMP":
        if kind == "dynamodb":
            raise InvalidParameterValue(
                "Unsupported starting position for DynamoDB Streams: AT_TIMESTAMP."
            )
        if given.get("StartingPositionTimestamp") is None:
            raise InvalidParameterValue(
                "StartingPositionTimestamp must be given for the starting position AT_TIMESTAMP."
            )
    if 0 <= given.get("MaximumRecordAgeInSeconds", -1) < limits.RECORD_AGE_SECONDS_MIN:
        raise InvalidParameterValue(
            "MaximumRecordAgeInSeconds must be -1 or at least "
            f"{limits.RECORD_AGE_SECONDS_MIN} seconds."
        )
    if (given.get("DestinationConfig") or {}).get("OnSuccess"):
        raise InvalidParameterValue("OnSuccess is not supported for event source mappings.")
    arn = ((given.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination")
    if arn and arn.split(":")[2] not in ("sqs", "sns"):
        raise NotImplementedByDoppio("Destinations of streams are queues and topics here.")


def _check_queue(source: str, req: Given[str, Any], given: Given[str, Any]) -> None:
    for name in _OF_STREAMS:
        if req.get(name) is not None:
            raise InvalidParameterValue(f"Unsupported source parameter: {name} for SQS.")
    size = given.get("BatchSize", limits.QUEUE_BATCH_DEFAULT)
    window = given.get("MaximumBatchingWindowInSeconds", 0)
    if source.endswith(".fifo"):
        if window:
            raise InvalidParameterValue("Batching window is not supported for FIFO queues.")
        if size > limits.QUEUE_BATCH_DEFAULT:
            raise InvalidParameterValue(
                f"Maximum batch size for FIFO queues is {limits.QUEUE_BATCH_DEFAULT}."
            )
    elif size > limits.QUEUE_BATCH_DEFAULT and not window:
        raise InvalidParameterValue(
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is "
            "greater than 10"
        )


def call_name(kind: str, action: str) -> str:
    """An action as AWS says it of a role that may not do it."""
    return f"{action.partition(':')[2]} on {_NAMES[kind]}"


def filters_of(given: Given[str, Any]) -> list[str]:
    """The patterns of which a record must match one; none lets all pass."""
    criteria = given.get("FilterCriteria") or {}
    return [one.get("Pattern", "") for one in criteria.get("Filters") or []]


@lru_cache(maxsize=1_024)
def pattern_of(text: str) -> Pattern:
    """A filter's pattern. Raises InvalidParameterValueException."""
    try:
        return Pattern(json.loads(text))
    except (ValueError, BadPattern, AttributeError) as error:
        raise InvalidParameterValue(f"Invalid filter pattern definition. {error}") from error


def reports_failures(mapping: Mapping) -> bool:
    """Whether a function says which records of a batch have failed."""
    return "ReportBatchItemFailures" in (mapping.given.get("FunctionResponseTypes") or ())
