"""What a pipe makes of a message: an event, filtered, and put into its template. Pure.

Source: "Event filtering in Amazon EventBridge Pipes" and "Amazon EventBridge Pipes input
transformation".
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from doppio.services.pipes.definition import filters_of, pattern_of
from doppio.services.pipes.records import Pipe

_PLACE = re.compile(r"(\"?)<(\$[^<>]*|aws\.pipes\.[a-z.-]+)>(\"?)")
_STEP = re.compile(r"\.([\w/-]+)|\[(\d+)\]|\[\"([^\"]*)\"\]")
_ABSENT = object()


def event_of(message: Mapping[str, Any], queue: str) -> dict[str, Any]:
    """A message of a queue as an event."""
    attributes = {
        name: {
            key[:1].lower() + key[1:]: value if isinstance(value, str) else value.decode("latin-1")
            for key, value in one.items()
        }
        for name, one in (message.get("MessageAttributes") or {}).items()
    }
    return {
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


def passes(event: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    """Whether one of a pipe's filters wants an event. A body that is JSON is looked into."""
    filters = filters_of(given)
    if not filters:
        return True
    seen = {**event, "body": _opened(event["body"])}
    return any(pattern_of(one).matches(seen) for one in filters)


def shaped(event: Mapping[str, Any], pipe: Pipe, now: datetime) -> str:
    """What the target gets of an event: all of it as JSON, or its template filled in."""
    template = (pipe.given.get("TargetParameters") or {}).get("InputTemplate")
    if not template:
        return json.dumps(event, ensure_ascii=False)
    known: dict[str, Callable[[], Any]] = {
        "aws.pipes.pipe-arn": lambda: pipe.arn,
        "aws.pipes.pipe-name": lambda: pipe.name,
        "aws.pipes.source-arn": lambda: pipe.given["Source"],
        "aws.pipes.target-arn": lambda: pipe.given["Target"],
        "aws.pipes.event.ingestion-time": lambda: _stamp(now),
        "aws.pipes.event": lambda: event,
        "aws.pipes.event.json": lambda: event,
    }

    def fill(found: re.Match[str]) -> str:
        before, name, after = found.groups()
        if name.startswith("$"):
            value = at(event, name)
        elif name in known:
            value = known[name]()
        else:
            return found[0]
        quoted = bool(before) and bool(after)
        if value is _ABSENT:
            # Without a value nothing stands there; a template in quotes is an empty text.
            return before + after
        if quoted:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            return json.dumps(text, ensure_ascii=False)
        return before + json.dumps(value, ensure_ascii=False) + after

    return _PLACE.sub(fill, template)


def dynamic(event: Mapping[str, Any], value: Any) -> Any:
    """A parameter of the target: itself, or what a path in the event leads to."""
    if not isinstance(value, str) or not value.startswith("$."):
        return value
    found = at(event, value)
    if found is _ABSENT:
        return ""
    return found if isinstance(found, str) else json.dumps(found)


def at(event: Mapping[str, Any], path: str) -> Any:
    """What a path leads to; JSON within texts is looked into on the way."""
    value: Any = event
    for name, number, quoted in _STEP.findall(path[1:]):
        value = _opened(value)
        if number:
            known = isinstance(value, list) and int(number) < len(value)
            value = value[int(number)] if known else _ABSENT
        else:
            key = name or quoted
            value = value.get(key, _ABSENT) if isinstance(value, Mapping) else _ABSENT
        if value is _ABSENT:
            return value
    return _opened(value)


def _opened(value: Any) -> Any:
    """A text that holds a JSON object or list as what it holds."""
    if isinstance(value, str) and value.lstrip()[:1] in {"{", "["}:
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _stamp(now: datetime) -> str:
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}Z"
