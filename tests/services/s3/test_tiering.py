"""Intelligent-Tiering: what nobody accesses gets cheaper, and what somebody does is at hand again."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

import pytest

from doppio.kernel.store import StoreClosed
from doppio.services.s3 import tiering
from doppio.services.s3.records import Current
from tests.services.s3.test_inventories import crashing
from tests.services.s3.test_notices import ask, open_queue, records
from tests.services.world import World, refusal, refused, told

LARGE = b"b" * (128 * 1024)
_ARCHIVES = [
    {"Days": 100, "AccessTier": "ARCHIVE_ACCESS"},
    {"Days": 200, "AccessTier": "DEEP_ARCHIVE_ACCESS"},
]


async def s3(world: World, method: str, **req: Any) -> Any:
    return await world.call("s3", method, **{"Bucket": "bucket", **req})


async def put(world: World, key: str = "k", body: bytes = LARGE, **req: Any) -> Any:
    return await s3(
        world, "put_object", Key=key, Body=body, StorageClass="INTELLIGENT_TIERING", **req
    )


async def prepared(world: World) -> None:
    await s3(world, "create_bucket")
    await put(world)


async def configure(world: World, name: str = "all", **more: Any) -> None:
    document = {"Id": name, "Status": "Enabled", "Tierings": _ARCHIVES, **more}
    await s3(
        world, "put_bucket_intelligent_tiering_configuration", Id=name,
        IntelligentTieringConfiguration=document,
    )  # fmt: skip


async def tier(world: World, key: str = "k") -> str:
    """In which tier an object lies; empty is the first."""
    reader = world.cloud.root_context().read()
    [found] = [one for one in await reader.list(Current, limit=99) if one.key == key]
    return "" if found.more is None else found.more.tier


async def days(world: World, count: int) -> None:
    """Days pass, one after the other."""
    for _ in range(count):
        await world.advance(days=1)


@told
async def test_objects_move_after_thirty_and_ninety_days_without_an_access(world: World) -> None:
    await prepared(world)
    await days(world, 29)
    assert await tier(world) == ""
    await days(world, 1)
    assert await tier(world) == "IA"
    await days(world, 59)
    assert await tier(world) == "IA"
    await days(world, 1)
    assert await tier(world) == "AIA"
    await world.advance(days=900)
    assert await tier(world) == "AIA"
    head = await s3(world, "head_object", Key="k")
    assert head["StorageClass"] == "INTELLIGENT_TIERING"
    assert "ArchiveStatus" not in head
    assert "ArchiveStatus" not in await s3(world, "get_object", Key="k")


@told
async def test_a_month_that_passes_at_once_moves_them_too(world: World) -> None:
    await prepared(world)
    await world.advance(days=31)
    assert await tier(world) == "IA"


@pytest.mark.parametrize("kind", ["get_object", "copy_object", "head_object", "get_object_tagging"])
def test_reading_brings_an_object_back_and_looking_at_it_does_not(kind: str) -> None:
    @told
    async def story(world: World) -> None:
        await prepared(world)
        await world.advance(days=95)
        assert await tier(world) == "AIA"
        if kind == "copy_object":
            await s3(world, kind, Key="copy", CopySource="bucket/k")
        else:
            await s3(world, kind, Key="k")
        back = kind in {"get_object", "copy_object"}
        assert await tier(world) == ("" if back else "AIA")
        await world.advance(days=29)
        assert await tier(world) == ("" if back else "AIA")
        await world.advance(days=2)
        assert await tier(world) == ("IA" if back else "AIA")

    story()


@told
async def test_an_access_is_written_down_once_a_day(world: World) -> None:
    await prepared(world)
    await world.advance(days=20)
    groups = world.memory.groups
    await s3(world, "get_object", Key="k")
    await world.cloud.audit.flush()
    first = world.memory.groups - groups
    await world.advance(hours=1)
    groups = world.memory.groups
    for _ in range(5):
        await s3(world, "get_object", Key="k")
    await world.cloud.audit.flush()
    assert world.memory.groups - groups < first + 1
    await world.advance(days=15)
    assert await tier(world) == ""


@told
async def test_small_objects_and_other_classes_stay_where_they_are(world: World) -> None:
    await s3(world, "create_bucket")
    await put(world, "small", LARGE[:-1])
    await s3(world, "put_object", Key="plain", Body=LARGE)
    await world.advance(days=400)
    for key in ("small", "plain"):
        await s3(world, "get_object", Key=key)
        assert await tier(world, key) == ""


@told
async def test_archive_tiers_are_for_those_whom_a_configuration_names(world: World) -> None:
    await s3(world, "create_bucket")
    await put(world, "a/x", Tagging="keep=no")
    await put(world, "a/y")
    await put(world, "b", Tagging="keep=no")
    both = {"And": {"Prefix": "a/", "Tags": [{"Key": "keep", "Value": "no"}]}}
    await configure(world, Filter=both)
    await configure(world, "off", Status="Disabled")
    await world.advance(days=99)
    assert await tier(world, "a/x") == "AIA"
    await world.advance(days=1)
    assert [await tier(world, key) for key in ("a/x", "a/y", "b")] == ["AA", "AIA", "AIA"]
    assert (await s3(world, "head_object", Key="a/x"))["ArchiveStatus"] == "ARCHIVE_ACCESS"
    await world.advance(days=100)
    assert await tier(world, "a/x") == "DAA"
    assert (await s3(world, "head_object", Key="a/x"))["ArchiveStatus"] == "DEEP_ARCHIVE_ACCESS"


@told
async def test_what_is_archived_is_read_only_after_it_was_restored(world: World) -> None:
    await prepared(world)
    await configure(world)
    await world.advance(days=101)
    error = await refused(s3(world, "get_object", Key="k"))
    assert (error.code, error.status) == ("InvalidObjectState", 403)
    assert error.message == "The operation is not valid for the object's storage class"
    assert error.fields == {"StorageClass": "INTELLIGENT_TIERING", "AccessTier": "ARCHIVE_ACCESS"}
    assert (await refusal(s3(world, "copy_object", Key="c", CopySource="bucket/k")))[0] == (
        "InvalidObjectState"
    )
    wrong = {"Days": 3, "GlacierJobParameters": {"Tier": "Standard"}}
    assert (await refusal(s3(world, "restore_object", Key="k", RestoreRequest=wrong)))[0] == (
        "MalformedXML"
    )
    right = {"GlacierJobParameters": {"Tier": "Standard"}}
    assert (await s3(world, "restore_object", Key="k", RestoreRequest=right))["@status"] == 202
    head = await s3(world, "head_object", Key="k")
    assert head["Restore"] == 'ongoing-request="true"'
    assert head["ArchiveStatus"] == "ARCHIVE_ACCESS"
    assert (await refusal(s3(world, "restore_object", Key="k", RestoreRequest=right)))[0] == (
        "RestoreAlreadyInProgress"
    )
    await world.advance(hours=3)
    assert (await refusal(s3(world, "get_object", Key="k")))[0] == "InvalidObjectState"
    await world.advance(hours=1)
    assert await tier(world) == ""
    head = await s3(world, "head_object", Key="k")
    assert "Restore" not in head
    assert "ArchiveStatus" not in head
    await s3(world, "get_object", Key="k")
    await world.advance(days=29)
    assert await tier(world) == ""
    assert await refusal(s3(world, "restore_object", Key="k", RestoreRequest=right)) == (
        "InvalidObjectState", "Restore is not allowed for the object's current storage class",
    )  # fmt: skip


@told
async def test_deep_archives_take_longer_and_know_no_hurry(world: World) -> None:
    await prepared(world)
    await configure(world)
    await world.advance(days=201)
    hurry = {"GlacierJobParameters": {"Tier": "Expedited"}}
    assert (await refusal(s3(world, "restore_object", Key="k", RestoreRequest=hurry)))[0] == (
        "InvalidArgument"
    )
    bulk = {"GlacierJobParameters": {"Tier": "Bulk"}}
    await s3(world, "restore_object", Key="k", RestoreRequest=bulk)
    await world.advance(hours=47)
    assert await tier(world) == "DAA"
    await world.advance(hours=1)
    assert await tier(world) == ""


@told
async def test_events_tell_of_archiving_and_of_coming_back(world: World) -> None:
    await s3(world, "create_bucket")
    queue = await open_queue(world)
    await ask(world, queue, "s3:IntelligentTiering", "s3:ObjectRestore:*")
    await records(world, queue)
    await put(world)
    await configure(world)
    await world.advance(days=95)
    assert await records(world, queue) == []
    await world.advance(days=6)
    [archived] = await records(world, queue)
    assert archived["eventName"] == "IntelligentTiering"
    assert archived["intelligentTieringEventData"] == {"destinationAccessTier": "ARCHIVE_ACCESS"}
    assert archived["eventVersion"] == "2.3"
    await s3(world, "restore_object", Key="k", RestoreRequest={})
    await world.advance(hours=5)
    told = [one["eventName"] for one in await records(world, queue)]
    assert told == ["ObjectRestore:Post", "ObjectRestore:Completed"]


@told
async def test_older_versions_move_too_and_each_access_is_of_one_version(world: World) -> None:
    await s3(world, "create_bucket")
    await s3(world, "put_bucket_versioning", VersioningConfiguration={"Status": "Enabled"})
    old = (await put(world))["VersionId"]
    new = (await put(world))["VersionId"]
    await configure(world)
    await world.advance(days=60)
    await s3(world, "get_object", Key="k", VersionId=new)
    await world.advance(days=50)
    await s3(world, "get_object", Key="k", VersionId=new)
    error = await refused(s3(world, "get_object", Key="k", VersionId=old))
    assert error.code == "InvalidObjectState"


@told
async def test_each_tier_is_metered_and_monitoring_is_too(world: World) -> None:
    await prepared(world)
    await put(world, "small", b"x" * 1000)
    await configure(world)
    await days(world, 240)
    size, hour = len(LARGE), 24
    used = {
        name: await world.used(f"TimedStorage-INT-{name}-ByteHrs")
        for name in ("FA", "IA", "AIA", "AA", "DAA")
    }
    assert used["FA"] == pytest.approx(size * 30 * hour + 1000 * 240 * hour, rel=0.001)
    assert used["IA"] == pytest.approx(size * 60 * hour, rel=0.001)
    assert used["AIA"] == pytest.approx(size * 10 * hour, rel=0.001)
    # What lies beside an archived object, too.
    assert used["AA"] == pytest.approx((size + 32 * 1024) * 100 * hour, rel=0.001)
    assert used["DAA"] == pytest.approx((size + 32 * 1024) * 40 * hour, rel=0.001)
    assert await world.used("Monitoring-Automation-INT") == pytest.approx(8.0, rel=0.1)


@told
async def test_an_object_that_leaves_the_class_leaves_no_sum_behind(world: World) -> None:
    await prepared(world)
    await world.advance(days=40)
    await s3(world, "copy_object", Key="k", CopySource="bucket/k", StorageClass="STANDARD")
    await world.advance(days=1)
    before = await world.used("TimedStorage-INT-IA-ByteHrs")
    monitored = await world.used("Monitoring-Automation-INT")
    await world.advance(days=50)
    assert await world.used("TimedStorage-INT-IA-ByteHrs") == before
    assert await world.used("Monitoring-Automation-INT") == monitored
    assert await world.used("TimedStorage-INT-FA-ByteHrs") > 0
    jobs = await world.cloud.root_context().read().list(tiering.Job, ("s3.tiering",), limit=9)
    assert jobs == [], "nobody looks after a bucket that has no such objects any more"
    await put(world, "again")
    await world.advance(days=31)
    assert await tier(world, "again") == "IA"


@told
async def test_lifecycle_moves_objects_into_the_class(world: World) -> None:
    await s3(world, "create_bucket")
    await s3(world, "put_object", Key="k", Body=LARGE)
    rules = [{"ID": "r", "Status": "Enabled", "Filter": {},
              "Transitions": [{"Days": 1, "StorageClass": "INTELLIGENT_TIERING"}]}]  # fmt: skip
    await s3(world, "put_bucket_lifecycle_configuration", LifecycleConfiguration={"Rules": rules})
    await days(world, 2)
    assert (await s3(world, "head_object", Key="k"))["StorageClass"] == "INTELLIGENT_TIERING"
    await days(world, 28)
    assert await tier(world) == ""
    await days(world, 3)
    assert await tier(world) == "IA"


@told
async def test_configurations_are_put_listed_and_forgotten(world: World) -> None:
    await s3(world, "create_bucket")
    listed = await s3(world, "list_bucket_intelligent_tiering_configurations")
    assert listed == {"IsTruncated": False}
    await configure(world, "one")
    found = await s3(world, "get_bucket_intelligent_tiering_configuration", Id="one")
    assert found["IntelligentTieringConfiguration"] == {
        "Id": "one", "Status": "Enabled", "Tierings": _ARCHIVES,
    }  # fmt: skip
    listed = await s3(world, "list_bucket_intelligent_tiering_configurations")
    assert [one["Id"] for one in listed["IntelligentTieringConfigurationList"]] == ["one"]
    await s3(world, "delete_bucket_intelligent_tiering_configuration", Id="one")
    for method in ("get", "delete"):
        call = s3(world, f"{method}_bucket_intelligent_tiering_configuration", Id="one")
        assert (await refusal(call))[0] == "NoSuchConfiguration"


@told
async def test_what_cannot_be_configured_is_refused(world: World) -> None:
    await s3(world, "create_bucket")
    for access, least, most in (("ARCHIVE_ACCESS", 90, 730), ("DEEP_ARCHIVE_ACCESS", 180, 730)):
        for count in (least, most):
            await configure(world, Tierings=[{"Days": count, "AccessTier": access}])
        for count in (least - 1, most + 1):
            wrong = configure(world, Tierings=[{"Days": count, "AccessTier": access}])
            assert await refusal(wrong) == (
                "InvalidArgument", f"Days for {access} must be between {least} and {most}",
            )  # fmt: skip
    twice = [_ARCHIVES[0], _ARCHIVES[0]]
    odd = [{"Days": 100, "AccessTier": "FREQUENT"}]
    for tierings in ([], twice, odd):
        assert (await refusal(configure(world, Tierings=tierings)))[0] == "MalformedXML"
    assert (await refusal(configure(world, Status="Maybe")))[0] == "MalformedXML"


def test_a_crash_at_any_commit_moves_each_object_once() -> None:
    async def story(crash_at: int) -> bool:
        world = World()
        await world.start()
        await s3(world, "create_bucket")
        for key in ("a", "b", "c"):
            await put(world, key)
        await configure(world)
        begun = world.memory.groups
        crashing(world.memory, crash_at)
        with contextlib.suppress(StoreClosed):
            await world.advance(days=101)
        crashed = world.memory.groups - begun >= crash_at
        again = world.again()
        await world.close()
        await again.start()
        try:
            await again.advance(days=101 if crash_at == 1 else 1)
            await again.settle()
            assert [await tier(again, key) for key in ("a", "b", "c")] == ["AA"] * 3
            await again.advance(days=1)
            sums = [await again.used(f"TimedStorage-INT-{name}-ByteHrs") for name in ("AA", "IA")]
            assert sums[0] > 0
            assert sums[1] == 0
        finally:
            await again.close()
        return crashed

    async def all_of_them() -> None:
        commits = 1
        while await story(commits):
            commits += 1
        assert commits > 4

    asyncio.run(all_of_them())


def test_a_client_sees_the_tier_and_why_it_cannot_read() -> None:
    from botocore.exceptions import ClientError

    from doppio.testing import Cloud

    with Cloud() as cloud:
        account = cloud.account()
        client = account.client("s3")
        client.create_bucket(Bucket="tiers")
        client.put_object(Bucket="tiers", Key="k", Body=LARGE, StorageClass="INTELLIGENT_TIERING")
        client.put_bucket_intelligent_tiering_configuration(
            Bucket="tiers", Id="all",
            IntelligentTieringConfiguration={
                "Id": "all", "Status": "Enabled", "Filter": {"Prefix": "k"},
                "Tierings": _ARCHIVES[:1],
            },
        )  # fmt: skip
        listed = client.list_bucket_intelligent_tiering_configurations(Bucket="tiers")
        assert listed["IntelligentTieringConfigurationList"][0]["Tierings"] == _ARCHIVES[:1]
        account.advance("101d")
        for _ in range(100):
            head = client.head_object(Bucket="tiers", Key="k")
            if "ArchiveStatus" in head:
                break
            time.sleep(0.05)
        assert head["ArchiveStatus"] == "ARCHIVE_ACCESS"
        with pytest.raises(ClientError) as refused:
            client.get_object(Bucket="tiers", Key="k")
        error = refused.value.response["Error"]
        assert (error["Code"], error["AccessTier"]) == ("InvalidObjectState", "ARCHIVE_ACCESS")
        client.restore_object(Bucket="tiers", Key="k", RestoreRequest={})
        account.advance("5h")
        for _ in range(100):
            if "Restore" not in client.head_object(Bucket="tiers", Key="k"):
                break
            time.sleep(0.05)
        assert client.get_object(Bucket="tiers", Key="k")["Body"].read() == LARGE
