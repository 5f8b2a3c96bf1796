from __future__ import annotations

import asyncio

import pytest

from doppio.wire.http import Request, Response

from .sockets import echo, get, listening, run

pytestmark = pytest.mark.usefixtures("on_each_loop")


def test_a_client_too_many_is_turned_away() -> None:
    async def story() -> None:
        async with listening(echo, connections_max=2) as here:
            first, second = await here.connect(), await here.connect()
            for peer in (first, second):
                await peer.send(get())
                assert (await peer.answer())[0] == 200
            third = await here.connect()
            assert await third.rest() == b""
            await first.close()
            await asyncio.sleep(0.05)
            fourth = await here.connect()
            await fourth.send(get())
            assert (await fourth.answer())[0] == 200

    run(story())


def test_closing_lets_what_is_under_way_finish_and_ends_idle_connections() -> None:
    go = asyncio.Event()

    async def slow(request: Request) -> Response:
        await go.wait()
        return await echo(request)

    async def story() -> None:
        async with listening(slow) as here:
            busy, idle = await here.connect(), await here.connect()
            await busy.send(get("/last"))
            await asyncio.sleep(0.02)
            closing = asyncio.create_task(here.server.close(5))
            assert await idle.rest() == b""
            go.set()
            _, headers, body = await busy.answer()
            assert (headers["connection"], body) == ("close", b"GET /last? ")
            await asyncio.wait_for(closing, 5)

    run(story())


def test_closing_ends_what_takes_longer_than_the_grace() -> None:
    async def never(request: Request) -> Response:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    async def story() -> None:
        async with listening(never) as here:
            peer = await here.connect()
            await peer.send(get())
            await asyncio.sleep(0.02)
            await asyncio.wait_for(here.server.close(0.05), 5)
            assert await peer.rest() == b""

    run(story())


def test_an_idle_listener_has_no_timer() -> None:
    async def story() -> None:
        async with listening(echo, sweep_seconds=0.02) as here:
            assert here.server._sweep is None
            peer = await here.connect()
            await peer.send(get())
            await peer.answer()
            assert here.server._sweep is not None
            await peer.close()
            await asyncio.sleep(0.1)
            assert here.server._sweep is None

    run(story())


def test_requests_that_come_together_start_together_and_answers_keep_their_order() -> None:
    started: list[str] = []

    async def noting(request: Request) -> Response:
        started.append(request.path)
        return await echo(request)

    async def story() -> None:
        async with listening(noting) as here:
            here.server.soon(lambda _: started.append("batch ends"), None)
            peers = [await here.connect() for _ in range(8)]
            started.clear()
            for number, peer in enumerate(peers):
                peer.writer.write(get(f"/{number}"))
            for number, peer in enumerate(peers):
                assert (await peer.answer())[2] == f"GET /{number}? ".encode()
            assert sorted(started) == [f"/{number}" for number in range(8)]

    run(story())


def test_one_failure_in_a_batch_is_reported_and_the_others_run() -> None:
    ran: list[int] = []
    reported: list[str] = []

    def work(number: int) -> None:
        if number == 1:
            raise KeyError(number)
        ran.append(number)

    async def story() -> None:
        asyncio.get_running_loop().set_exception_handler(
            lambda loop, context: reported.append(repr(context["exception"]))
        )
        async with listening(echo) as here:
            for number in range(4):
                here.server.late(work, number)
            await asyncio.sleep(0.02)

    run(story())
    assert ran == [0, 2, 3]
    assert reported == ["KeyError(1)"]
