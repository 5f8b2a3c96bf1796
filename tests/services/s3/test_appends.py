"""Appending to objects of directory buckets."""

from __future__ import annotations

import asyncio
import tempfile
from datetime import timedelta
from pathlib import Path

import msgspec

from doppio.kernel.memory_store import MemoryStore
from doppio.kernel.store import StoreClosed
from doppio.services.s3.records import Current
from doppio.wire.errors import AwsError
from tests.services.world import ACCOUNT, World, refused, told

from .directories import BUCKET, PLACE, get, make, of, put, s3
from .world import World as Alone

SIZES = (3, 5_000, 80_000)


@told
async def test_appending_asks_for_the_right_offset(world: World) -> None:
    await make(world)
    late = put(world, "k", b"x", WriteOffsetBytes=1)
    assert await of(world, late) == ("InvalidWriteOffset", 400)
    await put(world, "k", b"one", WriteOffsetBytes=0, Metadata={"a": "b"})
    for more, code in (
        ({"WriteOffsetBytes": 2}, "InvalidWriteOffset"),
        ({"WriteOffsetBytes": 0}, "InvalidWriteOffset"),
        ({"WriteOffsetBytes": 3, "Metadata": {"c": "d"}}, "InvalidRequest"),
        ({"WriteOffsetBytes": 3, "IfNoneMatch": "*"}, "PreconditionFailed"),
        ({"WriteOffsetBytes": 3, "IfMatch": '"other"'}, "PreconditionFailed"),
        ({"WriteOffsetBytes": 3, "ChecksumSHA1": "qZk+NkcGgWq6PiVxeFDCbJzQ2J0="}, "InvalidRequest"),
    ):
        assert (await refused(put(world, "k", b"two", **more))).code == code
    empty = await refused(put(world, "k", b"", WriteOffsetBytes=3))
    assert empty.message == "Request body cannot be empty when 'write offset' is specified."
    assert await get(world, "k") == b"one"
    body = b"one"
    for size in (1, 5_000, 100_000, 7):
        await put(world, "k", b"z" * size, WriteOffsetBytes=len(body))
        body += b"z" * size
        assert await get(world, "k") == body
    got = await s3(world, "get_object", Key="k", ChecksumMode="ENABLED")
    whole = await s3(world, "put_object", Key="whole", Body=body)
    assert got["ChecksumCRC64NVME"] == whole["ChecksumCRC64NVME"]
    assert got["Metadata"] == {"a": "b"}
    await world.advance(hours=1)
    assert await get(world, "k") == body


@told
async def test_hashes_of_appended_pieces_become_composite(world: World) -> None:
    await make(world)
    for offset, text in ((0, b"one"), (3, b"two"), (6, b"three")):
        told_of = await put(world, "k", text, WriteOffsetBytes=offset, ChecksumAlgorithm="SHA256")
    assert told_of["ChecksumType"] == "COMPOSITE"
    assert told_of["ChecksumSHA256"].endswith("-3")


@told
async def test_what_a_copy_shares_is_not_appended_to(world: World) -> None:
    await make(world)
    big = b"m" * 100_000
    await put(world, "k", big)
    await s3(world, "copy_object", Key="copy", CopySource=f"{BUCKET}/k")
    await put(world, "k", b"more", WriteOffsetBytes=len(big))
    assert await get(world, "copy") == big
    await s3(world, "delete_object", Key="copy")
    await world.advance(hours=1)
    assert await get(world, "k") == big + b"more"


@told
async def test_of_two_appends_at_one_offset_one_is_kept(world: World) -> None:
    await make(world)
    await put(world, "k", b"one")
    both = await asyncio.gather(
        put(world, "k", b"two", WriteOffsetBytes=3),
        put(world, "k", b"six", WriteOffsetBytes=3),
        return_exceptions=True,
    )
    assert sorted(type(one).__name__ for one in both) == ["InvalidWriteOffset", "dict"]
    assert len(await get(world, "k")) == 6


@told
async def test_ten_thousand_pieces_are_the_most(world: World) -> None:
    await make(world)
    await put(world, "k", b"one")
    async with world.cloud.context_for(ACCOUNT, "us-east-1").write() as tx:
        current = await tx.get(Current, BUCKET, "k")
        assert current is not None
        tx.put(msgspec.structs.replace(current, parts_count=10_000))
    call = put(world, "k", b"x", WriteOffsetBytes=3)
    assert await of(world, call) == ("TooManyParts", 400)


def crash_at(group: int) -> bool:
    """Crash at one group of commits, come back, and find every byte that was acknowledged."""

    async def story(folder: Path) -> bool:
        store = MemoryStore(reaches_disk=lambda number: number != group)
        world = Alone(folder, store)
        await world.start()
        there, crashed = b"", False
        try:
            await world.s3("create_bucket", Bucket=BUCKET, CreateBucketConfiguration=PLACE)
            for size in SIZES:
                body, offset = b"z" * size, len(there)
                await world.put("k", body, bucket=BUCKET, WriteOffsetBytes=offset)
                there += body
            renamed = {"RenameSource": "k", "ClientToken": "t"}
            await world.s3("rename_object", Bucket=BUCKET, Key="new", **renamed)
        except (AwsError, StoreClosed):
            crashed = True
        await world.jobs.close()
        again = Alone(folder, MemoryStore(store.disk))
        await again.start()
        for _ in range(2):
            if there:
                listed = await again.s3("list_objects_v2", Bucket=BUCKET)
                (name,) = [one["Key"] for one in listed["Contents"]]
                found = await again.get(name, BUCKET)
                assert found in {there, *(there + b"z" * size for size in SIZES)}
                assert name == "new" or crashed
            await again.advance(timedelta(hours=1))
        await again.close()
        return crashed

    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(story(Path(folder)))


def test_a_crash_at_any_commit_loses_nothing_that_was_appended() -> None:
    group = 1
    while crash_at(group):
        group += 1
    assert group > 5
