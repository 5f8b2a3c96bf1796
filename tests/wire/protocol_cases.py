"""botocore's protocol test cases, as `tools/fetch_protocol_tests.py` unpacks them."""

from __future__ import annotations

import base64
import math
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from doppio.wire import timestamps
from doppio.wire.model import Member, Operation, Service, Shape

FOLDER = Path(__file__).parent.parent.parent / ".cache" / "protocol-tests"

needs_cases = pytest.mark.skipif(
    not (FOLDER / "VERSION").exists(),
    reason="protocol tests are not there: run `python tools/fetch_protocol_tests.py`",
)


class Case(NamedTuple):
    """One case of a suite, with the service that is its model."""

    suite: str
    description: dict[str, Any]
    case: dict[str, Any]

    @property
    def id(self) -> str:
        return f"{self.suite}:{self.case['id']}"

    def service(self) -> Service:
        given = self.case["given"]
        model = {
            "metadata": {"serviceId": self.suite, **self.description["metadata"]},
            "shapes": self.description["shapes"],
            "operations": {given["name"]: given},
        }
        return Service(self.suite, msgspec.json.encode(model))

    @property
    def protocol(self) -> str:
        protocol: str = self.description["metadata"]["protocol"]
        return protocol


def cases(kind: str) -> Iterator[Case]:
    """All cases of `input` or `output`."""
    for file in sorted((FOLDER / kind).glob("*.json")):
        for description in msgspec.json.decode(file.read_bytes()):
            for case in description["cases"]:
                yield Case(file.stem, description, case)


def only_operation(service: Service) -> Operation:
    (operation,) = service.operations.values()
    return operation


SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def values(shape: Shape | None, given: Any) -> Any:
    """The values that the cases write as JSON, as our codecs hold them."""
    if shape is None or given is None or shape.document:
        return given
    if shape.type == "structure":
        return {
            name: member_values(shape.members[name], value)
            for name, value in given.items()
            if name in shape.members and (value is not None)
        }
    if shape.type == "list":
        return [values(shape.member.shape, item) for item in given]
    if shape.type == "map":
        return {key: values(shape.value.shape, item) for key, item in given.items()}
    if shape.type == "blob":
        return given.encode()
    if shape.type == "timestamp":
        return timestamps.parse(given)
    if shape.type in ("float", "double"):
        return SPECIAL.get(given, given) if isinstance(given, str) else float(given)
    return given


def member_values(member: Member, given: Any) -> Any:
    if member.json_value and member.location == "header":
        return given
    if member.shape.event_stream:
        return Listed([values(member.shape, event) for event in given])
    return values(member.shape, given)


class Listed:
    """An async iterator over a list."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    async def __aiter__(self) -> AsyncIterator[Any]:
        for item in self.items:
            yield item


def same(one: Any, other: Any) -> bool:
    """Equal, where NaN equals itself."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float) and one != one:
        return other != other
    if isinstance(one, datetime) or isinstance(other, datetime):
        return bool(one == other)
    return bool(one == other)


def body_bytes(case: Case, text: str) -> bytes:
    return base64.b64decode(text) if case.protocol == "smithy-rpc-v2-cbor" else text.encode()
