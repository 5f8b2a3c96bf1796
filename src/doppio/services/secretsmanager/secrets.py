"""Secrets: made, described, changed, listed, and deleted after a time in which they can come back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel import tags
from doppio.kernel.authorise import forget_resource, put_resource
from doppio.kernel.context import Context, Tx
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
from doppio.services.secretsmanager.records import Secret, Version
from doppio.services.secretsmanager.sealing import Value, is_same, opened, sealed
from doppio.services.secretsmanager.values import CURRENT, check_value, keep, stages_by_version
from doppio.wire.errors import NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import secretsmanager as w

PURGE = "secretsmanager.purge"
_NAME = re.compile(r"[A-Za-z0-9/_+=.@!-]{1,512}")
_ELSEWHERE = ("AddReplicaRegions", "CrossAccountPrimaryARN")


class Secrets:
    """The operations on secrets themselves."""

    async def create_secret(
        self, ctx: Context, req: w.CreateSecretRequest
    ) -> w.CreateSecretResponse:
        """Make a secret, with its first version where a value comes along."""
        _check_name(req["Name"])
        for member in _ELSEWHERE:
            if req.get(member):
                raise NotImplementedByDoppio(
                    "secretsmanager: replicated secrets exist in AWS and not yet here"
                )
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
        )
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
        told: w.CreateSecretResponse = {"ARN": secret.arn, "Name": secret.name}
        if version is not None:
            told["VersionId"] = version.id
        return told

    async def describe_secret(
        self, ctx: Context, req: w.DescribeSecretRequest
    ) -> w.DescribeSecretResponse:
        """All of a secret but its value."""
        secret = await permitted(ctx, req["SecretId"], "DescribeSecret", deleted=True)
        ctx.read().meter("SecretsManager-Requests")
        told = described(secret)
        if secret.stages:
            told["VersionIdsToStages"] = stages_by_version(secret)
        return cast("w.DescribeSecretResponse", told)

    async def update_secret(
        self, ctx: Context, req: w.UpdateSecretRequest
    ) -> w.UpdateSecretResponse:
        """Change description or key, and put a new value where one comes along."""
        seen = await permitted(ctx, req["SecretId"], "UpdateSecret")
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
        async with ctx.write() as tx:
            secret = replace(await again(tx, seen), **changes, changed_at=ctx.now)
            for one in anew:
                tx.put(one)
            if version is not None:
                secret = await keep(tx, secret, version, value, [CURRENT])
            tx.put(secret)
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
        try:
            seen = await permitted(ctx, req["SecretId"], "DeleteSecret", deleted=force)
        except ResourceNotFound:
            if not force:
                raise
            # As in AWS: what is not there cannot be more gone.
            return {"ARN": req["SecretId"], "Name": req["SecretId"], "DeletionDate": ctx.now}
        at = ctx.now if force else ctx.now + timedelta(days=days)
        async with ctx.write() as tx:
            secret = await again(tx, seen)
            if force:
                await _purge(tx, secret)
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
            tx.meter("SecretsManager-Requests")
        return {"ARN": seen.arn, "Name": seen.name}

    async def tag_resource(self, ctx: Context, req: w.TagResourceRequest) -> None:
        """Put tags on a secret, over those of the same keys."""
        given = {f"aws:requesttag/{one['Key'].lower()}": one["Value"] for one in req["Tags"]}
        seen = await permitted(ctx, req["SecretId"], "TagResource", given)
        async with ctx.write() as tx:
            secret = await again(tx, seen)
            tx.put(replace(secret, tags=_tags(secret.tags, req["Tags"])))

    async def untag_resource(self, ctx: Context, req: w.UntagResourceRequest) -> None:
        """Take tags off a secret."""
        seen = await permitted(ctx, req["SecretId"], "UntagResource")
        async with ctx.write() as tx:
            secret = await again(tx, seen)
            tx.put(replace(secret, tags=tags.without(secret.tags, req["TagKeys"])))


async def purge(ctx: Context, job: Job) -> None:
    """The time is over in which a secret could come back."""
    parts = job.key.split(":", 6)
    async with ctx.write() as tx:
        secret = await tx.get(Secret, parts[4], parts[3], parts[6][:-7])
        due = secret is not None and secret.purged_at is not None
        if secret is not None and due and secret.purged_at <= ctx.clock.now():  # type: ignore[operator]
            await _purge(tx, secret)


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


async def _purge(tx: Tx, secret: Secret) -> None:
    # More versions than these nobody has: those without a label go when there are a hundred.
    for version in await tx.list(Version, (secret.arn,), limit=10 * limits.VERSIONS_MAX):
        tx.delete(version)
    tx.delete(secret)
    forget_resource(tx, secret.arn)
    await tx.unschedule(PURGE, secret.arn)


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
