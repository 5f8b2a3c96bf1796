"""Secrets: made, described, changed, listed, and deleted after a time in which they can come back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel import tags
from doppio.kernel.authorise import put_resource
from doppio.kernel.context import Context
from doppio.kernel.jobs import Job
from doppio.services.secretsmanager import limits
from doppio.services.secretsmanager.access import again, permitted
from doppio.services.secretsmanager.errors import (
    InvalidParameter,
    InvalidRequest,
    ResourceExists,
    ResourceNotFound,
    Validation,
)
from doppio.services.secretsmanager.forgetting import PURGE, ROTATE, forget
from doppio.services.secretsmanager.records import CURRENT, Secret, Version
from doppio.services.secretsmanager.replicas import (
    check_regions,
    described_replicas,
    spread,
    statuses,
)
from doppio.services.secretsmanager.replication import (
    DETACHED,
    copied,
    passed_on,
    primary_only,
)
from doppio.services.secretsmanager.rotation import described_rotation, put_by_hand
from doppio.services.secretsmanager.sealing import OWN_KEY, Value, is_same, opened, sealed
from doppio.services.secretsmanager.values import (
    check_value,
    keep,
    labelled,
    stages_by_version,
)

if TYPE_CHECKING:
    from doppio._stubs import secretsmanager as w

_NAME = re.compile(r"[A-Za-z0-9/_+=.@!-]{1,512}")


class Secrets:
    """The operations on secrets themselves."""

    async def create_secret(
        self, ctx: Context, req: w.CreateSecretRequest
    ) -> w.CreateSecretResponse:
        """Make a secret, with its first version where a value comes along."""
        _check_name(req["Name"])
        abroad = req.get("CrossAccountPrimaryARN", "")
        if abroad:
            _check_replica(ctx, req)
        value = check_value(req)
        old = await ctx.read().get(Secret, ctx.account, ctx.region, req["Name"])
        if old is not None:
            return await _made_before(ctx, req, old, value)
        secret = Secret(
            account=ctx.account,
            region=ctx.region,
            name=req["Name"],
            suffix=_suffix(ctx),
            partition=ctx.partition,
            created_at=ctx.now,
            changed_at=ctx.now,
            description=req.get("Description", ""),
            key=req.get("KmsKeyId", ""),
            kind=req.get("Type", ""),
            tags=_tags({}, req.get("Tags") or []),
            primary=abroad,
            status="Pending" if abroad else "",
        )
        wanted = check_regions(ctx, secret, req.get("AddReplicaRegions") or [])
        version = None
        if value is not None:
            version = await sealed(ctx, secret, _token(ctx, req), value)
            secret = replace(secret, stages={CURRENT: version.id})
        async with ctx.write() as tx:
            if await tx.get(Secret, ctx.account, ctx.region, secret.name) is not None:
                raise _exists(secret.name)
            tx.put(secret)
            put_resource(tx, secret.arn, secret.account)
            if version is not None:
                tx.add(version)
            tx.meter("SecretsManager-Requests")
        told: dict[str, Any] = {"ARN": secret.arn, "Name": secret.name}
        if version is not None:
            told["VersionId"] = version.id
        if wanted:
            force = bool(req.get("ForceOverwriteReplicaSecret"))
            secret = await spread(ctx, secret, wanted, force=force)
            told["ReplicationStatus"] = await statuses(ctx.read(), secret)
        return cast("w.CreateSecretResponse", told)

    async def describe_secret(
        self, ctx: Context, req: w.DescribeSecretRequest
    ) -> w.DescribeSecretResponse:
        """All of a secret but its value."""
        secret = await permitted(ctx, req["SecretId"], "DescribeSecret", deleted=True)
        ctx.read().meter("SecretsManager-Requests")
        told = {**described(secret), **described_replicas(secret)}
        if any(one.account == secret.account for one in secret.replicas):
            told["ReplicationStatus"] = await statuses(ctx.read(), secret)
        if secret.stages:
            told["VersionIdsToStages"] = stages_by_version(secret)
        return cast("w.DescribeSecretResponse", told)

    async def update_secret(
        self, ctx: Context, req: w.UpdateSecretRequest
    ) -> w.UpdateSecretResponse:
        """Change description or key, and put a new value where one comes along."""
        seen = primary_only(await permitted(ctx, req["SecretId"], "UpdateSecret", _asked(req)))
        value = check_value(req)
        changes: dict[str, Any] = {}
        for member, name in (("Description", "description"), ("KmsKeyId", "key"), ("Type", "kind")):
            if req.get(member) is not None:
                changes[name] = req[member]  # type: ignore[literal-required]
        wanted = replace(seen, **changes)
        anew: list[Version] = []
        if wanted.key != seen.key:
            anew = await _sealed_anew(ctx, seen, wanted)
        version = None
        if value is not None:
            version = await sealed(ctx, wanted, _token(ctx, req), value)
        fresh = {} if version is None or value is None else {version.id: value}
        after = labelled(wanted, version.id, [CURRENT]) if version is not None else wanted
        copies = await copied(ctx, after, fresh)
        async with ctx.write() as tx:
            secret = replace(await again(tx, seen), **changes, changed_at=ctx.now)
            for one in anew:
                tx.put(one)
            if version is not None:
                secret = await keep(tx, secret, version, value, [CURRENT])
                secret = await put_by_hand(tx, secret)
            tx.put(await passed_on(tx, secret, copies))
            tx.meter("SecretsManager-Requests")
        told: w.UpdateSecretResponse = {"ARN": secret.arn, "Name": secret.name}
        if version is not None:
            told["VersionId"] = version.id
        return told

    async def delete_secret(
        self, ctx: Context, req: w.DeleteSecretRequest
    ) -> w.DeleteSecretResponse:
        """Delete a secret after 7 to 30 days, or at once."""
        days, force = req.get("RecoveryWindowInDays"), bool(req.get("ForceDeleteWithoutRecovery"))
        if days is not None and force:
            raise InvalidParameter(
                "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays."
            )
        days = limits.RECOVERY_DAYS if days is None else days
        if not limits.RECOVERY_DAYS_MIN <= days <= limits.RECOVERY_DAYS_MAX:
            raise InvalidParameter(
                "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive)."
            )
        asked = {"secretsmanager:forcedeletewithoutrecovery": str(force).lower()}
        if not force:
            asked["secretsmanager:recoverywindowindays"] = str(days)
        try:
            seen = await permitted(ctx, req["SecretId"], "DeleteSecret", asked, deleted=force)
        except ResourceNotFound:
            if not force:
                raise
            # As in AWS: what is not there cannot be more gone.
            return {"ARN": req["SecretId"], "Name": req["SecretId"], "DeletionDate": ctx.now}
        _check_alone(seen)
        at = ctx.now if force else ctx.now + timedelta(days=days)
        async with ctx.write() as tx:
            secret = await again(tx, seen)
            if force:
                await forget(tx, secret)
            else:
                tx.put(replace(secret, deleted_at=ctx.now, purged_at=at))
                await tx.schedule(at, PURGE, secret.arn)
            tx.meter("SecretsManager-Requests")
        return {"ARN": seen.arn, "Name": seen.name, "DeletionDate": at}

    async def restore_secret(
        self, ctx: Context, req: w.RestoreSecretRequest
    ) -> w.RestoreSecretResponse:
        """Keep a secret after all."""
        seen = await permitted(ctx, req["SecretId"], "RestoreSecret", deleted=True)
        async with ctx.write() as tx:
            secret = await again(tx, seen)
            tx.put(replace(secret, deleted_at=None, purged_at=None))
            await tx.unschedule(PURGE, secret.arn)
            rotation = secret.rotation
            if rotation is not None and rotation.enabled and rotation.token:
                await tx.schedule(ctx.now, ROTATE, secret.arn)
            elif rotation is not None and rotation.opens_at is not None:
                await tx.schedule(rotation.opens_at, ROTATE, secret.arn)
            tx.meter("SecretsManager-Requests")
        return {"ARN": seen.arn, "Name": seen.name}

    async def tag_resource(self, ctx: Context, req: w.TagResourceRequest) -> None:
        """Put tags on a secret, over those of the same keys."""
        given: dict[str, Any] = {
            f"aws:requesttag/{one['Key'].lower()}": one["Value"] for one in req["Tags"]
        }
        given["aws:tagkeys"] = [one["Key"] for one in req["Tags"]]
        seen = primary_only(await permitted(ctx, req["SecretId"], "TagResource", given))
        copies = await copied(ctx, seen)
        async with ctx.write() as tx:
            secret = await again(tx, seen)
            secret = replace(secret, tags=_tags(secret.tags, req["Tags"]))
            tx.put(await passed_on(tx, secret, copies))

    async def untag_resource(self, ctx: Context, req: w.UntagResourceRequest) -> None:
        """Take tags off a secret."""
        given = {"aws:tagkeys": list(req["TagKeys"])}
        seen = primary_only(await permitted(ctx, req["SecretId"], "UntagResource", given))
        copies = await copied(ctx, seen)
        async with ctx.write() as tx:
            secret = await again(tx, seen)
            secret = replace(secret, tags=tags.without(secret.tags, req["TagKeys"]))
            tx.put(await passed_on(tx, secret, copies))


async def purge(ctx: Context, job: Job) -> None:
    """The time is over in which a secret could come back."""
    parts = job.key.split(":", 6)
    async with ctx.write() as tx:
        secret = await tx.get(Secret, parts[4], parts[3], parts[6][:-7])
        due = secret is not None and secret.purged_at is not None
        if secret is not None and due and secret.purged_at <= ctx.clock.now():  # type: ignore[operator]
            await forget(tx, secret)


def described(secret: Secret) -> dict[str, Any]:
    """What DescribeSecret and ListSecrets both tell."""
    told: dict[str, Any] = {
        "ARN": secret.arn,
        "Name": secret.name,
        "CreatedDate": secret.created_at,
        "LastChangedDate": secret.changed_at,
    }
    rare = {
        "Description": secret.description,
        "KmsKeyId": secret.key,
        "Type": secret.kind,
        "LastAccessedDate": secret.accessed_on,
        "DeletedDate": secret.deleted_at,
    }
    told.update((member, value) for member, value in rare.items() if value)
    if secret.tags:
        told["Tags"] = tags.to_list(secret.tags)
    if secret.primary or secret.replicas:
        told["PrimaryRegion"] = (secret.primary or secret.arn).split(":")[3]
    told.update(described_rotation(secret))
    return told


async def _made_before(
    ctx: Context, req: w.CreateSecretRequest, old: Secret, value: Value | None
) -> w.CreateSecretResponse:
    """A request that came again is answered again; else the name is taken."""
    if old.purged_at is not None:
        raise InvalidRequest(
            "You can't create this secret because a secret with this name is already scheduled "
            "for deletion."
        )
    token = req.get("ClientRequestToken", "")
    version = await ctx.read().get(Version, old.arn, token)
    if version is None or value is None or not is_same(old, version, value):
        raise _exists(old.name)
    return {"ARN": old.arn, "Name": old.name, "VersionId": version.id}


async def _sealed_anew(ctx: Context, old: Secret, new: Secret) -> list[Version]:
    """The labelled versions under another key."""
    found = []
    for version_id in sorted(set(old.stages.values())):
        version = await ctx.read().get(Version, old.arn, version_id)
        if version is not None:
            value = await opened(ctx, old, version)
            found.append(
                replace(await sealed(ctx, new, version_id, value), created_at=version.created_at)
            )
    return found


def _check_alone(secret: Secret) -> None:
    """Raise InvalidRequest for a secret that has replicas, or follows its primary."""
    regional = secret.primary.split(":")[4:5] == [secret.account]
    if regional:
        primary_only(secret)
    if any(one.status != DETACHED for one in secret.replicas):
        raise InvalidRequest(
            "You can't delete a secret that has replicas. Remove the replicas first, and then "
            "delete the secret."
        )


def _check_replica(ctx: Context, req: w.CreateSecretRequest) -> None:
    """Raise InvalidParameter for what cannot be a replica of another account's secret."""
    parts = req["CrossAccountPrimaryARN"].split(":", 6)
    if len(parts) != 7 or parts[2] != "secretsmanager" or parts[4] == ctx.account:
        raise InvalidParameter("CrossAccountPrimaryARN must be a secret of another account.")
    if parts[3] != ctx.region:
        raise InvalidParameter("The primary and the replica must be in the same Region.")
    if req.get("KmsKeyId", OWN_KEY) == OWN_KEY:
        raise InvalidParameter("A cross-account replica needs a customer managed KMS key.")
    for member in ("SecretString", "SecretBinary", "Description", "AddReplicaRegions", "Type"):
        if req.get(member):
            raise InvalidParameter(f"You can't specify {member} with CrossAccountPrimaryARN.")


def _asked(req: Mapping[str, Any]) -> dict[str, Any]:
    """The condition keys of a request that changes a secret."""
    members = {"Description": "description", "KmsKeyId": "kmskeyid", "Type": "type"}
    return {
        f"secretsmanager:{name}": req[member] for member, name in members.items() if req.get(member)
    }


def _check_name(name: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise Validation(
            "Invalid name. Must be a valid name containing alphanumeric characters, or any of the "
            "following: -/_+=.@!"
        )


def _exists(name: str) -> ResourceExists:
    return ResourceExists(f"The operation failed because the secret {name} already exists.")


def _suffix(ctx: Context) -> str:
    return ctx.new_id("url32")[:6]


def _token(ctx: Context, req: Mapping[str, Any]) -> str:
    return req.get("ClientRequestToken") or ctx.new_id()


def _tags(old: Mapping[str, str], given: Any) -> dict[str, str]:
    try:
        return tags.merged(old, tags.from_list(given))
    except tags.BadTags as error:
        raise InvalidParameter(str(error)) from error
