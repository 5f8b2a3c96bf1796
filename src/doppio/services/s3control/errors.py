"""S3 Control's errors: one class per AWS code that the operations raise."""

from __future__ import annotations

from doppio.wire.errors import AwsError


class AccessDenied(AwsError):
    code = "AccessDenied"
    status = 403
    text = "Access Denied"


class NoSuchPublicAccessBlockConfiguration(AwsError):
    code = "NoSuchPublicAccessBlockConfiguration"
    status = 404
    text = "The public access block configuration was not found"
