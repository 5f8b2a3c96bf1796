"""What changes of a version is changed of its replicas; and back, where a rule says so."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.services.s3.test_replication import FROM, TO, put, replicate, role, rule, status
from tests.services.world import World, told

LOCKS = ("s3:GetObjectRetention", "s3:GetObjectLegalHold")
BACK = rule("bucket", SourceSelectionCriteria={"ReplicaModifications": {"Status": "Enabled"}})


async def prepared(world: World, *more: str, ownership: str | None = None) -> None:
    """Two buckets with locks, of which the first is replicated to the other."""
    for name in ("bucket", "copy"):
        req: dict[str, Any] = {} if ownership is None else {"ObjectOwnership": ownership}
        await world.call("s3", "create_bucket", Bucket=name, ObjectLockEnabledForBucket=True, **req)
    await role(world, *FROM, *TO, *more)
    await replicate(world, rule())


async def tags(world: World, bucket: str) -> dict[str, str]:
    found = await world.call("s3", "get_object_tagging", Bucket=bucket, Key="k")
    return {one["Key"]: one["Value"] for one in found["TagSet"]}


async def tag(world: World, bucket: str, value: str) -> None:
    await world.call(
        "s3", "put_object_tagging", Bucket=bucket, Key="k",
        Tagging={"TagSet": [{"Key": "roast", "Value": value}]},
    )  # fmt: skip
    await world.settle()


async def hold(world: World, bucket: str, wanted: str) -> None:
    await world.call(
        "s3", "put_object_legal_hold", Bucket=bucket, Key="k", LegalHold={"Status": wanted}
    )
    await world.settle()


async def held(world: World, bucket: str) -> str:
    head = await world.call("s3", "head_object", Bucket=bucket, Key="k")
    return str(head.get("ObjectLockLegalHoldStatus", ""))


@told
async def test_locks_follow(world: World) -> None:
    await prepared(world, *LOCKS)
    await put(world, "k")
    await world.settle()
    await hold(world, "bucket", "ON")
    assert await held(world, "copy") == "ON"
    until = world.now + timedelta(days=3)
    await world.call(
        "s3", "put_object_retention", Bucket="bucket", Key="k",
        Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until},
    )  # fmt: skip
    await world.settle()
    head = await world.call("s3", "head_object", Bucket="copy", Key="k")
    assert (head["ObjectLockMode"], head["ObjectLockRetainUntilDate"]) == ("GOVERNANCE", until)
    await hold(world, "bucket", "OFF")
    assert await held(world, "copy") == "OFF"


@told
async def test_locks_that_the_role_may_not_see_do_not_follow(world: World) -> None:
    await prepared(world)
    await put(world, "k")
    await world.settle()
    await hold(world, "bucket", "ON")
    assert await held(world, "copy") == ""


@told
async def test_lists_of_access_go_along_and_follow_where_they_count(world: World) -> None:
    await prepared(world, "s3:GetObjectVersionAcl", ownership="BucketOwnerPreferred")

    async def grants() -> list[str]:
        found = await world.call("s3", "get_object_acl", Bucket="copy", Key="k")
        return sorted(one["Permission"] for one in found["Grants"])

    for bucket in ("bucket", "copy"):
        await world.call("s3", "delete_public_access_block", Bucket=bucket)
    await put(world, "k", ACL="public-read")
    await world.settle()
    assert await grants() == ["FULL_CONTROL", "READ"]
    await world.call("s3", "put_object_acl", Bucket="bucket", Key="k", ACL="private")
    await world.settle()
    assert await grants() == ["FULL_CONTROL"]


@told
async def test_what_changes_of_a_replica_stays_there_without_a_rule_that_says_more(
    world: World,
) -> None:
    await prepared(world, *LOCKS)
    await replicate(world, rule("bucket"), bucket="copy")
    await put(world, "k")
    await world.settle()
    await tag(world, "copy", "dark")
    await hold(world, "copy", "ON")
    assert await tags(world, "bucket") == {}
    assert await held(world, "bucket") == ""


@told
async def test_what_changes_of_a_replica_goes_back_where_a_rule_says_so(world: World) -> None:
    await prepared(world, *LOCKS)
    await replicate(world, BACK, bucket="copy")
    version = await put(world, "k")
    await world.settle()
    await tag(world, "copy", "dark")
    await hold(world, "copy", "ON")
    assert await tags(world, "bucket") == {"roast": "dark"}
    assert await held(world, "bucket") == "ON"
    await tag(world, "bucket", "light")
    assert await tags(world, "copy") == {"roast": "light"}
    head = await world.call("s3", "head_object", Bucket="bucket", Key="k")
    assert head["VersionId"] == version
    # Two buckets that follow each other come to rest.
    groups = world.memory.groups
    await world.settle()
    assert world.memory.groups == groups
    assert await status(world, "k") == "COMPLETED"
    assert await status(world, "k", "copy") == "REPLICA"
