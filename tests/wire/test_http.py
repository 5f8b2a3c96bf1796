"""Requests and responses as values."""

from __future__ import annotations

import asyncio

from doppio.wire.http import Response, Whole


def test_a_whole_body_is_there_at_once_and_can_be_iterated() -> None:
    async def read(body: Whole) -> list[bytes]:
        return [chunk async for chunk in body]

    body = Whole(b"abc")
    assert (body.whole, body.length) == (b"abc", 3)
    assert asyncio.run(read(body)) == [b"abc"]
    assert asyncio.run(read(Whole(b""))) == []


def test_a_response_is_an_empty_success_by_default() -> None:
    response = Response()
    assert (response.status, response.headers, response.body) == (200, [], b"")
