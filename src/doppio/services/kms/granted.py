"""Whether a grant lets a caller use a key; and grant tokens, which name grants.

A grant counts at once here, so a token is needed for nothing but naming a grant. It says which one
itself, under a MAC with the cloud's root key.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.identity import Caller, principal_arn
from doppio.services.kms import limits
from doppio.services.kms.errors import InvalidGrantToken
from doppio.services.kms.records import BY_GRANTEE, Grant, Key

# Of one principal on one key; who has more has them for something else than getting in.
LOOKED_AT_MAX = 1_000
_MAC_BYTES = 16
# What is done without data has no encryption context that a constraint could look at.
_UNCONSTRAINED = frozenset({"DescribeKey", "GetPublicKey", "RetireGrant", "CreateGrant"})


async def grant_for(
    ctx: Context, key: Key, action: str, context: Mapping[str, str] | None
) -> Grant | None:
    """A grant by which the caller may do this with the key."""
    if not key.grants:
        return None
    reader = ctx.read()
    for name in names_of(ctx.caller):
        for grant in await reader.find(BY_GRANTEE, (key.arn, name), limit=LOOKED_AT_MAX):
            if action in grant.operations and _holds(grant, action, ctx.caller, context or {}):
                return grant
    return None


def names_of(caller: Caller) -> set[str]:
    """The names under which a grant can mean this caller."""
    return {caller.arn, principal_arn(caller)}


def _holds(grant: Grant, action: str, caller: Caller, context: Mapping[str, str]) -> bool:
    if grant.source is not None and grant.source != caller.source:
        return False
    if action in _UNCONSTRAINED:
        return True
    if grant.equals is not None and grant.equals != context:
        return False
    return grant.subset is None or grant.subset.items() <= context.items()


def is_within(inner: Mapping[str, Any], outer: Grant) -> bool:
    """Whether a grant as requested gives nothing that `outer` does not.

    `inner` is a CreateGrant request. Source: "CreateGrant permissions" in the KMS guide.
    """
    if not set(inner["Operations"]) <= set(outer.operations):
        return False
    constraints = inner.get("Constraints") or {}
    equals = constraints.get("EncryptionContextEquals")
    subset = constraints.get("EncryptionContextSubset")
    if outer.equals is not None and equals != outer.equals:
        return False
    wanted = outer.subset.items() if outer.subset is not None else {}.items()
    return wanted <= (equals or subset or {}).items()


async def forget_grants(ctx: Context, key: Key) -> None:
    """Delete what grants a key has left, by batches."""
    while True:
        async with ctx.write() as tx:
            found = await tx.list(Grant, (key.arn,), limit=limits.LISTED_KEYS_MAX)
            for grant in found:
                tx.delete(grant)
        if len(found) < limits.LISTED_KEYS_MAX:
            return


def token_of(root: bytes, grant: Grant) -> str:
    """A grant's token."""
    name = f"{grant.key}/{grant.id}".encode()
    return base64.b64encode(_mac(root, name) + name).decode("ascii")


def named_by(root: bytes, token: str) -> tuple[str, str]:
    """The key's ARN and the grant's id that a token names. Raises InvalidGrantToken."""
    try:
        raw = base64.b64decode(token, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidGrantToken("The grant token is not valid.") from error
    mac, name = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(root, name)):
        raise InvalidGrantToken("The grant token is not valid.")
    key, _, grant = name.decode().rpartition("/")
    return key, grant


def _mac(root: bytes, name: bytes) -> bytes:
    return hmac.digest(root, b"grant " + name, "sha256")[:_MAC_BYTES]
