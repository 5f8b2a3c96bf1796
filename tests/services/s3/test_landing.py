"""Files that bodies land in: given up under a worker's hands, and refused by a full disk."""

from __future__ import annotations

import asyncio
import resource
import signal
from collections.abc import AsyncIterator

from doppio.services.s3.landing import Landing

from .world import Chunks, World, refused, told


@told
async def test_a_full_disk_refuses_large_writes_and_serves_reads(world: World) -> None:
    await world.bucket()
    await world.put("small", b"there")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        for body in (b"x" * 200_000, Chunks([b"x" * 150_000, b"y" * 150_000])):
            error = await refused(
                world.s3("put_object", Bucket="bucket", Key="key", Body=world.body(body))
            )
            assert (error.code, error.status) == ("ServiceUnavailable", 503)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert world.files() == set()
    assert await world.get("small") == b"there"
    await world.put("key", b"x" * 200_000)
    assert await world.get("key") == b"x" * 200_000


@told
async def test_a_file_given_up_under_a_workers_hands_is_closed_when_it_lets_go(
    world: World,
) -> None:
    landing = Landing(world.blobs, "some-blob")
    landing._lock.acquire()  # as a worker that is writing
    landing.give_up()
    await asyncio.sleep(0.02)
    assert world.files() == {"some-blob"}
    landing._lock.release()
    await world.settle()
    assert world.files() == set()
    landing.write([b"a late worker"])
    assert world.files() == set()


@told
async def test_cancelling_an_upload_at_any_moment_leaves_no_file(world: World) -> None:
    await world.bucket()

    class Steady(Chunks):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            for _ in range(40):
                await asyncio.sleep(0.0005)
                yield b"x" * 262_144

    for moment in range(1, 20):
        body = Steady([], length=40 * 262_144)
        put = asyncio.ensure_future(world.s3("put_object", Bucket="bucket", Key="key", Body=body))
        await asyncio.sleep(0.001 * moment)
        put.cancel()
        await asyncio.gather(put, return_exceptions=True)
    await world.settle()
    claimed = 0 if (await refused_or_none(world)) else 1
    assert len(world.files()) == claimed


async def refused_or_none(world: World) -> bool:
    """Whether the key is not there: a commit may win against its cancellation."""
    listed = await world.s3("list_objects_v2", Bucket="bucket")
    return not listed["Contents"]
