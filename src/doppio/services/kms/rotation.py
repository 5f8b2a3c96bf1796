"""Rotation: new material for a key whose old material goes on decrypting."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel.context import Context
from doppio.kernel.jobs import Job
from doppio.services.kms import limits
from doppio.services.kms.access import new_material, permitted, usable
from doppio.services.kms.errors import LimitExceeded, UnsupportedOperation, Validation
from doppio.services.kms.keys import again, tell_of
from doppio.services.kms.records import Key

if TYPE_CHECKING:
    from doppio._stubs import kms as w

ROTATE = "kms.rotate"


class Rotation:
    """The operations on rotation."""

    async def enable_key_rotation(self, ctx: Context, req: w.EnableKeyRotationRequest) -> None:
        """New material each year, or as often as is said, on the cloud's clock."""
        days = req.get("RotationPeriodInDays", limits.ROTATION_DAYS)
        if not limits.ROTATION_DAYS_MIN <= days <= limits.ROTATION_DAYS_MAX:
            raise Validation("RotationPeriodInDays must be between 90 and 2560, inclusive.")
        seen = _rotatable(await permitted(ctx, req["KeyId"], "EnableKeyRotation", req))
        at = ctx.now + timedelta(days=days)
        async with ctx.write() as tx:
            key = usable(await again(tx, seen), "ENCRYPT_DECRYPT", "EnableKeyRotation")
            tx.put(replace(key, rotation_days=days, rotates_at=at))
            await tx.schedule(at, ROTATE, key.arn)

    async def disable_key_rotation(self, ctx: Context, req: w.DisableKeyRotationRequest) -> None:
        """No more new material by itself."""
        seen = _rotatable(await permitted(ctx, req["KeyId"], "DisableKeyRotation", req))
        async with ctx.write() as tx:
            key = usable(await again(tx, seen), "ENCRYPT_DECRYPT", "DisableKeyRotation")
            tx.put(replace(key, rotation_days=None, rotates_at=None))
            await tx.unschedule(ROTATE, key.arn)

    async def get_key_rotation_status(
        self, ctx: Context, req: w.GetKeyRotationStatusRequest
    ) -> w.GetKeyRotationStatusResponse:
        """Whether, how often and when next."""
        key = await permitted(ctx, req["KeyId"], "GetKeyRotationStatus", req)
        told: dict[str, Any] = {
            "KeyId": key.arn,
            "KeyRotationEnabled": key.rotation_days is not None,
        }
        if key.rotation_days is not None:
            told["RotationPeriodInDays"] = key.rotation_days
            told["NextRotationDate"] = key.rotates_at
        return cast("w.GetKeyRotationStatusResponse", told)

    async def rotate_key_on_demand(
        self, ctx: Context, req: w.RotateKeyOnDemandRequest
    ) -> w.RotateKeyOnDemandResponse:
        """New material now; 25 times in a key's life."""
        seen = _rotatable(await permitted(ctx, req["KeyId"], "RotateKeyOnDemand", req))
        usable(seen, "ENCRYPT_DECRYPT", "RotateKeyOnDemand")
        if sum(1 for one in seen.materials if one.on_demand) >= limits.ROTATIONS_ON_DEMAND_MAX:
            raise LimitExceeded("The on-demand rotation limit has been exceeded for this key")
        await _rotated(ctx, seen, on_demand=True)
        return {"KeyId": seen.arn}

    async def list_key_rotations(
        self, ctx: Context, req: w.ListKeyRotationsRequest
    ) -> w.ListKeyRotationsResponse:
        """When a key got new material."""
        key = await permitted(ctx, req["KeyId"], "ListKeyRotations", req)
        return {
            "Rotations": [
                {
                    "KeyId": key.arn,
                    "RotationDate": one.made_at,
                    "RotationType": "ON_DEMAND" if one.on_demand else "AUTOMATIC",
                }
                for one in key.materials[1:]
            ],
            "Truncated": False,
        }


async def rotate(ctx: Context, job: Job) -> None:
    """A rotation that has come due."""
    parts = job.key.split(":")
    key = await ctx.read().get(Key, parts[4], parts[3], parts[5].removeprefix("key/"))
    now = ctx.clock.now()
    if key is None or key.rotates_at is None or key.rotates_at > now:
        return
    await _rotated(ctx, key, on_demand=False)


async def _rotated(ctx: Context, seen: Key, *, on_demand: bool) -> None:
    material = await new_material(ctx, seen.id, ctx.kernel.ids.bytes(32), on_demand=on_demand)
    async with ctx.write() as tx:
        key = await again(tx, seen)
        changed = replace(key, materials=[*key.materials, material])
        if not on_demand and key.rotation_days is not None:
            at = ctx.clock.now() + timedelta(days=key.rotation_days)
            changed = replace(changed, rotates_at=at)
            await tx.schedule(at, ROTATE, key.arn)
        tx.put(changed)
        await tell_of(tx, "KMS CMK Rotation", key)


def _rotatable(key: Key) -> Key:
    if key.spec != "SYMMETRIC_DEFAULT":
        raise UnsupportedOperation(
            f"{key.arn} key spec is {key.spec} which is not valid for rotation."
        )
    if key.manager == "AWS":
        raise UnsupportedOperation(f"{key.arn} is managed by AWS and cannot be changed.")
    return key
