"""Small things that the tests of the wire share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from doppio.wire import model
from doppio.wire.codec import Codec, codec
from doppio.wire.errors import AwsError
from doppio.wire.http import Request, Response, Whole
from doppio.wire.model import Operation


def request(
    body: bytes = b"",
    *,
    method: str = "POST",
    path: str = "/",
    query: str = "",
    headers: Mapping[str, str] = {},
) -> Request:
    return Request(method, path, query, headers, Whole(body))


def both(service: str, protocol: str, operation: str) -> tuple[Codec, Operation]:
    found = model.load(service)
    return codec(found, protocol), found.operations[operation]


def decoded(service: str, protocol: str, operation: str, body: bytes, **parts: Any) -> Any:
    ours, op = both(service, protocol, operation)
    return ours.decode(op, request(body, **parts), {})


def encoded(service: str, protocol: str, operation: str, result: Mapping[str, Any]) -> Response:
    ours, op = both(service, protocol, operation)
    return ours.encode(op, result, "request-1")


def failed(service: str, protocol: str, operation: str | None, error: AwsError) -> Response:
    found = model.load(service)
    op = None if operation is None else found.operations[operation]
    return codec(found, protocol).encode_error(op, error, "request-1")


def header(response: Response, name: str) -> str | None:
    return dict(response.headers).get(name)


def text(response: Response) -> str:
    assert isinstance(response.body, bytes)
    return response.body.decode()


def error(code: str, message: str = "m", *, status: int = 400, **fields: Any) -> AwsError:
    kind = type("Raised", (AwsError,), {"code": code, "status": status})
    made: AwsError = kind(message, **fields)
    return made


async def listed(items: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in items]


def drained(items: Any) -> list[Any]:
    return asyncio.run(listed(items))


class Chunks:
    """A body that comes in pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self.length: int | None = None
        self.whole: bytes | None = None
        self.pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece
