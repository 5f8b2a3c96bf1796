"""For what a key was used last: who would delete it asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from doppio.kernel.context import Context
from doppio.services.kms.access import owned
from doppio.services.kms.records import Key, LastUse

if TYPE_CHECKING:
    from doppio._stubs import kms as w


class LastUses:
    """The operation on last uses."""

    async def get_key_last_usage(
        self, ctx: Context, req: w.GetKeyLastUsageRequest
    ) -> w.GetKeyLastUsageResponse:
        """The last call that has used a key; every key has been watched since it was made."""
        key = await owned(ctx, req["KeyId"], "GetKeyLastUsage", req)
        await ctx.kernel.uses.flush()
        found = await ctx.read().get(LastUse, key.account, key.region, key.id)
        told: dict[str, Any] = {
            "KeyId": key.id,
            "KeyLastUsage": {},
            "TrackingStartDate": key.created_at,
            "KeyCreationDate": key.created_at,
        }
        if found is not None:
            told["KeyLastUsage"] = {
                "Operation": found.operation,
                "Timestamp": found.at,
                "KmsRequestId": found.request_id,
            }
        return cast("w.GetKeyLastUsageResponse", told)


def used(ctx: Context, key: Key, operation: str) -> None:
    """A key has been used; it is counted, and kept a moment later that it was."""
    ctx.read().meter("KMS-Requests")
    ctx.kernel.uses.last(
        LastUse(
            account=key.account, region=key.region, key=key.id, operation=operation, at=ctx.now,
            request_id=ctx.request_id,
        )
    )  # fmt: skip
