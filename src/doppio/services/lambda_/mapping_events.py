"""What a function is told of records, and what it says of them. Pure.

Source: "Using Lambda with Amazon SQS", and "Implementing partial batch responses".
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from doppio.kernel.event_patterns import opened
from doppio.services.lambda_.mapping_rules import filters_of, pattern_of
from doppio.services.lambda_.records import Mapping as EventSource
from doppio.services.lambda_.running import Outcome
from doppio.wire.json_write import dumps
from doppio.wire.timestamps import format_iso8601_millis


def passes(record: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    """Whether one of a mapping's filters wants a record. A body is looked into if it is JSON."""
    filters = filters_of(given)
    if not filters:
        return True
    seen = _seen(record)
    return any(pattern_of(one).matches(seen) for one in filters)


def _seen(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """A record as filters see it: of a stream's, its partition key and its data."""
    if "body" in record:
        return {**record, "body": opened(record["body"])}
    if "kinesis" in record:
        data = base64.b64decode(record["kinesis"]["data"]).decode(errors="replace")
        return {**record["kinesis"], "data": opened(data)}
    return record


def events_of(
    records: Sequence[Mapping[str, Any]], bytes_max: int
) -> Iterator[tuple[list[Mapping[str, Any]], bytes]]:
    """Records in as many events as it takes for each to fit."""
    part: list[Mapping[str, Any]] = []
    size = len('{"Records":[]}')
    written: list[bytes] = []
    for record in records:
        text = dumps(record)
        if part and size + len(text) + 1 > bytes_max:
            yield part, _event(written)
            part, written, size = [], [], len('{"Records":[]}')
        part.append(record)
        written.append(text)
        size += len(text) + 1
    if part:
        yield part, _event(written)


def _event(written: Sequence[bytes]) -> bytes:
    return b'{"Records":[' + b",".join(written) + b"]}"


def failed_of(answer: bytes, ids: Sequence[str]) -> set[str]:
    """Which records of a batch a function says to have failed: none, some, or, if it is unclear, all."""
    try:
        told = json.loads(answer) if answer else None
    except ValueError:
        return set(ids)
    if told in (None, "", {}):
        return set()
    failures = told.get("batchItemFailures", ()) if isinstance(told, dict) else ()
    if failures is None:
        return set()
    if not isinstance(failures, list):
        return set(ids) if failures != () else set()
    found = set()
    for one in failures:
        name = one.get("itemIdentifier") if isinstance(one, dict) else None
        if name not in ids:
            return set(ids)
        found.add(str(name))
    return found


def record_of_data(record: Mapping[str, Any], stream: str, shard: str) -> dict[str, Any]:
    """A record of a Kinesis stream as a function is told it."""
    number = record["SequenceNumber"]
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": record["PartitionKey"],
            "sequenceNumber": number,
            "data": base64.b64encode(record["Data"]).decode(),
            "approximateArrivalTimestamp": record["ApproximateArrivalTimestamp"].timestamp(),
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{shard}:{number}",
        "eventName": "aws:kinesis:record",
        "awsRegion": stream.split(":")[3],
        "eventSourceARN": stream,
    }


def stream_letter(
    mapping: EventSource, shard: str, numbers: tuple[str, str], times: tuple[datetime, datetime],
    count: int, *, condition: str, outcome: Outcome | None, request_id: str, now: datetime,
) -> str:  # fmt: skip
    """What a destination hears of records that are given up: where they are, not what."""
    told: dict[str, Any] = {
        "requestContext": {
            "requestId": request_id,
            "functionArn": mapping.function_arn,
            "condition": condition,
            "approximateInvokeCount": mapping.given.get("MaximumRetryAttempts", 0) + 1,
        },
        "version": "1.0",
        "timestamp": format_iso8601_millis(now),
        "DDBStreamBatchInfo" if ":dynamodb:" in mapping.source else "KinesisBatchInfo": {
            "shardId": shard,
            "startSequenceNumber": numbers[0],
            "endSequenceNumber": numbers[1],
            "approximateArrivalOfFirstRecord": format_iso8601_millis(times[0]),
            "approximateArrivalOfLastRecord": format_iso8601_millis(times[1]),
            "batchSize": count,
            "streamArn": mapping.source,
        },
    }
    if outcome is not None:
        told["responseContext"] = {
            "statusCode": outcome.status,
            "executedVersion": outcome.executed_version,
            "functionError": outcome.error,
        }
    return dumps(told).decode()
