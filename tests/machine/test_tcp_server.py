"""Ports that services listen at: opened, bounded, and closed with all their connections."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from pathlib import Path

from doppio.gateway import tls
from doppio.machine.drivers import Machine
from doppio.machine.tcp_server import TcpServer, TcpStream
from tests.services.world import START


async def echo(stream: TcpStream) -> None:
    """Says what it hears."""
    while data := await stream.read():
        await stream.write(data)


async def listen(
    server: TcpServer, port: int = 0, *, name: str = "n", most: int = 9, idle: float = 9.0,
    secure: bool = False,
) -> int | None:  # fmt: skip
    """Listen with an echo."""
    return await server.listen(
        name, port, echo, tls=secure, connections_max=most, idle_seconds=idle, read_bytes=99
    )


async def asks(port: int, context: ssl.SSLContext | None = None) -> bytes:
    """What a server says to a word."""
    reader, writer = await asyncio.open_connection("localhost", port, ssl=context)
    writer.write(b"word")
    if context is None:
        writer.write_eof()
        said = await reader.read()
    else:
        said = await reader.read(99)
    writer.close()
    return said


def test_what_listens_is_heard_until_it_is_quiet() -> None:
    async def story() -> None:
        machine = Machine(hosts=("127.0.0.1",))
        port = await listen(machine.tcp)
        assert port
        assert await asks(port) == b"word"
        assert await listen(machine.tcp, port) == port, "the same again is no error"
        assert await listen(machine.tcp) == port
        assert await listen(machine.tcp, port, name="other") is None, "a port has one owner"
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await machine.quiet()
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()
        try:
            await asks(port)
        except OSError:
            return
        raise AssertionError("somebody still listens")

    asyncio.run(story())


def test_a_name_moves_to_another_port() -> None:
    async def story() -> None:
        server = TcpServer(("127.0.0.1",), tls=ssl.create_default_context)
        first, other = await listen(server), await listen(server, name="other")
        assert first
        assert other
        await server.quiet("other")
        assert await listen(server, other) == other
        assert await asks(other) == b"word"
        await server.quiet_all("n")

    asyncio.run(story())


def test_who_is_silent_or_one_too_many_is_let_go() -> None:
    async def story() -> None:
        server = TcpServer(("127.0.0.1",), tls=ssl.create_default_context)
        port = await listen(server, most=1, idle=0.2)
        assert port
        silent, first = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.sleep(0.05)
        reader, second = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        async with asyncio.timeout(5):
            assert await silent.read() == b""
        first.close()
        second.close()
        await server.quiet_all("")

    asyncio.run(story())


def test_a_secure_port_shows_the_clouds_own_certificate(tmp_path: Path) -> None:
    async def story() -> None:
        authority = tls.ensure_ca(tmp_path, START)
        server = TcpServer(("127.0.0.1",), tls=lambda: tls.server_context(authority))
        port = await listen(server, secure=True)
        assert port
        client = ssl.create_default_context(cafile=str(authority.certificate))
        client.verify_flags &= ~ssl.VERIFY_X509_STRICT
        # The test's certificates are of another time.
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
        assert await asks(port, client) == b"word"
        await server.quiet_all("")

    asyncio.run(story())
