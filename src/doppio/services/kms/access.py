"""Finding a key by any of its names, and asking whether the caller may use it.

A key's policy is decisive: what an IAM policy allows counts only where the key's policy lets the
account in. The question needs the key's real ARN, so operations ask it here, once they know it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from doppio.kernel.authorise import (
    InvalidPrincipal,
    check_policy_document,
    put_resource,
    would_allow,
)
from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.identity import root_of
from doppio.kernel.listening import tell
from doppio.kernel.service import Need
from doppio.services.kms import conditions, crypto, limits
from doppio.services.kms.errors import (
    Disabled,
    InvalidArn,
    InvalidKeyUsage,
    KmsInvalidState,
    MalformedPolicyDocument,
    NotFound,
    UnsupportedOperation,
)
from doppio.services.kms.granted import grant_for, named_by
from doppio.services.kms.records import Alias, Key, Material, RootKey
from doppio.wire.errors import AccessDenied

ROTATE = "kms.rotate"
_ROOT = "root"
_VIA = "kms:viaservice"


async def named(reader: Reader, name: str) -> Key:
    """The key of an id, an ARN or an alias. Raises NotFound."""
    ctx = reader.context
    account, region, rest = _parts(ctx, name)
    if rest.startswith("alias/"):
        alias = await reader.get(Alias, account, region, rest)
        if alias is None:
            raise NotFound(f"Alias arn:{ctx.partition}:kms:{region}:{account}:{rest} is not found.")
        rest = alias.target
    key = await reader.get(Key, account, region, rest)
    if key is None:
        raise NotFound(
            f"Key 'arn:{ctx.partition}:kms:{region}:{account}:key/{rest}' does not exist"
        )
    return key


async def permitted(
    ctx: Context,
    name: str,
    action: str,
    req: Mapping[str, Any] | None = None,
    *,
    extra: Mapping[str, Any] | None = None,
    context: Mapping[str, str] | None = None,
) -> Key:
    """The key of a name, which the caller may use so. Raises AccessDenied, NotFound."""
    try:
        key = await named(ctx.read(), name)
    except NotFound:
        key = await _managed(ctx, name)
    await check_tokens(ctx, req or {})
    told = {**conditions.of_request(ctx, action, req or {}, name), **(extra or {})}
    await check(ctx, key, action, extra=told, context=context)
    return key


async def check_tokens(ctx: Context, req: Mapping[str, Any]) -> None:
    """Raise InvalidGrantToken for a grant token that nobody was given; grants count without."""
    for token in req.get("GrantTokens") or ():
        named_by(await root_key(ctx), token)


async def owned(ctx: Context, name: str, action: str, req: Mapping[str, Any]) -> Key:
    """The same for what nobody does to another account's key, and calls by no alias."""
    if name.startswith("alias/") or ":alias/" in name:
        raise InvalidArn(f"Invalid keyId '{name}'")
    key = await permitted(ctx, name, action, req)
    if key.account != ctx.account:
        raise AccessDenied(
            f"User: {ctx.caller.arn} is not authorized to perform: kms:{action} on this resource "
            "because the resource belongs to another account"
        )
    return key


async def check(
    ctx: Context,
    key: Key,
    action: str,
    *,
    extra: Mapping[str, Any] | None = None,
    context: Mapping[str, str] | None = None,
    by_grants: bool | None = None,
) -> None:
    """Raise AccessDenied unless the caller may do this with the key.

    `by_grants` says whether a grant lets it in, where that has been found out already.
    """
    keys = {"kms:calleraccount": ctx.caller.account, **conditions.of_key(key), **(extra or {})}
    for name, value in (context or {}).items():
        keys[f"kms:encryptioncontext:{name.lower()}"] = value
    if context:
        keys["kms:encryptioncontextkeys"] = list(context)
    if by_grants is None:
        by_grants = await grant_for(ctx, key, action, context) is not None
    await ctx.authorise(
        f"kms:{action}",
        key.arn,
        keys,
        decisive=True,
        granted=by_grants,
        beyond=conditions.Aliases(key),
    )


def usable(key: Key, usage: str, operation: str) -> Key:
    """The key, if it is enabled and made for this."""
    if key.state == "Disabled":
        raise Disabled(f"{key.arn} is disabled.")
    if key.busy == "Creating":
        raise KmsInvalidState(f"{key.arn} is creating.")
    if key.state != "Enabled":
        raise _invalid_state(key)
    if key.usage != usage:
        raise InvalidKeyUsage(
            f"{key.arn} key usage is {key.usage} which is not valid for {operation}."
        )
    return key


def not_pending(key: Key) -> Key:
    """The key, if it is not about to be deleted."""
    if key.state in {"PendingDeletion", "PendingReplicaDeletion"}:
        raise _invalid_state(key)
    return key


def settled(key: Key) -> Key:
    """The key, if it is neither about to be deleted nor on its way to another state."""
    if key.busy:
        raise KmsInvalidState(f"{key.arn} is {key.busy.lower()}.")
    return not_pending(key)


def _invalid_state(key: Key) -> KmsInvalidState:
    words = {"PendingImport": "import", "PendingReplicaDeletion": "replica deletion"}
    return KmsInvalidState(f"{key.arn} is pending {words.get(key.state, 'deletion')}.")


async def material_of(ctx: Context, key: Key, material: Material | None = None) -> bytes:
    """Key material in clear: the newest, or that of a generation. Not of what is gone."""
    chosen = material or key.materials[-1]
    return crypto.unseal(await root_key(ctx), chosen.sealed, f"{key.id}/{chosen.id}")


async def new_material(
    ctx: Context, key_id: str, secret: bytes, *, on_demand: bool = False
) -> Material:
    """Key material for storing."""
    root = await root_key(ctx)
    material = crypto.material_id(root, key_id, secret)
    nonce = ctx.kernel.ids.bytes(crypto.NONCE_BYTES)
    sealed = crypto.seal(root, nonce, secret, f"{key_id}/{material}")
    return Material(material, sealed, ctx.clock.now(), on_demand)


async def root_key(ctx: Context) -> bytes:
    """The cloud's root key, made when it is first needed."""
    found = await ctx.read().get(RootKey, _ROOT)
    if found is not None:
        return found.key

    async def make(tx: Tx) -> bytes:
        old = await tx.get(RootKey, _ROOT)
        return (old or tx.put(RootKey(name=_ROOT, key=ctx.kernel.ids.bytes(32)))).key

    return await ctx.transact(make)


async def again(tx: Tx, seen: Key) -> Key:
    """A key that was found before, as it is in this transaction."""
    key = await tx.get(Key, seen.account, seen.region, seen.id)
    if key is None:
        raise NotFound(f"Key '{seen.arn}' does not exist")
    return key


async def tell_of(tx: Tx, kind: str, key: Key) -> None:
    """Tell EventBridge what happened to a key, in AWS's words."""
    await tell(tx, (key.account, key.region), "aws.kms", kind, {"key-id": key.id}, [key.arn])


def is_symmetric(key: Key) -> bool:
    """Whether a key encrypts and decrypts by one secret."""
    return key.spec == "SYMMETRIC_DEFAULT"


def customers(key: Key) -> Key:
    """The key, if it is not AWS's own."""
    if key.manager == "AWS":
        raise UnsupportedOperation(f"{key.arn} is managed by AWS and cannot be changed.")
    return key


async def check_policy(ctx: Context, arn: str, document: str, *, bypass: bool) -> None:
    """Raise MalformedPolicyDocument for what is no key policy, or locks out who sets it."""
    if len(document.encode()) > limits.POLICY_BYTES_MAX:
        raise MalformedPolicyDocument("The policy is too large")
    try:
        check_policy_document(document, needs_principal=True, partition=ctx.partition)
    except InvalidPrincipal as error:
        raise MalformedPolicyDocument(
            "Policy contains a statement with one or more invalid principals."
        ) from error
    except ValueError as error:
        raise MalformedPolicyDocument(str(error)) from error
    keys = {"kms:calleraccount": ctx.caller.account}
    need = Need("kms:PutKeyPolicy", arn, keys, decisive=True)
    # Where the account is let in, its own policies decide, and its root can change the key's.
    root = ctx.derive(root_of(ctx.account, partition=ctx.partition))
    if bypass:
        return
    for who in (root, ctx):
        if await would_allow(who, need, document, ctx.account):
            return
    raise MalformedPolicyDocument(
        "The new key policy will not allow you to update the key policy in the future."
    )


def default_policy(account: str, partition: str) -> str:
    """AWS's default: the account's own policies decide."""
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Id": "key-default-1",
            "Statement": [
                {
                    "Sid": "Enable IAM User Permissions",
                    "Effect": "Allow",
                    "Principal": {"AWS": f"arn:{partition}:iam::{account}:root"},
                    "Action": "kms:*",
                    "Resource": "*",
                }
            ],
        }
    )


async def _managed(ctx: Context, name: str) -> Key:
    """The key that AWS manages for a service: made when the service first needs it."""
    account, region, alias = _parts(ctx, name)
    via = str(ctx.caller.session.get(_VIA, ""))
    service = via.partition(".")[0]
    if not service or alias != f"alias/aws/{service}" or account != ctx.account:
        return await named(ctx.read(), name)
    key_id = ctx.new_id()
    material = await new_material(ctx, key_id, ctx.kernel.ids.bytes(32))
    rotates_at = ctx.now + timedelta(days=limits.ROTATION_DAYS)

    async def make(tx: Tx) -> Key:
        if await tx.get(Alias, account, region, alias) is not None:
            return await named(tx, name)
        policy = json.dumps(
            {
                "Version": "2012-10-17",
                "Id": f"auto-{service}-2",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"AWS": "*"},
                        "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*",
                                   "kms:GenerateDataKey*", "kms:DescribeKey"],
                        "Resource": "*",
                        "Condition": {
                            "StringEquals": {"kms:CallerAccount": account, "kms:ViaService": via}
                        },
                    },
                    {
                        "Effect": "Allow",
                        "Principal": {"AWS": f"arn:{ctx.partition}:iam::{account}:root"},
                        "Action": ["kms:Describe*", "kms:Get*", "kms:List*"],
                        "Resource": "*",
                    },
                ],
            }
        )  # fmt: skip
        key = tx.put(
            Key(
                account=account,
                region=region,
                id=key_id,
                partition=ctx.partition,
                created_at=ctx.now,
                materials=[material],
                description=f"Default key that protects my {service.upper()} objects",
                manager="AWS",
                rotation_days=limits.ROTATION_DAYS,
                rotates_at=rotates_at,
                policy=policy,
            )
        )
        tx.put(
            Alias(
                account=account, region=region, name=alias, target=key_id, created_at=ctx.now,
                updated_at=ctx.now, partition=ctx.partition,
            )
        )  # fmt: skip
        put_resource(tx, key.arn, account, policy)
        await tx.schedule(rotates_at, ROTATE, key.arn)
        return key

    return await ctx.transact(make)


def _parts(ctx: Context, name: str) -> tuple[str, str, str]:
    """Account, Region and id (or `alias/…`) that a key's name stands for."""
    if not name.startswith("arn:"):
        return ctx.account, ctx.region, name
    parts = name.split(":")
    if len(parts) != 6 or parts[2] != "kms":
        raise InvalidArn(f"Invalid arn {name}")
    if parts[3] != ctx.region:
        raise NotFound(f"Invalid arn {parts[3]}")
    rest = parts[5]
    if rest.startswith("alias/"):
        return parts[4], parts[3], rest
    if not rest.startswith("key/"):
        raise InvalidArn(f"Invalid arn {name}")
    return parts[4], parts[3], rest.removeprefix("key/")
