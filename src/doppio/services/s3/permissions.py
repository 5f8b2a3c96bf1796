"""What each operation needs: IAM's actions, which are not always named as the operations.

Source: "Actions, resources, and condition keys for Amazon S3" in the Service Authorization
Reference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from math import ceil
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.service import Need
from doppio.services.s3 import points
from doppio.services.s3.beyond import RECORDS
from doppio.services.s3.directory_names import is_directory
from doppio.services.s3.rules import copy_source, header_tags
from doppio.services.s3.warehouse_names import is_warehouse

# Operation -> action, where the name differs.
_ON_BUCKET = {
    "HeadBucket": "ListBucket",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "DeleteBucketTagging": "PutBucketTagging",
    "DeleteBucketCors": "PutBucketCORS",
    "GetBucketCors": "GetBucketCORS",
    "PutBucketCors": "PutBucketCORS",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketOwnershipControls": "PutBucketOwnershipControls",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "GetBucketReplication": "GetReplicationConfiguration",
    "GetBucketAccelerateConfiguration": "GetAccelerateConfiguration",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
    "PutObjectLockConfiguration": "PutBucketObjectLockConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "PutBucketReplication": "PutReplicationConfiguration",
    "DeleteBucketReplication": "PutReplicationConfiguration",
    "PutBucketAccelerateConfiguration": "PutAccelerateConfiguration",
    "PutBucketAnalyticsConfiguration": "PutAnalyticsConfiguration",
    "DeleteBucketAnalyticsConfiguration": "PutAnalyticsConfiguration",
    "GetBucketAnalyticsConfiguration": "GetAnalyticsConfiguration",
    "ListBucketAnalyticsConfigurations": "GetAnalyticsConfiguration",
    "PutBucketIntelligentTieringConfiguration": "PutIntelligentTieringConfiguration",
    "DeleteBucketIntelligentTieringConfiguration": "PutIntelligentTieringConfiguration",
    "GetBucketIntelligentTieringConfiguration": "GetIntelligentTieringConfiguration",
    "ListBucketIntelligentTieringConfigurations": "GetIntelligentTieringConfiguration",
    "GetBucketInventoryConfiguration": "GetInventoryConfiguration",
    "ListBucketInventoryConfigurations": "GetInventoryConfiguration",
    "PutBucketInventoryConfiguration": "PutInventoryConfiguration",
    "DeleteBucketInventoryConfiguration": "PutInventoryConfiguration",
    "CreateBucketMetadataConfiguration": "CreateBucketMetadataTableConfiguration",
    "GetBucketMetadataConfiguration": "GetBucketMetadataTableConfiguration",
    "DeleteBucketMetadataConfiguration": "DeleteBucketMetadataTableConfiguration",
    "GetBucketMetricsConfiguration": "GetMetricsConfiguration",
    "PutBucketMetricsConfiguration": "PutMetricsConfiguration",
    "DeleteBucketMetricsConfiguration": "PutMetricsConfiguration",
    "ListBucketMetricsConfigurations": "GetMetricsConfiguration",
}
_ON_OBJECT = {
    "PutObject": "PutObject",
    "GetObject": "GetObject",
    "HeadObject": "GetObject",
    "SelectObjectContent": "GetObject",
    "DeleteObject": "DeleteObject",
    "GetObjectAcl": "GetObjectAcl",
    "PutObjectAcl": "PutObjectAcl",
    "GetObjectRetention": "GetObjectRetention",
    "GetObjectLegalHold": "GetObjectLegalHold",
    "PutObjectRetention": "PutObjectRetention",
    "PutObjectLegalHold": "PutObjectLegalHold",
    "GetObjectTagging": "GetObjectTagging",
    "GetObjectTorrent": "GetObjectTorrent",
    "PutObjectTagging": "PutObjectTagging",
    "DeleteObjectTagging": "DeleteObjectTagging",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "AbortMultipartUpload": "AbortMultipartUpload",
    "RestoreObject": "RestoreObject",
    "ListParts": "ListMultipartUploadParts",
    "UpdateObjectEncryption": "UpdateObjectEncryption",
    "PutObjectAnnotation": "PutObjectAnnotation",
    "GetObjectAnnotation": "GetObjectAnnotation",
    "DeleteObjectAnnotation": "DeleteObjectAnnotation",
    "ListObjectAnnotations": "ListObjectAnnotations",
}
_OF_VERSION = {
    "GetObject": "GetObjectVersion",
    "DeleteObject": "DeleteObjectVersion",
    "GetObjectAcl": "GetObjectVersionAcl",
    "PutObjectAcl": "PutObjectVersionAcl",
    "GetObjectTagging": "GetObjectVersionTagging",
    "GetObjectTorrent": "GetObjectVersionTorrent",
    "PutObjectTagging": "PutObjectVersionTagging",
    "DeleteObjectTagging": "DeleteObjectVersionTagging",
}
_ON_ACCOUNT = {"ListBuckets": "ListAllMyBuckets"}
DATA_EVENTS = frozenset(
    {*_ON_OBJECT, "RenameObject", "CreateSession", "CopyObject", "DeleteObjects", "GetObjectAttributes", "UploadPartCopy",
     "ListObjects", "ListObjectsV2", "ListObjectVersions", "ListMultipartUploads"}
)  # fmt: skip
# Members of requests that policies may set conditions on.
_CONDITIONS = {
    "Prefix": "s3:prefix",
    "Delimiter": "s3:delimiter",
    "MaxKeys": "s3:max-keys",
    "VersionId": "s3:versionid",
    "ACL": "s3:x-amz-acl",
    "GrantRead": "s3:x-amz-grant-read",
    "GrantWrite": "s3:x-amz-grant-write",
    "GrantReadACP": "s3:x-amz-grant-read-acp",
    "GrantWriteACP": "s3:x-amz-grant-write-acp",
    "GrantFullControl": "s3:x-amz-grant-full-control",
    "CopySource": "s3:x-amz-copy-source",
    "MetadataDirective": "s3:x-amz-metadata-directive",
    "ServerSideEncryption": "s3:x-amz-server-side-encryption",
    "SSECustomerAlgorithm": "s3:x-amz-server-side-encryption-customer-algorithm",
    "SSEKMSKeyId": "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "StorageClass": "s3:x-amz-storage-class",
    "WebsiteRedirectLocation": "s3:x-amz-website-redirect-location",
    "ObjectOwnership": "s3:x-amz-object-ownership",
    "ObjectLockMode": "s3:object-lock-mode",
    "ObjectLockRetainUntilDate": "s3:object-lock-retain-until-date",
    "ObjectLockLegalHoldStatus": "s3:object-lock-legal-hold",
    "IfMatch": "s3:if-match",
    "IfNoneMatch": "s3:if-none-match",
    "BucketNamespace": "s3:x-amz-bucket-namespace",
}
_CONDITIONAL = _CONDITIONS.keys()
_LOCKING = frozenset({"PutObjectRetention", "PutObjectLegalHold"})
_LISTINGS = frozenset({"ListObjects", "ListObjectsV2", "ListObjectVersions"})
# What comes with an object and takes a permission of its own.
_GRANTS = frozenset({
    "ACL", "GrantFullControl", "GrantRead", "GrantReadACP", "GrantWriteACP",
})  # fmt: skip
_BESIDE = frozenset({"Tagging", "ObjectLockMode", "ObjectLockLegalHoldStatus"}) | _GRANTS
_NONE: dict[str, Any] = {}
_object_actions = {name: f"s3:{action}" for name, action in _ON_OBJECT.items()}
# Operations on one object, and the members by which policies may tell one request for it from another.
_plain_actions = {name: action for name, action in _object_actions.items() if name not in _LOCKING}
_TELLING = _CONDITIONAL | _BESIDE

# The root user of a bucket's account may always do these.
_UNLOCKING = frozenset({"DeleteBucketPolicy", "GetBucketPolicy", "PutBucketPolicy"})


def needs(ctx: Context, operation: str, req: Mapping[str, Any]) -> Sequence[Need]:
    """The permissions that a call takes, all of them."""
    action = _plain_actions.get(operation)
    if action is not None and _TELLING.isdisjoint(req) and req["Bucket"][-3:] != "-s3":
        # As most requests are: it says which object, and nothing else that policies ask for.
        bucket_arn = f"arn:{ctx.partition}:s3:::{req['Bucket']}"
        arn = f"{bucket_arn}/{req['Key']}"
        found: Sequence[Need] = (Need(action, arn, _NONE, bucket_arn, False, False, RECORDS),)
    else:
        found = _needs(ctx, operation, req)
        if operation in _UNLOCKING:
            found = [need._replace(unlocks=True) for need in found]
    if not ctx.caller.session:
        return found
    sources = len(_of_source(ctx, req)) if "CopySource" in req else 0
    return points.through(ctx, found, sources)


def _needs(ctx: Context, operation: str, req: Mapping[str, Any]) -> Sequence[Need]:
    bucket = req.get("Bucket")
    if bucket is None:
        if operation == "ListDirectoryBuckets":
            arn = f"arn:{ctx.partition}:s3express:{ctx.region}:{ctx.account}:*"
            return (Need("s3express:ListAllMyDirectoryBuckets", arn, policy="*"),)
        if operation == "WriteGetObjectResponse":
            # Its token tells which access point it is about: there it is asked for.
            return ()
        return (Need(f"s3:{_ON_ACCOUNT.get(operation, operation)}"),)
    if bucket[-3:] == "-s3" and (is_directory(bucket) or is_warehouse(bucket)):
        # What is asked of a directory bucket, or of a table, is known once that is found.
        return _of_source(ctx, req) if "CopySource" in req else ()
    bucket_arn = f"arn:{ctx.partition}:s3:::{bucket}"
    action = _object_actions.get(operation)
    context = _context(ctx, operation, req)
    if action is None:
        return _other(ctx, operation, req, bucket_arn, context)
    arn = f"{bucket_arn}/{req['Key']}"
    if "VersionId" in req and action[3:] in _OF_VERSION:
        action = f"s3:{_OF_VERSION[action[3:]]}"
    need = Need(action, arn, context, bucket_arn, beyond=RECORDS)
    if _BESIDE.isdisjoint(req) or ctx.caller.kind == "service":
        # The policies that let S3's own deliveries in name s3:PutObject alone.
        return (need,)
    return (need, *_beside(operation, req, arn, context, bucket_arn))


def _other(
    ctx: Context, operation: str, req: Mapping[str, Any], bucket_arn: str, context: dict[str, Any]
) -> Sequence[Need]:
    if operation == "DeleteObjects":
        # Each key is judged by itself, and what is denied is told beside what went.
        return ()
    key = req.get("Key")
    if operation in {"CopyObject", "UploadPartCopy"}:
        arn = f"{bucket_arn}/{key}"
        put = Need("s3:PutObject", arn, context, bucket_arn, beyond=RECORDS)
        return (
            *_of_source(ctx, req),
            put,
            *_beside(operation, req, arn, context, bucket_arn),
        )
    if operation == "GetObjectAttributes":
        kind = "Version" if "VersionId" in req else ""
        arn = f"{bucket_arn}/{key}"
        return (
            Need(f"s3:GetObject{kind}", arn, context, bucket_arn, beyond=RECORDS),
            Need(f"s3:GetObject{kind}Attributes", arn, context, bucket_arn, beyond=RECORDS),
        )
    if operation == "PutBucketInventoryConfiguration":
        fields = req.get("InventoryConfiguration", _NONE).get("OptionalFields") or []
        context = {**context, "s3:inventoryaccessibleoptionalfields": list(fields)}
    if operation == "CreateBucket":
        configuration = req.get("CreateBucketConfiguration") or {}
        constraint = configuration.get("LocationConstraint")
        extra = {**context, **({"s3:locationconstraint": constraint} if constraint else {})}
        tags = {tag["Key"]: tag.get("Value", "") for tag in configuration.get("Tags") or []}
        if tags:
            extra |= {f"aws:requesttag/{key.lower()}": text for key, text in tags.items()}
            extra["aws:tagkeys"] = list(tags)
        # The name may be another account's: that is for the operation to say, not a denial.
        need = Need("s3:CreateBucket", bucket_arn, extra, "*")
        needs = [need]
        if tags:
            needs.append(Need("s3:TagResource", bucket_arn, extra, "*"))
        if "ObjectOwnership" in req:
            needs.append(Need("s3:PutBucketOwnershipControls", bucket_arn, extra, "*"))
        if not _GRANTS.isdisjoint(req) or "GrantWrite" in req:
            needs.append(Need("s3:PutBucketAcl", bucket_arn, extra, "*"))
        return needs
    return (
        Need(
            f"s3:{_ON_BUCKET.get(operation, operation)}",
            bucket_arn,
            context,
            bucket_arn,
            beyond=RECORDS,
        ),
    )


def _of_source(ctx: Context, req: Mapping[str, Any]) -> Sequence[Need]:
    named = copy_source(req["CopySource"])
    if named is None:
        return ()
    bucket, key, version = named
    if is_directory(bucket) or is_warehouse(bucket):
        return ()
    action = "s3:GetObject" if version is None else "s3:GetObjectVersion"
    arn = f"arn:{ctx.partition}:s3:::{bucket}"
    context = _NONE if version is None else {"s3:versionid": version}
    return (Need(action, f"{arn}/{key}", context, arn, beyond=RECORDS),)


def _beside(
    operation: str, req: Mapping[str, Any], arn: str, context: dict[str, Any], bucket_arn: str
) -> Sequence[Need]:
    """Tags and ACLs that come with an object take their own permissions."""
    found: list[Need] = []
    if operation in {"PutObject", "CopyObject", "CreateMultipartUpload"}:
        if "Tagging" in req:
            found.append(Need("s3:PutObjectTagging", arn, context, bucket_arn, beyond=RECORDS))
        if "ObjectLockMode" in req:
            found.append(Need("s3:PutObjectRetention", arn, context, bucket_arn, beyond=RECORDS))
        if "ObjectLockLegalHoldStatus" in req:
            found.append(Need("s3:PutObjectLegalHold", arn, context, bucket_arn, beyond=RECORDS))
        if not _GRANTS.isdisjoint(req):
            found.append(Need("s3:PutObjectAcl", arn, context, bucket_arn, beyond=RECORDS))
    return found


def _context(ctx: Context, operation: str, req: Mapping[str, Any]) -> dict[str, Any]:
    members = _CONDITIONAL & req.keys()
    listing = operation in _LISTINGS
    if not members and not listing and "Tagging" not in req and operation not in _LOCKING:
        return _NONE
    context: dict[str, Any] = {_CONDITIONS[name]: str(req[name]) for name in members}
    if operation in _LOCKING or "ObjectLockRetainUntilDate" in req:
        context |= _of_lock(ctx, req)
    if listing:
        # An empty prefix is a prefix, to a policy that asks for one.
        context.setdefault("s3:prefix", "")
    tagging = req.get("Tagging")
    if tagging is not None:
        tags = _tags(tagging)
        context.update((f"s3:requestobjecttag/{key}".lower(), tags[key]) for key in tags)
        context["s3:requestobjecttagkeys"] = list(tags)
    return context


def _of_lock(ctx: Context, req: Mapping[str, Any]) -> dict[str, Any]:
    """What a request asks for of an object's lock, by headers or as a document."""
    found: dict[str, Any] = {}
    retention = req.get("Retention") or _NONE
    if "Mode" in retention:
        found["s3:object-lock-mode"] = retention["Mode"]
    if "Status" in (hold := req.get("LegalHold") or _NONE):
        found["s3:object-lock-legal-hold"] = hold["Status"]
    until = retention.get("RetainUntilDate") or req.get("ObjectLockRetainUntilDate")
    if until is not None:
        found["s3:object-lock-retain-until-date"] = until.strftime("%Y-%m-%dT%H:%M:%SZ")
        days = ceil((until - ctx.now) / timedelta(days=1))
        found["s3:object-lock-remaining-retention-days"] = str(days)
    return found


def _tags(tagging: Any) -> dict[str, str]:
    if isinstance(tagging, str):
        return header_tags(tagging) or {}
    return {tag["Key"]: tag.get("Value", "") for tag in tagging.get("TagSet") or []}
