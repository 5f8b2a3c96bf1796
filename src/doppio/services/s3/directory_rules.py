"""How requests to directory buckets differ from others, and S3's refusal where they may not. Pure.

Source: what the documentation of each operation says of directory buckets.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from doppio.kernel.paging import BadToken, page_token, token_key
from doppio.services.s3.directory_errors import FunctionNotImplemented
from doppio.services.s3.errors import (
    InvalidArgument,
    InvalidPartOrder,
    InvalidRequest,
    InvalidStorageClass,
)
from doppio.services.s3.records import Bucket

EXPRESS_ONEZONE = "EXPRESS_ONEZONE"
KMS = "aws:kms"
_UNKNOWN = frozenset(
    {
        "Tagging", "WebsiteRedirectLocation", "ObjectLockMode", "ObjectLockRetainUntilDate",
        "ObjectLockLegalHoldStatus", "SSECustomerAlgorithm", "SSECustomerKey",
        "SSECustomerKeyMD5", "GrantFullControl", "GrantRead", "GrantReadACP", "GrantWriteACP",
        "RequestPayer",
    }
)  # fmt: skip
_ENCRYPTION = (
    "ServerSideEncryption", "SSEKMSKeyId", "SSEKMSEncryptionContext", "BucketKeyEnabled",
)  # fmt: skip


def checked_write(
    operation: str, bucket: Bucket, req: Mapping[str, Any], session: Mapping[str, str]
) -> dict[str, Any]:
    """A write as it is carried out: of the bucket's only class, encrypted as its session says."""
    if not _UNKNOWN.isdisjoint(req) or req.get("AnnotationDirective") == "COPY":
        raise FunctionNotImplemented
    found = dict(req)
    storage_class = found.setdefault("StorageClass", EXPRESS_ONEZONE)
    if storage_class != EXPRESS_ONEZONE:
        raise InvalidStorageClass(StorageClassRequested=storage_class)
    kind, key = encryption_of(bucket, session)
    given = req.get("ServerSideEncryption")
    if given not in {None, kind} or req.get("SSEKMSKeyId") not in {None, key, _id_of(key)}:
        raise InvalidRequest(
            "The encryption settings in the request do not match those of the session or of the "
            "directory bucket."
        )
    check_context(bucket, req)
    for name in _ENCRYPTION:
        found.pop(name, None)
    if kind == KMS:
        # Bucket keys are always on, but in copies.
        found.update(
            ServerSideEncryption=KMS, SSEKMSKeyId=key, BucketKeyEnabled=operation != "CopyObject"
        )
    return found


def encryption_of(bucket: Bucket, session: Mapping[str, str]) -> tuple[str, str]:
    """How new objects are encrypted: as the session was told, else as the bucket is set to."""
    if "sse" in session:
        return session["sse"], session.get("key", "")
    if bucket.encryption is None:
        return "AES256", ""
    default = bucket.encryption["Rules"][0]["ApplyServerSideEncryptionByDefault"]
    return default["SSEAlgorithm"], default.get("KMSMasterKeyID", "")


def check_context(bucket: Bucket, req: Mapping[str, Any]) -> None:
    """Raise InvalidRequest where an encryption context is not the only one: the bucket's ARN."""
    given = req.get("SSEKMSEncryptionContext")
    if given is None:
        return
    try:
        document = json.loads(base64.b64decode(given, validate=True))
    except ValueError:
        document = None
    if document != {"aws:s3:arn": bucket.arn}:
        raise InvalidRequest(
            "The encryption context of a directory bucket must be its Amazon Resource Name (ARN)."
        )


def checked_listing(operation: str, req: Mapping[str, Any]) -> dict[str, Any]:
    """A listing, if it asks for what directory buckets can list."""
    if req.get("Delimiter", "/") != "/":
        raise InvalidArgument(
            "The delimiter of a directory bucket must be /",
            ArgumentName="delimiter",
            ArgumentValue=req["Delimiter"],
        )
    prefix = req.get("Prefix", "")
    if prefix and not prefix.endswith("/"):
        raise InvalidArgument(
            "A prefix in a directory bucket must end in the delimiter /",
            ArgumentName="prefix",
            ArgumentValue=prefix,
        )
    for name in ("StartAfter", "UploadIdMarker", "OptionalObjectAttributes", "RequestPayer"):
        if req.get(name):
            raise FunctionNotImplemented
    if operation == "ListMultipartUploads" and req.get("KeyMarker"):
        key, upload = marker_of(req["KeyMarker"])
        return {**req, "KeyMarker": key, "UploadIdMarker": upload}
    return dict(req)


def marker_to(key: str, upload: str) -> str:
    """The marker behind which a listing of uploads goes on; it says nothing to its bearer."""
    return page_token(json.dumps([key, upload]).encode(), "uploads")


def marker_of(marker: str) -> tuple[str, str]:
    """The key and upload of a marker. Raises InvalidArgument."""
    try:
        key, upload = json.loads(token_key(marker, "uploads"))
    except (BadToken, ValueError) as error:
        raise InvalidArgument(
            "The key-marker provided is incorrect",
            ArgumentName="key-marker",
            ArgumentValue=marker,
        ) from error
    return key, upload


def checked_parts(req: Mapping[str, Any]) -> None:
    """Raise where parts are not numbered from 1 on without a gap."""
    parts = (req.get("MultipartUpload") or {}).get("Parts") or []
    numbers = [part.get("PartNumber") for part in parts]
    if numbers != list(range(1, len(numbers) + 1)):
        raise InvalidPartOrder(
            "The list of parts was not consecutive. Parts of a directory bucket must be numbered "
            "consecutively, beginning with 1."
        )


def checked_lifecycle(req: Mapping[str, Any]) -> None:
    """Raise where rules do more than expire objects and give uploads up."""
    for rule in (req.get("LifecycleConfiguration") or {}).get("Rules") or []:
        given = rule.get("Filter") or {}
        both = given.get("And") or {}
        if any(
            rule.get(name)
            for name in (
                "Transitions", "NoncurrentVersionTransitions", "NoncurrentVersionExpiration",
            )
        ) or (rule.get("Expiration") or {}).get("ExpiredObjectDeleteMarker"):  # fmt: skip
            raise FunctionNotImplemented
        if "Tag" in given or both.get("Tags"):
            raise FunctionNotImplemented


def _id_of(key: str) -> str:
    """The id in a key's ARN."""
    return key.rpartition("/")[2]
