"""The operations that run functions."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, cast

import msgspec

from doppio.kernel.context import Context
from doppio.services.lambda_ import limits
from doppio.services.lambda_.errors import (
    InvalidRequestContent,
    RequestTooLarge,
)
from doppio.services.lambda_.invocations import Asked, invoked, log_result, request_id_of
from doppio.services.lambda_.queue import accept
from doppio.services.lambda_.running import Outcome, Spec
from doppio.services.lambda_.specs import Target, target_of
from doppio.services.lambda_.workers import Workers
from doppio.wire.errors import NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import lambda_ as w

_CONTENT_TYPE = "application/octet-stream"
_check_json = msgspec.json.Decoder(msgspec.Raw).decode


class Calls:
    """Invoke and its kin."""

    async def invoke(self, ctx: Context, req: w.InvocationRequest) -> w.InvocationResponse:
        """Run a function and answer what it says; or accept an event for it; or neither (DryRun)."""
        kind = req.get("InvocationType", "RequestResponse")
        payload = _payload(req, kind)
        target = await target_of(ctx.read(), ctx, req)
        if kind == "DryRun":
            return {"StatusCode": 204}
        if kind == "Event":
            await accept(ctx, target, payload, _client_context(req))
            return {"StatusCode": 202, "Payload": b""}
        spec = await Workers.of(ctx).spec_of(ctx, target)
        outcome = await invoked(ctx, spec, _asked(ctx, req, target, payload))
        told: dict[str, Any] = {
            "StatusCode": 200, "Payload": outcome.payload,
            "ExecutedVersion": outcome.executed_version,
        }  # fmt: skip
        if outcome.error is not None:
            told["FunctionError"] = outcome.error
        if req.get("LogType") == "Tail":
            told["LogResult"] = log_result(outcome)
        return cast("w.InvocationResponse", told)

    async def invoke_async(self, ctx: Context, req: w.InvokeAsyncRequest) -> w.InvokeAsyncResponse:
        """Accept an event for a function, as it was done before Invoke could."""
        given: Any = req["InvokeArgs"]
        content = given if isinstance(given, bytes | bytearray) else await _read(given)
        payload = _payload({"Payload": content}, "Event")
        await accept(ctx, await target_of(ctx.read(), ctx, req), payload, "")
        return {"Status": 202}

    async def invoke_with_response_stream(
        self, ctx: Context, req: w.InvokeWithResponseStreamRequest
    ) -> w.InvokeWithResponseStreamResponse:
        """Run a function and hand on what it says as it says it."""
        kind = req.get("InvocationType", "RequestResponse")
        payload = _payload(req, kind)
        target = await target_of(ctx.read(), ctx, req)
        if kind == "DryRun":
            return cast("w.InvokeWithResponseStreamResponse", {"StatusCode": 204})
        spec = await Workers.of(ctx).spec_of(ctx, target)
        parts = _Parts(ctx, spec, _asked(ctx, req, target, payload))
        await parts.begin()
        told: dict[str, Any] = {
            "StatusCode": 200, "ExecutedVersion": spec.version,
            "ResponseStreamContentType": _CONTENT_TYPE,
            "EventStream": parts.events(tail=req.get("LogType") == "Tail"),
        }  # fmt: skip
        return cast("w.InvokeWithResponseStreamResponse", told)


class _Parts:
    """An answer that is handed on in parts."""

    def __init__(self, ctx: Context, spec: Spec, asked: Asked) -> None:
        self._said: asyncio.Queue[bytes | None] = asyncio.Queue()
        asked = asked._replace(chunk=self._said.put_nowait)
        self._task = asyncio.create_task(invoked(ctx, spec, asked))
        self._task.add_done_callback(lambda _: self._said.put_nowait(None))
        self._first: bytes | None = None

    async def begin(self) -> None:
        """Wait for the first part. Raises what an invocation that cannot begin raises."""
        self._first = await self._said.get()
        if self._first is None:
            self._task.result()

    async def events(self, *, tail: bool) -> AsyncIterator[dict[str, Any]]:
        """The parts, and how it ended."""
        part, streamed = self._first, False
        while part is not None:
            streamed = True
            yield {"PayloadChunk": {"Payload": part}}
            part = await self._said.get()
        outcome = self._task.result()
        done: dict[str, Any] = {}
        if outcome.error is not None:
            done["ErrorCode"] = _error_type(outcome)
            done["ErrorDetails"] = outcome.payload.decode(errors="replace")
        elif not streamed:
            yield {"PayloadChunk": {"Payload": outcome.payload}}
        if tail:
            done["LogResult"] = log_result(outcome)
        yield {"InvokeComplete": done}


def _error_type(outcome: Outcome) -> str:
    try:
        told = msgspec.json.decode(outcome.payload)
    except msgspec.DecodeError:
        return str(outcome.error)
    kind = told.get("errorType") if isinstance(told, dict) else None
    return str(kind or outcome.error)


def _asked(ctx: Context, req: Mapping[str, Any], target: Target, payload: bytes) -> Asked:
    return Asked(request_id_of(ctx), payload, target.arn, _client_context(req))


def _client_context(req: Mapping[str, Any]) -> str:
    """What a mobile app says of itself, as a header bears it."""
    given = req.get("ClientContext")
    if not given:
        return ""
    try:
        said = msgspec.json.decode(base64.b64decode(given, validate=True), type=dict)
    except (ValueError, msgspec.DecodeError) as error:
        raise InvalidRequestContent(
            "Client context must be a valid Base64-encoded JSON object."
        ) from error
    return json.dumps(said)


def _payload(req: Mapping[str, Any], kind: str) -> bytes:
    """The event of a request. Raises what AWS says of one that cannot be."""
    for member in ("TenantId", "DurableExecutionName"):
        if req.get(member):
            raise NotImplementedByDoppio(f"lambda: {member} exists in AWS and not in this cloud")
    given = req.get("Payload") or b""
    payload = given.encode() if isinstance(given, str) else bytes(given)
    most = limits.ASYNC_EVENT_BYTES_MAX if kind == "Event" else limits.EVENT_BYTES_MAX
    if len(payload) > most:
        raise RequestTooLarge(
            f"{len(payload)} byte payload is too large for the {kind} invocation type (limit "
            f"{most} bytes)"
        )
    if not payload:
        return b"{}"
    try:
        _check_json(payload)
    except msgspec.DecodeError as error:
        raise InvalidRequestContent(
            f"Could not parse request body into json: Could not parse payload into json: {error}"
        ) from error
    return payload


async def _read(stream: Any) -> bytes:
    """A body that comes in parts, up to a little more than it may have."""
    found = bytearray()
    async for part in stream:
        found += part
        if len(found) > limits.ASYNC_EVENT_BYTES_MAX:
            break
    return bytes(found)
