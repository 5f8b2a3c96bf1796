"""Blobs: whole or not there, and known by their ids alone."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from doppio.kernel.blobs import Blobs

NAME = "Zz0123-_45"


def write(blobs: Blobs, blob_id: str, *chunks: bytes) -> None:
    async def run() -> None:
        writer = blobs.writer(blob_id)
        for chunk in chunks:
            writer.write(memoryview(chunk))
        assert writer.length == sum(map(len, chunks))
        await writer.finish()

    asyncio.run(run())


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


def test_blobs_are_spread_over_folders_and_listed(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs")
    assert list(blobs.ids()) == []
    names = {f"{n:02x}00" for n in range(40)}
    for name in names:
        write(blobs, name, b"x")
    assert set(blobs.ids()) == names
    assert len(list((tmp_path / "blobs").iterdir())) == 40


def test_a_deleted_blob_is_gone_and_deleting_it_again_is_no_error(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs")
    write(blobs, NAME, b"x")
    blobs.delete(NAME)
    blobs.delete(NAME)
    assert list(blobs.ids()) == []


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


@pytest.mark.parametrize("name", ["../../etc", "a/b/c", "abc", "", "x" * 81, "ab\0cd", "..ab"])
def test_a_name_that_is_no_id_is_refused(tmp_path: Path, name: str) -> None:
    blobs = Blobs(tmp_path / "blobs")
    with pytest.raises(AssertionError):
        blobs.path(name)


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
