"""Key policies: who may use a key. Each key has one, and it is called default."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from doppio.kernel.authorise import put_resource
from doppio.kernel.context import Context
from doppio.services.kms.access import again, check_policy, customers, not_pending, owned, permitted
from doppio.services.kms.errors import NotFound

if TYPE_CHECKING:
    from doppio._stubs import kms as w


class KeyPolicies:
    """The operations on key policies."""

    async def put_key_policy(self, ctx: Context, req: w.PutKeyPolicyRequest) -> None:
        """Set who may use a key; the policy counts for the next request."""
        if req.get("PolicyName", "default") != "default":
            raise NotFound("No such policy exists")
        seen = customers(await owned(ctx, req["KeyId"], "PutKeyPolicy", req))
        bypass = bool(req.get("BypassPolicyLockoutSafetyCheck"))
        await check_policy(ctx, seen.arn, req["Policy"], bypass=bypass)
        async with ctx.write() as tx:
            key = not_pending(await again(tx, seen))
            tx.put(replace(key, policy=req["Policy"]))
            put_resource(tx, key.arn, key.account, req["Policy"])

    async def get_key_policy(
        self, ctx: Context, req: w.GetKeyPolicyRequest
    ) -> w.GetKeyPolicyResponse:
        """Who may use a key."""
        if req.get("PolicyName", "default") != "default":
            raise NotFound("No such policy exists")
        key = await permitted(ctx, req["KeyId"], "GetKeyPolicy", req)
        return {"Policy": key.policy, "PolicyName": "default"}

    async def list_key_policies(
        self, ctx: Context, req: w.ListKeyPoliciesRequest
    ) -> w.ListKeyPoliciesResponse:
        """A key has one policy, and it is called default."""
        await permitted(ctx, req["KeyId"], "ListKeyPolicies", req)
        return {"PolicyNames": ["default"], "Truncated": False}
