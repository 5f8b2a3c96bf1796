"""S3's errors: code, status, text, and the further fields and headers that some of them carry.

S3Error
├── 304 NotModified   301 PermanentRedirect
├── 400 what was asked is wrong (Invalid…, Malformed…, BadDigest, EntityTooSmall, …)
├── 403 AccessDenied  404 NoSuch…  405 MethodNotAllowed
├── 409 BucketAlreadyExists, BucketAlreadyOwnedByYou, BucketNotEmpty
└── 411 MissingContentLength  412 PreconditionFailed  416 InvalidRange, InvalidPartNumber
"""

from __future__ import annotations

from typing import Any

from doppio.wire.errors import AwsError


class S3Error(AwsError):
    """Base: `headers` go onto the response beside the error's document."""

    def __init__(
        self, message: str | None = None, *, headers: dict[str, str] | None = None, **fields: Any
    ) -> None:
        super().__init__(message, **fields)
        self.headers: dict[str, str] = headers or {}


class AccessDenied(S3Error):
    code = "AccessDenied"
    status = 403
    text = "Access Denied"


class AccessControlListNotSupported(S3Error):
    code = "AccessControlListNotSupported"
    text = "The bucket does not allow ACLs"


class BadDigest(S3Error):
    code = "BadDigest"
    text = "The Content-MD5 you specified did not match what we received."


class BucketAlreadyExists(S3Error):
    code = "BucketAlreadyExists"
    status = 409
    text = (
        "The requested bucket name is not available. The bucket namespace is shared by all users "
        "of the system. Please select a different name and try again."
    )


class BucketAlreadyOwnedByYou(S3Error):
    code = "BucketAlreadyOwnedByYou"
    status = 409
    text = "Your previous request to create the named bucket succeeded and you already own it."


class BucketNotEmpty(S3Error):
    code = "BucketNotEmpty"
    status = 409
    text = "The bucket you tried to delete is not empty"


class BucketNotEmptyOfVersions(BucketNotEmpty):
    text = (
        "The bucket you tried to delete is not empty. You must delete all versions in the bucket."
    )


class EntityTooLarge(S3Error):
    code = "EntityTooLarge"
    text = "Your proposed upload exceeds the maximum allowed size"


class EntityTooSmall(S3Error):
    code = "EntityTooSmall"
    text = "Your proposed upload is smaller than the minimum allowed size"


class IllegalLocationConstraint(S3Error):
    code = "IllegalLocationConstraintException"


class IncompleteBody(S3Error):
    code = "IncompleteBody"
    text = "You did not provide the number of bytes specified by the Content-Length HTTP header"


class InvalidArgument(S3Error):
    code = "InvalidArgument"
    text = "Invalid Argument"


class InvalidBucketAclWithObjectOwnership(S3Error):
    code = "InvalidBucketAclWithObjectOwnership"
    text = "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting"


class InvalidBucketName(S3Error):
    code = "InvalidBucketName"
    text = "The specified bucket is not valid."


class InvalidDigest(S3Error):
    code = "InvalidDigest"
    text = "The Content-MD5 you specified was invalid."


class InvalidLocationConstraint(S3Error):
    code = "InvalidLocationConstraint"
    text = "The specified location-constraint is not valid"


class InvalidPart(S3Error):
    code = "InvalidPart"
    text = (
        "One or more of the specified parts could not be found.  The part may not have been "
        "uploaded, or the specified entity tag may not match the part's entity tag."
    )


class InvalidPartNumber(S3Error):
    code = "InvalidPartNumber"
    status = 416
    text = "The requested partnumber is not satisfiable"


class InvalidPartOrder(S3Error):
    code = "InvalidPartOrder"
    text = "The list of parts was not in ascending order. Parts must be ordered by part number."


class InvalidRange(S3Error):
    code = "InvalidRange"
    status = 416
    text = "The requested range is not satisfiable"


class InvalidRequest(S3Error):
    code = "InvalidRequest"


class InvalidStorageClass(S3Error):
    code = "InvalidStorageClass"
    text = "The storage class you specified is not valid"


class InvalidTag(S3Error):
    code = "InvalidTag"
    text = "The TagKey you have provided is invalid"


class KeyTooLong(S3Error):
    code = "KeyTooLongError"
    text = "Your key is too long"


class MalformedPolicy(S3Error):
    code = "MalformedPolicy"


class MalformedXML(S3Error):
    code = "MalformedXML"
    text = (
        "The XML you provided was not well-formed or did not validate against our published schema"
    )


class MetadataTooLarge(S3Error):
    code = "MetadataTooLarge"
    text = "Your metadata headers exceed the maximum allowed metadata size"


class MethodNotAllowed(S3Error):
    code = "MethodNotAllowed"
    status = 405
    text = "The specified method is not allowed against this resource."


class MissingContentLength(S3Error):
    code = "MissingContentLength"
    status = 411
    text = "You must provide the Content-Length HTTP header."


class NoSuchBucket(S3Error):
    code = "NoSuchBucket"
    status = 404
    text = "The specified bucket does not exist"


class NoSuchBucketPolicy(S3Error):
    code = "NoSuchBucketPolicy"
    status = 404
    text = "The bucket policy does not exist"


class NoSuchConfiguration(S3Error):
    code = "NoSuchConfiguration"
    status = 404
    text = "The specified configuration does not exist."


class NoSuchCORSConfiguration(S3Error):
    code = "NoSuchCORSConfiguration"
    status = 404
    text = "The CORS configuration does not exist"


class NoSuchKey(S3Error):
    code = "NoSuchKey"
    status = 404
    text = "The specified key does not exist."


class NoSuchLifecycleConfiguration(S3Error):
    code = "NoSuchLifecycleConfiguration"
    status = 404
    text = "The lifecycle configuration does not exist"


class NoSuchPublicAccessBlockConfiguration(S3Error):
    code = "NoSuchPublicAccessBlockConfiguration"
    status = 404
    text = "The public access block configuration was not found"


class NoSuchTagSet(S3Error):
    code = "NoSuchTagSet"
    status = 404
    text = "The TagSet does not exist"


class NoSuchUpload(S3Error):
    code = "NoSuchUpload"
    status = 404
    text = (
        "The specified upload does not exist. The upload ID may be invalid, or the upload may "
        "have been aborted or completed."
    )


class NoSuchVersion(S3Error):
    code = "NoSuchVersion"
    status = 404
    text = "The specified version does not exist."


class NoSuchWebsiteConfiguration(S3Error):
    code = "NoSuchWebsiteConfiguration"
    status = 404
    text = "The specified bucket does not have a website configuration"


class NotModified(S3Error):
    code = "NotModified"
    status = 304
    text = "Not Modified"


class ObjectLockConfigurationNotFound(S3Error):
    code = "ObjectLockConfigurationNotFoundError"
    status = 404
    text = "Object Lock configuration does not exist for this bucket"


class OwnershipControlsNotFound(S3Error):
    code = "OwnershipControlsNotFoundError"
    status = 404
    text = "The bucket ownership controls were not found"


class PermanentRedirect(S3Error):
    code = "PermanentRedirect"
    status = 301
    text = (
        "The bucket you are attempting to access must be addressed using the specified endpoint. "
        "Please send all future requests to this endpoint."
    )


class PreconditionFailed(S3Error):
    code = "PreconditionFailed"
    status = 412
    text = "At least one of the pre-conditions you specified did not hold"


class ReplicationConfigurationNotFound(S3Error):
    code = "ReplicationConfigurationNotFoundError"
    status = 404
    text = "The replication configuration was not found"


class TooManyBuckets(S3Error):
    code = "TooManyBuckets"
    text = "You have attempted to create more buckets than allowed"
