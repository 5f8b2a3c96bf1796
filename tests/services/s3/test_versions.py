"""Versions: what is kept, what a delete hides, what comes back."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from .world import World, refused, told


@told
async def test_versioning_has_no_status_until_it_is_set(world: World) -> None:
    await world.bucket()
    assert await world.s3("get_bucket_versioning", Bucket="bucket") == {}
    await world.version("bucket", "Enabled")
    assert await world.s3("get_bucket_versioning", Bucket="bucket") == {"Status": "Enabled"}
    error = await refused(world.version("bucket", "Off"))
    assert error.code == "MalformedXML"


@told
async def test_every_version_can_be_read(world: World) -> None:
    await world.bucket()
    await world.put("key", b"before")
    await world.version("bucket", "Enabled")
    first = (await world.put("key", b"first"))["VersionId"]
    second = (await world.put("key", b"second" * 1000))["VersionId"]
    assert await world.get("key") == b"second" * 1000
    assert await world.get("key", VersionId=second) == b"second" * 1000
    assert await world.get("key", VersionId=first) == b"first"
    assert await world.get("key", VersionId="null") == b"before"
    head = await world.s3("head_object", Bucket="bucket", Key="key")
    assert head["VersionId"] == second
    error = await refused(world.get("key", VersionId="0" * 32))
    assert (error.code, error.status) == ("NoSuchVersion", 404)
    error = await refused(world.get("key", VersionId="nonsense"))
    assert error.message == "Invalid version id specified"


@told
async def test_a_delete_hides_and_removing_the_marker_brings_back(world: World) -> None:
    await world.bucket(versioning="Enabled")
    await world.put("key", b"here")
    gone = await world.s3("delete_object", Bucket="bucket", Key="key")
    assert gone["DeleteMarker"] is True
    error = await refused(world.get("key"))
    assert error.code == "NoSuchKey"
    assert error.headers == {  # type: ignore[attr-defined]
        "x-amz-delete-marker": "true",
        "x-amz-version-id": gone["VersionId"],
    }
    error = await refused(world.get("key", VersionId=gone["VersionId"]))
    assert (error.code, error.status) == ("MethodNotAllowed", 405)
    listed = await world.s3("list_objects_v2", Bucket="bucket")
    assert listed["Contents"] == []
    back = await world.s3("delete_object", Bucket="bucket", Key="key", VersionId=gone["VersionId"])
    assert back == {"DeleteMarker": True, "VersionId": gone["VersionId"]}
    assert await world.get("key") == b"here"


@told
async def test_a_suspended_bucket_overwrites_only_the_null_version(world: World) -> None:
    await world.bucket(versioning="Enabled")
    kept = (await world.put("key", b"kept"))["VersionId"]
    await world.version("bucket", "Suspended")
    assert "VersionId" not in await world.put("key", b"null one")
    await world.put("key", b"null two")
    assert await world.get("key", VersionId="null") == b"null two"
    assert await world.get("key", VersionId=kept) == b"kept"
    listed = await world.s3("list_object_versions", Bucket="bucket")
    assert [entry["VersionId"] for entry in listed["Versions"]] == ["null", kept]
    marker = await world.s3("delete_object", Bucket="bucket", Key="key")
    assert marker == {"DeleteMarker": True, "VersionId": "null"}
    assert (await refused(world.get("key", VersionId="null"))).code == "MethodNotAllowed"
    assert await world.get("key", VersionId=kept) == b"kept"


@told
async def test_versions_are_listed_in_pages_with_the_latest_marked(world: World) -> None:
    await world.bucket(versioning="Enabled")
    for key in ("a", "b/1", "b/2", "c"):
        for body in (b"1", b"2"):
            await world.put(key, body)
    await world.s3("delete_object", Bucket="bucket", Key="c")
    everything = await all_versions(world, 1000)
    assert [(key, latest) for key, _, latest, _ in everything] == [
        ("a", True), ("a", False), ("b/1", True), ("b/1", False), ("b/2", True),
        ("b/2", False), ("c", True), ("c", False), ("c", False),
    ]  # fmt: skip
    for room in range(1, 6):
        assert await all_versions(world, room) == everything
    grouped = await world.s3("list_object_versions", Bucket="bucket", Delimiter="/")
    assert [entry["Prefix"] for entry in grouped["CommonPrefixes"]] == ["b/"]
    assert len(grouped["Versions"]) == 4
    assert len(grouped["DeleteMarkers"]) == 1
    error = await refused(world.s3("list_object_versions", Bucket="bucket", VersionIdMarker="null"))
    assert error.code == "InvalidArgument"


@told
async def test_deleted_versions_are_told_in_a_batch(world: World) -> None:
    await world.bucket(versioning="Enabled")
    version = (await world.put("key", b"1"))["VersionId"]
    result = await world.s3("delete_objects", Bucket="bucket", Delete={"Objects": [{"Key": "key"}]})
    (marked,) = result["Deleted"]
    assert marked["DeleteMarker"] is True
    result = await world.s3(
        "delete_objects",
        Bucket="bucket",
        Delete={
            "Objects": [
                {"Key": "key", "VersionId": marked["DeleteMarkerVersionId"]},
                {"Key": "key", "VersionId": version},
            ]
        },
    )
    assert result["Deleted"] == [
        {
            "Key": "key",
            "VersionId": marked["DeleteMarkerVersionId"],
            "DeleteMarker": True,
            "DeleteMarkerVersionId": marked["DeleteMarkerVersionId"],
        },
        {"Key": "key", "VersionId": version},
    ]
    assert await all_versions(world, 10) == []


async def all_versions(world: World, room: int) -> list[tuple[str, str, bool, bool]]:
    """Key, version, whether latest, whether a marker: from all pages, in order."""
    found: list[tuple[str, str, bool, bool]] = []
    req: dict[str, Any] = {}
    while True:
        page = await world.s3("list_object_versions", Bucket="bucket", MaxKeys=room, **req)
        entries = [
            (entry["Key"], entry["VersionId"], entry["IsLatest"], marker)
            for marker, member in ((False, "Versions"), (True, "DeleteMarkers"))
            for entry in page[member]
        ]
        assert len(entries) <= room
        # Ids begin with the sequence number, so within a key they sort by age.
        found += sorted(entries, key=lambda entry: entry[0])
        if not page["IsTruncated"]:
            return by_age(found)
        req = {
            "KeyMarker": page["NextKeyMarker"],
            "VersionIdMarker": page["NextVersionIdMarker"],
        }


def by_age(entries: list[tuple[str, str, bool, bool]]) -> list[tuple[str, str, bool, bool]]:
    """Markers and versions come in two lists; ids tell their order within a key."""
    newest_first = sorted(entries, key=lambda entry: entry[1], reverse=True)
    return sorted(newest_first, key=lambda entry: entry[0])


class OneKey(RuleBasedStateMachine):
    """One key under everything that can happen to it, against a list as the model."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.world = World(Path(self.folder.name))
        self.do(self.world.start())
        self.do(self.world.bucket())
        self.status = ""
        self.count = 0
        # Newest first: (id, body), a body of None for a marker.
        self.model: list[tuple[str, bytes | None]] = []

    def do(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(coroutine)

    def teardown(self) -> None:
        self.do(self.world.close())
        self.loop.close()
        self.folder.cleanup()

    def push(self, version: str | None, body: bytes | None) -> None:
        if self.status != "Enabled":
            self.model = [entry for entry in self.model if entry[0] != "null"]
            version = "null"
        assert version is not None
        self.model.insert(0, (version, body))

    @rule(size=st.sampled_from([1, 3000, 70_000]))
    def put(self, size: int) -> None:
        self.count += 1
        body = str(self.count).encode() * size
        result = self.do(self.world.put("key", body))
        self.push(result.get("VersionId"), body)

    @rule()
    def delete(self) -> None:
        result = self.do(self.world.s3("delete_object", Bucket="bucket", Key="key"))
        if self.status:
            assert result["DeleteMarker"] is True
            self.push(result["VersionId"], None)
        else:
            assert result == {}
            self.model = []

    @rule(place=st.integers(0, 5))
    def remove(self, place: int) -> None:
        if place < len(self.model):
            version, _ = self.model.pop(place)
            self.do(self.world.s3("delete_object", Bucket="bucket", Key="key", VersionId=version))

    @rule(status=st.sampled_from(["Enabled", "Suspended"]))
    def set_versioning(self, status: str) -> None:
        self.do(self.world.version("bucket", status))
        self.status = status

    @rule(place=st.integers(0, 5))
    def copy_up(self, place: int) -> None:
        if place < len(self.model) and self.model[place][1] is not None:
            version, body = self.model[place]
            result = self.do(
                self.world.s3(
                    "copy_object",
                    Bucket="bucket",
                    Key="key",
                    CopySource=f"bucket/key?versionId={version}",
                )
            )
            self.push(result.get("VersionId"), body)

    @invariant()
    def the_current_one_is_the_newest(self) -> None:
        newest = self.model[0][1] if self.model else None
        if newest is None:
            assert self.do(refused(self.world.get("key"))).code == "NoSuchKey"
        else:
            assert self.do(self.world.get("key")) == newest

    @invariant()
    def the_listing_is_the_model(self) -> None:
        page = self.do(self.world.s3("list_object_versions", Bucket="bucket"))
        found = {entry["VersionId"]: False for entry in page["Versions"]}
        found.update((entry["VersionId"], True) for entry in page["DeleteMarkers"])
        assert found == {version: body is None for version, body in self.model}
        latest = [
            entry["VersionId"]
            for entry in (*page["Versions"], *page["DeleteMarkers"])
            if entry["IsLatest"]
        ]
        assert latest == [version for version, _ in self.model[:1]]

    @invariant()
    def every_version_has_its_bytes(self) -> None:
        for version, body in self.model:
            if body is not None:
                assert self.do(self.world.get("key", VersionId=version)) == body


OneKey.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
test_any_history_of_a_key_is_its_list_of_versions = OneKey.TestCase
