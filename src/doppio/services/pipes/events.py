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

from doppio.kernel.event_patterns import opened
from doppio.services.pipes.definition import filters_of, pattern_of
from doppio.services.pipes.records import Pipe
from doppio.wire.timestamps import format_iso8601_millis

# What matters in a template: what is escaped, where quotes begin and end, and what is filled in.
_PLACE = re.compile(r"\\.|\"|<(\$[^<>]*|aws\.pipes\.[a-z.-]+)>", re.DOTALL)
_STEP = re.compile(r"\.([\w/-]+)|\[(\d+)\]|\[\"([^\"]*)\"\]")
_ABSENT = object()


def passes(event: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    """Whether one of a pipe's filters wants an event. A message's body is looked into if it is JSON."""
    filters = filters_of(given)
    if not filters:
        return True
    seen = {**event, "body": opened(event["body"])} if "body" in event else event
    return any(pattern_of(one).matches(seen) for one in filters)


def shaped(event: Any, pipe: Pipe, now: datetime, member: str = "TargetParameters") -> str:
    """What the target (or the enrichment) gets of an event: all as JSON, or its template filled in."""
    template = (pipe.given.get(member) or {}).get("InputTemplate")
    if not template:
        return json.dumps(event, ensure_ascii=False)
    known: dict[str, Callable[[], Any]] = {
        "aws.pipes.pipe-arn": lambda: pipe.arn,
        "aws.pipes.pipe-name": lambda: pipe.name,
        "aws.pipes.source-arn": lambda: pipe.given["Source"],
        "aws.pipes.target-arn": lambda: pipe.given["Target"],
        "aws.pipes.enrichment-arn": lambda: pipe.given.get("Enrichment", ""),
        "aws.pipes.event.ingestion-time": lambda: format_iso8601_millis(now),
        "aws.pipes.event": lambda: event,
        "aws.pipes.event.json": lambda: event,
    }

    inside = False
    parts: list[str] = []
    end = 0
    for found in _PLACE.finditer(template):
        if found[0] == '"':
            inside = not inside
        name = found[1]
        if name is None or not (name.startswith("$") or name in known):
            continue
        value = at(event, name) if name.startswith("$") else known[name]()
        parts += [template[end : found.start()], _written(value, inside=inside)]
        end = found.end()
    return "".join([*parts, template[end:]])


def _written(value: Any, *, inside: bool) -> str:
    """A value in a template: as JSON, or within quotes as a part of that text. Nothing is nothing."""
    if value is _ABSENT:
        return ""
    text = json.dumps(value, ensure_ascii=False)
    if not inside:
        return text
    return (text if isinstance(value, str) else json.dumps(text, ensure_ascii=False))[1:-1]


def answers_of(text: str) -> list[Any]:
    """The events that an enrichment's answer holds: those of a list, or one, or none if it is empty."""
    try:
        found = json.loads(text) if text.strip() else None
    except ValueError:
        found = text
    if found in (None, "", {}, []):
        return []
    return found if isinstance(found, list) else [found]


def dynamic(event: Any, value: Any) -> Any:
    """A parameter of the target: itself, or what a path in the event leads to."""
    if not isinstance(value, str) or not value.startswith("$."):
        return value
    found = at(event, value)
    if found is _ABSENT:
        return ""
    return found if isinstance(found, str) else json.dumps(found)


def moment_of(text: Any) -> datetime | None:
    """A time of an event: in the form of RFC 3339, or in seconds since 1970; None if it is neither."""
    try:
        if str(text).replace(".", "", 1).isdecimal():
            return datetime.fromtimestamp(float(text), UTC)
        found = datetime.fromisoformat(str(text))
    except (ValueError, OverflowError, OSError):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def at(event: Any, path: str) -> Any:
    """What a path leads to; JSON within texts is looked into on the way."""
    value: Any = event
    for name, number, quoted in _STEP.findall(path[1:]):
        value = opened(value)
        if number:
            known = isinstance(value, list) and int(number) < len(value)
            value = value[int(number)] if known else _ABSENT
        else:
            key = name or quoted
            value = value.get(key, _ABSENT) if isinstance(value, Mapping) else _ABSENT
        if value is _ABSENT:
            return value
    return opened(value)
