"""Files on their way to clients: whole, at the clients' pace, and let go whatever happens."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from doppio.wire.http import FileRange, Request, Response

from .sockets import echo, get, listening, run, until

pytestmark = pytest.mark.usefixtures("on_each_loop")


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_part_of_a_file_is_sent(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789" * 100_000)

    async def handler(request: Request) -> Response:
        return Response(200, [], FileRange(path, 5, 900_000))

    async def story() -> None:
        async with listening(handler) as here:
            peer = await here.connect()
            for _ in range(2):
                await peer.send(get())
                _, headers, body = await peer.answer()
                assert headers["content-length"] == "900000"
                assert body == path.read_bytes()[5:900_005]

    run(story())


def test_a_file_goes_at_the_pace_of_who_reads_it_and_lets_others_pass(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(1_000_000) * 24)

    async def handler(request: Request) -> Response:
        if request.path == "/file":
            return Response(200, [], FileRange(path, 7, 23_000_000))
        return await echo(request)

    async def story() -> None:
        async with listening(handler) as here:
            peer, other = await here.connect(limit=1_000_000), await here.connect()
            await peer.send(get("/file") + get("/after"))
            await peer.head()
            await asyncio.sleep(0.02)
            await other.send(get("/other"))
            assert (await other.answer())[2] == b"GET /other? "
            assert await peer.reader.readexactly(23_000_000) == path.read_bytes()[7:23_000_007]
            assert (await peer.answer())[2] == b"GET /after? "

    run(story())


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="Linux lists what is open")
def test_a_client_that_goes_away_in_the_middle_of_a_file_leaves_nothing_open(
    tmp_path: Path,
) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(24_000_000))

    async def handler(request: Request) -> Response:
        return Response(200, [], FileRange(path, 0, 24_000_000))

    async def story() -> None:
        async with listening(handler) as here:
            before = open_files()
            for number in range(6):
                peer = await here.connect()
                await peer.send(get())
                await peer.head()
                if number % 2:
                    peer.writer.transport.abort()
                else:
                    await peer.close()
            await until(lambda: not here.server._connections)
            await until(lambda: open_files() == before)
            assert here.crashes == []

    run(story())


def test_a_file_shorter_than_its_record_ends_the_connection(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"short")

    async def handler(request: Request) -> Response:
        return Response(200, [], FileRange(path, 0, 1000))

    async def story() -> None:
        async with listening(handler) as here:
            peer = await here.connect()
            await peer.send(get())
            await peer.head()
            assert len(await peer.rest()) < 1000

    run(story())
