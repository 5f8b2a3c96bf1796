from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from doppio.gateway.outgoing import send_file, send_iterator
from doppio.wire.http import FileRange


class Secured(asyncio.Transport):
    """A transport from which the kernel cannot send, as of TLS."""


async def sent(path: Path, offset: int, length: int) -> bytes:
    out: list[bytes] = []

    async def write(data: bytes) -> None:
        out.append(data)

    async def drained(_: asyncio.Transport) -> None:
        raise AssertionError("what goes through TLS need not wait")

    secured = Secured({"ssl_object": object()})
    await send_file(secured, FileRange(path, offset, length), write, drained)
    return b"".join(out)


def test_where_the_kernel_cannot_a_file_is_read_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 10_000)
    assert asyncio.run(sent(path, 3, 2_500_000)) == path.read_bytes()[3:2_500_003]
    assert asyncio.run(sent(path, 3, 0)) == b""


def test_a_file_that_ends_early_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    with pytest.raises(ConnectionAbortedError):
        asyncio.run(sent(path, 0, 6))


@pytest.mark.parametrize(("chunked", "expected"), [
    (False, b"onetwo"),
    (True, b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"),
])  # fmt: skip
def test_an_iterator_goes_out_and_is_closed(chunked: bool, expected: bytes) -> None:
    out: list[bytes] = []
    closed: list[bool] = []

    async def pieces() -> AsyncIterator[bytes]:
        try:
            for piece in (b"one", b"", b"two"):
                yield piece
        finally:
            closed.append(True)

    async def write(data: bytes) -> None:
        out.append(data)

    asyncio.run(send_iterator(pieces(), write, chunked=chunked))
    assert (b"".join(out), closed) == (expected, [True])


def test_a_client_that_breaks_off_closes_the_iterator() -> None:
    closed: list[bool] = []

    async def pieces() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x"
        finally:
            closed.append(True)

    async def write(data: bytes) -> Any:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        asyncio.run(send_iterator(pieces(), write, chunked=False))
    assert closed == [True]
