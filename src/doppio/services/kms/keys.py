"""Keys: made, described, switched off and on, and deleted after a waiting time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel import tags
from doppio.kernel.authorise import check_policy_document, forget_resource, put_resource
from doppio.kernel.context import Context, Tx, row_key
from doppio.kernel.jobs import Job
from doppio.kernel.listening import tell
from doppio.kernel.paging import BadToken, page_token, token_key
from doppio.services.kms import crypto, limits, pairs
from doppio.services.kms.access import (
    default_policy,
    new_material,
    not_pending,
    permitted,
)
from doppio.services.kms.errors import (
    InvalidMarker,
    KmsInvalidState,
    MalformedPolicyDocument,
    NotFound,
    TagProblem,
    UnsupportedOperation,
    Validation,
)
from doppio.services.kms.granted import forget_grants
from doppio.services.kms.records import BY_KEY, Key, LastUse
from doppio.services.kms.signing import algorithms
from doppio.wire.errors import NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import kms as w

DELETE = "kms.delete"


class Keys:
    """The operations on keys themselves."""

    async def create_key(self, ctx: Context, req: w.CreateKeyRequest) -> w.CreateKeyResponse:
        """Make a key; its policy is the caller's, or lets the account's own policies decide."""
        spec = req.get("KeySpec") or req.get("CustomerMasterKeySpec") or "SYMMETRIC_DEFAULT"
        usage = _usage_of(spec, req.get("KeyUsage"))
        _refuse_what_is_not_here(req)
        policy = req.get("Policy") or default_policy(ctx.account, ctx.partition)
        check_policy(policy)
        key_id = ctx.new_id()
        private, public = await _generated(ctx, spec)
        material = await new_material(ctx, key_id, private)
        key = Key(
            account=ctx.account,
            region=ctx.region,
            id=key_id,
            partition=ctx.partition,
            created_at=ctx.now,
            materials=[material],
            spec=spec,
            usage=usage,
            description=req.get("Description", ""),
            public=public,
            policy=policy,
            tags=_tags({}, req.get("Tags") or []),
        )
        async with ctx.write() as tx:
            tx.put(key)
            put_resource(tx, key.arn, key.account, policy)
            tx.meter("KMS-Requests")
        return {"KeyMetadata": metadata(key)}

    async def describe_key(self, ctx: Context, req: w.DescribeKeyRequest) -> w.DescribeKeyResponse:
        """What there is to know of a key, but its material."""
        return {"KeyMetadata": metadata(await permitted(ctx, req["KeyId"], "DescribeKey", req))}

    async def list_keys(self, ctx: Context, req: w.ListKeysRequest) -> w.ListKeysResponse:
        """The account's keys in the Region, by pages."""
        most = req.get("Limit", limits.LISTED_KEYS)
        scope = f"keys/{ctx.account}/{ctx.region}"
        found = await ctx.read().list(
            Key, (ctx.account, ctx.region), after=position(req, scope), limit=most + 1
        )
        shown = found[:most]
        result: w.ListKeysResponse = {
            "Keys": [{"KeyId": key.id, "KeyArn": key.arn} for key in shown],
            "Truncated": len(found) > len(shown),
        }
        if result["Truncated"]:
            result["NextMarker"] = page_token(row_key(shown[-1]), scope)
        return result

    async def enable_key(self, ctx: Context, req: w.EnableKeyRequest) -> None:
        """Let a key be used again."""
        await self._state(ctx, req["KeyId"], "EnableKey", "Enabled")

    async def disable_key(self, ctx: Context, req: w.DisableKeyRequest) -> None:
        """Let nobody use a key."""
        await self._state(ctx, req["KeyId"], "DisableKey", "Disabled")

    async def _state(self, ctx: Context, name: str, action: str, state: str) -> None:
        seen = _customers(await permitted(ctx, name, action))
        async with ctx.write() as tx:
            key = not_pending(await again(tx, seen))
            tx.put(replace(key, state=state))

    async def update_key_description(
        self, ctx: Context, req: w.UpdateKeyDescriptionRequest
    ) -> None:
        """Say something else of a key."""
        seen = _customers(await permitted(ctx, req["KeyId"], "UpdateKeyDescription", req))
        async with ctx.write() as tx:
            key = not_pending(await again(tx, seen))
            tx.put(replace(key, description=req["Description"]))

    async def schedule_key_deletion(
        self, ctx: Context, req: w.ScheduleKeyDeletionRequest
    ) -> w.ScheduleKeyDeletionResponse:
        """Delete a key in 7 to 30 days, on the cloud's clock; until then it may be kept."""
        days = req.get("PendingWindowInDays", limits.DELETION_DAYS_MAX)
        if not limits.DELETION_DAYS_MIN <= days <= limits.DELETION_DAYS_MAX:
            raise Validation("PendingWindowInDays must be between 7 and 30 days, inclusive.")
        seen = _customers(await permitted(ctx, req["KeyId"], "ScheduleKeyDeletion", req))
        at = ctx.now + timedelta(days=days)
        async with ctx.write() as tx:
            key = not_pending(await again(tx, seen))
            tx.put(replace(key, state="PendingDeletion", deletion_at=at))
            await tx.schedule(at, DELETE, key.arn)
        return {
            "KeyId": key.arn,
            "DeletionDate": at,
            "KeyState": "PendingDeletion",
            "PendingWindowInDays": days,
        }

    async def cancel_key_deletion(
        self, ctx: Context, req: w.CancelKeyDeletionRequest
    ) -> w.CancelKeyDeletionResponse:
        """Keep a key after all; it is disabled then."""
        seen = await permitted(ctx, req["KeyId"], "CancelKeyDeletion", req)
        async with ctx.write() as tx:
            key = await again(tx, seen)
            if key.state != "PendingDeletion":
                raise KmsInvalidState(f"{key.arn} is not pending deletion.")
            tx.put(replace(key, state="Disabled", deletion_at=None))
            await tx.unschedule(DELETE, key.arn)
        return {"KeyId": key.arn}

    async def put_key_policy(self, ctx: Context, req: w.PutKeyPolicyRequest) -> None:
        """Set who may use a key; the policy counts for the next request."""
        if req.get("PolicyName", "default") != "default":
            raise NotFound("No such policy exists")
        check_policy(req["Policy"])
        seen = _customers(await permitted(ctx, req["KeyId"], "PutKeyPolicy", req))
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

    async def tag_resource(self, ctx: Context, req: w.TagResourceRequest) -> None:
        """Put tags on a key, over those of the same keys."""
        seen = _customers(await permitted(ctx, req["KeyId"], "TagResource", req))
        async with ctx.write() as tx:
            key = not_pending(await again(tx, seen))
            tx.put(replace(key, tags=_tags(key.tags, req["Tags"])))

    async def untag_resource(self, ctx: Context, req: w.UntagResourceRequest) -> None:
        """Take tags off a key."""
        seen = _customers(await permitted(ctx, req["KeyId"], "UntagResource", req))
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


async def delete_key(ctx: Context, job: Job) -> None:
    """The waiting time is over: key, aliases and all that was encrypted are lost."""
    parts = job.key.split(":")
    name = (parts[4], parts[3], parts[5].removeprefix("key/"))
    seen = await ctx.read().get(Key, *name)
    if seen is not None and seen.deletion_at is not None and seen.deletion_at <= ctx.clock.now():
        await forget_grants(ctx, seen)
        await ctx.kernel.uses.flush()
    async with ctx.write() as tx:
        key = await tx.get(Key, *name)
        if key is None or key.deletion_at is None or key.deletion_at > ctx.clock.now():
            return
        for alias in await tx.find(BY_KEY, (key.account, key.region, key.id), limit=1000):
            tx.delete(alias)
        tx.delete(key)
        use = await tx.get(LastUse, *name)
        if use is not None:
            tx.delete(use)
        forget_resource(tx, key.arn)
        await tell_of(tx, "KMS CMK Deletion", key)


async def tell_of(tx: Tx, kind: str, key: Key) -> None:
    """Tell EventBridge what happened to a key, in AWS's words."""
    await tell(tx, (key.account, key.region), "aws.kms", kind, {"key-id": key.id}, [key.arn])


async def again(tx: Tx, seen: Key) -> Key:
    """A key that was found before, as it is in this transaction."""
    key = await tx.get(Key, seen.account, seen.region, seen.id)
    if key is None:
        raise NotFound(f"Key '{seen.arn}' does not exist")
    return key


def metadata(key: Key) -> w.KeyMetadata:
    """What DescribeKey tells of a key."""
    told: dict[str, Any] = {
        "AWSAccountId": key.account,
        "KeyId": key.id,
        "Arn": key.arn,
        "CreationDate": key.created_at,
        "Enabled": key.state == "Enabled",
        "Description": key.description,
        "KeyUsage": key.usage,
        "KeyState": key.state,
        "Origin": "AWS_KMS",
        "KeyManager": key.manager,
        "CustomerMasterKeySpec": key.spec,
        "KeySpec": key.spec,
        "MultiRegion": False,
    }
    if key.deletion_at is not None:
        told["DeletionDate"] = key.deletion_at
    told.update(algorithms(key.spec, key.usage))
    return cast("w.KeyMetadata", told)


def position(req: Mapping[str, Any], scope: str) -> bytes | None:
    """Where a page begins. Raises InvalidMarker."""
    token = req.get("Marker")
    if token is None:
        return None
    try:
        return token_key(token, scope)
    except BadToken as error:
        raise InvalidMarker from error


def check_policy(document: str) -> None:
    """Raise MalformedPolicyDocument for what is no key policy."""
    if len(document.encode()) > limits.POLICY_BYTES_MAX:
        raise MalformedPolicyDocument("The policy is too large")
    try:
        check_policy_document(document, needs_principal=True)
    except ValueError as error:
        raise MalformedPolicyDocument(str(error)) from error


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


def _refuse_what_is_not_here(req: Mapping[str, Any]) -> None:
    if req.get("Origin", "AWS_KMS") != "AWS_KMS":
        raise NotImplementedByDoppio(
            "kms: imported material and key stores exist in AWS and not yet here"
        )
    if req.get("MultiRegion"):
        raise NotImplementedByDoppio("kms: multi-Region keys exist in AWS and not yet here")


def _customers(key: Key) -> Key:
    if key.manager == "AWS":
        raise UnsupportedOperation(f"{key.arn} is managed by AWS and cannot be changed.")
    return key


def _tags(old: Mapping[str, str], given: Any) -> dict[str, str]:
    try:
        return tags.merged(old, tags.from_list(given, "TagKey", "TagValue"))
    except tags.BadTags as error:
        raise TagProblem(str(error)) from error
