"""Multi-Region keys: one key in many Regions, of which one is the primary."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec.structs import replace

from doppio.kernel import tags
from doppio.kernel.authorise import put_resource
from doppio.kernel.context import Context
from doppio.kernel.jobs import Job
from doppio.kernel.regions import partition_of, regions
from doppio.services.kms import conditions, limits
from doppio.services.kms.access import (
    again,
    check_policy,
    default_policy,
    owned,
    permitted,
    settled,
)
from doppio.services.kms.errors import (
    AlreadyExists,
    Disabled,
    NotFound,
    UnsupportedOperation,
    Validation,
)
from doppio.services.kms.keys import tagged
from doppio.services.kms.metadata import metadata
from doppio.services.kms.records import Key
from doppio.services.kms.relatives import leading, others, regroup
from doppio.services.kms.rotation import ROTATE, resume

if TYPE_CHECKING:
    from doppio._stubs import kms as w

SETTLE = "kms.settle"


class MultiRegion:
    """The operations on multi-Region keys."""

    async def replicate_key(
        self, ctx: Context, req: w.ReplicateKeyRequest
    ) -> w.ReplicateKeyResponse:
        """Make a key's replica in another Region; it takes a few seconds to be of use."""
        seen = _primary(await owned(ctx, req["KeyId"], "ReplicateKey", req))
        region = req["ReplicaRegion"]
        if region not in regions() or partition_of(region) != ctx.partition:
            raise Validation(f"{region} is not a Region of this partition.")
        there = ctx.derive(ctx.caller, region=region)
        asked = {**conditions.of_creation(ctx, req), **conditions.of_key(seen)}
        asked["kms:multiregionkeytype"] = "REPLICA"
        await there.authorise("kms:CreateKey", "*", asked)
        if req.get("Tags"):
            await there.authorise("kms:TagResource", "*", asked)
        policy = req.get("Policy") or default_policy(ctx.account, ctx.partition)
        bypass = bool(req.get("BypassPolicyLockoutSafetyCheck"))
        await check_policy(ctx, seen.arn_in(region), policy, bypass=bypass)
        given = tagged({}, req.get("Tags") or [])
        async with ctx.write() as tx:
            key = settled(await again(tx, seen))
            if key.state == "Disabled":
                raise Disabled(f"{key.arn} is disabled.")
            if region in {key.primary, *key.replicas}:
                raise AlreadyExists(f"{key.arn_in(region)} already exists.")
            imported = key.origin == "EXTERNAL"
            materials = [replace(one, sealed=b"", expires_at=None) for one in key.materials]
            replica = replace(
                key,
                region=region,
                created_at=ctx.now,
                description=req.get("Description", ""),
                policy=policy,
                tags=given,
                grants=0,
                busy="Creating",
                state="PendingImport" if imported else "Enabled",
                materials=materials if imported else key.materials,
                pending=key.pending and replace(key.pending, sealed=b"", expires_at=None),
            )
            replicas = sorted([*key.replicas, region])
            await regroup(tx, [key, replica, *await others(tx, key)], key.primary, replicas)
            put_resource(tx, replica.arn, replica.account, policy)
            at = ctx.now + timedelta(seconds=limits.SETTLING_SECONDS)
            await tx.schedule(at, SETTLE, replica.arn)
            tx.meter("KMS-Requests")
        return {
            "ReplicaKeyMetadata": metadata(replace(replica, replicas=replicas)),
            "ReplicaPolicy": policy,
            "ReplicaTags": tags.to_list(given, "TagKey", "TagValue"),  # type: ignore[typeddict-item]
        }

    async def update_primary_region(self, ctx: Context, req: w.UpdatePrimaryRegionRequest) -> None:
        """Make a replica the primary; for a few seconds both are on their way."""
        seen = _primary(await owned(ctx, req["KeyId"], "UpdatePrimaryRegion", req))
        region = req["PrimaryRegion"]
        if region == seen.region:
            raise UnsupportedOperation(f"{seen.arn} is the primary key already.")
        if region not in seen.replicas:
            raise NotFound(f"Key '{seen.arn_in(region)}' does not exist")
        there = ctx.derive(ctx.caller, region=region)
        await permitted(there, seen.id, "UpdatePrimaryRegion", req)
        async with ctx.write() as tx:
            old = settled(await again(tx, seen))
            new = await tx.get(Key, seen.account, region, seen.id)
            if new is None:
                raise NotFound(f"Key '{seen.arn_in(region)}' does not exist")
            for key in (old, settled(new)):
                if key.state == "Disabled":
                    raise Disabled(f"{key.arn} is disabled.")
                tx.put(replace(key, busy="Updating"))
            at = ctx.now + timedelta(seconds=limits.SETTLING_SECONDS)
            await tx.schedule(at, SETTLE, new.arn)
            tx.meter("KMS-Requests")


async def settle(ctx: Context, job: Job) -> None:
    """A replica has been made, or has become the primary."""
    parts = job.key.split(":")
    async with ctx.write() as tx:
        key = await tx.get(Key, parts[4], parts[3], parts[5].removeprefix("key/"))
        if key is None or not key.busy:
            return
        if key.busy == "Creating":
            tx.put(replace(key, busy=""))
            return
        old = await tx.get(Key, key.account, key.primary, key.id)
        assert old is not None, "a replica has a primary"
        group = [
            replace(one, busy="") if one.region == old.region else one
            for one in await others(tx, key)
        ]
        replicas = sorted([old.region, *(one for one in key.replicas if one != key.region)])
        key = replace(key, busy="")
        await regroup(tx, [key, *group], key.region, replicas)
        await tx.unschedule(ROTATE, old.arn)
        await resume(tx, replace(key, primary=key.region))


def _primary(key: Key) -> Key:
    if not key.primary:
        raise UnsupportedOperation(f"{key.arn} is not a multi-Region key.")
    return leading(key)
