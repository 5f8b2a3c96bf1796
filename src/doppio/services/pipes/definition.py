"""What a pipe may be. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from doppio.kernel.event_patterns import BadPattern, Pattern
from doppio.services.pipes import limits
from doppio.services.pipes.errors import Validation
from doppio.wire.errors import NotImplementedByDoppio

# Kinds of sources: what each is told, and the service that it takes.
_SOURCES = {
    "sqs": ("SqsQueueParameters", "sqs"),
    "dynamodb": ("DynamoDBStreamParameters", "dynamodbstreams"),
}
_TARGETS = {
    "sqs": "SqsQueueParameters",
    "sns": "",
    "events": "EventBridgeEventBusParameters",
    "logs": "CloudWatchLogsParameters",
    "api-destination": "HttpParameters",
    "lambda": "LambdaFunctionParameters",
}
_ENRICHMENTS = frozenset({"api-destination", "lambda"})


def check(given: Mapping[str, Any], available: frozenset[str]) -> None:
    """Raise unless this cloud can be such a pipe."""
    enrichment = given.get("Enrichment")
    if enrichment and kind_of(enrichment, "Enrichment") not in _ENRICHMENTS:
        raise _absent(f"enrichments by {kind_of(enrichment, 'Enrichment')}")
    if given.get("EnrichmentParameters") and not enrichment:
        raise Validation("EnrichmentParameters must go with an Enrichment.")
    if given.get("KmsKeyIdentifier"):
        raise _absent("a pipe's KmsKeyIdentifier")
    check_log(given.get("LogConfiguration") or {})
    source = service_of(given["Source"], "Source")
    member, needed = _SOURCES.get(source, ("", ""))
    if needed not in available:
        raise _absent(f"sources of {source}")
    parameters = given.get("SourceParameters") or {}
    if set(parameters) - {"FilterCriteria", member}:
        raise Validation("SourceParameters do not go with the source.")
    for one in filters_of(given):
        pattern_of(one)
    if source == "sqs":
        _check_queue(given, parameters)
    else:
        _check_stream(given, parameters)
    _check_destination(given, available)


def check_log(given: Mapping[str, Any]) -> None:
    """Raise unless a pipe can keep such a log."""
    if given.get("Level", "OFF") == "OFF":
        return
    for name in ("S3LogDestination", "FirehoseLogDestination"):
        if given.get(name):
            raise _absent(f"a pipe's {name}")
    arn = (given.get("CloudwatchLogsLogDestination") or {}).get("LogGroupArn")
    if arn is None:
        raise Validation("LogConfiguration must name a destination.")
    if service_of(arn, "LogGroupArn") != "logs" or len(arn.split(":")) < 7:
        raise Validation(f"Invalid LogGroupArn: {arn}")


def _check_stream(given: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
    if "/stream/" not in given["Source"]:
        raise Validation(f"Invalid Source: {given['Source']}")
    own = parameters.get("DynamoDBStreamParameters") or {}
    if "StartingPosition" not in own:
        raise Validation("StartingPosition must be given for a DynamoDB stream.")
    age = own.get("MaximumRecordAgeInSeconds", limits.WITHOUT_END)
    if age != limits.WITHOUT_END and age < limits.RECORD_AGE_SECONDS_MIN:
        raise Validation("MaximumRecordAgeInSeconds must be -1 or at least 60.")
    dead = (own.get("DeadLetterConfig") or {}).get("Arn")
    if dead is not None and (service_of(dead, "DeadLetterConfig") not in {"sqs", "sns"}):
        raise Validation(f"Invalid DeadLetterConfig: {dead}")


def _check_queue(given: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
    batch = (parameters.get("SqsQueueParameters") or {}).get("BatchSize", 1)
    window = (parameters.get("SqsQueueParameters") or {}).get("MaximumBatchingWindowInSeconds", 0)
    fifo = given["Source"].endswith(".fifo")
    if batch > limits.BATCH_WITHOUT_WINDOW_MAX and (fifo or not window):
        raise Validation(
            "A BatchSize of more than 10 takes a MaximumBatchingWindowInSeconds of at least 1, "
            "and a standard queue."
        )
    if fifo and window:
        raise Validation("A FIFO queue takes no MaximumBatchingWindowInSeconds.")


def _check_destination(given: Mapping[str, Any], available: frozenset[str]) -> None:
    target = kind_of(given["Target"])
    needed = "events" if target == "api-destination" else target
    if target not in _TARGETS or needed not in available:
        raise _absent(f"targets of {target}")
    own = set(given.get("TargetParameters") or {}) - {"InputTemplate"}
    if own - {_TARGETS[target]}:
        raise Validation("TargetParameters do not go with the target.")
    if target == "logs" and _TARGETS["logs"] not in own:
        raise Validation("CloudWatchLogsParameters must be given for a log group.")
    if given["Target"].endswith(".fifo") and target == "sqs" and not own:
        raise Validation("SqsQueueParameters must be given for a FIFO queue.")


def kind_of(arn: str, member: str = "Target") -> str:
    """The kind of a target: its service, but for EventBridge's two. Raises ValidationException."""
    service = service_of(arn, member)
    is_server = service == "events" and arn.split(":", 5)[5].startswith("api-destination/")
    return "api-destination" if is_server else service


def service_of(arn: str, member: str) -> str:
    """The service of an ARN. Raises ValidationException."""
    parts = arn.split(":", 5)
    if len(parts) != 6 or not parts[5]:
        raise Validation(f"Invalid {member}: {arn}")
    return parts[2]


def filters_of(given: Mapping[str, Any]) -> list[str]:
    """The patterns of which a message must match one; none lets all pass."""
    criteria = (given.get("SourceParameters") or {}).get("FilterCriteria") or {}
    return [one.get("Pattern", "") for one in criteria.get("Filters") or []]


@lru_cache(maxsize=1_024)
def pattern_of(text: str) -> Pattern:
    """A filter's pattern. Raises ValidationException."""
    try:
        document = json.loads(text)
        return Pattern(document)
    except (ValueError, BadPattern, AttributeError) as error:
        raise Validation(f"Invalid filter pattern: {error}") from error


def _absent(what: str) -> NotImplementedByDoppio:
    return NotImplementedByDoppio(f"pipes: {what} exist in AWS and not yet in this cloud")
