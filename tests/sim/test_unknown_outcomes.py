"""A commit of which nobody hears whether it was made: on a lost database it may have been."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from doppio.app import Cloud, Settings
from doppio.kernel.memory_store import MemoryStore
from doppio.wire.errors import ServiceUnavailable
from doppio.wire.http import FileRange, Whole

LARGE = b"large" * 40_000


class Cut(MemoryStore):
    """A database whose answer is lost on its way when `cut` is set."""

    def __init__(self, disk: dict[bytes, bytes]) -> None:
        super().__init__(disk, self._verdict)
        self.cut = False

    def _verdict(self, number: int) -> bool:
        if self.cut:
            assert self._under_way is not None
            self._apply(self._under_way)
        return not self.cut


def test_a_file_stays_when_nobody_knows_whether_its_commit_was_made(tmp_path: Path) -> None:
    disk: dict[bytes, bytes] = {}

    async def put() -> None:
        store = Cut(disk)
        cloud = Cloud(Settings(data=tmp_path), store)
        await cloud.start()
        await cloud.enter(cloud.root_context(), "s3", "create_bucket", {"Bucket": "shop"})
        store.cut = True
        with pytest.raises(ServiceUnavailable):
            await cloud.enter(
                cloud.root_context(), "s3", "put_object",
                {"Bucket": "shop", "Key": "k", "Body": Whole(LARGE)},
            )  # fmt: skip
        await cloud.close()

    async def get() -> None:
        cloud = Cloud(Settings(data=tmp_path), MemoryStore(disk))
        await cloud.start()
        got = await cloud.enter(
            cloud.root_context(), "s3", "get_object", {"Bucket": "shop", "Key": "k"}
        )
        assert isinstance(got["Body"], FileRange)
        assert got["Body"].path.read_bytes() == LARGE
        await cloud.close()

    asyncio.run(put())
    asyncio.run(get())
