"""IAM access keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.kernel.uses import KeyUse
from doppio.services.iam import limits
from doppio.services.iam.common import acting_user, changed, page
from doppio.services.iam.errors import LimitExceeded, NoSuchEntity
from doppio.services.iam.key_ids import LONG_TERM, new_key_id
from doppio.services.iam.records import BY_USER, AccessKey
from doppio.wire.errors import AccessDenied

if TYPE_CHECKING:
    from doppio._stubs import iam as w


class AccessKeys:
    """The access key operations. Without a user name they act on the caller's own keys."""

    async def create_access_key(
        self, ctx: Context, req: w.CreateAccessKeyRequest
    ) -> w.CreateAccessKeyResponse:
        """Create an access key, at most two a user; the secret is shown this once."""
        async with ctx.write() as tx:
            user = await acting_user(tx, ctx, req)
            old = await tx.find(BY_USER, (ctx.account, user), limit=limits.ROWS_MAX)
            if len(old) >= limits.ACCESS_KEYS_A_USER_MAX:
                raise LimitExceeded("Cannot exceed quota for AccessKeysPerUser: 2")
            key = AccessKey(
                id=new_key_id(ctx.kernel.ids, LONG_TERM, ctx.account), account=ctx.account, user=user,
                secret=ctx.new_id("secret-key"), created_at=ctx.now,
            )  # fmt: skip
            tx.add(key)
            changed(tx, ctx)
        return {"AccessKey": {**_to_wire(key), "SecretAccessKey": key.secret}}  # type: ignore[typeddict-item]

    async def list_access_keys(
        self, ctx: Context, req: w.ListAccessKeysRequest
    ) -> w.ListAccessKeysResponse:
        """The access keys of a user, without their secrets."""
        reader = ctx.read()
        user = await acting_user(reader, ctx, req)
        rows = await reader.find(BY_USER, (ctx.account, user), limit=limits.ROWS_MAX)
        return page(req, rows, "AccessKeyMetadata", _to_wire, f"keys/{user}")  # type: ignore[return-value]

    async def update_access_key(self, ctx: Context, req: w.UpdateAccessKeyRequest) -> None:
        """Switch an access key on or off."""
        async with ctx.write() as tx:
            key = await _key(tx, ctx, req)
            tx.put(replace(key, active=req["Status"] == "Active"))
            changed(tx, ctx)

    async def delete_access_key(self, ctx: Context, req: w.DeleteAccessKeyRequest) -> None:
        """Delete an access key; the next request that it signs is refused."""
        async with ctx.write() as tx:
            key = await _key(tx, ctx, req)
            tx.delete(key)
            if (used := await tx.get(KeyUse, key.id)) is not None:
                tx.delete(used)
            changed(tx, ctx)

    async def get_access_key_last_used(
        self, ctx: Context, req: w.GetAccessKeyLastUsedRequest
    ) -> w.GetAccessKeyLastUsedResponse:
        """When, where and with which service a key of the account's was used last."""
        reader = ctx.read()
        key = await reader.get(AccessKey, req["AccessKeyId"])
        if key is None or key.account != ctx.account:
            raise AccessDenied(
                f"User: {ctx.caller.arn} is not authorized to perform: "
                f"iam:GetAccessKeyLastUsed on resource: access key {req['AccessKeyId']}"
            )
        await ctx.kernel.uses.flush()
        used = await reader.get(KeyUse, key.id)
        shown: w.AccessKeyLastUsed = {"ServiceName": "N/A", "Region": "N/A"}
        if used is not None:
            shown = {"ServiceName": used.service, "Region": used.region, "LastUsedDate": used.at}
        return {"UserName": key.user, "AccessKeyLastUsed": shown}


async def _key(tx: Tx, ctx: Context, req: Mapping[str, Any]) -> AccessKey:
    user = await acting_user(tx, ctx, req)
    key = await tx.get(AccessKey, req["AccessKeyId"])
    if key is None or key.account != ctx.account or key.user != user:
        raise NoSuchEntity(f"The Access Key with id {req['AccessKeyId']} cannot be found.")
    return key


def _to_wire(key: AccessKey) -> dict[str, Any]:
    return {
        "UserName": key.user or "root",
        "AccessKeyId": key.id,
        "Status": "Active" if key.active else "Inactive",
        "CreateDate": key.created_at,
    }
