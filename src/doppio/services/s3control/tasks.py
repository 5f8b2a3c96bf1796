"""What a job does to an object: S3's public operation of it, as the job's role."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from doppio.kernel.bodies import pieces
from doppio.kernel.context import Context
from doppio.services.s3 import ports
from doppio.services.s3control import functions
from doppio.services.s3control.errors import BadRequest
from doppio.services.s3control.records import Task
from doppio.wire import checksums
from doppio.wire.errors import NotImplementedByDoppio

Call = tuple[str, dict[str, Any]]
REPLICATE, CHECKSUM = "S3ReplicateObject", "S3ComputeObjectChecksum"
DONE = "Successful"
# What a copy's new metadata may be, by the members of CopyObject.
_HEADERS = {
    "CacheControl": "CacheControl", "ContentDisposition": "ContentDisposition",
    "ContentEncoding": "ContentEncoding", "ContentLanguage": "ContentLanguage",
    "ContentType": "ContentType", "HttpExpiresDate": "Expires", "UserMetadata": "Metadata",
}  # fmt: skip
_COPIED = {
    "CannedAccessControlList": "ACL", "StorageClass": "StorageClass",
    "RedirectLocation": "WebsiteRedirectLocation", "ChecksumAlgorithm": "ChecksumAlgorithm",
    "ObjectLockLegalHoldStatus": "ObjectLockLegalHoldStatus", "ObjectLockMode": "ObjectLockMode",
    "ObjectLockRetainUntilDate": "ObjectLockRetainUntilDate",
    "ModifiedSinceConstraint": "CopySourceIfModifiedSince",
    "UnModifiedSinceConstraint": "CopySourceIfUnmodifiedSince",
    "BucketKeyEnabled": "BucketKeyEnabled", "AnnotationDirective": "AnnotationDirective",
}  # fmt: skip
_ABSENT_IN_COPIES = frozenset({"ObjectLockEventHold", "ObjectLockEventHoldDuration"})
_EVENTS = frozenset({"EventHold", "EventHoldDuration"})
_GRANTEES = {"id": ("CanonicalUser", "ID"), "uri": ("Group", "URI"),
             "emailAddress": ("AmazonCustomerByEmail", "EmailAddress")}  # fmt: skip
_GRANT_MEMBERS = {
    "FULL_CONTROL": "GrantFullControl", "READ": "GrantRead", "READ_ACP": "GrantReadACP",
    "WRITE_ACP": "GrantWriteACP",
}  # fmt: skip


def check(operation: Mapping[str, Any]) -> str:
    """The name of a job's one operation. Raises BadRequest, and 501 for what is not here."""
    if len(operation) != 1:
        raise BadRequest("Exactly one operation must be specified.")
    [(name, given)] = operation.items()
    if name == functions.INVOKE:
        functions.check(given)
    if name == "S3PutObjectCopy":
        for member in sorted(_ABSENT_IN_COPIES & given.keys()):
            raise NotImplementedByDoppio(f"{member} in copy jobs exists in AWS and not yet here")
        if not str(given.get("TargetResource", "")).startswith("arn:"):
            raise BadRequest("TargetResource must be the ARN of a bucket.")
        if any(one["Permission"] not in _GRANT_MEMBERS for one in _grants(given)):
            raise BadRequest("Objects have no permission WRITE.")
    if name == "S3PutObjectAcl" and len(given.get("AccessControlPolicy") or {}) != 1:
        raise BadRequest("Either a canned ACL or an access control list must be specified.")
    if name == "S3UpdateObjectEncryption" and "SSEKMS" not in given.get("ObjectEncryption", {}):
        raise BadRequest("The encryption must be specified.")
    if name == "S3PutObjectRetention" and _EVENTS & given["Retention"].keys():
        raise NotImplementedByDoppio("Event holds exist in AWS and not yet here")
    if name == CHECKSUM and given.get("ChecksumType", "FULL_OBJECT") != "FULL_OBJECT":
        raise NotImplementedByDoppio("Computing composite checksums exists in AWS, not yet here")
    return name


async def perform(acting: Context, operation: Mapping[str, Any], task: Task) -> str:
    """Do a task; what the report says of it. Raises what S3 answers."""
    if REPLICATE in operation:
        await ports.replicate(acting, task.bucket, task.key, task.version)
        return DONE
    if CHECKSUM in operation:
        return await _checksum(acting, operation[CHECKSUM], task)
    if functions.INVOKE in operation:
        return await functions.invoke(acting, operation[functions.INVOKE], task)
    method, req = call_of(operation, task)
    await acting.call("s3", method, req)
    return DONE


async def _checksum(acting: Context, given: Mapping[str, Any], task: Task) -> str:
    """Read an object, and say its checksum in the report's words."""
    algorithm = given.get("ChecksumAlgorithm", "CRC64NVME")
    where = {"Bucket": task.bucket, "Key": task.key}
    if task.version:
        where["VersionId"] = task.version
    found = await acting.call("s3", "get_object", where)
    computed = checksums.new(algorithm)
    async for part in pieces(found["Body"]):
        computed.update(part)
    digest = computed.digest()
    return json.dumps(
        {
            "checksum_base64": base64.b64encode(digest).decode(),
            "etag": found["ETag"].strip('"'),
            "checksumAlgorithm": algorithm,
            "checksumType": "FULL_OBJECT",
            "checksum_hex": digest.hex().upper(),
        }
    )


def call_of(operation: Mapping[str, Any], task: Task) -> Call:
    """The operation of S3 that does a task, and its request."""
    [(name, given)] = operation.items()
    where: dict[str, Any] = {"Bucket": task.bucket, "Key": task.key}
    if task.version:
        where["VersionId"] = task.version
    method, more = _CALLS[name](given, task)
    return (method, more) if name == "S3PutObjectCopy" else (method, {**where, **more})


def _copy(given: Mapping[str, Any], task: Task) -> Call:
    place = f"{task.bucket}/object" if task.bucket.startswith("arn:") else task.bucket
    source = quote(f"{place}/{task.key}", safe="/:")
    if task.version:
        source += f"?versionId={task.version}"
    req: dict[str, Any] = {
        "Bucket": _bucket_of(given["TargetResource"]),
        "Key": _key_of(given, task),
        "CopySource": source,
        "MetadataDirective": given.get("MetadataDirective", "COPY"),
    }
    req.update((name, given[member]) for member, name in _COPIED.items() if member in given)
    if given.get("RequesterPays"):
        req["RequestPayer"] = "requester"
    for member in {_GRANT_MEMBERS[one["Permission"]] for one in _grants(given)}:
        wanted = [one for one in _grants(given) if _GRANT_MEMBERS[one["Permission"]] == member]
        req[member] = ", ".join(_header(one["Grantee"]) for one in wanted)
    if "NewObjectTagging" in given:
        pairs = [(tag["Key"], tag["Value"]) for tag in given["NewObjectTagging"]]
        req |= {"Tagging": urlencode(pairs), "TaggingDirective": "REPLACE"}
    metadata = given.get("NewObjectMetadata") or {}
    replaced = {name: metadata[member] for member, name in _HEADERS.items() if member in metadata}
    if replaced:
        req |= {**replaced, "MetadataDirective": "REPLACE"}
    algorithm = metadata.get("SSEAlgorithm")
    if "SSEAwsKmsKeyId" in given:
        req |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": given["SSEAwsKmsKeyId"]}
    elif algorithm is not None:
        req["ServerSideEncryption"] = "aws:kms" if algorithm == "KMS" else algorithm
    return "copy_object", req


def _bucket_of(arn: str) -> str:
    """What a request calls it: a bucket by its name, an access point by its ARN."""
    return arn if ":accesspoint" in arn else arn.rpartition(":")[2]


def _grants(given: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return given.get("AccessControlGrants") or []


def _header(grantee: Mapping[str, Any]) -> str:
    return f'{grantee["TypeIdentifier"]}="{grantee["Identifier"]}"'


def _key_of(given: Mapping[str, Any], task: Task) -> str:
    prefix = given.get("TargetKeyPrefix")
    return f"{prefix}/{task.key}" if prefix else task.key


def _acl(given: Mapping[str, Any], task: Task) -> Call:
    policy = given["AccessControlPolicy"]
    if "CannedAccessControlList" in policy:
        return "put_object_acl", {"ACL": policy["CannedAccessControlList"]}
    listed = policy["AccessControlList"]
    return "put_object_acl", {
        "AccessControlPolicy": {
            "Owner": {"ID": listed["Owner"].get("ID", "")},
            "Grants": list(_documents(listed.get("Grants") or [])),
        }
    }


def _documents(grants: Iterable[Mapping[str, Any]]) -> Iterable[dict[str, Any]]:
    for one in grants:
        kind, member = _GRANTEES[one["Grantee"]["TypeIdentifier"]]
        grantee = {"Type": kind, member: one["Grantee"]["Identifier"]}
        yield {"Grantee": grantee, "Permission": one["Permission"]}


def _tag(given: Mapping[str, Any], task: Task) -> Call:
    return "put_object_tagging", {"Tagging": {"TagSet": given.get("TagSet") or []}}


def _untag(given: Mapping[str, Any], task: Task) -> Call:
    return "delete_object_tagging", {}


def _restore(given: Mapping[str, Any], task: Task) -> Call:
    tier = given.get("GlacierJobTier", "BULK").capitalize()
    asked: dict[str, Any] = {"GlacierJobParameters": {"Tier": tier}}
    if "ExpirationInDays" in given:
        asked["Days"] = given["ExpirationInDays"]
    return "restore_object", {"RestoreRequest": asked}


def _hold(given: Mapping[str, Any], task: Task) -> Call:
    return "put_object_legal_hold", {"LegalHold": {"Status": given["LegalHold"]["Status"]}}


def _retain(given: Mapping[str, Any], task: Task) -> Call:
    req: dict[str, Any] = {"Retention": dict(given["Retention"])}
    if given.get("BypassGovernanceRetention"):
        req["BypassGovernanceRetention"] = True
    return "put_object_retention", req


def _reencrypt(given: Mapping[str, Any], task: Task) -> Call:
    return "update_object_encryption", {"ObjectEncryption": given["ObjectEncryption"]}


_CALLS: dict[str, Callable[[Mapping[str, Any], Task], Call]] = {
    "S3PutObjectCopy": _copy,
    "S3PutObjectAcl": _acl,
    "S3PutObjectTagging": _tag,
    "S3DeleteObjectTagging": _untag,
    "S3InitiateRestoreObject": _restore,
    "S3PutObjectLegalHold": _hold,
    "S3PutObjectRetention": _retain,
    "S3UpdateObjectEncryption": _reencrypt,
}
