"""Listings: order, prefixes, delimiters, pages, encodings."""

from __future__ import annotations

import asyncio
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from doppio.kernel.records import table_of
from doppio.services.s3.glimpses import Former, Known, Listed, ListedWhole, former_of
from doppio.services.s3.records import Bucket, Checksum, Current, More, Version
from doppio.wire import model
from doppio.wire.codec import codec
from doppio.wire.xml_ import Written

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


@told
async def test_entries_are_written_as_the_model_says(world: World) -> None:
    await world.bucket()
    await world.version("bucket", "Enabled")
    for key in ("plain", "a & <b>", "ü\x01", "p/1", "p/2", "hidden"):
        await world.put(key, b"x" * len(key), ChecksumAlgorithm="SHA256")
        await world.put(key, b"new", StorageClass="STANDARD_IA")
    await world.s3("delete_object", Bucket="bucket", Key="hidden")
    await world.put("frozen", StorageClass="GLACIER")
    await world.s3("restore_object", Bucket="bucket", Key="frozen", RestoreRequest={"Days": 2})
    await world.put("thawed", StorageClass="GLACIER")
    await world.s3("restore_object", Bucket="bucket", Key="thawed", RestoreRequest={"Days": 2})
    await world.advance(timedelta(hours=5))
    await world.s3("restore_object", Bucket="bucket", Key="frozen", RestoreRequest={"Days": 9})
    service = model.load("s3")
    speaks = codec(service, "rest-xml")
    for name, method in LISTINGS.items():
        for asked in (
            {},
            {"EncodingType": "url", "Delimiter": "/"},
            {"FetchOwner": True, "OptionalObjectAttributes": ["RestoreStatus"]},
        ):
            result = await world.s3(method, Bucket="bucket", **asked)
            plain = {
                member: list(value) if isinstance(value, Written) else value
                for member, value in result.items()
            }
            operation = service.operations[name]
            written = speaks.encode(operation, result, "id").body
            assert written == speaks.encode(operation, plain, "id").body
            assert isinstance(written, bytes)
            assert written.count(b"<RestoreStatus>") == (2 if "FetchOwner" in asked else 0)


LISTINGS = {
    "ListObjects": "list_objects",
    "ListObjectsV2": "list_objects_v2",
    "ListObjectVersions": "list_object_versions",
}


@told
async def test_entries_say_what_is_being_restored(world: World) -> None:
    await world.bucket()
    await world.put("key", StorageClass="GLACIER")
    await world.s3("restore_object", Bucket="bucket", Key="key", RestoreRequest={"Days": 2})
    asked = {"Bucket": "bucket", "OptionalObjectAttributes": ["RestoreStatus"]}
    for method in LISTINGS.values():
        listed = await world.s3(method, **asked)
        (entry,) = listed.get("Contents") or listed["Versions"]
        assert entry["RestoreStatus"] == {"IsRestoreInProgress": True}
        assert (
            "RestoreStatus"
            not in (await world.s3(method, Bucket="bucket")).get("Contents", [{}])[0]
        )
    await world.advance(timedelta(hours=5))
    (entry,) = (await world.s3("list_objects_v2", **asked))["Contents"]
    head = await world.s3("head_object", Bucket="bucket", Key="key")
    assert entry["RestoreStatus"]["IsRestoreInProgress"] is False
    ends = entry["RestoreStatus"]["RestoreExpiryDate"]
    assert f"{ends:%d %b %Y %H:%M:%S} GMT" in head["Restore"]
    await world.advance(timedelta(days=4))
    (entry,) = (await world.s3("list_objects_v2", **asked))["Contents"]
    assert "RestoreStatus" not in entry


@told
async def test_listings_show_whole_seconds_as_heads_do(world: World) -> None:
    await world.bucket()
    await world.put("key")
    listed = await world.s3("list_objects_v2", Bucket="bucket")
    assert listed["Contents"][0]["LastModified"].microsecond == 0
    speaks = codec(model.load("s3"), "rest-xml")
    body = speaks.encode(model.load("s3").operations["ListObjectsV2"], listed, "id").body
    assert isinstance(body, bytes)
    assert b".000Z</LastModified>" in body


def test_listings_read_the_fields_that_stand_where_versions_have_them() -> None:
    whole = Version.__struct_fields__
    for read in (Listed, ListedWhole, Former):
        fields = read.__struct_fields__
        assert fields == whole[: len(fields)]
    old = msgspec.msgpack.encode(["b", "k", 7, "null", datetime(2030, 1, 1, tzinfo=UTC)])
    assert msgspec.msgpack.decode(old, type=ListedWhole).storage_class == "STANDARD"


def test_a_put_knows_of_the_version_it_replaces_what_it_must() -> None:
    whole = Current(
        bucket="b", key="k", sequence=7, id="null", modified=datetime(2030, 1, 1, tzinfo=UTC),
        size=3, etag="e", checksum=Checksum("CRC32", "AAAAAA=="), body=b"abc", content="c",
        storage_class="GLACIER", headers={"ContentType": "a/b"}, metadata={"a": "b"},
        more=More(owner="1", moved=datetime(2029, 1, 1, tzinfo=UTC)),
    )  # fmt: skip
    former = former_of(msgspec.msgpack.encode(whole))
    for name in get_type_hints(Former):
        if get_type_hints(Former)[name] is not msgspec.Raw:
            assert getattr(former, name) == getattr(whole, name), name
    assert {name for name in vars(Known) if not name.startswith("_")} <= {
        name for name, kind in get_type_hints(Former).items() if kind is not msgspec.Raw
    }


async def both_ways(world: World, **asked: Any) -> list[dict[str, Any]]:
    """A listing from extracts, and the same from records: what they show must be alike."""
    found = await world.s3("list_objects_v2", Bucket="bucket", **asked)
    whole = await world.s3("list_objects_v2", Bucket="bucket", FetchOwner=True, **asked)
    entries = [dict(entry) for entry in found["Contents"]]
    assert entries == without_owners(whole)
    return entries


def without_owners(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The entries of a listing that shows owners, but for these."""
    return [
        {name: value for name, value in entry.items() if name != "Owner"}
        for entry in result["Contents"]
    ]


@told
async def test_extracts_follow_all_that_happens_to_objects(world: World) -> None:
    await world.bucket()
    for key in ("a", "b & c", "d/1", "d/2", "e"):
        await world.put(key, b"first")
    await world.advance(timedelta(minutes=1))
    await world.put("a", b"longer than before", ChecksumAlgorithm="SHA1")
    await world.put("e", b"", StorageClass="STANDARD_IA")
    await world.s3("copy_object", Bucket="bucket", Key="copy", CopySource="bucket/a")
    await world.s3("delete_object", Bucket="bucket", Key="d/1")
    entries = {entry["Key"]: entry for entry in await both_ways(world)}
    assert list(entries) == ["a", "b & c", "copy", "d/2", "e"]
    assert entries["a"]["Size"] == 18
    assert entries["a"]["ChecksumAlgorithm"] == ["SHA1"]
    assert entries["e"]["StorageClass"] == "STANDARD_IA"
    assert entries["a"]["LastModified"] > entries["d/2"]["LastModified"]
    assert [one["Key"] for one in await both_ways(world, EncodingType="url")][1] == "b+%26+c"
    assert [one["Key"] for one in await both_ways(world, Prefix="d", Delimiter="/")] == []


@told
async def test_extracts_follow_versions_that_hide_and_come_back(world: World) -> None:
    await world.bucket()
    await world.version("bucket", "Enabled")
    first = await world.put("key", b"one")
    second = await world.put("key", b"three")
    assert [one["Size"] for one in await both_ways(world)] == [5]
    marker = await world.s3("delete_object", Bucket="bucket", Key="key")
    assert await both_ways(world) == []
    for version in (marker, second):
        await world.s3("delete_object", Bucket="bucket", Key="key", VersionId=version["VersionId"])
    (entry,) = await both_ways(world)
    assert (entry["Size"], entry["ETag"]) == (3, first["ETag"])


@told
async def test_extracts_follow_lifecycle_rules(world: World) -> None:
    await world.bucket()
    await world.put("kept", b"x" * 200_000)
    await world.put("gone/1", b"x")
    rules = [
        {"ID": "1", "Status": "Enabled", "Filter": {"Prefix": "kept"},
         "Transitions": [{"Days": 30, "StorageClass": "STANDARD_IA"}]},
        {"ID": "2", "Status": "Enabled", "Filter": {"Prefix": "gone/"}, "Expiration": {"Days": 2}},
    ]  # fmt: skip
    await world.s3(
        "put_bucket_lifecycle_configuration",
        Bucket="bucket", LifecycleConfiguration={"Rules": rules},
    )  # fmt: skip
    await world.advance(timedelta(days=40))
    (entry,) = await both_ways(world)
    assert (entry["Key"], entry["StorageClass"]) == ("kept", "STANDARD_IA")


@told
async def test_a_bucket_of_before_is_listed_from_its_records(world: World) -> None:
    await world.bucket()
    for key in ("a", "b"):
        await world.put(key)
    context = world.context_for("", "")
    async with context.write() as tx:
        bucket = await tx.get(Bucket, "bucket")
        assert bucket is not None
        assert bucket.extracts
        tx.put(msgspec.structs.replace(bucket, extracts=False))
        # As an older Doppio left it: no object has an extract.
        base = table_of(Current).extract_prefix
        rows = await tx.raw.scan(base, base + b"\xff", limit=10)
        assert len(rows) == 2
        for row_key, _ in rows:
            tx.raw.delete(row_key)
    assert [one["Key"] for one in await both_ways(world)] == ["a", "b"]
    await world.put("c")
    await world.s3("delete_object", Bucket="bucket", Key="a")
    assert [one["Key"] for one in await both_ways(world)] == ["b", "c"]
