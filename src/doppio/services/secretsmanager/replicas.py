"""Replicas: the same secret in other Regions and accounts, read there and changed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel.authorise import put_resource
from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.guardrails import place_of
from doppio.kernel.regions import partition_of, regions
from doppio.services.secretsmanager.access import again, named, permitted
from doppio.services.secretsmanager.errors import (
    InvalidParameter,
    InvalidRequest,
    LimitExceeded,
    ResourceNotFound,
)
from doppio.services.secretsmanager.forgetting import forget
from doppio.services.secretsmanager.records import Replica, Secret
from doppio.services.secretsmanager.replication import (
    DETACHED,
    FAILED,
    IN_PROGRESS,
    Copies,
    copied,
    passed_on,
    primary_only,
    replica_of,
)

if TYPE_CHECKING:
    from doppio._stubs import secretsmanager as w


# A secret that gets new versions all the time is caught up with at most so often within a call.
_ROUNDS_MAX = 5


class Replicas:
    """The operations on replicas."""

    async def replicate_secret_to_regions(
        self, ctx: Context, req: w.ReplicateSecretToRegionsRequest
    ) -> w.ReplicateSecretToRegionsResponse:
        """Make replicas, or try again those that have failed."""
        seen = await permitted(ctx, req["SecretId"], "ReplicateSecretToRegions", of_request(req))
        wanted = check_regions(ctx, primary_only(seen), req["AddReplicaRegions"])
        secret = await spread(ctx, seen, wanted, force=bool(req.get("ForceOverwriteReplicaSecret")))
        told = {"ARN": secret.arn, "ReplicationStatus": await statuses(ctx.read(), secret)}
        return cast("w.ReplicateSecretToRegionsResponse", told)

    async def remove_regions_from_replication(
        self, ctx: Context, req: w.RemoveRegionsFromReplicationRequest
    ) -> w.RemoveRegionsFromReplicationResponse:
        """Delete replicas at once."""
        seen = await permitted(ctx, req["SecretId"], "RemoveRegionsFromReplication")
        primary_only(seen)
        gone = set(req["RemoveReplicaRegions"])
        async with ctx.write() as tx:
            secret = await again(tx, seen)
            unknown = gone - {one.region for one in _regional(secret)}
            if unknown:
                raise InvalidParameter(
                    f"The secret has no replica in region {', '.join(sorted(unknown))}."
                )
            left = []
            for one in secret.replicas:
                if one.region not in gone or one.account != secret.account:
                    left.append(one)
                    continue
                found = await replica_of(tx, one)
                if found is not None:
                    await forget(tx, found)
            secret = replace(secret, replicas=left)
            tx.put(secret)
            tx.meter("SecretsManager-Requests")
        told = {"ARN": secret.arn, "ReplicationStatus": await statuses(ctx.read(), secret)}
        return cast("w.RemoveRegionsFromReplicationResponse", told)

    async def stop_replication_to_replica(
        self, ctx: Context, req: w.StopReplicationToReplicaRequest
    ) -> w.StopReplicationToReplicaResponse:
        """Make a replica a secret of its own."""
        seen = await permitted(ctx, req["SecretId"], "StopReplicationToReplica")
        if not seen.primary:
            raise InvalidRequest("The secret is not a replica.")
        elsewhere = seen.primary.split(":")[4] != seen.account
        if elsewhere:
            await ctx.authorise("secretsmanager:DeleteResourcePolicy", seen.arn)
        async with ctx.write() as tx:
            secret = await again(tx, seen)
            primary = await _primary_of(tx, secret)
            if primary is not None:
                left = [one for one in primary.replicas if one.arn != secret.arn]
                if elsewhere:
                    left = [
                        replace(one, status=DETACHED) if one.arn == secret.arn else one
                        for one in primary.replicas
                    ]
                tx.put(replace(primary, replicas=left))
            policy = None if elsewhere else secret.policy
            tx.put(replace(secret, primary="", status="", policy=policy))
            put_resource(tx, secret.arn, secret.account, policy)
            tx.meter("SecretsManager-Requests")
        return {"ARN": seen.arn}

    async def associate_cross_account_replica(
        self, ctx: Context, req: w.AssociateCrossAccountReplicaRequest
    ) -> w.AssociateCrossAccountReplicaResponse:
        """Begin to replicate to a secret that another account has made for it."""
        seen = await permitted(ctx, req["SecretId"], "AssociateCrossAccountReplica")
        await permitted(ctx, req["SecretId"], "GetSecretValue")
        primary_only(seen)
        arn = req["CrossAccountReplicaARN"]
        found = await _accepting(ctx, seen, arn)
        role = req.get("ReplicationRoleARN", "")
        if role:
            passed = {"iam:passedtoservice": "secretsmanager.amazonaws.com"}
            await ctx.authorise("iam:PassRole", role, passed)
        if req.get("ReplicaRestriction", "SameOrg") == "SameOrg":
            await _check_organization(ctx, seen, found)
        if any(one.account != seen.account and one.arn != arn for one in seen.replicas):
            raise LimitExceeded("A secret can have at most one cross-account replica.")
        replica = Replica(
            account=found.account, region=found.region, name=found.name, arn=found.arn,
            key=found.key, role=role,
        )  # fmt: skip
        rest = [one for one in seen.replicas if one.arn != arn]
        wanted = replace(seen, replicas=[*rest, replica])
        copies = await copied(ctx, wanted)
        problem = next((one.problem for one in copies if one.arn == arn), "")
        if problem:
            raise InvalidRequest(problem)
        async with ctx.write() as tx:
            secret = replace(await again(tx, seen), replicas=wanted.replicas)
            tx.put(await passed_on(tx, secret, copies))
            tx.meter("SecretsManager-Requests")
        return {"ARN": seen.arn, "CrossAccountReplicaARN": arn, "ReplicationStatus": "InSync"}

    async def disassociate_cross_account_replica(
        self, ctx: Context, req: w.DisassociateCrossAccountReplicaRequest
    ) -> w.DisassociateCrossAccountReplicaResponse:
        """Replicate no more to another account; what it has, it keeps."""
        seen = await permitted(ctx, req["SecretId"], "DisassociateCrossAccountReplica")
        arn = req["CrossAccountReplicaARN"]
        async with ctx.write() as tx:
            secret = await again(tx, seen)
            known = [one for one in secret.replicas if one.arn == arn]
            if not known or known[0].account == secret.account:
                raise InvalidParameter(f"The secret has no cross-account replica {arn}.")
            found = await replica_of(tx, known[0])
            if found is not None:
                tx.put(replace(found, status=DETACHED))
            left = [one for one in secret.replicas if one.arn != arn]
            tx.put(replace(secret, replicas=left))
            tx.meter("SecretsManager-Requests")
        return {"ARN": seen.arn, "CrossAccountReplicaARN": arn}


def of_request(req: Mapping[str, Any]) -> dict[str, Any]:
    """The condition keys of a request that makes replicas."""
    added = [one.get("Region", "") for one in req.get("AddReplicaRegions") or []]
    if not added:
        return {}
    force = str(bool(req.get("ForceOverwriteReplicaSecret"))).lower()
    return {
        "secretsmanager:addreplicaregions": added,
        "secretsmanager:forceoverwritereplicasecret": force,
    }


def check_regions(ctx: Context, secret: Secret, added: Sequence[Any]) -> list[Replica]:
    """The replicas that a request wants. Raises InvalidParameter."""
    found: list[Replica] = []
    for one in added:
        region = one.get("Region", "")
        if region not in regions() or partition_of(region) != ctx.partition:
            raise InvalidParameter(f"Invalid replica region: {region}")
        if region == secret.region:
            raise InvalidParameter(f"Invalid replica region: {region} is the primary region.")
        if region in {other.region for other in found}:
            raise InvalidParameter(f"Invalid replica region: {region} is specified more than once.")
        arn = replace(secret, region=region).arn
        found.append(
            Replica(
                account=secret.account, region=region, name=secret.name, arn=arn,
                key=one.get("KmsKeyId", ""), status=IN_PROGRESS,
            )
        )  # fmt: skip
    return found


async def spread(ctx: Context, seen: Secret, wanted: Sequence[Replica], *, force: bool) -> Secret:
    """Make replicas of a secret that is there, and bring them in step; the secret after that."""

    async def make(tx: Tx) -> Secret:
        secret = await again(tx, seen)
        known = {one.arn: one for one in secret.replicas}
        for one in wanted:
            old = await tx.get(Secret, one.account, one.region, one.name)
            if old is not None and old.primary == secret.arn:
                known.setdefault(one.arn, one)
                continue
            if old is not None and not force:
                message = (
                    f"Replication failed: Secret name {one.name} already exists in region "
                    f"{one.region}."
                )
                known[one.arn] = replace(one, status=FAILED, message=message)
                continue
            if old is not None:
                await forget(tx, old)
            known[one.arn] = one
            tx.put(
                Secret(
                    account=one.account, region=one.region, name=one.name, suffix=secret.suffix,
                    partition=secret.partition, created_at=ctx.now, changed_at=ctx.now,
                    key=one.key, primary=secret.arn, status=IN_PROGRESS,
                )
            )  # fmt: skip
            put_resource(tx, one.arn, one.account)
        changed = replace(secret, replicas=list(known.values()))
        tx.put(changed)
        tx.meter("SecretsManager-Requests")
        return changed

    secret = await ctx.transact(make)
    for _ in range(_ROUNDS_MAX):
        copies = await copied(ctx, secret)
        secret = await ctx.transact(partial(_followed, seen=secret, copies=copies))
        if all(one.status != IN_PROGRESS for one in secret.replicas):
            break
    return secret


async def _followed(tx: Tx, seen: Secret, copies: Sequence[Copies]) -> Secret:
    secret = await passed_on(tx, await again(tx, seen), copies)
    tx.put(secret)
    return secret


async def statuses(reader: Reader, secret: Secret) -> list[dict[str, Any]]:
    """What has become of the replicas in other Regions."""
    told = []
    for one in _regional(secret):
        entry: dict[str, Any] = {"Region": one.region, "Status": one.status}
        entry["KmsKeyId"] = one.key or "alias/aws/secretsmanager"
        if one.message:
            entry["StatusMessage"] = one.message
        found = await replica_of(reader, one)
        if found is not None and found.accessed_on is not None:
            entry["LastAccessedDate"] = found.accessed_on
        told.append(entry)
    return told


def described_replicas(secret: Secret) -> dict[str, Any]:
    """What DescribeSecret tells of primaries and replicas, beside the statuses."""
    told: dict[str, Any] = {}
    if secret.primary and secret.primary.split(":")[4] != secret.account:
        told["CrossAccountPrimary"] = {
            "PrimarySecretARN": secret.primary, "ReplicationStatus": secret.status
        }  # fmt: skip
    abroad = [one for one in secret.replicas if one.account != secret.account]
    if abroad:
        told["CrossAccountReplicas"] = [
            {
                "ReplicaSecretARN": one.arn,
                "ReplicationStatus": one.status,
                **({"ReplicationRoleARN": one.role} if one.role else {}),
                **({"StatusMessage": one.message} if one.message else {}),
            }
            for one in abroad
        ]
    return told


def _regional(secret: Secret) -> list[Replica]:
    return [one for one in secret.replicas if one.account == secret.account]


async def _primary_of(reader: Reader, secret: Secret) -> Secret | None:
    parts = secret.primary.split(":", 6)
    found = await reader.get(Secret, parts[4], parts[3], parts[6][:-7])
    return found if found is not None and found.arn == secret.primary else None


async def _accepting(ctx: Context, seen: Secret, arn: str) -> Secret:
    """The replica of another account, which lets itself be written. Raises AccessDenied."""
    await ctx.authorise("secretsmanager:AcceptCrossAccountReplication", arn)
    try:
        found = await named(ctx.read(), arn)
    except ResourceNotFound as error:
        raise InvalidRequest(f"The replica secret {arn} doesn't exist in this Region.") from error
    if found.account == seen.account:
        raise InvalidParameter("The replica secret must be in a different account.")
    if found.primary != seen.arn:
        raise InvalidRequest(f"The secret {arn} is not a replica of {seen.arn}.")
    return found


async def _check_organization(ctx: Context, seen: Secret, found: Secret) -> None:
    ours = await place_of(ctx.read(), seen.account)
    theirs = await place_of(ctx.read(), found.account)
    if ours is None or theirs is None or ours.organization != theirs.organization:
        raise InvalidRequest(
            "The replica account must belong to the same organization as the primary account."
        )
