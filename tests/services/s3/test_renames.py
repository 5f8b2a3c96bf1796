"""Renames in directory buckets."""

from __future__ import annotations

from datetime import timedelta

from tests.services.world import World, refused, told

from .directories import get, make, of, put, s3


@told
async def test_a_rename_keeps_everything_but_the_key(world: World) -> None:
    await make(world)
    await put(world, "old/ü", b"m" * 100_000, Metadata={"a": "b"})
    head = await s3(world, "head_object", Key="old/ü")
    await world.advance(minutes=1)
    await put(world, "new", b"there before")
    await s3(world, "rename_object", Key="new", RenameSource="old/%C3%BC")
    assert await s3(world, "head_object", Key="new") == head
    assert await get(world, "new") == b"m" * 100_000
    assert (await refused(get(world, "old/ü"))).code == "NoSuchKey"
    await world.advance(hours=1)
    assert await get(world, "new") == b"m" * 100_000
    listed = await s3(world, "list_objects_v2")
    assert [one["Key"] for one in listed["Contents"]] == ["new"]


@told
async def test_a_rename_may_depend_on_both_ends(world: World) -> None:
    await make(world)
    etag = (await put(world, "a", b"1"))["ETag"]
    at = (await s3(world, "head_object", Key="a"))["LastModified"]
    await put(world, "b", b"2")
    later = at + timedelta(hours=1)
    for more in (
        {"DestinationIfNoneMatch": "*"},
        {"DestinationIfMatch": etag},
        {"DestinationIfUnmodifiedSince": at - timedelta(hours=1)},
        {"DestinationIfModifiedSince": later},
        {"SourceIfMatch": '"other"'},
        {"SourceIfNoneMatch": etag},
        {"SourceIfNoneMatch": "*"},
        {"SourceIfModifiedSince": later},
        {"SourceIfUnmodifiedSince": at - timedelta(hours=1)},
    ):
        call = s3(world, "rename_object", Key="b", RenameSource="a", **more)
        assert await of(world, call) == ("PreconditionFailed", 412), more
    call = s3(world, "rename_object", Key="b", RenameSource="none")
    assert await of(world, call) == ("NoSuchKey", 404)
    await s3(world, "rename_object", Key="b", RenameSource="a", SourceIfMatch=etag)
    assert await get(world, "b") == b"1"


@told
async def test_a_rename_with_a_token_is_done_once(world: World) -> None:
    await make(world)
    await put(world, "a", b"1")
    asked = {"Key": "b", "RenameSource": "a", "ClientToken": "token-1"}
    await s3(world, "rename_object", **asked)
    await put(world, "a", b"another")
    await s3(world, "rename_object", **asked)
    assert await get(world, "b") == b"1"
    call = s3(world, "rename_object", **{**asked, "Key": "c"})
    assert await of(world, call) == ("IdempotencyParameterMismatch", 400)
    for token in ("", "t" * 65, "with space"):
        call = s3(world, "rename_object", **{**asked, "ClientToken": token})
        assert (await refused(call)).code == "InvalidArgument"
    await world.advance(days=2)
    await s3(world, "rename_object", **asked)
    assert await get(world, "b") == b"another"
