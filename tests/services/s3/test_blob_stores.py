"""Bodies in an object store: everything that files do, by pieces of it."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from doppio.kernel.object_blobs import ObjectBlobs, open_object_store
from doppio.kernel.store import StoreClosed

from .test_multipart import begin, complete, three
from .world import Chunks, World, content, refused, told

PIECE = 100_000
BODY = bytes(number % 249 for number in range(3 * PIECE + 11))


class Shelf(ObjectBlobs):
    """Blobs in the memory of a test, which may be old, or out of reach."""

    def __init__(self) -> None:
        super().__init__(open_object_store("memory:///"), piece_bytes=PIECE)
        self.old: set[str] = set()
        self.away = False

    def written_at(self, blob_id: str) -> float | None:
        return 0.0 if blob_id in self.old else super().written_at(blob_id)

    def put(self, blob_id: str, number: int, data: bytes) -> None:
        if self.away:
            raise StoreClosed("the object store of --blobs: nobody answers")
        super().put(blob_id, number, data)


def shelved(world: World) -> Shelf:
    """The world with its blobs in an object store."""
    shelf = Shelf()
    world.blobs = shelf  # type: ignore[assignment]
    return shelf


@told
async def test_large_bodies_come_back_whole_and_by_ranges(world: World) -> None:
    shelved(world)
    await world.bucket()
    await world.put("key", BODY)
    assert await world.get("key") == BODY
    assert await world.get("key", Range="bytes=99990-100009") == BODY[99990:100010]
    assert await world.get("key", Range="bytes=-5") == BODY[-5:]
    assert len(world.files()) == 1


@told
async def test_a_range_reads_the_pieces_that_it_lies_in(world: World) -> None:
    shelf = shelved(world)
    await world.bucket()
    await world.put("key", BODY)
    asked: list[tuple[int, int]] = []
    read = shelf.read

    def counted(blob_id: str, offset: int, length: int) -> bytes:
        asked.append((offset, length))
        return read(blob_id, offset, length)

    shelf.read = counted  # type: ignore[method-assign]
    await world.get("key", Range="bytes=250000-250009")
    assert asked == [(250_000, 10)]


@told
async def test_sealed_bodies_parts_and_copies_are_there_too(world: World) -> None:
    shelf = shelved(world)
    await world.bucket()
    await world.put("sealed", BODY, ServerSideEncryption="AES256")
    assert await world.get("sealed") == BODY
    assert await world.get("sealed", Range="bytes=65530-131080") == BODY[65530:131081]
    (sealed,) = world.files()
    assert BODY[:1000] not in shelf.read(sealed, 0, PIECE)
    upload = await begin(world)
    parts, whole = await three(world, upload)
    await complete(world, upload, parts)
    assert await world.get("key") == whole
    await world.s3("copy_object", Bucket="bucket", Key="copy", CopySource="bucket/key")
    assert await world.get("copy", Range="bytes=5000000-5999999") == whole[5_000_000:6_000_000]


@told
async def test_what_nothing_refers_to_is_removed(world: World) -> None:
    shelf = shelved(world)
    await world.bucket()
    await world.put("key", BODY)
    await world.s3("delete_object", Bucket="bucket", Key="key")
    await world.advance(timedelta(minutes=6))
    assert world.files() == set()
    for orphan in ("orphan-old", "orphan-new"):
        writer = shelf.writer(orphan)
        writer.write(BODY)
        await writer.finish()
    shelf.old.add("orphan-old")
    await world.put("key", BODY)
    await world.advance(timedelta(days=1, minutes=1))
    assert "orphan-old" not in world.files()
    assert "orphan-new" in world.files()
    assert await world.get("key") == BODY


@told
async def test_a_body_that_is_refused_leaves_nothing(world: World) -> None:
    shelved(world)
    await world.bucket()
    bad = Chunks([BODY])
    error = await refused(
        world.s3("put_object", Bucket="bucket", Key="key", Body=bad, ContentMD5="A" * 22 + "==")
    )
    assert error.code == "BadDigest"
    await world.put("key", BODY)
    (kept,) = world.files()
    taken = await refused(world.put("key", BODY, IfNoneMatch="*"))
    assert taken.code == "PreconditionFailed"
    for _ in range(100):
        if world.files() == {kept}:
            break
        await asyncio.sleep(0.01)
    assert world.files() == {kept}


@told
async def test_a_store_out_of_reach_refuses_and_keeps_what_it_has(world: World) -> None:
    shelf = shelved(world)
    await world.bucket()
    await world.put("key", BODY)
    shelf.away = True
    error = await refused(world.put("key", b"new" * PIECE))
    assert (error.code, error.status) == ("ServiceUnavailable", 503)
    assert "nobody answers" in error.message
    await world.put("small", b"small ones lie with their records")
    shelf.away = False
    assert await content((await world.s3("get_object", Bucket="bucket", Key="key"))["Body"]) == BODY
