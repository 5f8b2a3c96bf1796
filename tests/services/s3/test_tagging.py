"""Tags of objects and buckets."""

from __future__ import annotations

from typing import Any

from .world import World, refused, told


def tag_set(**tags: str) -> dict[str, Any]:
    return {"TagSet": [{"Key": key, "Value": value} for key, value in tags.items()]}


@told
async def test_an_objects_tags_are_replaced_as_a_whole(world: World) -> None:
    await world.bucket()
    await world.put("key", b"x", Tagging="a=1")

    async def tags() -> Any:
        return (await world.s3("get_object_tagging", Bucket="bucket", Key="key"))["TagSet"]

    assert await tags() == [{"Key": "a", "Value": "1"}]
    await world.s3("put_object_tagging", Bucket="bucket", Key="key", Tagging=tag_set(b="2", c=""))
    assert await tags() == tag_set(b="2", c="")["TagSet"]
    await world.s3("delete_object_tagging", Bucket="bucket", Key="key")
    assert await tags() == []
    assert await world.get("key") == b"x"
    error = await refused(world.s3("get_object_tagging", Bucket="bucket", Key="none"))
    assert error.code == "NoSuchKey"


@told
async def test_each_version_has_its_own_tags(world: World) -> None:
    await world.bucket(versioning="Enabled")
    first = (await world.put("key", b"1"))["VersionId"]
    await world.put("key", b"2")
    put = await world.s3(
        "put_object_tagging", Bucket="bucket", Key="key", VersionId=first, Tagging=tag_set(a="1")
    )
    assert put["VersionId"] == first
    newest = await world.s3("get_object_tagging", Bucket="bucket", Key="key")
    assert newest["TagSet"] == []
    older = await world.s3("get_object_tagging", Bucket="bucket", Key="key", VersionId=first)
    assert older["TagSet"] == tag_set(a="1")["TagSet"]


@told
async def test_bad_tags_are_refused(world: World) -> None:
    await world.bucket()
    await world.put("key")
    many = tag_set(**{f"t{number}": "" for number in range(11)})
    double = {"TagSet": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]}
    for bad in (many, double, tag_set(**{"aws:x": "1"}), tag_set(a="\u0001"), tag_set(a="v" * 257)):
        error = await refused(
            world.s3("put_object_tagging", Bucket="bucket", Key="key", Tagging=bad)
        )
        assert (error.code, error.status) == ("InvalidTag", 400)


@told
async def test_a_buckets_tags_come_and_go(world: World) -> None:
    await world.bucket()
    await world.s3("put_bucket_tagging", Bucket="bucket", Tagging=tag_set(team="bar"))
    found = await world.s3("get_bucket_tagging", Bucket="bucket")
    assert found == tag_set(team="bar")
    await world.s3("delete_bucket_tagging", Bucket="bucket")
    assert (await refused(world.s3("get_bucket_tagging", Bucket="bucket"))).code == "NoSuchTagSet"
