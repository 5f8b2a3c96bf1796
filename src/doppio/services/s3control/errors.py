"""S3 Control's errors: one class per AWS code that the operations raise."""

from __future__ import annotations

from doppio.wire.errors import AwsError


class AccessDenied(AwsError):
    code = "AccessDenied"
    status = 403
    text = "Access Denied"


class AccessPointAlreadyOwnedByYou(AwsError):
    code = "AccessPointAlreadyOwnedByYou"
    status = 409
    text = "Your previous request to create the named accesspoint succeeded and you already own it."


class GroupExists(AwsError):
    code = "ResourceAlreadyExists"
    status = 409
    text = "A Storage Lens group of this name exists already."


class InvalidRequest(AwsError):
    code = "InvalidRequest"


class InvalidTag(AwsError):
    code = "InvalidTag"


class NoSuchAccessPoint(AwsError):
    code = "NoSuchAccessPoint"
    status = 404
    text = "The specified accesspoint does not exist"


class NoSuchAccessPointPolicy(AwsError):
    code = "NoSuchAccessPointPolicy"
    status = 404
    text = "The specified accesspoint policy does not exist"


class NoSuchBucket(AwsError):
    code = "NoSuchBucket"
    status = 404
    text = "The specified bucket does not exist"


class NoSuchAsyncRequest(AwsError):
    code = "NoSuchAsyncRequest"
    status = 404
    text = "The specified async request does not exist"


class NoSuchMultiRegionAccessPoint(AwsError):
    code = "NoSuchMultiRegionAccessPoint"
    status = 404
    text = "The specified Multi-Region Access Point does not exist"


class MultiRegionAccessPointAlreadyOwnedByYou(AwsError):
    code = "MultiRegionAccessPointAlreadyOwnedByYou"
    status = 409
    text = "You already have a Multi-Region Access Point of this name."


class NoSuchPublicAccessBlockConfiguration(AwsError):
    code = "NoSuchPublicAccessBlockConfiguration"
    status = 404
    text = "The public access block configuration was not found"


class BadRequest(AwsError):
    code = "BadRequestException"


class NoSuchConfiguration(AwsError):
    code = "NoSuchConfiguration"
    status = 404
    text = "The specified configuration does not exist."


class TooManyConfigurations(AwsError):
    code = "TooManyConfigurations"
    text = "You have attempted to create a new configuration but have already reached the limit."


class IdempotencyConflict(AwsError):
    code = "IdempotencyException"
    text = "The client token has been used for another request."


class InvalidNextToken(AwsError):
    code = "InvalidNextTokenException"
    text = "The NextToken provided is not valid."


class JobStatusConflict(AwsError):
    code = "JobStatusException"


class NotFound(AwsError):
    code = "NotFoundException"
    status = 404
    text = "The specified job does not exist."


class TooManyTags(AwsError):
    code = "TooManyTagsException"
    text = "A job can have at most 50 tags."


class NoSuchResource(AwsError):
    code = "NoSuchResource"
    status = 404
    text = "The specified resource does not exist."


class TooManyMultiRegionAccessPoints(AwsError):
    code = "TooManyMultiRegionAccessPoints"
    text = "You have attempted to create more Multi-Region Access Points than allowed."


class TooManyAccessPoints(AwsError):
    code = "TooManyAccessPoints"
    text = "You have attempted to create more access points than allowed for an account."
