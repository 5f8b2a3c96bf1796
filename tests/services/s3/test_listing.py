"""Listings: order, prefixes, delimiters, pages, encodings."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from .world import World, refused, told


def expected(keys: list[str], prefix: str, delimiter: str) -> list[str]:
    """What a listing holds, by the definition: slow, and obviously right."""
    found = []
    for key in sorted(keys, key=str.encode):
        if not key.startswith(prefix):
            continue
        at = key.find(delimiter, len(prefix)) if delimiter else -1
        entry = key if at < 0 else key[: at + len(delimiter)]
        if entry not in found or at < 0:
            found.append(entry)
    return found


async def pages(world: World, method: str, room: int, **req: Any) -> list[list[str]]:
    """All pages of a listing: keys and common prefixes of each, in order."""
    found: list[list[str]] = []
    while True:
        result = await world.s3(method, Bucket="bucket", MaxKeys=room, **req)
        entries = [entry["Key"] for entry in result["Contents"]]
        entries += [entry["Prefix"] for entry in result["CommonPrefixes"]]
        entries.sort(key=str.encode)
        assert len(entries) <= room
        found.append(entries)
        if not result["IsTruncated"]:
            return found
        if method == "list_objects_v2":
            assert result["KeyCount"] == len(entries)
            req["ContinuationToken"] = result["NextContinuationToken"]
        else:
            req["Marker"] = result.get("NextMarker", entries[-1])


texts = st.text(alphabet="ab/\0ü\U0001f600-", min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(texts, max_size=30, unique=True),
    st.sampled_from(["", "a", "a/", "ü", "b-"]),
    st.sampled_from(["", "/", "-", "a", "/a"]),
    st.integers(1, 7),
    st.sampled_from(["list_objects", "list_objects_v2"]),
)
def test_pages_together_are_the_listing(
    keys: list[str], prefix: str, delimiter: str, room: int, method: str
) -> None:
    async def check() -> None:
        with tempfile.TemporaryDirectory() as folder:
            world = World(Path(folder))
            await world.start()
            await world.bucket()
            await world.bucket("bucket-2")
            await world.put("a/outside", bucket="bucket-2")
            for key in keys:
                await world.put(key)
            found = await pages(world, method, room, Prefix=prefix, Delimiter=delimiter)
            wanted = expected(keys, prefix, delimiter)
            assert [entry for page in found for entry in page] == wanted
            assert all(len(page) == room for page in found[:-1])
            await world.close()

    asyncio.run(check())


@told
async def test_a_delimiter_leaps_over_what_it_groups(world: World) -> None:
    await world.bucket()
    for group in range(20):
        for number in range(40):
            await world.put(f"{group:02}/{number:02}")
    rows = 0
    scan = world.memory._scan

    def counted(lo: bytes, hi: bytes, limit: int, reverse: bool) -> list[tuple[bytes, bytes]]:
        nonlocal rows
        found = scan(lo, hi, limit, reverse)
        rows += len(found)
        return found

    world.memory._scan = counted  # type: ignore[method-assign]
    listed = await world.s3("list_objects_v2", Bucket="bucket", Delimiter="/")
    assert len(listed["CommonPrefixes"]) == 20
    assert rows <= 16 + 3 * 20


@told
async def test_an_entry_says_what_an_object_is(world: World) -> None:
    await world.bucket()
    put = await world.put("key", b"x" * 10, StorageClass="GLACIER_IR", ChecksumAlgorithm="SHA1")
    listed = await world.s3("list_objects_v2", Bucket="bucket", FetchOwner=True)
    (entry,) = listed["Contents"]
    assert entry["Key"] == "key"
    assert entry["ETag"] == put["ETag"]
    assert entry["Size"] == 10
    assert entry["StorageClass"] == "GLACIER_IR"
    assert entry["ChecksumAlgorithm"] == ["SHA1"]
    assert len(entry["Owner"]["ID"]) == 64
    listed = await world.s3("list_objects_v2", Bucket="bucket")
    assert "Owner" not in listed["Contents"][0]
    listed = await world.s3("list_objects", Bucket="bucket")
    assert listed["Contents"][0]["Owner"] == entry["Owner"]


@told
async def test_listings_begin_where_they_are_told(world: World) -> None:
    await world.bucket()
    for key in ("a", "b", "b/1", "b/2", "c"):
        await world.put(key)
    listed = await world.s3("list_objects_v2", Bucket="bucket", StartAfter="b")
    assert [entry["Key"] for entry in listed["Contents"]] == ["b/1", "b/2", "c"]
    assert listed["StartAfter"] == "b"
    listed = await world.s3("list_objects_v2", Bucket="bucket", StartAfter="b/1", Delimiter="/")
    assert [entry["Prefix"] for entry in listed["CommonPrefixes"]] == ["b/"]
    listed = await world.s3("list_objects", Bucket="bucket", Marker="b/", Delimiter="/")
    assert [entry["Key"] for entry in listed["Contents"]] == ["c"]
    assert listed["CommonPrefixes"] == []
    nothing = await world.s3("list_objects_v2", Bucket="bucket", MaxKeys=0)
    assert (nothing["KeyCount"], nothing["IsTruncated"]) == (0, False)
    many = await world.s3("list_objects_v2", Bucket="bucket", MaxKeys=5000)
    assert many["MaxKeys"] == 1000


@told
async def test_keys_can_be_listed_url_encoded(world: World) -> None:
    await world.bucket()
    await world.put("a +/ü\x01&")
    listed = await world.s3("list_objects_v2", Bucket="bucket", EncodingType="url", Prefix="a +")
    assert listed["Contents"][0]["Key"] == "a+%2B/%C3%BC%01%26"
    assert listed["Prefix"] == "a+%2B"
    assert listed["EncodingType"] == "url"


@told
async def test_bad_listings_are_refused(world: World) -> None:
    await world.bucket()
    for bad in (
        {"MaxKeys": -1},
        {"EncodingType": "base64"},
        {"ContinuationToken": ""},
        {"ContinuationToken": "made up"},
    ):
        error = await refused(world.s3("list_objects_v2", Bucket="bucket", **bad))
        assert (error.code, error.status) == ("InvalidArgument", 400), bad
    assert (await refused(world.s3("list_objects", Bucket="none"))).code == "NoSuchBucket"
