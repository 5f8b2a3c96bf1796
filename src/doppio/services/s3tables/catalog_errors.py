"""Errors of Iceberg's REST catalog: what AWS's own mean there."""

from __future__ import annotations

import json

from doppio.kernel.web import Told
from doppio.services.s3tables import errors
from doppio.wire.errors import AccessDenied, AwsError, NotImplementedByDoppio


class NoSuchRoute(AwsError):
    """A path that the catalog does not have: views, transactions over tables, plans of scans."""

    code = "UnsupportedOperationException"
    status = 406


# Iceberg's exceptions by what is missing, or there already, as the texts of the operations begin.
_MISSING = {
    errors.no_bucket().message: "NoSuchWarehouseException",
    errors.no_namespace().message: "NoSuchNamespaceException",
    errors.no_table().message: "NoSuchTableException",
}


def refused(error: AwsError) -> Told:
    """An error as Iceberg's clients know it."""
    kind, status = _kind_of(error)
    body = {"error": {"message": error.message, "type": kind, "code": status}}
    headers = [("content-type", "application/json"), *error.headers.items()]
    return Told(status, headers, json.dumps(body).encode(), kind)


def _kind_of(error: AwsError) -> tuple[str, int]:
    if isinstance(error, errors.NotFound):
        return _MISSING.get(error.message, "NotFoundException"), 404
    if isinstance(error, errors.Taken):
        return "AlreadyExistsException", 409
    if isinstance(error, errors.NotEmpty):
        return "NamespaceNotEmptyException", 409
    if isinstance(error, errors.Conflict):
        return "CommitFailedException", 409
    if isinstance(error, AccessDenied | errors.Forbidden):
        return "ForbiddenException", 403
    if isinstance(error, NotImplementedByDoppio):
        return "UnsupportedOperationException", 501
    if error.status == 403:
        # A signature that does not hold.
        return "NotAuthorizedException", 401
    if isinstance(error, NoSuchRoute):
        return error.code, error.status
    if error.status >= 500:
        return error.code, error.status
    return "BadRequestException", 400
