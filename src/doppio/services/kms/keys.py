"""Keys: made, described, switched off and on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel import tags
from doppio.kernel.authorise import put_resource
from doppio.kernel.context import Context
from doppio.kernel.paging import page_of
from doppio.services.kms import crypto, key_stores, limits, pairs
from doppio.services.kms.access import (
    ROTATE,
    again,
    check_policy,
    customers,
    default_policy,
    new_material,
    not_pending,
    owned,
    permitted,
    settled,
)
from doppio.services.kms.errors import (
    CustomKeyStoreNotFound,
    KmsInvalidState,
    TagProblem,
    UnsupportedOperation,
    Validation,
)
from doppio.services.kms.metadata import metadata
from doppio.services.kms.pages import position
from doppio.services.kms.records import Key, KeyStore
from doppio.wire.errors import NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import kms as w


class Keys:
    """The operations on keys themselves."""

    async def create_key(self, ctx: Context, req: w.CreateKeyRequest) -> w.CreateKeyResponse:
        """Make a key; its policy is the caller's, or lets the account's own policies decide."""
        spec = req.get("KeySpec") or req.get("CustomerMasterKeySpec") or "SYMMETRIC_DEFAULT"
        usage = _usage_of(spec, req.get("KeyUsage"))
        origin = req.get("Origin", "AWS_KMS")
        several = bool(req.get("MultiRegion"))
        _check_store(req, spec)
        key_id = f"mrk-{ctx.new_id().replace('-', '')}" if several else ctx.new_id()
        policy = req.get("Policy") or default_policy(ctx.account, ctx.partition)
        key = Key(
            account=ctx.account,
            region=ctx.region,
            id=key_id,
            partition=ctx.partition,
            created_at=ctx.now,
            materials=[],
            spec=spec,
            usage=usage,
            description=req.get("Description", ""),
            policy=policy,
            tags=tagged({}, req.get("Tags") or []),
            origin=origin,
            primary=ctx.region if several else "",
            state="PendingImport" if origin == "EXTERNAL" else "Enabled",
            store=req.get("CustomKeyStoreId", ""),
            xks_key=req.get("XksKeyId", ""),
        )
        bypass = bool(req.get("BypassPolicyLockoutSafetyCheck"))
        await check_policy(ctx, key.arn, policy, bypass=bypass)
        if key.store:
            await key_stores.check_key(ctx, key.store, key.xks_key)
        if origin != "EXTERNAL":
            private, public = await _generated(ctx, spec)
            material = await new_material(ctx, key_id, private)
            key = replace(key, materials=[material], public=public)
        async with ctx.write() as tx:
            if key.store:
                await key_stores.take_key(tx, key)
            tx.put(key)
            put_resource(tx, key.arn, key.account, policy)
            tx.meter("KMS-Requests")
        return {"KeyMetadata": metadata(key)}

    async def describe_key(self, ctx: Context, req: w.DescribeKeyRequest) -> w.DescribeKeyResponse:
        """What there is to know of a key, but its material."""
        key = await permitted(ctx, req["KeyId"], "DescribeKey", req)
        store = None
        if key.store:
            store = await ctx.read().get(KeyStore, key.account, key.region, key.store)
        return {"KeyMetadata": metadata(key, store)}

    async def list_keys(self, ctx: Context, req: w.ListKeysRequest) -> w.ListKeysResponse:
        """The account's keys in the Region, by pages."""
        most = req.get("Limit", limits.LISTED_KEYS)
        scope = f"keys/{ctx.account}/{ctx.region}"
        shown, token = await page_of(
            ctx.read(), Key, (ctx.account, ctx.region), most=most, scope=scope,
            after=position(req, scope),
        )  # fmt: skip
        result: w.ListKeysResponse = {
            "Keys": [{"KeyId": key.id, "KeyArn": key.arn} for key in shown],
            "Truncated": token is not None,
        }
        if token is not None:
            result["NextMarker"] = token
        return result

    async def enable_key(self, ctx: Context, req: w.EnableKeyRequest) -> None:
        """Let a key be used again; a rotation that has come due meanwhile is made up for."""
        await self._state(ctx, req["KeyId"], "EnableKey", "Enabled")

    async def disable_key(self, ctx: Context, req: w.DisableKeyRequest) -> None:
        """Let nobody use a key."""
        await self._state(ctx, req["KeyId"], "DisableKey", "Disabled")

    async def _state(self, ctx: Context, name: str, action: str, state: str) -> None:
        seen = customers(await owned(ctx, name, action, {}))
        async with ctx.write() as tx:
            key = settled(await again(tx, seen))
            if key.state == "PendingImport":
                raise KmsInvalidState(f"{key.arn} is pending import.")
            tx.put(replace(key, state=state))
            if state == "Enabled" and key.rotates_at is not None and not key.is_replica:
                await tx.schedule(key.rotates_at, ROTATE, key.arn)

    async def update_key_description(
        self, ctx: Context, req: w.UpdateKeyDescriptionRequest
    ) -> None:
        """Say something else of a key."""
        seen = customers(await owned(ctx, req["KeyId"], "UpdateKeyDescription", req))
        async with ctx.write() as tx:
            key = not_pending(await again(tx, seen))
            tx.put(replace(key, description=req["Description"]))

    async def tag_resource(self, ctx: Context, req: w.TagResourceRequest) -> None:
        """Put tags on a key, over those of the same keys."""
        seen = customers(await permitted(ctx, req["KeyId"], "TagResource", req))
        async with ctx.write() as tx:
            key = not_pending(await again(tx, seen))
            tx.put(replace(key, tags=tagged(key.tags, req["Tags"])))

    async def untag_resource(self, ctx: Context, req: w.UntagResourceRequest) -> None:
        """Take tags off a key."""
        seen = customers(await permitted(ctx, req["KeyId"], "UntagResource", req))
        async with ctx.write() as tx:
            key = not_pending(await again(tx, seen))
            tx.put(replace(key, tags=tags.without(key.tags, req["TagKeys"])))

    async def list_resource_tags(
        self, ctx: Context, req: w.ListResourceTagsRequest
    ) -> w.ListResourceTagsResponse:
        """The tags of a key."""
        key = await permitted(ctx, req["KeyId"], "ListResourceTags", req)
        listed = tags.to_list(key.tags, "TagKey", "TagValue")
        return {"Tags": cast("list[w.Tag]", listed), "Truncated": False}


async def _generated(ctx: Context, spec: str) -> tuple[bytes, bytes]:
    size = crypto.material_bytes(spec)
    if size is not None:
        return ctx.kernel.ids.bytes(size), b""
    # An RSA key takes up to seconds: not on the loop.
    return await asyncio.get_running_loop().run_in_executor(None, pairs.new_pair, spec)


def _usage_of(spec: str, asked: str | None) -> str:
    if crypto.material_bytes(spec) is not None:
        hmac = spec.startswith("HMAC")
        allowed: tuple[str, ...] = ("GENERATE_VERIFY_MAC",) if hmac else ("ENCRYPT_DECRYPT",)
    elif pairs.is_pair(spec):
        allowed = pairs.usages(spec)
    else:
        raise NotImplementedByDoppio(f"kms: keys of spec {spec} exist in AWS and not here")
    if asked is None:
        if spec == "SYMMETRIC_DEFAULT":
            return "ENCRYPT_DECRYPT"
        raise Validation(
            "You must specify a KeyUsage value for all KMS keys except for symmetric encryption "
            "keys."
        )
    if asked not in allowed:
        raise Validation(f"KeyUsage {asked} is not compatible with KeySpec {spec}")
    return asked


def _check_store(req: w.CreateKeyRequest, spec: str) -> None:
    """Raise what is wrong with where a key is to lie."""
    origin = req.get("Origin", "AWS_KMS")
    if origin == "AWS_CLOUDHSM":
        if not req.get("CustomKeyStoreId"):
            raise Validation("CustomKeyStoreId is required for a key in a custom key store.")
        # No store of CloudHSM can have been made.
        raise CustomKeyStoreNotFound
    inside = origin == "EXTERNAL_KEY_STORE"
    for member in ("CustomKeyStoreId", "XksKeyId"):
        if bool(req.get(member)) is not inside:
            which = "required" if inside else "not supported"
            raise Validation(f"{member} is {which} for a key with Origin {origin}.")
    if inside and (spec != "SYMMETRIC_DEFAULT" or req.get("MultiRegion")):
        raise UnsupportedOperation(
            "A custom key store holds symmetric encryption keys of a single Region alone."
        )


def tagged(old: Mapping[str, str], given: Any) -> dict[str, str]:
    """A key's tags, and those that are given. Raises TagProblem."""
    try:
        return tags.merged(old, tags.from_list(given, "TagKey", "TagValue"))
    except tags.BadTags as error:
        raise TagProblem(str(error)) from error
