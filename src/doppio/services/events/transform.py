"""What a target gets of an event: all, a part, a constant, or a template filled from it. Pure.

Source: "Amazon EventBridge input transformation".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from doppio.services.events.rules import as_json

_STEP = re.compile(r"\.([^.\[\]\s]+)|\[(\d+|\*)\]")
_VARIABLE = re.compile(r"<([A-Za-z0-9_.-]+)>")
_MISSING = object()


class BadPath(ValueError):
    """A path that is no JSON path in dot notation."""


def path_steps(path: str) -> list[str | int]:
    """The steps of `$.detail.list[0]`; `*` is every element. Raises BadPath."""
    if not path.startswith("$"):
        raise BadPath(path)
    steps: list[str | int] = []
    at = 1
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            raise BadPath(path)
        name, index = found[1], found[2]
        steps.append(name if name is not None else ("*" if index == "*" else int(index)))
        at = found.end()
    return steps


def at_path(event: Any, path: str) -> Any:
    """What lies at a path; None where nothing does."""
    found = _walk(event, path_steps(path))
    return None if found is _MISSING else found


def _walk(value: Any, steps: list[str | int]) -> Any:
    for number, step in enumerate(steps):
        if step == "*":
            rest = steps[number + 1 :]
            if not isinstance(value, list):
                return _MISSING
            found = [_walk(one, rest) for one in value]
            return [one for one in found if one is not _MISSING]
        if isinstance(step, int):
            if not isinstance(value, list) or step >= len(value):
                return _MISSING
            value = value[step]
        elif isinstance(value, dict) and step in value:
            value = value[step]
        else:
            return _MISSING
    return value


def payload(target: Mapping[str, Any], event_text: str, *, rule_arn: str, ingested: str) -> str:
    """The text that a target gets."""
    if "Input" in target:
        return str(target["Input"])
    if "InputPath" in target:
        return as_json(at_path(json.loads(event_text), target["InputPath"]))
    transformer = target.get("InputTransformer")
    if transformer is None:
        return event_text
    event = json.loads(event_text)
    values = {
        name: at_path(event, path)
        for name, path in (transformer.get("InputPathsMap") or {}).items()
    }
    values |= {
        "aws.events.rule-arn": rule_arn,
        "aws.events.rule-name": rule_arn.rpartition("/")[2],
        "aws.events.event.ingestion-time": ingested,
        "aws.events.event": {key: value for key, value in event.items() if key != "detail"},
        "aws.events.event.json": event,
    }
    return filled(transformer["InputTemplate"], values)


def filled(template: str, values: Mapping[str, Any]) -> str:
    """A template with its variables replaced.

    In quotes a value is text and its own quotes are left out or escaped; outside, in a template
    that is JSON, it is a JSON value; a template of plain lines takes it as text.
    """
    is_json = template.lstrip()[:1] in {"{", "["}
    quoted = _quoted_spans(template)

    def value_of(found: re.Match[str]) -> str:
        if found[1] not in values:
            return found[0] if found[1].startswith("aws.") else _shown("", is_json, inside=False)
        value = values[found[1]]
        return _shown("" if value is None else value, is_json, inside=found.start() in quoted)

    return _VARIABLE.sub(value_of, template)


def _quoted_spans(template: str) -> set[int]:
    """The positions that lie within double quotes."""
    inside = False
    found: set[int] = set()
    at = 0
    while at < len(template):
        char = template[at]
        if char == "\\" and at + 1 < len(template):
            if inside:
                found.update((at, at + 1))
            at += 2
            continue
        if char == '"':
            inside = not inside
        elif inside:
            found.add(at)
        at += 1
    return found


def _shown(value: Any, is_json: bool, *, inside: bool) -> str:
    if isinstance(value, str):
        if inside:
            return as_json(value)[1:-1]
        return as_json(value) if is_json else value
    text = as_json(value)
    if isinstance(value, dict | list) and (inside or not is_json):
        return text.replace('"', "")
    return text


def unknown_variables(template: str, names: Mapping[str, str]) -> list[str]:
    """Variables of a template that nothing gives a value."""
    found = (one[1] for one in _VARIABLE.finditer(template))
    return [one for one in found if one not in names and not one.startswith("aws.events.")]
