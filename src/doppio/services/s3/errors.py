"""S3's errors: code, status, text, and the further fields and headers that some of them carry.

AwsError
├── 304 NotModified   301 PermanentRedirect
├── 400 what was asked is wrong (Invalid…, Malformed…, BadDigest, EntityTooSmall, …)
├── 403 AccessDenied  404 NoSuch…  405 MethodNotAllowed
├── 409 BucketAlreadyExists, BucketAlreadyOwnedByYou, BucketNotEmpty
├── 503 ZoneUnavailable
└── 411 MissingContentLength  412 PreconditionFailed  416 InvalidRange, InvalidPartNumber
"""

from __future__ import annotations

from doppio.wire.errors import AwsError


class AccessDenied(AwsError):
    code = "AccessDenied"
    status = 403
    text = "Access Denied"


class AccessControlListNotSupported(AwsError):
    code = "AccessControlListNotSupported"
    text = "The bucket does not allow ACLs"


class AccessForbidden(AwsError):
    code = "AccessForbidden"
    status = 403


class AnnotationLimitExceeded(AwsError):
    code = "AnnotationLimitExceeded"
    text = "The request would exceed the maximum number of annotations allowed per object."


class AnnotationNameTooLong(AwsError):
    code = "AnnotationNameTooLong"
    text = "The annotation name exceeds 512 bytes."


class BadDigest(AwsError):
    code = "BadDigest"
    text = "The Content-MD5 you specified did not match what we received."


class BucketAlreadyExists(AwsError):
    code = "BucketAlreadyExists"
    status = 409
    text = (
        "The requested bucket name is not available. The bucket namespace is shared by all users "
        "of the system. Please select a different name and try again."
    )


class BucketAlreadyOwnedByYou(AwsError):
    code = "BucketAlreadyOwnedByYou"
    status = 409
    text = "Your previous request to create the named bucket succeeded and you already own it."


class BucketHasAccessPointsAttached(AwsError):
    code = "BucketHasAccessPointsAttached"
    text = (
        "The bucket you tried to delete has access points attached. Delete your access points "
        "before deleting your bucket."
    )


class BucketNotEmpty(AwsError):
    code = "BucketNotEmpty"
    status = 409
    text = "The bucket you tried to delete is not empty"


class BucketNotEmptyOfVersions(BucketNotEmpty):
    text = (
        "The bucket you tried to delete is not empty. You must delete all versions in the bucket."
    )


class CrossLocationLoggingProhibited(AwsError):
    code = "CrossLocationLoggingProhibited"
    status = 403
    text = "Cross S3 location logging not allowed."


class EmailGrantee(AwsError):
    """S3 has not known grantees by e-mail since October 2025."""

    code = "MethodNotAllowed"
    status = 405
    text = "The specified method is not allowed against this resource."


class EntityTooLarge(AwsError):
    code = "EntityTooLarge"
    text = "Your proposed upload exceeds the maximum allowed size"


class EntityTooSmall(AwsError):
    code = "EntityTooSmall"
    text = "Your proposed upload is smaller than the minimum allowed size"


class IllegalLocationConstraint(AwsError):
    code = "IllegalLocationConstraintException"


class IncompleteBody(AwsError):
    code = "IncompleteBody"
    text = "You did not provide the number of bytes specified by the Content-Length HTTP header"


class IncorrectEndpoint(AwsError):
    code = "IncorrectEndpoint"
    text = (
        "The specified bucket exists in another region. Please direct requests to the specified "
        "endpoint."
    )


class InvalidAnnotationName(AwsError):
    code = "InvalidAnnotationName"
    text = "The annotation name you provided is invalid."


class InvalidArgument(AwsError):
    code = "InvalidArgument"
    text = "Invalid Argument"


class InvalidBucketAclWithObjectOwnership(AwsError):
    code = "InvalidBucketAclWithObjectOwnership"
    text = "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting"


class InvalidBucketAclWithBlockPublicAccess(AwsError):
    code = "InvalidBucketAclWithBlockPublicAccessError"
    text = "Bucket cannot have public ACLs set with BlockPublicAccess enabled"


class InvalidBucketState(AwsError):
    code = "InvalidBucketState"
    status = 409


class InvalidBucketName(AwsError):
    code = "InvalidBucketName"
    text = "The specified bucket is not valid."


class InvalidConfigurationId(AwsError):
    code = "InvalidConfigurationId"
    text = "The configuration ID specified is invalid"


class InvalidDestination(InvalidArgument):
    text = "Unable to validate the following destination configurations"


class InvalidDigest(AwsError):
    code = "InvalidDigest"
    text = "The Content-MD5 you specified was invalid."


class InvalidEncryptionAlgorithm(AwsError):
    code = "InvalidEncryptionAlgorithmError"
    text = "The Encryption request you specified is not valid. Supported value: AES256."


class InvalidLocationConstraint(AwsError):
    code = "InvalidLocationConstraint"
    text = "The specified location-constraint is not valid"


class InvalidObjectState(AwsError):
    code = "InvalidObjectState"
    status = 403
    text = "The operation is not valid for the object's storage class"


class InvalidPart(AwsError):
    code = "InvalidPart"
    text = (
        "One or more of the specified parts could not be found.  The part may not have been "
        "uploaded, or the specified entity tag may not match the part's entity tag."
    )


class InvalidPartNumber(AwsError):
    code = "InvalidPartNumber"
    status = 416
    text = "The requested partnumber is not satisfiable"


class InvalidPartOrder(AwsError):
    code = "InvalidPartOrder"
    text = "The list of parts was not in ascending order. Parts must be ordered by part number."


class InvalidPolicyDocument(AwsError):
    code = "InvalidPolicyDocument"
    text = "The content of the form does not meet the conditions specified in the policy document."


class InvalidPrefix(AwsError):
    code = "InvalidPrefix"
    text = "The annotation prefix you provided is invalid."


class InvalidRange(AwsError):
    code = "InvalidRange"
    status = 416
    text = "The requested range is not satisfiable"


class InvalidRedirectLocation(AwsError):
    code = "InvalidRedirectLocation"


class InvalidRequest(AwsError):
    code = "InvalidRequest"


class InvalidS3DestinationBucket(AwsError):
    code = "InvalidS3DestinationBucket"
    text = "Invalid bucket ARN."


class InvalidStorageClass(AwsError):
    code = "InvalidStorageClass"
    text = "The storage class you specified is not valid"


class InvalidTargetBucketForLogging(AwsError):
    code = "InvalidTargetBucketForLogging"
    text = (
        "The target bucket for logging does not exist, is not owned by you, or does not have the "
        "appropriate grants for the log-delivery group."
    )


class InvalidTag(AwsError):
    code = "InvalidTag"
    text = "The TagKey you have provided is invalid"


class KeyTooLong(AwsError):
    code = "KeyTooLongError"
    text = "Your key is too long"


class MalformedACL(AwsError):
    code = "MalformedACLError"
    text = (
        "The XML you provided was not well-formed or did not validate against our published schema"
    )


class MalformedPolicy(AwsError):
    code = "MalformedPolicy"


class MalformedXML(AwsError):
    code = "MalformedXML"
    text = (
        "The XML you provided was not well-formed or did not validate against our published schema"
    )


class MetadataTooLarge(AwsError):
    code = "MetadataTooLarge"
    text = "Your metadata headers exceed the maximum allowed metadata size"


class MetadataConfigurationAlreadyExists(AwsError):
    code = "MetadataConfigurationAlreadyExists"
    status = 409
    text = "A metadata configuration already exists for this bucket."


class MetadataConfigurationNotFound(AwsError):
    code = "MetadataConfigurationNotFound"
    status = 404
    text = "The specified metadata configuration does not exist."


class MethodNotAllowed(AwsError):
    code = "MethodNotAllowed"
    status = 405
    text = "The specified method is not allowed against this resource."


class MissingContentLength(AwsError):
    code = "MissingContentLength"
    status = 411
    text = "You must provide the Content-Length HTTP header."


class MissingSecurityHeader(AwsError):
    code = "MissingSecurityHeader"
    text = "Your request was missing a required header"


class NoSuchAnnotation(AwsError):
    code = "NoSuchAnnotation"
    status = 404
    text = "The specified annotation does not exist on this object."


class NoSuchAccessPoint(AwsError):
    code = "NoSuchAccessPoint"
    status = 404
    text = "The specified accesspoint does not exist"


class NoSuchBucket(AwsError):
    code = "NoSuchBucket"
    status = 404
    text = "The specified bucket does not exist"


class NoSuchBucketPolicy(AwsError):
    code = "NoSuchBucketPolicy"
    status = 404
    text = "The bucket policy does not exist"


class NoSuchConfiguration(AwsError):
    code = "NoSuchConfiguration"
    status = 404
    text = "The specified configuration does not exist."


class NoSuchCORSConfiguration(AwsError):
    code = "NoSuchCORSConfiguration"
    status = 404
    text = "The CORS configuration does not exist"


class NoSuchKey(AwsError):
    code = "NoSuchKey"
    status = 404
    text = "The specified key does not exist."


class NoSuchLifecycleConfiguration(AwsError):
    code = "NoSuchLifecycleConfiguration"
    status = 404
    text = "The lifecycle configuration does not exist"


class NoSuchObjectLockConfiguration(AwsError):
    code = "NoSuchObjectLockConfiguration"
    status = 404
    text = "The specified object does not have a ObjectLock configuration"


class NoSuchPublicAccessBlockConfiguration(AwsError):
    code = "NoSuchPublicAccessBlockConfiguration"
    status = 404
    text = "The public access block configuration was not found"


class NoSuchTagSet(AwsError):
    code = "NoSuchTagSet"
    status = 404
    text = "The TagSet does not exist"


class NoSuchMultiRegionAccessPoint(AwsError):
    code = "NoSuchMultiRegionAccessPoint"
    status = 404
    text = "The specified Multi-Region Access Point does not exist"


class NoSuchUpload(AwsError):
    code = "NoSuchUpload"
    status = 404
    text = (
        "The specified upload does not exist. The upload ID may be invalid, or the upload may "
        "have been aborted or completed."
    )


class NoSuchVersion(AwsError):
    code = "NoSuchVersion"
    status = 404
    text = "The specified version does not exist."


class NoSuchWebsiteConfiguration(AwsError):
    code = "NoSuchWebsiteConfiguration"
    status = 404
    text = "The specified bucket does not have a website configuration"


class NotModified(AwsError):
    code = "NotModified"
    status = 304
    text = "Not Modified"


class ObjectLockConfigurationNotFound(AwsError):
    code = "ObjectLockConfigurationNotFoundError"
    status = 404
    text = "Object Lock configuration does not exist for this bucket"


class OwnershipControlsNotFound(AwsError):
    code = "OwnershipControlsNotFoundError"
    status = 404
    text = "The bucket ownership controls were not found"


class PermanentRedirect(AwsError):
    code = "PermanentRedirect"
    status = 301
    text = (
        "The bucket you are attempting to access must be addressed using the specified endpoint. "
        "Please send all future requests to this endpoint."
    )


class PreconditionFailed(AwsError):
    code = "PreconditionFailed"
    status = 412
    text = "At least one of the pre-conditions you specified did not hold"


class ReplicationConfigurationNotFound(AwsError):
    code = "ReplicationConfigurationNotFoundError"
    status = 404
    text = "The replication configuration was not found"


class RestoreAlreadyInProgress(AwsError):
    code = "RestoreAlreadyInProgress"
    status = 409
    text = "Object restore is already in progress"


class RestoreNotArchived(InvalidObjectState):
    text = "Restore is not allowed for the object's current storage class"


class SlowDown(AwsError):
    """What clients try again."""

    code = "SlowDown"
    status = 503
    text = "Please reduce your request rate."


class TooManyBuckets(AwsError):
    code = "TooManyBuckets"
    text = "You have attempted to create more buckets than allowed"


class TooManyConfigurations(AwsError):
    code = "TooManyConfigurations"
    text = (
        "You are attempting to create a new configuration but have already reached the "
        "1,000-configuration limit."
    )


class ZoneUnavailable(AwsError):
    """What is asked for lies in an Availability Zone that is down."""

    code = "ServiceUnavailable"
    status = 503
    text = "Service is unable to handle request."


class UnsupportedMediaType(AwsError):
    code = "UnsupportedMediaType"
    status = 415
    text = "The annotation payload is not valid UTF-8 encoded text."


class BlockHeld(AwsError):
    """An account's block of public access, which its organisation holds by an S3 policy."""

    code = "AccessDenied"
    status = 403
    text = (
        "Access Denied: the account's public access block is managed by an S3 policy of its "
        "organization."
    )
