"""Keeping replicas in step: what a primary secret has, its replicas have by the same commit.

Each replica's values lie under a KMS key of its own Region or account, which is asked as the caller
who changes the primary, or as the role that was named for it. Where a key says no, that replica stays
as it was and is shown as Failed; the next change, or a request to replicate again, makes up for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from doppio.kernel.authorise import put_resource
from doppio.kernel.context import Context, Reader, Tx
from doppio.services.secretsmanager import limits
from doppio.services.secretsmanager.errors import InvalidRequest
from doppio.services.secretsmanager.records import Replica, Secret, Version
from doppio.services.secretsmanager.sealing import Value, opened, sealed
from doppio.wire.errors import AwsError

IN_SYNC, IN_PROGRESS, FAILED, DETACHED = "InSync", "InProgress", "Failed", "Detached"


class Copies(NamedTuple):
    """The versions that a replica is to have beside its own, or why it cannot have them."""

    arn: str
    versions: Sequence[Version] = ()
    problem: str = ""


def primary_only(secret: Secret) -> Secret:
    """The secret, if it is no replica: those change with their primary alone."""
    if secret.primary:
        raise InvalidRequest(
            "Operation not permitted on a replica secret. Call must be made in primary secret's "
            "region."
        )
    return secret


async def replica_of(reader: Reader, replica: Replica) -> Secret | None:
    """A replica, if it is there and still is one."""
    found = await reader.get(Secret, replica.account, replica.region, replica.name)
    return found if found is not None and found.arn == replica.arn and found.primary else None


async def copied(
    ctx: Context, secret: Secret, fresh: Mapping[str, Value] | None = None
) -> list[Copies]:
    """What the replicas of a secret need, so that they have all versions with a label.

    `secret` is as it is about to be; `fresh` are the values that it has not been given yet.
    """
    return [
        await _copies(ctx, secret, replica, fresh or {})
        for replica in secret.replicas
        if replica.status != DETACHED
    ]


async def passed_on(tx: Tx, secret: Secret, copies: Sequence[Copies]) -> Secret:
    """Bring the replicas in step; the secret with what has become of each."""
    if not secret.replicas:
        return secret
    known = {one.arn: one for one in copies}
    told = []
    for replica in secret.replicas:
        copy = known.get(replica.arn)
        found = None if copy is None else await replica_of(tx, replica)
        if copy is None:
            told.append(replica)
        elif copy.problem or found is None:
            message = copy.problem or "The replica secret is gone."
            told.append(replace(replica, status=FAILED, message=message))
        elif await _follow(tx, secret, found, copy):
            told.append(replace(replica, status=IN_SYNC, message=""))
        else:
            told.append(replace(replica, status=IN_PROGRESS, message=""))
    return replace(secret, replicas=told)


async def _copies(
    ctx: Context, secret: Secret, replica: Replica, fresh: Mapping[str, Value]
) -> Copies:
    reader = ctx.read()
    found = await replica_of(reader, replica)
    if found is None:
        return Copies(replica.arn, (), replica.message or "The replica secret is gone.")
    versions = []
    try:
        here = ctx
        if replica.role:
            here = await ctx.as_role(
                replica.role, "secretsmanager", source=secret.arn, session="SecretsManager"
            )
        there = here.derive(here.caller, region=replica.region)
        there.account = replica.account
        for version_id in sorted(set(secret.stages.values())):
            old = await reader.get(Version, secret.arn, version_id)
            value = fresh.get(version_id)
            # A version never has another value than at first.
            is_kept = await reader.get(Version, found.arn, version_id) is not None
            if is_kept or (value is None and old is None):
                continue
            if value is None:
                assert old is not None
                value = await opened(here, secret, old)
            made = await sealed(there, found, version_id, value)
            made_at = ctx.now if old is None else old.created_at
            versions.append(replace(made, created_at=made_at))
    except AwsError as error:
        if error.status >= 500:
            raise
        return Copies(replica.arn, (), f"Replication failed: {error.message}")
    return Copies(replica.arn, versions)


async def _follow(tx: Tx, secret: Secret, found: Secret, copy: Copies) -> bool:
    """Bring a replica in step; False where its primary has got a version meanwhile."""
    for version in copy.versions:
        tx.put(version)
    rows = await tx.list(Version, (secret.arn,), limit=10 * limits.VERSIONS_MAX)
    kept = {row.id for row in rows} | {version.id for version in copy.versions}
    own = {version.id for version in copy.versions}
    for row in await tx.list(Version, (found.arn,), limit=10 * limits.VERSIONS_MAX):
        own.add(row.id)
        if row.id not in kept:
            tx.delete(row)
    if not kept & set(secret.stages.values()) <= own:
        return False
    same = found.account == secret.account
    policy = secret.policy if same else found.policy
    tx.put(
        replace(
            found, stages=secret.stages, description=secret.description, kind=secret.kind,
            tags=secret.tags if same else found.tags, policy=policy,
            changed_at=secret.changed_at, status=IN_SYNC,
        )
    )  # fmt: skip
    if same:
        put_resource(tx, found.arn, found.account, policy)
    return True
