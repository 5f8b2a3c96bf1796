"""MFA delete: what may be changed only by who has a device in hand, and shows its code.

`x-amz-mfa` is the device's serial number, a space, and the code. Source: "Configuring MFA delete";
only the root of the bucket's account turns it on or off.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doppio.kernel.context import Context
from doppio.services.iam.ports import code_counts
from doppio.services.s3.errors import AccessDenied, InvalidRequest
from doppio.services.s3.lookup import existing_bucket
from doppio.services.s3.records import Bucket

_ENABLED = "Enabled"


def missing() -> AccessDenied:
    """The answer where a code is wanted and none was given."""
    return AccessDenied("Mfa Authentication must be used for this request")


async def proven(ctx: Context, req: Mapping[str, Any]) -> bool:
    """Whether the request brings a code of a device of its caller's; it is used up by this.

    False where it brings none. Raises AccessDenied for a code that does not count.
    """
    given = req.get("MFA")
    if given is None:
        return False
    # Nobody's code is used up for a bucket that is not there.
    await existing_bucket(ctx.read(), req)
    serial, _, code = given.strip().rpartition(" ")
    if not serial or not code.isascii() or not code.isdigit():
        raise InvalidRequest("The x-amz-mfa header is not of the form: serial number, space, code")
    caller = ctx.caller
    holder = {"root": "", "user": caller.arn.rpartition("/")[2]}.get(caller.kind)
    if holder is None or not await code_counts(ctx, holder, serial.strip(), code):
        raise AccessDenied("Mfa authentication failed: the device or its code is not valid")
    return True


def check_change(ctx: Context, bucket: Bucket, wanted: str | None, *, proven: bool) -> None:
    """Raise AccessDenied unless the caller may set versioning, and MFA delete as `wanted`."""
    guarded = bucket.mfa_delete == _ENABLED
    if not guarded and wanted != _ENABLED:
        return
    if wanted is not None and (wanted == _ENABLED) != guarded:
        caller = ctx.caller
        if caller.kind != "root" or caller.account != bucket.account:
            raise AccessDenied("This operation may only be performed by the bucket owner")
    if not proven:
        raise missing()
