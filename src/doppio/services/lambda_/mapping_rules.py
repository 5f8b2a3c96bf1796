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
    "ScalingConfig",
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
}
_NAMES = {"sqs": "SQS"}


def kind_of(source: str) -> str:
    """The service of a source. Raises where it is none from which this cloud can read."""
    parts = source.split(":", 5)
    kind = parts[2] if len(parts) == 6 else ""
    if kind not in ACTIONS:
        raise NotImplementedByDoppio(f"Event sources of {kind or source} are not supported.")
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
    _check_queue(source, req, given)
    return given


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
