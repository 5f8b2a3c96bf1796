"""What an operation answered is read whole, in whatever form it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from doppio.kernel.bodies import READ_BYTES, pieces
from doppio.wire.http import FileRange


async def streamed() -> AsyncIterator[bytes]:
    yield b"one"
    yield b"two"


def read(body: Any) -> list[bytes]:
    """All pieces of a body."""

    async def all_of_it() -> list[bytes]:
        return [part async for part in pieces(body)]

    return asyncio.run(all_of_it())


def test_bytes_files_and_streams_are_read_piece_by_piece(tmp_path: Path) -> None:
    assert read(b"whole") == [b"whole"]
    assert read(streamed()) == [b"one", b"two"]
    content = bytes(range(256)) * (READ_BYTES // 128)
    path = tmp_path / "body"
    path.write_bytes(content)
    found = read(FileRange(path, 5, len(content) - 10))
    assert b"".join(found) == content[5:-5]
    assert max(map(len, found)) <= READ_BYTES < len(content) - 10
