"""What is put in one bucket is kept in others, too: as the role may, and with its version ids."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from doppio.kernel.memory_store import MemoryStore
from tests.services.kms.helpers import allow, key
from tests.services.s3.test_kms import LARGE
from tests.services.s3.test_notices import ask, open_queue, records
from tests.services.world import ACCOUNT, OTHER, World, refusal, told

ROLE = f"arn:aws:iam::{ACCOUNT}:role/copier"
FROM = ("s3:GetObjectVersionForReplication", "s3:GetObjectVersionTagging")
TO = ("s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags")


def rule(name: str = "copy", **more: Any) -> dict[str, Any]:
    """A rule of the present schema, to bucket `copy`."""
    destination = {"Bucket": f"arn:aws:s3:::{name}", **more.pop("Destination", {})}
    return {
        "ID": name,
        "Status": "Enabled",
        "Priority": 1,
        "Filter": {"Prefix": ""},
        "DeleteMarkerReplication": {"Status": "Enabled"},
        **more,
        "Destination": destination,
    }


async def role(world: World, *actions: str, service: str = "s3.amazonaws.com") -> None:
    """The role that S3 acts as."""
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    await world.call(
        "iam", "create_role", RoleName="copier", AssumeRolePolicyDocument=_document(trust)
    )
    if actions:
        await world.call(
            "iam", "put_role_policy", RoleName="copier", PolicyName="own",
            PolicyDocument=_document({**allow(""), "Action": list(actions)}),
        )  # fmt: skip


def _document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


async def buckets(world: World, *names: str, **more: Any) -> None:
    """Versioned buckets."""
    for name in names:
        await world.call("s3", "create_bucket", Bucket=name, **more)
        await world.call(
            "s3", "put_bucket_versioning", Bucket=name, **more,
            VersioningConfiguration={"Status": "Enabled"},
        )  # fmt: skip


async def replicate(world: World, *rules: dict[str, Any], bucket: str = "bucket") -> None:
    """Set what is replicated."""
    await world.call(
        "s3", "put_bucket_replication", Bucket=bucket,
        ReplicationConfiguration={"Role": ROLE, "Rules": list(rules)},
    )  # fmt: skip


async def prepared(world: World, *rules: dict[str, Any]) -> None:
    """Two buckets, of which the first is replicated to the other."""
    await buckets(world, "bucket", "copy")
    await role(world, *FROM, *TO)
    await replicate(world, *(rules or (rule(),)))


async def put(world: World, name: str, body: bytes = b"beans", **req: Any) -> str:
    """Put into the bucket; the version id."""
    answer = await world.call("s3", "put_object", Bucket="bucket", Key=name, Body=body, **req)
    return str(answer["VersionId"])


async def status(world: World, name: str, bucket: str = "bucket", **req: Any) -> str:
    """What HEAD says of replication."""
    head = await world.call("s3", "head_object", Bucket=bucket, Key=name, **req)
    return str(head.get("ReplicationStatus", ""))


async def body_of(world: World, name: str, **req: Any) -> bytes:
    """The bytes in the bucket `copy`."""
    got = await world.call("s3", "get_object", Bucket="copy", Key=name, **req)
    if isinstance(got["Body"], bytes):
        return got["Body"]
    if hasattr(got["Body"], "path"):
        return bytes(got["Body"].path.read_bytes())
    return b"".join([bytes(chunk) async for chunk in got["Body"]])


async def versions(world: World, bucket: str) -> list[tuple[str, str, bool]]:
    """Keys, version ids, and which is the latest."""
    found = await world.call("s3", "list_object_versions", Bucket=bucket)
    listed = [*found.get("Versions", []), *found.get("DeleteMarkers", [])]
    return sorted((one["Key"], one["VersionId"], one["IsLatest"]) for one in listed)


@told
async def test_a_version_is_kept_in_the_other_bucket_too(world: World) -> None:
    await prepared(world)
    version = await put(
        world, "a", Metadata={"roast": "dark"}, Tagging="shop=corner", ContentType="text/plain"
    )
    assert await status(world, "a") == "PENDING"
    await world.settle()
    assert await status(world, "a") == "COMPLETED"
    head = await world.call("s3", "head_object", Bucket="copy", Key="a")
    assert (head["VersionId"], head["ReplicationStatus"]) == (version, "REPLICA")
    assert (head["Metadata"], head["ContentType"]) == ({"roast": "dark"}, "text/plain")
    assert await body_of(world, "a") == b"beans"
    tags = await world.call("s3", "get_object_tagging", Bucket="copy", Key="a")
    assert tags["TagSet"] == [{"Key": "shop", "Value": "corner"}]


@told
async def test_large_bodies_are_shared_and_outlive_their_source(world: World) -> None:
    await prepared(world)
    version = await put(world, "a", LARGE)
    await world.settle()
    await world.call("s3", "delete_object", Bucket="bucket", Key="a", VersionId=version)
    await world.advance(days=2)
    assert await body_of(world, "a") == LARGE


@told
async def test_markers_go_along_where_the_rule_says_so_and_deletions_never(world: World) -> None:
    await prepared(world)
    first = await put(world, "a")
    await world.call("s3", "delete_object", Bucket="bucket", Key="a")
    await world.settle()
    assert await versions(world, "copy") == await versions(world, "bucket")
    await world.call("s3", "delete_object", Bucket="bucket", Key="a", VersionId=first)
    await world.settle()
    assert first in {version for _, version, _ in await versions(world, "copy")}
    await replicate(world, rule(DeleteMarkerReplication={"Status": "Disabled"}))
    await put(world, "b")
    await world.call("s3", "delete_object", Bucket="bucket", Key="b")
    await world.settle()
    assert len([one for one in await versions(world, "copy") if one[0] == "b"]) == 1


@told
async def test_what_no_rule_is_about_stays(world: World) -> None:
    shop = {"And": {"Prefix": "logs/", "Tags": [{"Key": "shop", "Value": "corner"}]}}
    off = {"Status": "Disabled"}
    await prepared(world, rule(Filter=shop, DeleteMarkerReplication=off))
    for name, tags in (("logs/a", "shop=corner"), ("logs/b", ""), ("c", "shop=corner")):
        await put(world, name, **({"Tagging": tags} if tags else {}))
    await world.settle()
    assert [one[0] for one in await versions(world, "copy")] == ["logs/a"]
    assert await status(world, "c") == ""


@told
async def test_each_destination_follows_its_first_rule(world: World) -> None:
    await buckets(world, "bucket", "copy", "cold")
    await role(world, *FROM, *TO)
    await replicate(
        world,
        rule(Priority=1, Destination={"StorageClass": "GLACIER"}),
        {**rule(Priority=2, Destination={"StorageClass": "STANDARD_IA"}), "ID": "first"},
        rule("cold", Priority=3, Destination={"StorageClass": "DEEP_ARCHIVE"}),
    )
    await put(world, "a")
    await world.settle()
    for bucket, kind in (("copy", "STANDARD_IA"), ("cold", "DEEP_ARCHIVE")):
        head = await world.call("s3", "head_object", Bucket=bucket, Key="a")
        assert head["StorageClass"] == kind


@told
async def test_a_role_that_may_not_leaves_versions_failed_and_says_so(world: World) -> None:
    await buckets(world, "bucket", "copy")
    await role(world, *FROM)
    arn = await open_queue(world)
    await replicate(world, rule())
    await ask(world, arn, "s3:Replication:*")
    await put(world, "a")
    found = await records(world, arn)
    assert await status(world, "a") == "FAILED"
    (one,) = found
    assert one["eventName"] == "Replication:OperationFailedReplication"
    assert one["replicationEventData"]["destinationBucket"] == "arn:aws:s3:::copy"
    assert one["replicationEventData"]["failureReason"] == "DstPutObjectNotPermitted"
    assert await versions(world, "copy") == []


@told
async def test_a_role_that_does_not_trust_s3_replicates_nothing(world: World) -> None:
    await buckets(world, "bucket", "copy")
    await role(world, *FROM, *TO, service="ec2.amazonaws.com")
    await replicate(world, rule())
    await put(world, "a")
    await world.settle()
    assert await status(world, "a") == "FAILED"


@told
async def test_another_account_must_let_the_role_in(world: World) -> None:
    await buckets(world, "bucket")
    await buckets(world, "copy", account=OTHER)
    await role(world, *FROM, *TO)
    await replicate(world, rule(Destination={"Account": OTHER}))
    await put(world, "a")
    await world.settle()
    assert await status(world, "a") == "FAILED"
    statement = {
        **allow("s3:ReplicateObject", "arn:aws:s3:::copy/*"), "Principal": {"AWS": ROLE}
    }  # fmt: skip
    await world.call(
        "s3", "put_bucket_policy", Bucket="copy", account=OTHER, Policy=_document(statement)
    )
    version = await put(world, "b")
    await world.settle()
    assert await status(world, "b") == "COMPLETED"
    assert ("b", version, True) in [
        (one["Key"], one["VersionId"], one["IsLatest"])
        for one in (await world.call("s3", "list_object_versions", Bucket="copy", account=OTHER))[
            "Versions"
        ]
    ]


@told
async def test_two_buckets_that_replicate_each_other_do_not_go_in_circles(world: World) -> None:
    await prepared(world)
    await replicate(world, rule("bucket"), bucket="copy")
    one = await put(world, "a", b"from the bucket")
    await world.settle()
    await world.call("s3", "put_object", Bucket="copy", Key="a", Body=b"from the copy")
    await world.settle()
    both = await versions(world, "bucket")
    assert len(both) == 2
    assert both == await versions(world, "copy")
    assert await status(world, "a", VersionId=one) == "COMPLETED"
    assert await status(world, "a", bucket="bucket") == "REPLICA"


@told
async def test_changed_tags_follow(world: World) -> None:
    await prepared(world)
    await put(world, "a")
    await world.settle()
    tags = {"TagSet": [{"Key": "roast", "Value": "dark"}]}
    await world.call("s3", "put_object_tagging", Bucket="bucket", Key="a", Tagging=tags)
    await world.settle()
    assert (await world.call("s3", "get_object_tagging", Bucket="copy", Key="a"))["TagSet"] == tags[
        "TagSet"
    ]


@told
async def test_what_kms_has_sealed_goes_only_where_a_rule_names_a_key(world: World) -> None:
    await prepared(world)
    source, target = await key(world), await key(world)
    sealed = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": source["Arn"]}
    await put(world, "a", LARGE, **sealed)
    await world.settle()
    assert await status(world, "a") == ""
    encrypted = rule(
        SourceSelectionCriteria={"SseKmsEncryptedObjects": {"Status": "Enabled"}},
        Destination={"EncryptionConfiguration": {"ReplicaKmsKeyID": target["Arn"]}},
    )
    await replicate(world, encrypted)
    await put(world, "b", LARGE, **sealed)
    await world.settle()
    assert await status(world, "b") == "FAILED"
    await world.call(
        "iam", "put_role_policy", RoleName="copier", PolicyName="keys",
        PolicyDocument=_document({**allow(""), "Action": ["kms:Decrypt", "kms:GenerateDataKey"]}),
    )  # fmt: skip
    await put(world, "c", LARGE, **sealed)
    while await status(world, "c") == "PENDING":
        # Sealing goes on in threads.
        await asyncio.sleep(0.01)
        await world.settle()
    assert await status(world, "c") == "COMPLETED"
    head = await world.call("s3", "head_object", Bucket="copy", Key="c")
    assert head["SSEKMSKeyId"] == target["Arn"]
    assert await body_of(world, "c") == LARGE


@told
async def test_a_crash_loses_no_replica(world: World) -> None:
    await prepared(world)
    await put(world, "a")
    again = world.again()
    assert isinstance(again.memory, MemoryStore)
    await again.start()
    await again.settle()
    try:
        assert await status(again, "a") == "COMPLETED"
        assert [one[0] for one in await versions(again, "copy")] == ["a"]
    finally:
        await again.close()


@told
async def test_a_configuration_that_cannot_be_is_refused(world: World) -> None:
    await world.call("s3", "create_bucket", Bucket="bucket")
    await role(world, *FROM, *TO)
    assert (await refusal(replicate(world, rule())))[0] == "InvalidRequest"
    await buckets(world, "copy")
    await world.call(
        "s3", "put_bucket_versioning", Bucket="bucket",
        VersioningConfiguration={"Status": "Enabled"},
    )  # fmt: skip
    read = world.call("s3", "get_bucket_replication", Bucket="bucket")
    assert (await refusal(read))[0] == "ReplicationConfigurationNotFoundError"
    on = {"Status": "Enabled"}
    for wrong, code in (
        (rule("none"), "InvalidRequest"),
        (rule("bucket"), "InvalidRequest"),
        (rule(Priority=None), "InvalidRequest"),
        (rule(Filter={"Tag": {"Key": "a", "Value": "b"}}), "InvalidRequest"),
        (rule(Destination={"StorageClass": "ICE"}), "MalformedXML"),
        (rule(SourceSelectionCriteria={"SseKmsEncryptedObjects": on}), "InvalidRequest"),
        (rule(Destination={"ReplicationTime": {**on, "Time": {"Minutes": 5}}}), "InvalidRequest"),
        (rule(ExistingObjectReplication=on), "MalformedXML"),
    ):
        given = {name: value for name, value in wrong.items() if value is not None}
        assert (await refusal(replicate(world, given)))[0] == code, wrong
    twice = replicate(world, rule(), rule(Priority=2))
    assert (await refusal(twice))[0] == "InvalidArgument"
    await replicate(world, rule())
    suspend = world.call(
        "s3", "put_bucket_versioning", Bucket="bucket",
        VersioningConfiguration={"Status": "Suspended"},
    )  # fmt: skip
    assert (await refusal(suspend))[0] == "InvalidBucketState"
    await world.call("s3", "delete_bucket_replication", Bucket="bucket")
    await put(world, "a")
    await world.settle()
    assert await versions(world, "copy") == []
