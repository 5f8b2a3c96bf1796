"""Reclaiming: nothing that is referred to goes, everything else does."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from doppio.kernel.jobs import Job
from doppio.kernel.store import StoreClosed
from doppio.services.s3.reclaim import RECLAIM

from .test_multipart import begin, complete, three
from .world import Chunks, World, content, told

AGES = timedelta(days=3)


def aged(world: World, blob: str) -> None:
    """Make a file look as old as the sweeper wants it."""
    then = world.clock.host.seconds() - AGES.total_seconds()
    os.utime(world.blobs.path(blob), (then, then))


@told
async def test_the_sweeper_removes_old_files_that_nobody_claims(world: World) -> None:
    await world.bucket()
    await world.put("key", b"x" * 80_000)
    (claimed,) = world.files()
    for blob in ("orphan-old", "orphan-new"):
        writer = world.blobs.writer(blob)
        writer.write(b"lost")
        await writer.finish()
    aged(world, "orphan-old")
    aged(world, claimed)
    await world.advance(timedelta(days=1, minutes=1))
    assert world.files() == {claimed, "orphan-new"}
    aged(world, "orphan-new")
    await world.advance(timedelta(days=1, minutes=1))
    assert world.files() == {claimed}
    assert await world.get("key") == b"x" * 80_000


@told
async def test_the_sweeper_leaves_alone_what_is_being_written(world: World) -> None:
    await world.bucket()
    going_on = asyncio.Event()

    class Slow(Chunks):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"x" * 80_000
            await going_on.wait()
            yield b"y" * 80_000

    body = Slow([], length=160_000)
    put = asyncio.ensure_future(world.s3("put_object", Bucket="bucket", Key="key", Body=body))
    await world.settle()
    (blob,) = world.files()
    aged(world, blob)
    await world.advance(timedelta(days=1, minutes=1))
    assert world.files() == {blob}
    going_on.set()
    await put
    assert await world.get("key") == b"x" * 80_000 + b"y" * 80_000


@told
async def test_a_sender_that_goes_away_leaves_nothing(world: World) -> None:
    await world.bucket()

    class Cut(Chunks):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"x" * 2_000_000
            raise asyncio.CancelledError

    put = world.s3("put_object", Bucket="bucket", Key="key", Body=Cut([], length=3_000_000))
    with pytest.raises(asyncio.CancelledError):
        await asyncio.ensure_future(put)
    assert world.files() == set()


@told
async def test_a_download_under_way_keeps_its_files(world: World) -> None:
    await world.bucket()
    upload = await begin(world)
    parts, body = await three(world, upload)
    await complete(world, upload, parts)
    got = await world.s3("get_object", Bucket="bucket", Key="key")
    stream = got["Body"]
    first = await anext(stream)
    await world.s3("delete_object", Bucket="bucket", Key="key")
    await world.advance(timedelta(minutes=6))
    assert len(world.files()) == 3
    assert first + await content(stream) == body
    await world.advance(timedelta(minutes=6))
    assert world.files() == set()


@told
async def test_reclaiming_twice_is_the_same_as_once(world: World) -> None:
    await world.bucket()
    await world.put("key", b"x" * 80_000)
    (blob,) = world.files()
    await world.put("key", b"")
    await world.advance(timedelta(minutes=6))
    assert world.files() == set()
    context = world.context_for("", "")
    async with context.write() as tx:
        await tx.schedule(context.now, RECLAIM, blob)
    await world.settle()
    assert await context.read().get(Job, RECLAIM, blob) is None


@told
async def test_a_copy_made_before_the_files_go_keeps_them(world: World) -> None:
    await world.bucket()
    await world.put("key", b"x" * 80_000)
    await world.s3("copy_object", Bucket="bucket", Key="copy", CopySource="bucket/key")
    await world.s3("delete_object", Bucket="bucket", Key="key")
    await world.advance(timedelta(minutes=6))
    assert await world.get("copy") == b"x" * 80_000


@told
async def test_a_crash_before_the_commit_leaves_the_old_object(world: World) -> None:
    await world.bucket()
    await world.put("key", b"old" * 30_000)
    put = asyncio.ensure_future(world.put("key", b"new" * 30_000))
    while not put.done():
        if world.memory._scheduled and len(world.files()) == 2:
            world.memory.crash()
        await asyncio.sleep(0)
    ended = put.exception()
    assert isinstance(ended, StoreClosed) or getattr(ended, "code", "") == "ServiceUnavailable"
    # The new file waits for the sweeper: here nobody knows that its commit was not made.
    assert await world.get("key") == b"old" * 30_000
