"""Deleting keys: after a waiting time in which a key may be kept after all.

The primary of a multi-Region key waits for its replicas to be gone, and only then begins to wait.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel.authorise import forget_resource
from doppio.kernel.context import Context, Tx
from doppio.kernel.jobs import Job
from doppio.services.kms import limits
from doppio.services.kms.access import again, customers, owned, settled, tell_of
from doppio.services.kms.errors import KmsInvalidState, Validation
from doppio.services.kms.granted import forget_grants
from doppio.services.kms.imports import EXPIRE
from doppio.services.kms.records import BY_KEY, ExternalKey, Key, LastUse
from doppio.services.kms.relatives import others, regroup
from doppio.services.kms.rotation import ROTATE, resume

if TYPE_CHECKING:
    from doppio._stubs import kms as w

DELETE = "kms.delete"


class Deletion:
    """The operations on deleting keys."""

    async def schedule_key_deletion(
        self, ctx: Context, req: w.ScheduleKeyDeletionRequest
    ) -> w.ScheduleKeyDeletionResponse:
        """Delete a key in 7 to 30 days, on the cloud's clock; until then it may be kept."""
        days = req.get("PendingWindowInDays", limits.DELETION_DAYS_MAX)
        if not limits.DELETION_DAYS_MIN <= days <= limits.DELETION_DAYS_MAX:
            raise Validation("PendingWindowInDays must be between 7 and 30 days, inclusive.")
        seen = customers(await owned(ctx, req["KeyId"], "ScheduleKeyDeletion", req))
        async with ctx.write() as tx:
            key = settled(await again(tx, seen))
            if key.replicas and not key.is_replica:
                pending = replace(key, state="PendingReplicaDeletion", window_days=days)
                tx.put(pending)
            else:
                pending = await _begin(tx, key, days)
            tx.meter("KMS-Requests")
        told: dict[str, Any] = {
            "KeyId": pending.arn, "KeyState": pending.state, "PendingWindowInDays": days
        }  # fmt: skip
        if pending.deletion_at is not None:
            told["DeletionDate"] = pending.deletion_at
        return cast("w.ScheduleKeyDeletionResponse", told)

    async def cancel_key_deletion(
        self, ctx: Context, req: w.CancelKeyDeletionRequest
    ) -> w.CancelKeyDeletionResponse:
        """Keep a key after all; it is disabled then."""
        seen = await owned(ctx, req["KeyId"], "CancelKeyDeletion", req)
        async with ctx.write() as tx:
            key = await again(tx, seen)
            if key.state not in {"PendingDeletion", "PendingReplicaDeletion"}:
                raise KmsInvalidState(f"{key.arn} is not pending deletion.")
            whole = bool(key.materials) and all(one.sealed for one in key.materials)
            state = "Disabled" if whole or key.origin != "EXTERNAL" else "PendingImport"
            tx.put(replace(key, state=state, deletion_at=None, window_days=None))
            await tx.unschedule(DELETE, key.arn)
            await resume(tx, key)
            tx.meter("KMS-Requests")
        return {"KeyId": key.arn}


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
        where = (key.account, key.region, key.id)
        for alias in await tx.find(BY_KEY, where, limit=limits.ALIASES_A_KEY_MAX):
            tx.delete(alias)
        await _leave(tx, key)
        tx.delete(key)
        if key.store:
            held = await tx.get(ExternalKey, key.account, key.region, key.store, key.xks_key)
            if held is not None:
                tx.delete(held)
        use = await tx.get(LastUse, *name)
        if use is not None:
            tx.delete(use)
        for kind in (EXPIRE, ROTATE):
            await tx.unschedule(kind, key.arn)
        forget_resource(tx, key.arn)
        await tell_of(tx, "KMS CMK Deletion", key)


async def _begin(tx: Tx, key: Key, days: int) -> Key:
    """Begin to wait."""
    at = tx.context.clock.now() + timedelta(days=days)
    pending = replace(key, state="PendingDeletion", deletion_at=at, window_days=None)
    tx.put(pending)
    await tx.schedule(at, DELETE, key.arn)
    return pending


async def _leave(tx: Tx, key: Key) -> None:
    """A replica leaves its set; a primary that has waited for the last one begins to wait."""
    if not key.is_replica:
        return
    rest = [region for region in key.replicas if region != key.region]
    await regroup(tx, await others(tx, key), key.primary, rest)
    primary = await tx.get(Key, key.account, key.primary, key.id)
    assert primary is not None, "a replica has a primary"
    if primary.state == "PendingReplicaDeletion" and not rest:
        assert primary.window_days is not None
        await _begin(tx, primary, primary.window_days)
