from __future__ import annotations

import asyncio

import pytest

from doppio.gateway.bodies import IncompleteBody, StreamedBody, close_body


def body(held_max: int = 100) -> tuple[StreamedBody, list[bool], list[str]]:
    """A body with notes of what it asked of its connection."""
    flow: list[bool] = []
    begun: list[str] = []
    return StreamedBody(None, held_max, flow.append, lambda: begun.append("begun")), flow, begun


async def read(stream: StreamedBody) -> bytes:
    return b"".join([bytes(chunk) async for chunk in stream])


def test_what_was_fed_is_read_in_order() -> None:
    stream, _, begun = body()
    for chunk in (b"a", b"b"):
        stream.feed(chunk)
    stream.end()
    assert begun == []
    assert asyncio.run(read(stream)) == b"ab"
    assert begun == ["begun"]


def test_a_reader_waits_for_more() -> None:
    async def story() -> None:
        stream, _, _ = body()
        reading = asyncio.create_task(read(stream))
        for chunk in (b"x", b"y"):
            await asyncio.sleep(0)
            stream.feed(chunk)
        await asyncio.sleep(0)
        assert not reading.done()
        stream.end()
        assert await reading == b"xy"

    asyncio.run(story())


def test_too_much_waiting_stops_the_flow_until_half_is_read() -> None:
    async def story() -> None:
        stream, flow, _ = body(held_max=100)
        for _ in range(3):
            stream.feed(b"z" * 40)
        assert flow == [False]
        chunks = aiter(stream)
        await anext(chunks)
        assert flow == [False]
        await anext(chunks)
        assert flow == [False, True]

    asyncio.run(story())


def test_an_error_comes_after_what_arrived_before_it() -> None:
    async def story() -> None:
        stream, _, _ = body()
        stream.feed(b"first")
        stream.end(IncompleteBody())
        chunks = aiter(stream)
        assert await anext(chunks) == b"first"
        with pytest.raises(IncompleteBody):
            await anext(chunks)

    asyncio.run(story())


def test_what_nobody_reads_is_counted_and_dropped() -> None:
    stream, flow, _ = body(held_max=10)
    stream.feed(b"x" * 20)
    stream.drop()
    stream.feed(b"y" * 5)
    assert (stream.dropped, stream._held, flow) == (5, 0, [False, True])


def test_an_iterator_is_closed_and_what_is_none_is_left() -> None:
    closed: list[bool] = []

    class Closable:
        async def aclose(self) -> None:
            closed.append(True)

    asyncio.run(close_body(Closable()))
    asyncio.run(close_body(b"bytes"))
    assert closed == [True]
