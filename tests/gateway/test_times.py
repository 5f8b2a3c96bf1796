"""How long a client has for each part of a request."""

from __future__ import annotations

import asyncio

import pytest

from doppio.wire.http import Request, Response

from .sockets import echo, get, listening, put, run, until

pytestmark = pytest.mark.usefixtures("on_each_loop")


def test_slow_clients_are_not_waited_for() -> None:
    async def story() -> None:
        async with listening(
            echo, head_seconds_max=0.05, idle_seconds_max=0.2, body_stall_seconds_max=0.05,
            sweep_seconds=0.02, small_body_bytes_max=10,
        ) as here:  # fmt: skip
            head = await here.connect()
            await head.send(b"GET / HT")
            assert (await head.answer())[0] == 408
            body = await here.connect()
            await body.send(put(b"12345")[:-2])
            assert (await body.answer())[0] == 408
            idle = await here.connect()
            assert await idle.rest() == b""
            streamed = await here.connect()
            await streamed.send(put(b"x" * 1000)[:-2])
            assert (await streamed.answer())[0] == 500
            assert [type(error).__name__ for error in here.crashes] == ["RequestTimeout"]

    run(story())


def test_each_part_of_a_request_has_its_own_time() -> None:
    async def story() -> None:
        async with listening(echo, body_stall_seconds_max=0.05, sweep_seconds=0.02) as here:
            peer = await here.connect()
            await peer.send(put(b"beans"))
            assert (await peer.answer())[2] == b"PUT /? beans"
            (connection,) = here.server._connections
            idle, whole = connection.deadline, get("/slow")
            await peer.send(whole[:9])
            await until(lambda: connection.deadline < idle)
            head = connection.deadline
            await peer.send(whole[9:-2])
            await asyncio.sleep(0.2)
            # Neither is it a body, nor does a byte now and then give it more time.
            assert connection.deadline == head
            await peer.send(whole[-2:])
            assert (await peer.answer())[2] == b"GET /slow? "

    run(story())


@pytest.mark.parametrize("streamed", [True, False])
def test_who_waits_for_an_answer_is_not_late(streamed: bool) -> None:
    async def slow(request: Request) -> Response:
        answer = await echo(request)
        await asyncio.sleep(0.3)
        return answer

    async def story() -> None:
        async with listening(slow, body_stall_seconds_max=0.05, sweep_seconds=0.02) as here:
            peer = await here.connect()
            if streamed:
                head = b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                await peer.send(head)
                await asyncio.sleep(0.02)
                await peer.send(b"5\r\nbeans\r\n0\r\n\r\n")
            else:
                following = put(b"12345", "/next")
                for part in (put(b"beans"), following[:-2]):
                    await peer.send(part)
                    await asyncio.sleep(0.02)
                await peer.send(following[-2:])
            assert (await peer.answer())[2] == b"PUT /? beans"
            if not streamed:
                assert (await peer.answer())[2] == b"PUT /next? 12345"

    run(story())
