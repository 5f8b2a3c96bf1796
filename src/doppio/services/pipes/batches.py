"""What becomes of the records of a stream: in which batches they go, and again if they failed. Pure.

Source: "Amazon DynamoDB stream as a source" and "Batching and concurrency" in the user guide of
EventBridge Pipes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from doppio.services.pipes import limits
from doppio.services.pipes.records import Checkpoint, Pipe, Waiting

Records = Mapping[str, Mapping[str, Any]]


def parameters_of(pipe: Pipe) -> Mapping[str, Any]:
    """How a pipe reads its stream."""
    found: Mapping[str, Any] = (pipe.given.get("SourceParameters") or {}).get(
        "DynamoDBStreamParameters"
    ) or {}
    return found


def lanes_of(
    numbers: Sequence[str], records: Records, lanes: int, size: int
) -> list[list[Waiting]]:
    """Records in batches, in lanes that go side by side: what is told of one item keeps its order."""
    sorted_in: list[list[str]] = [[] for _ in range(lanes)]
    for number in numbers:
        sorted_in[_lane(records[number], lanes)].append(number)
    return [
        [
            Waiting(lane=lane, numbers=list(told[first : first + size]))
            for first in range(0, len(told), size)
        ]
        for lane, told in enumerate(sorted_in)
        if told
    ]


def _lane(record: Mapping[str, Any], lanes: int) -> int:
    if lanes == 1:
        return 0
    keys = json.dumps(record["dynamodb"]["Keys"], sort_keys=True)
    return hashlib.blake2b(keys.encode(), digest_size=2).digest()[0] % lanes


def lanes_left(checkpoint: Checkpoint) -> list[list[Waiting]]:
    """The batches that wait, by lane."""
    found: dict[int, list[Waiting]] = {}
    for one in checkpoint.waiting:
        found.setdefault(one.lane, []).append(one)
    return list(found.values())


def after_failure(
    batch: Waiting, lowest: int, *, bisects: bool, now: datetime, chance: float
) -> list[Waiting]:
    """What is to be tried again of a batch: all from the first record that did not arrive.

    A stream's records keep their order, so what comes behind that one goes again with it. A batch that
    is halved has not used up a try.
    """
    left = batch.numbers[lowest:]
    if bisects and len(left) > 1:
        middle = (len(left) + 1) // 2
        return [
            Waiting(lane=batch.lane, numbers=half, tries=batch.tries)
            for half in (left[:middle], left[middle:])
        ]
    pause = min(limits.RETRY_PAUSE_MIN * 2 ** min(batch.tries, 20), limits.RETRY_PAUSE_MAX)
    at = now + pause * (0.75 + 0.25 * chance)
    return [Waiting(lane=batch.lane, numbers=left, tries=batch.tries + 1, at=at)]


def is_exhausted(batch: Waiting, pipe: Pipe) -> bool:
    """Whether a batch has been tried as often as it may be."""
    most = parameters_of(pipe).get("MaximumRetryAttempts", limits.WITHOUT_END)
    return bool(most != limits.WITHOUT_END and batch.tries > most)


def too_old(batch: Waiting, records: Records, pipe: Pipe, now: datetime) -> list[str]:
    """The records of a batch that are older than they may be."""
    age = parameters_of(pipe).get("MaximumRecordAgeInSeconds", limits.WITHOUT_END)
    if age == limits.WITHOUT_END:
        return []
    since = now - timedelta(seconds=age)
    return [number for number in batch.numbers if _told_at(records[number]) < since]


def letter_of(
    pipe: Pipe, shard: str, records: Sequence[Mapping[str, Any]], condition: str, now: datetime
) -> str:
    """What a dead-letter queue hears: where the records are, which are not in it themselves."""
    first, last = records[0], records[-1]
    return json.dumps(
        {
            "context": {"partnerResourceArn": pipe.arn, "condition": condition},
            "version": "1.0",
            "timestamp": _stamp(now),
            "DDBStreamBatchInfo": {
                "shardId": shard,
                "startSequenceNumber": first["dynamodb"]["SequenceNumber"],
                "endSequenceNumber": last["dynamodb"]["SequenceNumber"],
                "approximateArrivalOfFirstRecord": _stamp(_told_at(first)),
                "approximateArrivalOfLastRecord": _stamp(_told_at(last)),
                "batchSize": len(records),
                "streamArn": pipe.given["Source"],
            },
        }
    )


def _told_at(record: Mapping[str, Any]) -> datetime:
    at: datetime = record["dynamodb"]["ApproximateCreationDateTime"]
    return at


def _stamp(moment: datetime) -> str:
    text = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.")
    return f"{text}{moment.microsecond // 1000:03d}Z"
