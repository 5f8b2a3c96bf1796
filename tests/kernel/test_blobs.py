"""Blobs: whole or not there, and known by their ids alone.

The first part holds wherever blobs are (`stores`), the second for files.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from doppio.kernel.blobs import Blobs, BlobStore
from doppio.kernel.object_blobs import ObjectBlobs, open_object_store

from .seaweedfs import weed

NAME = "Zz0123-_45"


STORES = ["files", "memory", "folder", pytest.param("seaweedfs", marks=pytest.mark.slow)]
PIECE = 1_000


@pytest.fixture(scope="module")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with weed(tmp_path_factory.mktemp("weed")) as url:
        yield url


@pytest.fixture(params=STORES)
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    if request.param == "files":
        return Blobs(tmp_path / "blobs")
    if request.param == "seaweedfs":
        return at(request.getfixturevalue("seaweedfs").replace("PREFIX", tmp_path.name))
    if request.param == "memory":
        return at("memory:///")
    (tmp_path / "objects").mkdir()
    return at(f"file://{tmp_path}/objects")


def at(url: str) -> ObjectBlobs:
    return ObjectBlobs(open_object_store(url), piece_bytes=PIECE)


def write(blobs: BlobStore, blob_id: str, *chunks: bytes) -> None:
    async def run() -> None:
        writer = blobs.writer(blob_id)
        for chunk in chunks:
            writer.write(memoryview(chunk))
        assert writer.length == sum(map(len, chunks))
        await writer.finish()

    asyncio.run(run())


def content(blobs: BlobStore, blob_id: str, offset: int = 0, length: int = 10**9) -> bytes:
    """All that is to be read there."""
    found = b""
    try:
        while len(found) < length:
            found += blobs.read(blob_id, offset + len(found), length - len(found))
    except EOFError:
        pass
    return found


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE + 7])
def test_what_was_written_is_read_whole_and_by_ranges(blobs: BlobStore, size: int) -> None:
    body = bytes(number % 251 for number in range(size))
    name = f"body{size}"
    write(blobs, name, body[:10], b"", body[10:])
    assert content(blobs, name) == body
    for offset, length in ((0, 5), (size // 2, 700), (PIECE - 1, 2), (PIECE, 1)):
        assert content(blobs, name, offset, length) == body[offset : offset + length]
    with pytest.raises(EOFError):
        blobs.read(name, size, 1)


def test_blobs_are_listed_once_with_their_times(blobs: BlobStore) -> None:
    assert list(blobs.ids()) == []
    assert blobs.written_at(NAME) is None
    names = {f"{n:02x}00" for n in range(7)}
    for name in names:
        write(blobs, name, b"x" * 2 * PIECE)
    assert sorted(blobs.ids()) == sorted(names)
    at = blobs.written_at("0100")
    assert at is not None
    assert abs(at - time.time()) < 60


def test_deleted_blobs_are_gone_and_deleting_them_again_is_no_error(blobs: BlobStore) -> None:
    for name in ("first", "second", "third"):
        write(blobs, name, b"x" * 3 * PIECE)
    blobs.delete("first", "third", "never")
    blobs.delete("first")
    blobs.delete()
    assert list(blobs.ids()) == ["second"]
    assert content(blobs, "second") == b"x" * 3 * PIECE
    with pytest.raises((EOFError, FileNotFoundError)):
        blobs.read("first", 0, 1)


def test_an_abandoned_blob_is_gone(blobs: BlobStore) -> None:
    async def run() -> None:
        writer = blobs.writer(NAME)
        writer.write(b"half" * PIECE)
        writer.abandon()
        writer.abandon()
        await asyncio.get_running_loop().shutdown_default_executor()

    asyncio.run(run())
    assert list(blobs.ids()) == []


def test_a_blob_that_exists_is_never_written_over(blobs: BlobStore) -> None:
    write(blobs, NAME, b"first")
    with pytest.raises(FileExistsError):
        write(blobs, NAME, b"second")
    assert content(blobs, NAME) == b"first"


def test_a_place_belongs_to_who_took_it_first(blobs: BlobStore) -> None:
    assert blobs.owner() is None
    blobs.own("one")
    blobs.own("other")
    assert blobs.owner() == "one"
    assert list(blobs.ids()) == []


@pytest.mark.parametrize("name", ["../../etc", "a/b/c", "abc", "", "x" * 81, "ab\0cd", "..ab"])
def test_a_name_that_is_no_id_is_refused(blobs: BlobStore, name: str) -> None:
    for call in (blobs.writer, blobs.delete, lambda name: blobs.read(name, 0, 1)):
        with pytest.raises(AssertionError):
            call(name)


# Files.


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_a_finished_blob_is_read_by_ranges(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs")
    write(blobs, NAME, b"hello ", b"", b"w" * 100_000)
    whole = blobs.range(NAME, 0, 100_006)
    assert whole.path.read_bytes() == b"hello " + b"w" * 100_000
    part = blobs.range(NAME, 4, 3)
    assert (part.offset, part.length) == (4, 3)
    assert part.path == whole.path == blobs.path(NAME)


def test_blobs_are_spread_over_folders(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs")
    for number in range(40):
        write(blobs, f"{number:02x}00", b"x")
    assert len(list((tmp_path / "blobs").iterdir())) == 40


def test_an_abandoned_blob_leaves_nothing_not_even_an_open_file(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs")
    before = open_files()
    writer = blobs.writer(NAME)
    writer.write(b"half")
    writer.abandon()
    writer.abandon()
    assert list(blobs.ids()) == []
    assert open_files() == before


def test_an_id_is_never_used_twice(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs")
    write(blobs, NAME, b"first")
    with pytest.raises(FileExistsError):
        blobs.writer(NAME)
    assert blobs.path(NAME).read_bytes() == b"first"


def test_a_blob_is_private_to_its_owner(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs")
    write(blobs, NAME, b"x")
    assert blobs.path(NAME).stat().st_mode & 0o077 == 0
    assert blobs.path(NAME).parent.stat().st_mode & 0o077 == 0


def test_a_blob_and_its_names_are_synced_before_finish_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut a record must find its blob: the file, its name, its folder's name."""
    synced: list[str] = []
    real = os.fsync

    def fsync(number: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{number}").readlink()))
        real(number)

    monkeypatch.setattr(os, "fsync", fsync)
    blobs = Blobs(tmp_path / "blobs")
    write(blobs, NAME, b"x")
    assert {str(blobs.path(NAME)), str(blobs.path(NAME).parent), str(tmp_path / "blobs")} <= {
        *synced
    }
    synced.clear()
    write(Blobs(tmp_path / "fast", sync=False), NAME, b"x")
    assert synced == []
