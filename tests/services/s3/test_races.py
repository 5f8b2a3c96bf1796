"""Races: many at once, and what must hold whoever wins."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from doppio.services.s3 import objects
from doppio.services.s3.objects import new_version
from doppio.wire.errors import AwsError

from .test_multipart import begin, complete, part
from .world import World, run, told

AT_ONCE = 16


async def outcomes(calls: list[Any]) -> list[Any]:
    """What each call answered, or the code it was refused with."""
    ended = await asyncio.gather(*calls, return_exceptions=True)
    for one in ended:
        assert not isinstance(one, BaseException) or isinstance(one, AwsError), one
    return [one.code if isinstance(one, AwsError) else one for one in ended]


@told
async def test_one_of_many_conditional_writers_wins(world: World) -> None:
    await world.bucket()
    bodies = [str(number).encode() * 70_000 for number in range(AT_ONCE)]
    ended = await outcomes([world.put("key", body, IfNoneMatch="*") for body in bodies])
    assert ended.count("PreconditionFailed") == AT_ONCE - 1
    winner = next(place for place, one in enumerate(ended) if one != "PreconditionFailed")
    assert await world.get("key") == bodies[winner]
    assert len(world.files()) == 1


@told
async def test_writers_of_one_key_leave_one_version_and_one_file(world: World) -> None:
    await world.bucket()
    await outcomes([world.put("key", bytes([number]) * 70_000) for number in range(AT_ONCE)])
    got = await world.get("key")
    assert got in {bytes([number]) * 70_000 for number in range(AT_ONCE)}
    await world.advance(timedelta(minutes=6))
    assert len(world.files()) == 1


@told
async def test_writers_of_a_versioned_key_lose_nothing(world: World) -> None:
    await world.bucket(versioning="Enabled")
    bodies = {bytes([number]) * 100 for number in range(AT_ONCE)}
    ended = await outcomes([world.put("key", body) for body in bodies])
    assert len({one["VersionId"] for one in ended}) == AT_ONCE
    page = await world.s3("list_object_versions", Bucket="bucket")
    found = {await world.get("key", VersionId=one["VersionId"]) for one in page["Versions"]}
    assert found == bodies
    assert [one["IsLatest"] for one in page["Versions"]] == [True] + [False] * (AT_ONCE - 1)


def test_a_put_that_another_comes_before_is_made_again_and_is_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story(world: World) -> None:
        await world.bucket(versioning="Enabled")
        # Whoever has come so far lets another go first, while there is any.
        others = [b"1", b"2", b"3"]

        async def overtaken(*args: Any, **keywords: Any) -> Any:
            if others:
                await world.put("key", others.pop())
            return await new_version(*args, **keywords)

        monkeypatch.setattr(objects, "new_version", overtaken)
        await world.put("key", b"mine")
        page = await world.s3("list_object_versions", Bucket="bucket")
        found = [await world.get("key", VersionId=one["VersionId"]) for one in page["Versions"]]
        assert found[0] == b"mine"
        assert sorted(found) == [b"1", b"2", b"3", b"mine"]

    run(story)


@told
async def test_a_bucket_is_deleted_or_written_to_but_not_both(world: World) -> None:
    for turn in range(10):
        await world.bucket()
        deleted, put = await outcomes(
            [world.s3("delete_bucket", Bucket="bucket"), world.put("key", b"x" * turn * 1000)]
        )
        if put == "NoSuchBucket":
            assert deleted != "BucketNotEmpty"
            continue
        assert deleted == "BucketNotEmpty"
        await world.s3("delete_object", Bucket="bucket", Key="key")
        await world.s3("delete_bucket", Bucket="bucket")


@told
async def test_many_completions_make_one_version_and_all_hear_of_it(world: World) -> None:
    await world.bucket(versioning="Enabled")
    upload = await begin(world)
    etag = (await part(world, upload, 1, b"x"))["ETag"]
    ended = await outcomes([complete(world, upload, [(1, etag)]) for _ in range(AT_ONCE)])
    assert all(one == ended[0] for one in ended), ended
    listed = await world.s3("list_object_versions", Bucket="bucket")
    assert len(listed["Versions"]) == 1
    await world.settle()
    assert await world.get("key") == b"x"


@told
async def test_reads_during_writes_see_one_whole_object(world: World) -> None:
    await world.bucket()
    sizes = [100, 10_000, 100_000]
    await world.put("key", b"0")
    done = asyncio.Event()

    async def write() -> None:
        for turn in range(30):
            await world.put("key", bytes([turn]) * sizes[turn % 3])
        done.set()

    async def read() -> None:
        while not done.is_set():
            body = await world.get("key")
            assert len(set(body)) == 1
            assert len(body) in {1, *sizes}
            await asyncio.sleep(0.001)

    await asyncio.gather(write(), read(), read())
