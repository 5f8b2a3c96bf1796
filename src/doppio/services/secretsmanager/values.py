"""Values: versions of a secret, and the labels that say which of them counts.

AWSCURRENT is on the version that is meant when none is named; when it moves, AWSPREVIOUS follows to
where it was. A label is on one version at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel import paging
from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.paging import page_of
from doppio.services.secretsmanager import limits
from doppio.services.secretsmanager.access import again, permitted
from doppio.services.secretsmanager.errors import (
    InvalidNextToken,
    InvalidParameter,
    InvalidRequest,
    LimitExceeded,
    ResourceExists,
    ResourceNotFound,
)
from doppio.services.secretsmanager.records import CURRENT, PREVIOUS, Secret, Version
from doppio.services.secretsmanager.replication import copied, passed_on, primary_only
from doppio.services.secretsmanager.rotation import put_by_hand
from doppio.services.secretsmanager.sealing import Value, is_same, opened, sealed, value_of

if TYPE_CHECKING:
    from doppio._stubs import secretsmanager as w


class Values:
    """The operations on values and labels."""

    async def get_secret_value(
        self, ctx: Context, req: w.GetSecretValueRequest
    ) -> w.GetSecretValueResponse:
        """A secret's value: the current one, or that of a version or label."""
        told = await value_told(ctx, req["SecretId"], req.get("VersionId"), req.get("VersionStage"))
        return cast("w.GetSecretValueResponse", told)

    async def put_secret_value(
        self, ctx: Context, req: w.PutSecretValueRequest
    ) -> w.PutSecretValueResponse:
        """A new version, current unless its labels say otherwise."""
        stages = req.get("VersionStages") or [CURRENT]
        asked = {"secretsmanager:versionstage": stages}
        seen = primary_only(await permitted(ctx, req["SecretId"], "PutSecretValue", asked))
        value = check_value(req)
        if value is None:
            raise InvalidRequest("You must provide either SecretString or SecretBinary.")
        made = await sealed(ctx, seen, req.get("ClientRequestToken") or ctx.new_id(), value)
        wanted = labelled(seen, made.id, list(stages))
        copies = await copied(ctx, wanted, {made.id: value})
        async with ctx.write() as tx:
            secret = await keep(tx, await again(tx, seen), made, value, list(stages))
            secret = replace(secret, changed_at=ctx.now)
            if CURRENT in stages:
                secret = await put_by_hand(tx, secret)
            secret = await passed_on(tx, secret, copies)
            tx.put(secret)
            tx.meter("SecretsManager-Requests")
        labels = stages_by_version(secret).get(made.id, [])
        return {"ARN": secret.arn, "Name": secret.name, "VersionId": made.id,
                "VersionStages": labels}  # fmt: skip

    async def update_secret_version_stage(
        self, ctx: Context, req: w.UpdateSecretVersionStageRequest
    ) -> w.UpdateSecretVersionStageResponse:
        """Put a label on another version, or take it off."""
        stage = req["VersionStage"]
        asked = {"secretsmanager:versionstage": [stage]}
        seen = primary_only(
            await permitted(ctx, req["SecretId"], "UpdateSecretVersionStage", asked)
        )
        source, target = req.get("RemoveFromVersionId"), req.get("MoveToVersionId")
        copies = await copied(ctx, labelled(seen, target, [stage]) if target else seen)
        async with ctx.write() as tx:
            secret = await again(tx, seen)
            for version in (source, target):
                if version is not None and version not in secret.stages.values():
                    await _version(tx, secret, version)
            holder = secret.stages.get(stage)
            if holder is not None and source != holder and target != holder:
                raise InvalidParameter(
                    f"The parameter RemoveFromVersionId can't be empty. Staging label {stage} is "
                    f"currently attached to version {holder}, so you must explicitly reference "
                    "that version in RemoveFromVersionId."
                    if source is None
                    else f"Staging label {stage} is currently attached to version {holder}, so "
                    "you must explicitly reference that version in RemoveFromVersionId."
                )
            if target is not None:
                changed = labelled(secret, target, [stage])
            elif stage == CURRENT:
                raise InvalidParameter(
                    "You can only move staging label AWSCURRENT to a different secret version. "
                    "It can't be completely removed."
                )
            else:
                left = {name: one for name, one in secret.stages.items() if name != stage}
                changed = replace(secret, stages=left)
            tx.put(await passed_on(tx, replace(changed, changed_at=ctx.now), copies))
            tx.meter("SecretsManager-Requests")
        return {"ARN": secret.arn, "Name": secret.name}

    async def list_secret_version_ids(
        self, ctx: Context, req: w.ListSecretVersionIdsRequest
    ) -> w.ListSecretVersionIdsResponse:
        """The versions, by pages; those without a label only if asked for."""
        secret = await permitted(ctx, req["SecretId"], "ListSecretVersionIds", deleted=True)
        most = req.get("MaxResults", limits.LISTED_SECRETS_MAX)
        reader = ctx.read()
        scope = f"versions/{secret.arn}"
        labels = stages_by_version(secret)
        shown, token = await page_of(
            reader, Version, (secret.arn,), most=most, scope=scope, after=position(req, scope),
            fits=lambda row: row.id in labels or bool(req.get("IncludeDeprecated")),
            step=limits.SECRETS_A_STEP,
        )  # fmt: skip
        told: w.ListSecretVersionIdsResponse = {
            "ARN": secret.arn,
            "Name": secret.name,
            "Versions": [_listed(row, labels) for row in shown],
        }
        if token is not None:
            told["NextToken"] = token
        reader.meter("SecretsManager-Requests")
        return told


def check_value(req: Mapping[str, Any]) -> Value | None:
    """The value that a request brings. Raises InvalidParameter."""
    if req.get("SecretBinary") is not None and req.get("SecretString") is not None:
        raise InvalidParameter(
            "You can't specify both a binary secret value and a string secret value in the same "
            "secret."
        )
    value = value_of(req)
    if value is not None and len(value.content) > limits.VALUE_BYTES_MAX:
        raise InvalidParameter("The secret value is too long: it may have 65536 bytes at most.")
    return value


async def keep(
    tx: Tx, secret: Secret, made: Version, value: Value | None, stages: list[str]
) -> Secret:
    """Keep a new version and move labels to it; the secret as it is then.

    A version that is there already with the same value is the same request, come again.
    """
    if len(stages) > limits.STAGES_A_VERSION_MAX:
        raise LimitExceeded("A version can have up to 20 staging labels attached to it.")
    old = await tx.get(Version, made.secret, made.id)
    if old is None:
        tx.add(made)
    elif value is None or not is_same(secret, old, value):
        raise ResourceExists(
            f"You can't use ClientRequestToken {made.id} because that value is already in use for "
            f"a version of secret {secret.arn}."
        )
    else:
        return secret
    changed = labelled(secret, made.id, stages)
    await _forget_deprecated(tx, changed)
    return changed


def labelled(secret: Secret, version: str, stages: list[str]) -> Secret:
    """The secret with these labels on this version."""
    labels = dict(secret.stages)
    for stage in stages:
        before = labels.get(stage)
        if stage == CURRENT and before is not None and before != version:
            labels[PREVIOUS] = before
        labels[stage] = version
    if labels.get(PREVIOUS) == labels.get(CURRENT):
        labels.pop(PREVIOUS, None)
    return replace(secret, stages=labels)


def stages_by_version(secret: Secret) -> dict[str, list[str]]:
    """The labels of each version that has some."""
    found: dict[str, list[str]] = {}
    for stage, version in secret.stages.items():
        found.setdefault(version, []).append(stage)
    return found


async def value_told(
    ctx: Context, name: str, version_id: str | None, stage: str | None, *, batch: bool = False
) -> dict[str, Any]:
    """What GetSecretValue tells."""
    asked: dict[str, Any] = {"secretsmanager:versionstage": [stage or CURRENT]}
    if version_id is not None:
        asked["secretsmanager:versionid"] = version_id
    secret = await permitted(ctx, name, "GetSecretValue", asked)
    reader = ctx.read()
    version = await _wanted(reader, secret, version_id, stage)
    value = await opened(ctx, secret, version)
    await _accessed(ctx, secret)
    if not batch:
        reader.meter("SecretsManager-Requests")
    told: dict[str, Any] = {
        "ARN": secret.arn,
        "Name": secret.name,
        "VersionId": version.id,
        "VersionStages": stages_by_version(secret).get(version.id, []),
        "CreatedDate": version.created_at,
    }
    if value.binary:
        told["SecretBinary"] = value.content
    else:
        told["SecretString"] = value.content.decode()
    return told


async def _wanted(
    reader: Reader, secret: Secret, version_id: str | None, stage: str | None
) -> Version:
    if version_id is not None:
        version = await _version(reader, secret, version_id)
        if stage is not None and secret.stages.get(stage) != version_id:
            raise InvalidRequest(
                "You provided a VersionStage that is not associated to the provided VersionId."
            )
        return version
    label = stage or CURRENT
    labelled_id = secret.stages.get(label)
    found = None
    if labelled_id is not None:
        found = await reader.get(Version, secret.arn, labelled_id)
    if found is None:
        raise ResourceNotFound(
            "Secrets Manager can't find the specified secret value for staging label: " + label
        )
    return found


async def _version(reader: Reader, secret: Secret, version_id: str) -> Version:
    found = await reader.get(Version, secret.arn, version_id)
    if found is None:
        raise ResourceNotFound(
            "Secrets Manager can't find the specified secret value for VersionId: " + version_id
        )
    return found


async def _accessed(ctx: Context, seen: Secret) -> None:
    """Remember the day of the last access: one write a day."""
    today = ctx.now.replace(hour=0, minute=0, second=0, microsecond=0)
    if seen.accessed_on == today:
        return

    async def mark(tx: Tx) -> None:
        secret = await tx.get(Secret, seen.account, seen.region, seen.name)
        if secret is not None and secret.suffix == seen.suffix:
            tx.put(replace(secret, accessed_on=today))

    await ctx.transact(mark)


async def _forget_deprecated(tx: Tx, secret: Secret) -> None:
    """Let go of the oldest versions without a label, once there are a hundred versions."""
    rows = await tx.list(Version, (secret.arn,), limit=2 * limits.VERSIONS_MAX)
    labels = set(secret.stages.values())
    before = tx.context.now - limits.DEPRECATED_KEPT
    idle = [row for row in rows if row.id not in labels and row.created_at < before]
    idle.sort(key=lambda row: row.created_at)
    for row in idle[: max(len(rows) - limits.VERSIONS_MAX, 0)]:
        tx.delete(row)


def position(req: Mapping[str, Any], scope: str) -> bytes | None:
    """Where a page begins. Raises InvalidNextToken."""
    return paging.position(req.get("NextToken"), scope, InvalidNextToken)


def _listed(row: Version, labels: Mapping[str, list[str]]) -> w.SecretVersionsListEntry:
    told: dict[str, Any] = {
        "VersionId": row.id,
        "CreatedDate": row.created_at,
        "KmsKeyIds": [row.key],
    }
    if row.id in labels:
        told["VersionStages"] = labels[row.id]
    return cast("w.SecretVersionsListEntry", told)
