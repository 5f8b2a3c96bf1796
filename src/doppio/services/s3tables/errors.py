"""S3 Tables' errors: one class per AWS code that the operations raise."""

from __future__ import annotations

from doppio.wire.errors import AwsError


class BadRequest(AwsError):
    code = "BadRequestException"


class Conflict(AwsError):
    code = "ConflictException"
    status = 409


class Taken(Conflict):
    """A name that something else has."""


class Stale(Conflict):
    """A change that rests on another version of a table than there is."""


class NotEmpty(Conflict):
    """What is to be deleted holds something."""


class Forbidden(AwsError):
    code = "ForbiddenException"
    status = 403


class NotFound(AwsError):
    code = "NotFoundException"
    status = 404


def no_bucket() -> NotFound:
    return NotFound("The specified bucket does not exist.")


def no_namespace() -> NotFound:
    return NotFound("The specified namespace does not exist.")


def no_table() -> NotFound:
    return NotFound("The specified table does not exist.")
