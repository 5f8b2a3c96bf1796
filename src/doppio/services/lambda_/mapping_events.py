"""What a function is told of records, and what it says of them. Pure.

Source: "Using Lambda with Amazon SQS", and "Implementing partial batch responses".
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from doppio.services.lambda_.mapping_rules import filters_of, pattern_of
from doppio.wire.json_write import dumps

_EMPTY_LISTS: Mapping[str, Any] = {"stringListValues": [], "binaryListValues": []}


def record_of_message(message: Mapping[str, Any], queue: str) -> dict[str, Any]:
    """A message of a queue as a record."""
    attributes = {}
    for name, one in (message.get("MessageAttributes") or {}).items():
        told = {**_EMPTY_LISTS, "dataType": one["DataType"]}
        if one.get("StringValue") is not None:
            told["stringValue"] = one["StringValue"]
        if one.get("BinaryValue") is not None:
            told["binaryValue"] = base64.b64encode(one["BinaryValue"]).decode()
        attributes[name] = told
    record = {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": dict(message.get("Attributes") or {}),
        "messageAttributes": attributes,
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": queue,
        "awsRegion": queue.split(":")[3],
    }
    if message.get("MD5OfMessageAttributes"):
        record["md5OfMessageAttributes"] = message["MD5OfMessageAttributes"]
    return record


def passes(record: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    """Whether one of a mapping's filters wants a record. A body is looked into if it is JSON."""
    filters = filters_of(given)
    if not filters:
        return True
    seen = {**record, "body": _opened(record["body"])} if "body" in record else record
    return any(pattern_of(one).matches(seen) for one in filters)


def _opened(text: Any) -> Any:
    if isinstance(text, str) and text.lstrip()[:1] in {"{", "["}:
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


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
