"""What each operation needs, and that it is about the caller's own account.

Source: "Actions, resources, and condition keys for Amazon S3" in the Service Authorization
Reference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.service import Need
from doppio.services.s3control.errors import AccessDenied
from doppio.services.s3control.job_permissions import job_needs

# Operation -> action, where the name differs.
_ACTIONS = {
    "GetPublicAccessBlock": "GetAccountPublicAccessBlock",
    "PutPublicAccessBlock": "PutAccountPublicAccessBlock",
    "DeletePublicAccessBlock": "PutAccountPublicAccessBlock",
}


def needs(ctx: Context, operation: str, req: Mapping[str, Any]) -> Sequence[Need]:
    """The permission that a call takes. Raises AccessDenied for another account's settings."""
    if req.get("AccountId", ctx.account) != ctx.account:
        raise AccessDenied
    if "Job" in operation:
        return job_needs(ctx, operation, req)
    return (Need(f"s3:{_ACTIONS.get(operation, operation)}"),)
