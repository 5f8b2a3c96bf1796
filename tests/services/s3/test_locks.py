"""Object Lock: what may not go stays, on the cloud's clock, for as long as was promised."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.services.world import START, World, refusal, told

GUARDED = ("AccessDenied", "Access Denied because object protected by object lock.")
MISSING = ("InvalidRequest", "Bucket is missing Object Lock Configuration")


async def bucket(world: World, **default: Any) -> None:
    """Make a bucket with Object Lock, and a default retention."""
    await world.call("s3", "create_bucket", Bucket="bucket", ObjectLockEnabledForBucket=True)
    if default:
        await world.call(
            "s3",
            "put_object_lock_configuration",
            Bucket="bucket",
            ObjectLockConfiguration={
                "ObjectLockEnabled": "Enabled",
                "Rule": {"DefaultRetention": default},
            },
        )


async def put(world: World, **req: Any) -> str:
    """Put an object; its version."""
    answer = await world.call("s3", "put_object", Bucket="bucket", Key="k", Body=b"x", **req)
    found: str = answer["VersionId"]
    return found


def delete(world: World, version: str, **req: Any) -> Any:
    """Delete a version."""
    return world.call("s3", "delete_object", Bucket="bucket", Key="k", VersionId=version, **req)


def retain(world: World, version: str, mode: str | None, days: int = 0, **req: Any) -> Any:
    """Set a version's retention, some days from the start."""
    retention = {"Mode": mode, "RetainUntilDate": START + timedelta(days=days)} if mode else {}
    return world.call(
        "s3",
        "put_object_retention",
        Bucket="bucket",
        Key="k",
        VersionId=version,
        Retention=retention,
        **req,
    )


@told
async def test_a_locked_version_goes_only_when_its_time_is_over(world: World) -> None:
    await bucket(world)
    until = datetime(2030, 1, 3, tzinfo=UTC)
    version = await put(world, ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=until)
    head = await world.call("s3", "head_object", Bucket="bucket", Key="k")
    assert (head["ObjectLockMode"], head["ObjectLockRetainUntilDate"]) == ("COMPLIANCE", until)
    # A marker may always be put on top.
    await world.call("s3", "delete_object", Bucket="bucket", Key="k")
    assert await refusal(delete(world, version)) == GUARDED
    assert await refusal(delete(world, version, BypassGovernanceRetention=True)) == GUARDED
    await world.advance(days=2)
    await delete(world, version)


@told
async def test_governance_gives_way_to_who_may_bypass_it(world: World) -> None:
    await bucket(world, Mode="GOVERNANCE", Days=10)
    version = await put(world)
    assert await refusal(delete(world, version)) == GUARDED
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:BypassGovernanceRetention",
        "Resource": "arn:aws:s3:::bucket/*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    await world.call("s3", "put_bucket_policy", Bucket="bucket", Policy=policy)
    denied = await refusal(delete(world, version, BypassGovernanceRetention=True))
    assert denied[0] == "AccessDeniedException"
    await world.call("s3", "delete_bucket_policy", Bucket="bucket")
    await delete(world, version, BypassGovernanceRetention=True)


@told
async def test_many_deletes_meet_the_same_locks(world: World) -> None:
    await bucket(world, Mode="GOVERNANCE", Years=1)
    version = await put(world)
    wanted = {"Objects": [{"Key": "k", "VersionId": version}]}
    answer = await world.call("s3", "delete_objects", Bucket="bucket", Delete=wanted)
    assert [one["Code"] for one in answer["Errors"]] == ["AccessDenied"]
    answer = await world.call(
        "s3", "delete_objects", Bucket="bucket", Delete=wanted, BypassGovernanceRetention=True
    )
    assert "Errors" not in answer


@told
async def test_a_legal_hold_has_no_end_but_its_own(world: World) -> None:
    await bucket(world)
    version = await put(world, ObjectLockLegalHoldStatus="ON")
    await world.advance(days=4000)
    assert await refusal(delete(world, version, BypassGovernanceRetention=True)) == GUARDED
    where = {"Bucket": "bucket", "Key": "k", "VersionId": version}
    assert (await world.call("s3", "get_object_legal_hold", **where))["LegalHold"] == {
        "Status": "ON"
    }
    await world.call("s3", "put_object_legal_hold", **where, LegalHold={"Status": "OFF"})
    await delete(world, version)


@told
async def test_retention_grows_freely_and_shrinks_only_by_a_bypass(world: World) -> None:
    await bucket(world)
    version = await put(world)
    none = world.call("s3", "get_object_retention", Bucket="bucket", Key="k")
    assert (await refusal(none))[0] == "NoSuchObjectLockConfiguration"
    await retain(world, version, "GOVERNANCE", 5)
    await retain(world, version, "GOVERNANCE", 9)
    assert await refusal(retain(world, version, "GOVERNANCE", 5)) == GUARDED
    await retain(world, version, "GOVERNANCE", 5, BypassGovernanceRetention=True)
    assert await refusal(retain(world, version, None)) == GUARDED
    await retain(world, version, None, BypassGovernanceRetention=True)
    await retain(world, version, "COMPLIANCE", 5)
    for days, mode in ((4, "COMPLIANCE"), (9, "GOVERNANCE")):
        loosened = retain(world, version, mode, days, BypassGovernanceRetention=True)
        assert await refusal(loosened) == GUARDED
    await retain(world, version, "COMPLIANCE", 6)
    found = await world.call("s3", "get_object_retention", Bucket="bucket", Key="k")
    assert found["Retention"] == {
        "Mode": "COMPLIANCE",
        "RetainUntilDate": START + timedelta(days=6),
    }


@told
async def test_what_cannot_be_locked_is_refused(world: World) -> None:
    await world.call("s3", "create_bucket", Bucket="bucket")
    until = START + timedelta(days=1)
    locked = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": until}
    assert await refusal(put(world, **locked)) == MISSING
    on = {"ObjectLockEnabled": "Enabled"}
    call = world.call(
        "s3", "put_object_lock_configuration", Bucket="bucket", ObjectLockConfiguration=on
    )
    assert await refusal(call) == (
        "InvalidBucketState",
        "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration",
    )
    await world.call(
        "s3",
        "put_bucket_versioning",
        Bucket="bucket",
        VersioningConfiguration={"Status": "Enabled"},
    )
    await world.call(
        "s3", "put_object_lock_configuration", Bucket="bucket", ObjectLockConfiguration=on
    )
    call = world.call(
        "s3",
        "put_bucket_versioning",
        Bucket="bucket",
        VersioningConfiguration={"Status": "Suspended"},
    )
    assert (await refusal(call))[0] == "InvalidBucketState"
    late = {**locked, "ObjectLockRetainUntilDate": START}
    assert (await refusal(put(world, **late)))[1] == "The retain until date must be in the future!"
    half = {"ObjectLockMode": "GOVERNANCE"}
    assert (await refusal(put(world, **half)))[1] == (
        "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied"
    )
    await put(world, **locked)


@told
async def test_lifecycle_leaves_locked_versions_alone(world: World) -> None:
    await bucket(world, Mode="COMPLIANCE", Days=100)
    version = await put(world)
    await world.call("s3", "delete_object", Bucket="bucket", Key="k")
    rule = {
        "Status": "Enabled",
        "Filter": {},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
    }
    await world.call(
        "s3",
        "put_bucket_lifecycle_configuration",
        Bucket="bucket",
        LifecycleConfiguration={"Rules": [rule]},
    )
    await world.advance(days=50)
    where = {"Bucket": "bucket", "Key": "k", "VersionId": version}
    assert (await world.call("s3", "head_object", **where))["VersionId"] == version
    await world.advance(days=52)
    await world.advance(days=1)
    assert (await refusal(world.call("s3", "head_object", **where)))[0] == "NoSuchVersion"
