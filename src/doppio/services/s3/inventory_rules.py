"""Inventories, as pure functions: what a configuration may say, and what a report's rows are.

Sources: "Amazon S3 Inventory list" and "Inventory manifest" in the user guide.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import quote_plus

from doppio.kernel.identity import canonical_user
from doppio.services.s3 import tiering_rules
from doppio.services.s3.acls import of_object
from doppio.services.s3.census import Seen
from doppio.services.s3.encryption import CUSTOMER, DSSE, KMS
from doppio.services.s3.errors import InvalidS3DestinationBucket, MalformedXML
from doppio.services.s3.inventory_files import CSV, FORMATS, check_format, schema_text
from doppio.services.s3.lifecycle_rules import expiry
from doppio.services.s3.records import Bucket, Current, Grant, More, Version
from doppio.wire.errors import NotImplementedByDoppio

_NOT_HERE = {
    "ObjectLockEventHoldStatus": "Event holds exist",
    "ObjectLockEventHoldDuration": "Event holds exist",
    "IntelligentTieringReferenceDate": "The reference dates of Intelligent-Tiering exist",
}
_TIERS = {
    "": "FREQUENT", "IA": "INFREQUENT", "AIA": "ARCHIVE_INSTANT_ACCESS", "AA": "ARCHIVE",
    "DAA": "DEEP_ARCHIVE",
}  # fmt: skip
_STATUS = {KMS: "SSE-KMS", DSSE: "DSSE-KMS", CUSTOMER: "SSE-C"}
_DAY = timedelta(days=1)
_SUNDAY = 6


class File(NamedTuple):
    """One file of a report."""

    key: str
    size: int
    md5: str


class Plan(NamedTuple):
    """What a configuration asks for."""

    id: str
    prefix: str
    versions: bool
    fields: Sequence[str]
    bucket: str
    home: str
    encryption: Mapping[str, str]
    weekly: bool
    format: str
    owner: str


def check(document: Mapping[str, Any], partition: str) -> None:
    """Raise MalformedXML for a configuration that cannot be, and 501 for what is not here."""
    destination = document["Destination"]["S3BucketDestination"]
    if destination["Format"] not in FORMATS:
        raise MalformedXML
    if document["Schedule"]["Frequency"] not in {"Daily", "Weekly"}:
        raise MalformedXML
    if document["IncludedObjectVersions"] not in {"All", "Current"}:
        raise MalformedXML
    fields = document.get("OptionalFields") or []
    if len(set(fields)) < len(fields):
        raise MalformedXML
    if not destination["Bucket"].startswith(f"arn:{partition}:s3:::"):
        raise InvalidS3DestinationBucket
    encryption = destination.get("Encryption") or {}
    if "SSES3" in encryption and "SSEKMS" in encryption:
        raise MalformedXML
    for field in fields:
        if field in _NOT_HERE:
            raise NotImplementedByDoppio(f"{_NOT_HERE[field]} in AWS and not yet here")
        if field not in _COLUMNS:
            raise MalformedXML
    check_format(destination["Format"])


def plan_of(source: str, document: Mapping[str, Any]) -> Plan:
    """What a configuration of the bucket `source` asks for."""
    destination = document["Destination"]["S3BucketDestination"]
    asked = set(document.get("OptionalFields") or [])
    encryption = destination.get("Encryption") or {}
    told: dict[str, str] = {}
    if "SSES3" in encryption:
        told = {"ServerSideEncryption": "AES256"}
    elif "SSEKMS" in encryption:
        told = {"ServerSideEncryption": KMS, "SSEKMSKeyId": encryption["SSEKMS"]["KeyId"]}
    base = f"{destination['Prefix']}/" if destination.get("Prefix") else ""
    return Plan(
        document["Id"],
        (document.get("Filter") or {}).get("Prefix", ""),
        document["IncludedObjectVersions"] == "All",
        [name for name in _COLUMNS if name in asked],
        destination["Bucket"].rpartition(":")[2],
        f"{base}{source}/{document['Id']}",
        told,
        document["Schedule"]["Frequency"] == "Weekly",
        destination["Format"],
        destination.get("AccountId", ""),
    )


def due_after(now: datetime, *, weekly: bool) -> datetime:
    """When the next report is made: at midnight UTC, the weekly one on Sundays."""
    at = now.replace(hour=0, minute=0, second=0, microsecond=0) + _DAY
    while weekly and at.weekday() != _SUNDAY:
        at += _DAY
    return at


def schema(plan: Plan) -> list[str]:
    """The names of a report's columns."""
    versions = ["VersionId", "IsLatest", "IsDeleteMarker"] if plan.versions else []
    return ["Bucket", "Key", *versions, *plan.fields]


def row(
    plan: Plan, bucket: Bucket, seen: Seen, lifecycle: Sequence[Mapping[str, Any]]
) -> list[str]:
    """One line of a report; what a delete marker does not have is empty.

    Keys in CSV are encoded as in URLs, those in other files are not.
    """
    version = seen.version
    key = quote_plus(version.key, safe="/") if plan.format == CSV else version.key
    cells = [bucket.name, key]
    if plan.versions:
        name = "" if version.id == "null" else version.id
        cells += [name, _truth(seen.is_latest), _truth(version.marker)]
    for field in plan.fields:
        if field == "LifecycleExpirationDate":
            ends = expiry(list(lifecycle), version) if isinstance(version, Current) else None
            cells.append("" if ends is None else _moment(ends[0]))
        elif version.marker and field not in _OF_MARKERS:
            cells.append("")
        else:
            cells.append(_COLUMNS[field](bucket, version))
    return cells


def manifest(plan: Plan, bucket: Bucket, at: datetime, files: Sequence[File]) -> bytes:
    """What tells readers of a report which files it has."""
    told = {
        "sourceBucket": bucket.name,
        "destinationBucket": f"arn:{bucket.partition}:s3:::{plan.bucket}",
        "version": "2016-11-30",
        "creationTimestamp": str(int(at.timestamp() * 1000)),
        "fileFormat": plan.format,
        "fileSchema": schema_text(plan.format, schema(plan)),
        "files": [{"key": one.key, "size": one.size, "MD5checksum": one.md5} for one in files],
    }
    return json.dumps(told, indent=2).encode()


def _truth(value: bool) -> str:
    return "true" if value else "false"


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _size(bucket: Bucket, version: Version) -> str:
    return str(version.size)


def _modified(bucket: Bucket, version: Version) -> str:
    return _moment(version.modified)


def _etag(bucket: Bucket, version: Version) -> str:
    return version.etag


def _class(bucket: Bucket, version: Version) -> str:
    return version.storage_class


def _in_parts(bucket: Bucket, version: Version) -> str:
    return _truth(version.parts_count > 0)


def _replication(bucket: Bucket, version: Version) -> str:
    return "" if version.more is None else version.more.replication


def _encryption(bucket: Bucket, version: Version) -> str:
    sealed = None if version.more is None else version.more.sealed
    return "SSE-S3" if sealed is None else _STATUS.get(sealed.kind, "SSE-S3")


def _retained(bucket: Bucket, version: Version) -> str:
    retention = None if version.more is None else version.more.retention
    return "" if retention is None else _moment(retention.until)


def _lock(bucket: Bucket, version: Version) -> str:
    retention = None if version.more is None else version.more.retention
    return "" if retention is None else retention.mode


def _hold(bucket: Bucket, version: Version) -> str:
    return (version.more.held if version.more is not None else "") or "OFF"


def _tier(bucket: Bucket, version: Version) -> str:
    return (
        _TIERS[tiering_rules.tier_of(version)]
        if version.storage_class == "INTELLIGENT_TIERING"
        else ""
    )


def _bucket_key(bucket: Bucket, version: Version) -> str:
    sealed = None if version.more is None else version.more.sealed
    return "ENABLED" if sealed is not None and sealed.bucket_key else "DISABLED"


def _checksum(bucket: Bucket, version: Version) -> str:
    return "" if version.checksum is None else version.checksum.algorithm


def _owner(bucket: Bucket, version: Version) -> str:
    more = version.more
    return canonical_user(more.owner if more is not None and more.owner else bucket.account)


def _access(bucket: Bucket, version: Version) -> str:
    """The list of access as S3 writes it: JSON in base64."""
    enforced = bucket.ownership == "BucketOwnerEnforced"
    grants = of_object(More() if enforced else version.more or More(), bucket)
    told = {"version": "2022-11-10", "status": "AVAILABLE", "grants": [*map(_grant, grants)]}
    return base64.b64encode(json.dumps(told).encode()).decode()


def _grant(grant: Grant) -> dict[str, str]:
    if grant.grantee.startswith("http"):
        return {"uri": grant.grantee, "type": "Group", "permission": grant.permission}
    return {
        "canonicalId": grant.grantee,
        "type": "CanonicalUser",
        "permission": grant.permission,
    }


def _ends(bucket: Bucket, version: Version) -> str:
    raise AssertionError("worked out in `row`, which knows the rules")


_OF_MARKERS = frozenset({"LastModifiedDate", "ObjectOwner"})
# In the order of a report's columns.
_COLUMNS: dict[str, Callable[[Bucket, Version], str]] = {
    "Size": _size,
    "LastModifiedDate": _modified,
    "ETag": _etag,
    "StorageClass": _class,
    "IsMultipartUploaded": _in_parts,
    "ReplicationStatus": _replication,
    "EncryptionStatus": _encryption,
    "ObjectLockRetainUntilDate": _retained,
    "ObjectLockMode": _lock,
    "ObjectLockLegalHoldStatus": _hold,
    "IntelligentTieringAccessTier": _tier,
    "BucketKeyStatus": _bucket_key,
    "ChecksumAlgorithm": _checksum,
    "ObjectAccessControlList": _access,
    "ObjectOwner": _owner,
    "LifecycleExpirationDate": _ends,
}
