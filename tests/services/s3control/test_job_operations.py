"""What jobs can do to objects: each operation, through S3's own, as the job's role."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import timedelta
from typing import Any

from doppio.wire import checksums

from ..s3.test_replication import FROM, TO, rule
from ..s3.test_replication import role as copier
from ..world import World, refusal, refused, told
from .helpers import control, s3, text
from .jobs_world import (
    REPORT,
    ROLE,
    TAGS,
    counts,
    create,
    ended,
    job_of,
    manifest,
    prepared,
    report,
    tags,
)

OWNER = {"ObjectOwnership": "BucketOwnerPreferred"}


async def version(world: World, bucket: str) -> None:
    await s3(
        world, "put_bucket_versioning", Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}
    )


async def head(world: World, key: str, bucket: str = "beans", **req: Any) -> dict[str, Any]:
    found: dict[str, Any] = await s3(world, "head_object", Bucket=bucket, Key=key, **req)
    return found


@told
async def test_objects_are_copied_with_what_the_job_says(world: World) -> None:
    await prepared(world, 0)
    await s3(
        world, "put_object", Bucket="beans", Key="k0", Body=b"bean", Metadata={"a": "b"},
        Tagging="x=y", ContentType="text/plain",
    )  # fmt: skip
    wanted = await manifest(world, ["k0"])
    target = {"TargetResource": "arn:aws:s3:::reports", "TargetKeyPrefix": "copies"}
    as_it_is = {"S3PutObjectCopy": {**target, "StorageClass": "STANDARD_IA"}}
    assert await counts(world, await ended(world, as_it_is, Manifest=wanted)) == (
        "Complete",
        1,
        1,
        0,
    )
    found = await head(world, "copies/k0", "reports")
    assert (found["StorageClass"], found["Metadata"]) == ("STANDARD_IA", {"a": "b"})
    assert found["ContentType"] == "text/plain"
    assert await tags(world, "copies/k0", "reports") == {"x": "y"}
    assert await text(world, "reports", "copies/k0") == b"bean"
    changed = {
        "S3PutObjectCopy": {
            **target,
            "TargetKeyPrefix": "new",
            "MetadataDirective": "REPLACE",
            "NewObjectMetadata": {
                "UserMetadata": {"HttpExpiresDate": "never"},
                "ContentType": "text/html",
                "HttpExpiresDate": world.now,
                "SSEAlgorithm": "AES256",
            },
            "NewObjectTagging": [{"Key": "a b", "Value": "c+d"}],
        }
    }
    assert await counts(world, await ended(world, changed, Manifest=wanted)) == (
        "Complete",
        1,
        1,
        0,
    )
    found = await head(world, "new/k0", "reports")
    assert found["Metadata"] == {"httpexpiresdate": "never"}
    assert found["ContentType"] == "text/html"
    assert found["ServerSideEncryption"] == "AES256"
    assert await tags(world, "new/k0", "reports") == {"a b": "c+d"}


@told
async def test_copies_may_depend_on_when_the_source_was_changed(world: World) -> None:
    await prepared(world)
    at = world.now + timedelta(days=1)
    copy = {
        "S3PutObjectCopy": {"TargetResource": "arn:aws:s3:::reports", "ModifiedSinceConstraint": at}
    }
    job = await ended(world, copy)
    assert await counts(world, job) == ("Complete", 3, 0, 3)
    assert {row[4] for row in await report(world, job)} == {"412"}
    shown = (await job_of(world, job))["Operation"]["S3PutObjectCopy"]
    assert shown["ModifiedSinceConstraint"] == at


@told
async def test_tags_are_taken_away(world: World) -> None:
    await prepared(world)
    await ended(world)
    job = await ended(world, {"S3DeleteObjectTagging": {}})
    assert await counts(world, job) == ("Complete", 3, 3, 0)
    assert await tags(world, "k1") == {}


@told
async def test_lists_of_access_are_set(world: World) -> None:
    await prepared(world)
    await s3(
        world, "put_bucket_ownership_controls", Bucket="beans",
        OwnershipControls={"Rules": [OWNER]},
    )  # fmt: skip
    canned = {
        "S3PutObjectAcl": {"AccessControlPolicy": {"CannedAccessControlList": "bucket-owner-read"}}
    }
    assert await counts(world, await ended(world, canned)) == ("Complete", 3, 3, 0)
    owner = (await s3(world, "get_object_acl", Bucket="beans", Key="k0"))["Owner"]["ID"]
    grants = [
        {"Grantee": {"TypeIdentifier": "id", "Identifier": owner}, "Permission": "FULL_CONTROL"},
        {
            "Grantee": {
                "TypeIdentifier": "uri",
                "Identifier": "http://acs.amazonaws.com/groups/global/AuthenticatedUsers",
            },
            "Permission": "READ_ACP",
        },
    ]
    await s3(world, "delete_public_access_block", Bucket="beans")
    listed = {
        "S3PutObjectAcl": {
            "AccessControlPolicy": {"AccessControlList": {"Owner": {"ID": owner}, "Grants": grants}}
        }
    }
    job = await ended(world, listed)
    assert await counts(world, job) == ("Complete", 3, 3, 0), await report(world, job)
    found = (await s3(world, "get_object_acl", Bucket="beans", Key="k0"))["Grants"]
    assert sorted(one["Permission"] for one in found) == ["FULL_CONTROL", "READ_ACP"]
    copy = {"S3PutObjectCopy": {"TargetResource": "arn:aws:s3:::beans", "TargetKeyPrefix": "c",
                                "AccessControlGrants": grants}}  # fmt: skip
    job = await ended(world, copy)
    assert await counts(world, job) == ("Complete", 3, 3, 0), await report(world, job)
    found = (await s3(world, "get_object_acl", Bucket="beans", Key="c/k0"))["Grants"]
    assert sorted(one["Permission"] for one in found) == ["FULL_CONTROL", "READ_ACP"]


@told
async def test_archived_objects_are_restored(world: World) -> None:
    await prepared(world, 0)
    await s3(world, "put_object", Bucket="beans", Key="old", Body=b"x", StorageClass="GLACIER")
    restore = {"S3InitiateRestoreObject": {"ExpirationInDays": 3, "GlacierJobTier": "STANDARD"}}
    job = await ended(world, restore, Manifest=await manifest(world, ["old"]))
    assert await counts(world, job) == ("Complete", 1, 1, 0)
    assert (await head(world, "old"))["Restore"] == 'ongoing-request="true"'
    await world.advance(hours=4)
    assert await text(world, "beans", "old") == b"x"


@told
async def test_objects_are_held_and_retained(world: World) -> None:
    await prepared(world, 0)
    await s3(world, "create_bucket", Bucket="vault", ObjectLockEnabledForBucket=True)
    await s3(world, "put_object", Bucket="vault", Key="k", Body=b"x")
    wanted = await manifest(world, ["k"], "vault")
    hold = {"S3PutObjectLegalHold": {"LegalHold": {"Status": "ON"}}}
    assert await counts(world, await ended(world, hold, Manifest=wanted)) == ("Complete", 1, 1, 0)
    until = world.now + timedelta(days=7)
    retain = {
        "S3PutObjectRetention": {
            "Retention": {"Mode": "GOVERNANCE", "RetainUntilDate": until},
            "BypassGovernanceRetention": True,
        }
    }
    assert await counts(world, await ended(world, retain, Manifest=wanted)) == ("Complete", 1, 1, 0)
    found = await head(world, "k", "vault")
    assert found["ObjectLockLegalHoldStatus"] == "ON"
    assert (found["ObjectLockMode"], found["ObjectLockRetainUntilDate"]) == ("GOVERNANCE", until)


@told
async def test_checksums_of_what_is_at_rest_are_computed(world: World) -> None:
    await prepared(world, 0)
    large = b"roast" * 60_000
    await s3(world, "put_object", Bucket="beans", Key="k", Body=large)
    compute = {"S3ComputeObjectChecksum": {"ChecksumAlgorithm": "SHA256"}}
    job = await create(world, compute, Manifest=await manifest(world, ["k"]))
    for _ in range(40):
        await world.settle()
    assert await counts(world, job) == ("Complete", 1, 1, 0)
    [row] = await report(world, job)
    said = json.loads(row[6])
    digest = hashlib.sha256(large).digest()
    assert said["checksum_base64"] == base64.b64encode(digest).decode()
    assert said["checksum_hex"] == digest.hex().upper()
    assert said["checksumAlgorithm"] == "SHA256"
    assert said["etag"] == hashlib.md5(large).hexdigest()
    job = await create(
        world, {"S3ComputeObjectChecksum": {}}, Manifest=await manifest(world, ["k"])
    )
    for _ in range(40):
        await world.settle()
    computed = checksums.new("CRC64NVME")
    computed.update(large)
    assert json.loads((await report(world, job))[0][6])["checksum_base64"] == computed.base64()
    code = await refusal(create(world, {"S3ComputeObjectChecksum": {"ChecksumType": "COMPOSITE"}}))
    assert code[0] == "NotImplemented"


async def replicated(world: World) -> None:
    """Two objects that were there before the rule that copies `beans` to `copy`."""
    await prepared(world, 0)
    await s3(world, "create_bucket", Bucket="copy")
    await version(world, "beans")
    await version(world, "copy")
    for key in ("k0", "k1"):
        await s3(world, "put_object", Bucket="beans", Key=key, Body=b"bean")
    await copier(world, *FROM, *TO)
    await s3(
        world, "put_bucket_replication", Bucket="beans",
        ReplicationConfiguration={
            "Role": "arn:aws:iam::000000000000:role/copier",
            "Rules": [rule(Filter={"Prefix": "k"})],
        },
    )  # fmt: skip
    await world.settle()


REPLICATE: dict[str, Any] = {"S3ReplicateObject": {}}


@told
async def test_objects_that_were_there_before_the_rule_are_replicated(world: World) -> None:
    await replicated(world)
    await s3(world, "put_object", Bucket="beans", Key="other", Body=b"x")
    assert (await s3(world, "list_objects_v2", Bucket="copy"))["KeyCount"] == 0
    job = await ended(world, REPLICATE, Manifest=await manifest(world, ["k0", "k1", "other"]))
    assert await counts(world, job) == ("Complete", 3, 2, 1)
    assert (await report(world, job))[2][5:] == ["ReplicationFailed", "ObjectNotEligible"]
    for key in ("k0", "k1"):
        source, replica = await head(world, key), await head(world, key, "copy")
        assert source["ReplicationStatus"] == "COMPLETED"
        assert replica["ReplicationStatus"] == "REPLICA"
        assert replica["VersionId"] == source["VersionId"]
    again = await ended(world, REPLICATE, Manifest=await manifest(world, ["k0"]))
    assert await counts(world, again) == ("Complete", 1, 1, 0)
    found = await s3(world, "list_object_versions", Bucket="copy")
    assert len(found["Versions"]) == 2


@told
async def test_a_replication_that_is_refused_says_why_in_the_report(world: World) -> None:
    await replicated(world)
    await s3(
        world,
        "put_bucket_versioning",
        Bucket="copy",
        VersioningConfiguration={"Status": "Suspended"},
    )
    job = await ended(world, REPLICATE, Manifest=await manifest(world, ["k0"]))
    assert await counts(world, job) == ("Complete", 1, 0, 1)
    assert (await report(world, job))[0][5:] == ["ReplicationFailed", "DstBucketUnversioned"]
    assert (await head(world, "k0"))["ReplicationStatus"] == "FAILED"


def generator(**more: Any) -> dict[str, Any]:
    """A generator of manifests of `beans`; `more` is its filter, or where it saves the list."""
    place = more.pop("place", None)
    made = {"SourceBucket": "arn:aws:s3:::beans", "EnableManifestOutput": place is not None}
    if place is not None:
        made["ManifestOutputLocation"] = place
    return {"S3JobManifestGenerator": {**made, "Filter": more}}


async def generated(world: World, **more: Any) -> list[str]:
    """The keys that a filter lets through."""
    job = await ended(world, ManifestGenerator=generator(**more))
    if (await job_of(world, job))["Status"] == "Failed":
        return []
    return sorted(row[1] for row in await report(world, job))


@told
async def test_a_manifest_is_generated_of_what_passes_the_filter(world: World) -> None:
    await prepared(world)
    await world.advance(hours=1)
    await s3(world, "put_object", Bucket="beans", Key="late", Body=b"", StorageClass="GLACIER_IR")
    await s3(
        world, "put_object", Bucket="beans", Key="lock.txt", Body=b"12345", SSECustomerAlgorithm="AES256",
        SSECustomerKey=base64.b64encode(bytes(32)).decode(),
        SSECustomerKeyMD5=base64.b64encode(hashlib.md5(bytes(32)).digest()).decode(),
    )  # fmt: skip
    first = ["k0", "k1", "k2"]
    assert await generated(world) == [*first, "late", "lock.txt"]
    hour = timedelta(minutes=30)
    assert await generated(world, CreatedAfter=world.now - hour) == ["late", "lock.txt"]
    assert await generated(world, CreatedBefore=world.now - hour) == first
    assert await generated(world, ObjectSizeGreaterThanBytes=4) == ["lock.txt"]
    assert await generated(world, ObjectSizeLessThanBytes=4) == ["late"]
    assert await generated(world, MatchAnyStorageClass=["GLACIER_IR"]) == ["late"]
    assert await generated(world, MatchAnyObjectEncryption=[{"SSEC": {}}]) == ["lock.txt"]
    assert await generated(world, MatchAnyObjectEncryption=[{"SSES3": {}}]) == [*first, "late"]
    assert await generated(world, KeyNameConstraint={"MatchAnyPrefix": ["k", "x"]}) == first
    names = {"MatchAnySuffix": ["1", ".txt"], "MatchAnySubstring": ["o"]}
    assert await generated(world, KeyNameConstraint=names) == ["lock.txt"]
    assert await generated(world, ObjectReplicationStatuses=["COMPLETED"]) == []
    assert (
        await generated(world, ObjectReplicationStatuses=["NONE"], CreatedBefore=world.now) == first
    )


@told
async def test_batch_replication_finds_by_itself_what_the_rules_are_about(world: World) -> None:
    await replicated(world)
    await s3(world, "put_object", Bucket="beans", Key="other", Body=b"x")
    await s3(world, "put_object", Bucket="beans", Key="k0", Body=b"newer")
    await world.settle()
    wanted = generator(EligibleForReplication=True, ObjectReplicationStatuses=["NONE", "FAILED"])
    job = await ended(world, REPLICATE, ManifestGenerator=wanted)
    assert await counts(world, job) == ("Complete", 2, 2, 0)
    found = await s3(world, "list_object_versions", Bucket="copy")
    assert [(one["Key"], one["IsLatest"]) for one in found["Versions"]] == [
        ("k0", True), ("k0", False), ("k1", True),
    ]  # fmt: skip


@told
async def test_a_generated_manifest_is_kept_where_the_job_wants_it(world: World) -> None:
    await prepared(world)
    place = {
        "Bucket": "arn:aws:s3:::lists",
        "ManifestPrefix": "made",
        "ManifestFormat": "S3InventoryReport_CSV_20211130",
        "ManifestEncryption": {"SSES3": {}},
    }
    job = await ended(world, ManifestGenerator=generator(place=place))
    told = (await job_of(world, job))["GeneratedManifestDescriptor"]
    assert told["Format"] == "S3InventoryReport_CSV_20211130"
    key = told["Location"]["ObjectArn"].removeprefix("arn:aws:s3:::lists/")
    assert key.startswith(f"made/job-{job}/")
    body = json.loads(await text(world, "lists", key))
    found = await head(world, key, "lists")
    assert found["ETag"].strip('"') == told["Location"]["ETag"]
    # It can be the manifest of another job.
    again = {"Spec": {"Format": "S3InventoryReport_CSV_20161130"}, "Location": told["Location"]}
    other = await ended(world, {"S3DeleteObjectTagging": {}}, Manifest=again)
    assert await counts(world, other) == ("Complete", 3, 3, 0)
    assert body["fileSchema"] == "Bucket, Key, VersionId"


@told
async def test_an_inventory_report_is_a_manifest(world: World) -> None:
    await prepared(world)
    await version(world, "beans")
    await s3(world, "put_object", Bucket="beans", Key="a b/ü", Body=b"1")
    await s3(world, "put_object", Bucket="beans", Key="gone", Body=b"1")
    await s3(world, "delete_object", Bucket="beans", Key="gone")
    document = {
        "Id": "all", "IsEnabled": True, "IncludedObjectVersions": "All",
        "Schedule": {"Frequency": "Daily"}, "OptionalFields": ["Size"],
        "Destination": {"S3BucketDestination": {"Bucket": "arn:aws:s3:::lists", "Format": "CSV"}},
    }  # fmt: skip
    statement = {
        "Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::lists/*",
    }  # fmt: skip
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    await s3(world, "put_bucket_policy", Bucket="lists", Policy=policy)
    await s3(
        world, "put_bucket_inventory_configuration", Bucket="beans", Id="all",
        InventoryConfiguration=document,
    )  # fmt: skip
    await world.advance(days=1)
    listed = (await s3(world, "list_objects_v2", Bucket="lists"))["Contents"]
    [one] = [one for one in listed if one["Key"].endswith("manifest.json")]
    where = {"ObjectArn": f"arn:aws:s3:::lists/{one['Key']}", "ETag": one["ETag"]}
    wanted = {"Spec": {"Format": "S3InventoryReport_CSV_20161130"}, "Location": where}
    job = await ended(world, Manifest=wanted)
    assert await counts(world, job) == ("Complete", 5, 5, 0), await report(world, job)
    assert await tags(world, "a b/ü") == {"roast": "dark"}
    # A file of it that was changed since is none of the report's.
    named = json.loads(await text(world, "lists", one["Key"]))["files"][0]["key"]
    await s3(world, "put_object", Bucket="lists", Key=named, Body=b"nonsense")
    broken = await ended(world, Manifest=wanted)
    assert (await job_of(world, broken))["FailureReasons"][0]["FailureCode"] == "InvalidManifest"


@told
async def test_who_may_not_pass_the_role_makes_no_job(world: World) -> None:
    await prepared(world)
    await world.call("iam", "create_user", UserName="u")
    key = (await world.call("iam", "create_access_key", UserName="u"))["AccessKey"]
    may: dict[str, Any] = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [may]}

    async def put() -> None:
        await world.call(
            "iam", "put_user_policy", UserName="u", PolicyName="p",
            PolicyDocument=json.dumps(document),
        )  # fmt: skip

    async def make(**more: Any) -> str:
        return await _create(world, await world.who(key), **more)

    await put()
    assert "iam:PassRole" in (await refused(make())).message
    passes = {
        "Effect": "Allow", "Action": "iam:PassRole", "Resource": "*",
        "Condition": {"StringEquals": {"iam:PassedToService": "batchoperations.s3.amazonaws.com"}},
    }  # fmt: skip
    document["Statement"] = [may, passes]
    await put()
    assert await make()
    urgent = {
        "Effect": "Deny", "Action": "s3:*", "Resource": "*",
        "Condition": {"NumericGreaterThan": {"s3:RequestJobPriority": "5"}},
    }  # fmt: skip
    tagging = {
        "Effect": "Deny", "Action": "s3:UpdateJobStatus", "Resource": "*",
        "Condition": {"StringEquals": {"s3:ExistingJobOperation": "S3PutObjectTagging"}},
    }  # fmt: skip
    document["Statement"] = [may, passes, urgent, tagging]
    await put()
    assert (await refused(make(Priority=6))).status == 403
    job = await make(Priority=5, ConfirmationRequired=True)
    await world.settle()
    ask = {"AccountId": "000000000000", "JobId": job, "RequestedJobStatus": "Ready"}
    call = world.call("s3control", "update_job_status", caller=await world.who(key), **ask)
    assert (await refused(call)).status == 403


async def _create(world: World, caller: Any, **more: Any) -> str:
    req = {
        "AccountId": "000000000000", "Operation": TAGS, "Report": REPORT, "Priority": 1,
        "RoleArn": ROLE, "ClientRequestToken": world.cloud.ids.uuid(),
        "Manifest": await manifest(world, ["k0"]), **more,
    }  # fmt: skip
    return str((await world.call("s3control", "create_job", caller=caller, **req))["JobId"])


@told
async def test_objects_are_put_under_a_key_of_kms(world: World) -> None:
    await prepared(world, actions=("s3:*", "kms:*"))
    key = (await world.call("kms", "create_key"))["KeyMetadata"]["Arn"]
    wanted = {"ObjectEncryption": {"SSEKMS": {"KMSKeyArn": key, "BucketKeyEnabled": True}}}
    job = await ended(world, {"S3UpdateObjectEncryption": wanted})
    assert await counts(world, job) == ("Complete", 3, 3, 0), await report(world, job)
    found = await head(world, "k0")
    assert (found["ServerSideEncryption"], found["SSEKMSKeyId"]) == ("aws:kms", key)
    assert await text(world, "beans", "k0") == b"bean"


@told
async def test_objects_may_be_named_through_an_access_point(world: World) -> None:
    await prepared(world)
    await control(world, "create_access_point", Name="door", Bucket="beans")
    arn = "arn:aws:s3:us-east-1:000000000000:accesspoint/door"
    wanted = await manifest(world, ["k0", "k1"], arn)
    job = await ended(world, Manifest=wanted)
    assert await counts(world, job) == ("Complete", 2, 2, 0), await report(world, job)
    assert await tags(world, "k0") == {"roast": "dark"}
    copy = {"S3PutObjectCopy": {"TargetResource": arn, "TargetKeyPrefix": "copies"}}
    job = await ended(world, copy, Manifest=wanted)
    assert await counts(world, job) == ("Complete", 2, 2, 0), await report(world, job)
    assert await text(world, "beans", "copies/k1") == b"bean"
