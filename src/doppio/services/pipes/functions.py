"""Functions of Lambda as targets and as enrichments: each gets a batch as one list.

Source: "Lambda function event input and envelopes", "Batching behavior" and "Amazon EventBridge Pipes
batching and concurrency" in the EventBridge user guide.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from doppio.kernel.context import Context
from doppio.services.pipes.errors import CallFailed
from doppio.services.pipes.records import Pipe

PARAMETERS = "LambdaFunctionParameters"
# An event and what the function is to get of it.
Shaped = tuple[Any, str]


def waits(pipe: Pipe) -> bool:
    """Whether a pipe waits for what its function answers."""
    own = (pipe.given.get("TargetParameters") or {}).get(PARAMETERS) or {}
    found: bool = own.get("InvocationType", "REQUEST_RESPONSE") == "REQUEST_RESPONSE"
    return found


async def to_function(
    ctx: Context, acting: Context, pipe: Pipe, batch: Sequence[Shaped]
) -> set[int]:
    """Bring a batch to a function; the places of those that it says it has failed with."""
    texts = [text for _, text in batch]
    answer = await invoked(acting, pipe.given["Target"], texts, waits=waits(pipe))
    return failed_of(answer, [event for event, _ in batch]) if waits(pipe) else set()


async def invoked(acting: Context, arn: str, texts: Sequence[str], *, waits: bool) -> bytes:
    """What a function answers to a batch; nothing where nobody waits. Raises CallFailed."""
    result = await acting.call(
        "lambda",
        "invoke",
        {
            "FunctionName": arn,
            "InvocationType": "RequestResponse" if waits else "Event",
            "Payload": payload_of(texts),
        },
    )
    answer = bytes(result.get("Payload") or b"")
    if result.get("FunctionError"):
        raise CallFailed(f"The function has failed: {answer.decode(errors='replace')}")
    return answer


def payload_of(texts: Sequence[str]) -> bytes:
    """The list that a function gets: what is no JSON goes into it as text."""
    return f"[{','.join(map(_as_json, texts))}]".encode()


def _as_json(text: str) -> str:
    try:
        json.loads(text)
    except ValueError:
        return json.dumps(text)
    return text


def failed_of(answer: bytes, events: Sequence[Any]) -> set[int]:
    """The places of events that a function has failed with, by its `batchItemFailures`.

    An answer that names what was not there, or nothing, means all of them.
    """
    try:
        told = json.loads(answer) if answer else None
    except ValueError:
        return set()
    failures = told.get("batchItemFailures") if isinstance(told, dict) else None
    if not failures:
        return set()
    places: dict[Any, int] = {_id_of(event): place for place, event in enumerate(events)}
    everything = set(range(len(events)))
    if not isinstance(failures, list):
        return everything
    failed: set[int] = set()
    for one in failures:
        place = places.get(one.get("itemIdentifier")) if isinstance(one, dict) else None
        if place is None:
            return everything
        failed.add(place)
    return failed


def _id_of(event: Any) -> str:
    """What names an event: a message's id, or a record's sequence number."""
    if not isinstance(event, Mapping):
        return ""
    of_stream = event.get("dynamodb")
    if isinstance(of_stream, Mapping):
        return str(of_stream.get("SequenceNumber", ""))
    return str(event.get("messageId", ""))
