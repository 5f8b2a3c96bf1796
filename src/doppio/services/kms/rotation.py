"""Rotation: new material for a key whose old material goes on decrypting."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.kernel.jobs import Job
from doppio.kernel.paging import page_token
from doppio.services.kms import limits
from doppio.services.kms.access import (
    ROTATE,
    again,
    is_symmetric,
    new_material,
    not_pending,
    owned,
    permitted,
    tell_of,
    usable,
)
from doppio.services.kms.errors import (
    KmsInvalidState,
    LimitExceeded,
    RotationConflict,
    UnsupportedOperation,
    Validation,
)
from doppio.services.kms.metadata import expiration
from doppio.services.kms.pages import position
from doppio.services.kms.records import Key, Material
from doppio.services.kms.relatives import leading, others, share

if TYPE_CHECKING:
    from doppio._stubs import kms as w

__all__ = ["ROTATE", "Rotation", "resume", "rotate"]


class Rotation:
    """The operations on rotation."""

    async def enable_key_rotation(self, ctx: Context, req: w.EnableKeyRotationRequest) -> None:
        """New material each year, or as often as is said, on the cloud's clock."""
        days = req.get("RotationPeriodInDays", limits.ROTATION_DAYS)
        if not limits.ROTATION_DAYS_MIN <= days <= limits.ROTATION_DAYS_MAX:
            raise Validation("RotationPeriodInDays must be between 90 and 2560, inclusive.")
        seen = _by_itself(await owned(ctx, req["KeyId"], "EnableKeyRotation", req))
        at = ctx.now + timedelta(days=days)
        async with ctx.write() as tx:
            key = usable(await again(tx, seen), "ENCRYPT_DECRYPT", "EnableKeyRotation")
            await share(tx, replace(key, rotation_days=days, rotates_at=at))
            await tx.schedule(at, ROTATE, key.arn)

    async def disable_key_rotation(self, ctx: Context, req: w.DisableKeyRotationRequest) -> None:
        """No more new material by itself."""
        seen = _by_itself(await owned(ctx, req["KeyId"], "DisableKeyRotation", req))
        async with ctx.write() as tx:
            key = usable(await again(tx, seen), "ENCRYPT_DECRYPT", "DisableKeyRotation")
            await share(tx, replace(key, rotation_days=None, rotates_at=None))
            await tx.unschedule(ROTATE, key.arn)

    async def get_key_rotation_status(
        self, ctx: Context, req: w.GetKeyRotationStatusRequest
    ) -> w.GetKeyRotationStatusResponse:
        """Whether, how often and when next; a key that waits for its deletion does not rotate."""
        key = await permitted(ctx, req["KeyId"], "GetKeyRotationStatus", req)
        waits = key.state in {"PendingDeletion", "PendingReplicaDeletion"}
        told: dict[str, Any] = {
            "KeyId": key.arn,
            "KeyRotationEnabled": key.rotation_days is not None and not waits,
        }
        if told["KeyRotationEnabled"]:
            told["RotationPeriodInDays"] = key.rotation_days
            told["NextRotationDate"] = key.rotates_at
        return cast("w.GetKeyRotationStatusResponse", told)

    async def rotate_key_on_demand(
        self, ctx: Context, req: w.RotateKeyOnDemandRequest
    ) -> w.RotateKeyOnDemandResponse:
        """New material now, or what was imported for it; 25 times in a key's life."""
        seen = leading(_rotatable(await owned(ctx, req["KeyId"], "RotateKeyOnDemand", req)))
        usable(seen, "ENCRYPT_DECRYPT", "RotateKeyOnDemand")
        if sum(1 for one in seen.materials if one.on_demand) >= limits.ROTATIONS_ON_DEMAND_MAX:
            raise LimitExceeded("The on-demand rotation limit has been exceeded for this key")
        soon = ctx.now + timedelta(minutes=limits.ROTATION_MINUTES_BEFORE)
        if seen.rotates_at is not None and seen.rotates_at <= soon:
            raise RotationConflict
        if seen.origin == "EXTERNAL":
            await _to_imported(ctx, seen)
        else:
            await _rotated(ctx, seen, on_demand=True)
        return {"KeyId": seen.arn}

    async def list_key_rotations(
        self, ctx: Context, req: w.ListKeyRotationsRequest
    ) -> w.ListKeyRotationsResponse:
        """When a key got new material; with its first, and what waits, where that is asked for."""
        key = not_pending(await owned(ctx, req["KeyId"], "ListKeyRotations", req))
        whole = req.get("IncludeKeyMaterial") == "ALL_KEY_MATERIAL"
        if "IncludeKeyMaterial" in req:
            _rotatable(key)
        told = [_told(key, one) for one in (key.materials if whole else key.materials[1:])]
        if whole and key.pending is not None:
            state = "PENDING_ROTATION"
            for other in (key, *await others(ctx.read(), key)):
                if other.pending is None or not other.pending.sealed:
                    state = "PENDING_MULTI_REGION_IMPORT_AND_ROTATION"
            told.append({**_told(key, key.pending), "KeyMaterialState": state})
        scope = f"rotations/{key.arn}/{whole}"
        after = position(req, scope)
        begin = 0 if after is None else int.from_bytes(after, "big")
        end = begin + req.get("Limit", limits.LISTED_ROTATIONS)
        result: dict[str, Any] = {"Rotations": told[begin:end], "Truncated": end < len(told)}
        if end < len(told):
            result["NextMarker"] = page_token(end.to_bytes(4, "big"), scope)
        return cast("w.ListKeyRotationsResponse", result)


async def rotate(ctx: Context, job: Job) -> None:
    """A rotation that has come due; a key that is off rotates when it is on again."""
    parts = job.key.split(":")
    key = await ctx.read().get(Key, parts[4], parts[3], parts[5].removeprefix("key/"))
    now = ctx.clock.now()
    if key is None or key.rotates_at is None or key.rotates_at > now or key.state != "Enabled":
        return
    if not key.is_replica:
        await _rotated(ctx, key, on_demand=False)


async def resume(tx: Tx, key: Key) -> None:
    """See to it that a key which is on again, or is the primary now, rotates when it must."""
    if key.rotates_at is not None and not key.is_replica:
        await tx.schedule(key.rotates_at, ROTATE, key.arn)


async def _rotated(ctx: Context, seen: Key, *, on_demand: bool) -> None:
    material = await new_material(ctx, seen.id, ctx.kernel.ids.bytes(32), on_demand=on_demand)
    async with ctx.write() as tx:
        key = await again(tx, seen)
        if not on_demand and key.rotates_at != seen.rotates_at:
            return
        for other in await others(tx, key):
            tx.put(replace(other, materials=[*other.materials, material]))
            await tell_of(tx, "KMS CMK Rotation", other)
        changed = replace(key, materials=[*key.materials, material])
        if not on_demand and key.rotation_days is not None:
            at = ctx.clock.now() + timedelta(days=key.rotation_days)
            changed = replace(changed, rotates_at=at)
            await tx.schedule(at, ROTATE, key.arn)
        await share(tx, changed)
        await tell_of(tx, "KMS CMK Rotation", key)
        tx.meter("KMS-Requests")


async def _to_imported(ctx: Context, seen: Key) -> None:
    """Let the material that was imported for it take over, in all Regions at once."""
    async with ctx.write() as tx:
        key = await again(tx, seen)
        for one in (key, *await others(tx, key)):
            if one.pending is None or not one.pending.sealed:
                raise KmsInvalidState(f"{one.arn} has no key material that is pending rotation.")
            usable(one, "ENCRYPT_DECRYPT", "RotateKeyOnDemand")
            newest = replace(one.pending, made_at=ctx.now, on_demand=True)
            tx.put(replace(one, materials=[*one.materials, newest], pending=None))
            await tell_of(tx, "KMS CMK Rotation", one)
        tx.meter("KMS-Requests")


def _told(key: Key, one: Material) -> dict[str, Any]:
    current = bool(key.materials) and one.id == key.materials[-1].id
    told: dict[str, Any] = {
        "KeyId": key.arn,
        "KeyMaterialId": one.id,
        "KeyMaterialState": "CURRENT" if current else "NON_CURRENT",
    }
    if key.origin == "EXTERNAL":
        told["ImportState"] = "IMPORTED" if one.sealed else "PENDING_IMPORT"
        if one.sealed:
            told.update(expiration(one.expires_at))
        if one.description:
            told["KeyMaterialDescription"] = one.description
    if any(one is later for later in key.materials[1:]):
        told["RotationDate"] = one.made_at
        told["RotationType"] = "ON_DEMAND" if one.on_demand else "AUTOMATIC"
    return told


def _rotatable(key: Key) -> Key:
    if not is_symmetric(key):
        raise UnsupportedOperation(
            f"{key.arn} key spec is {key.spec} which is not valid for rotation."
        )
    if key.store:
        raise UnsupportedOperation(
            f"{key.arn} origin is {key.origin} which is not valid for this operation."
        )
    if key.manager == "AWS":
        raise UnsupportedOperation(f"{key.arn} is managed by AWS and cannot be changed.")
    return key


def _by_itself(key: Key) -> Key:
    """The key, if it can get new material by itself."""
    if _rotatable(key).origin != "AWS_KMS":
        raise UnsupportedOperation(
            f"{key.arn} origin is {key.origin} which is not valid for this operation."
        )
    return leading(key)
