"""Which secret is meant, and whether the caller may.

A secret's ARN ends in characters that nobody knows beforehand, so operations ask here, once they
have it. Source: "Actions, resources, and condition keys for AWS Secrets Manager".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doppio.kernel.context import Context, Reader, Tx
from doppio.services.secretsmanager.errors import InvalidRequest, ResourceNotFound
from doppio.services.secretsmanager.records import Secret

_SUFFIX_CHARS = 7


async def named(reader: Reader, name: str) -> Secret:
    """The secret of a name, an ARN, or an ARN without the characters at its end.

    Raises ResourceNotFound.
    """
    account, region, rest = _parts(reader.context, name)
    found = await reader.get(Secret, account, region, rest)
    if found is None and name.startswith("arn:"):
        found = await reader.get(Secret, account, region, rest[:-_SUFFIX_CHARS])
        if found is not None and found.arn != name:
            found = None
    if found is None or region != reader.context.region:
        raise ResourceNotFound
    return found


async def permitted(
    ctx: Context,
    name: str,
    action: str,
    extra: Mapping[str, Any] | None = None,
    *,
    deleted: bool = False,
) -> Secret:
    """The secret, on which the caller may do this. `deleted`: also one that waits for its end.

    Raises AccessDenied before it says whether there is such a secret.
    """
    try:
        secret = await named(ctx.read(), name)
    except ResourceNotFound:
        account, region, rest = _parts(ctx, name)
        arn = f"arn:{ctx.partition}:secretsmanager:{region}:{account}:secret:{rest}"
        await ctx.authorise(f"secretsmanager:{action}", arn, extra or {})
        raise
    keys: dict[str, Any] = {
        "secretsmanager:secretid": name,
        **_of(secret),
        **{f"aws:resourcetag/{key.lower()}": value for key, value in secret.tags.items()},
        **{
            f"secretsmanager:resourcetag/{key.lower()}": value for key, value in secret.tags.items()
        },
        **(extra or {}),
    }
    await ctx.authorise(f"secretsmanager:{action}", secret.arn, keys)
    if secret.purged_at is not None and not deleted:
        raise InvalidRequest(
            "You can't perform this operation on the secret because it was marked for deletion."
        )
    return secret


async def by_arn(reader: Reader, arn: str) -> Secret | None:
    """The secret of a whole ARN, if it is still that one."""
    parts = arn.split(":", 6)
    found = await reader.get(Secret, parts[4], parts[3], parts[6][:-_SUFFIX_CHARS])
    return found if found is not None and found.arn == arn else None


async def again(tx: Tx, seen: Secret) -> Secret:
    """A secret that was found before, as it is in this transaction."""
    secret = await tx.get(Secret, seen.account, seen.region, seen.name)
    if secret is None or secret.suffix != seen.suffix:
        raise ResourceNotFound
    return secret


def _of(secret: Secret) -> dict[str, Any]:
    """What policies can ask of a secret."""
    primary = secret.primary or secret.arn
    told = {"secretsmanager:secretprimaryregion": primary.split(":")[3]}
    if secret.kind:
        told["secretsmanager:resource/type"] = secret.kind
    if secret.rotation is not None:
        told["secretsmanager:resource/allowrotationlambdaarn"] = secret.rotation.function
    return told


def _parts(ctx: Context, name: str) -> tuple[str, str, str]:
    parts = name.split(":", 6)
    if len(parts) == 7 and parts[2] == "secretsmanager":
        return parts[4], parts[3], parts[6]
    return ctx.account, ctx.region, name
