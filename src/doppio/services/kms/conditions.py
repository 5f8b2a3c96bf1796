"""The condition keys of KMS: what of the key, and what of the request, a policy can ask for.

Source: "Actions, resources, and condition keys for AWS Key Management Service", and "AWS KMS
condition keys" in the KMS guide.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.service import Granted, Need
from doppio.services.kms import limits
from doppio.services.kms.records import BY_KEY, Key

_ALIASES = "kms:resourcealiases"
# The members of requests that are condition keys by their names.
_MEMBERS = {
    "BypassPolicyLockoutSafetyCheck": "kms:bypasspolicylockoutsafetycheck",
    "ExpirationModel": "kms:expirationmodel",
    "KeyAgreementAlgorithm": "kms:keyagreementalgorithm",
    "KeyPairSpec": "kms:datakeypairspec",
    "MacAlgorithm": "kms:macalgorithm",
    "PendingWindowInDays": "kms:schedulekeydeletionpendingwindowindays",
    "PrimaryRegion": "kms:primaryregion",
    "ReplicaRegion": "kms:replicaregion",
    "RotationPeriodInDays": "kms:rotationperiodindays",
    "SigningAlgorithm": "kms:signingalgorithm",
    "WrappingAlgorithm": "kms:wrappingalgorithm",
    "WrappingKeySpec": "kms:wrappingkeyspec",
}
# What a request means that does not say it.
_DEFAULTS: dict[str, Mapping[str, Any]] = {
    "ImportKeyMaterial": {"kms:expirationmodel": "KEY_MATERIAL_EXPIRES"},
    "ScheduleKeyDeletion": {
        "kms:schedulekeydeletionpendingwindowindays": str(limits.DELETION_DAYS_MAX)
    },
    "EnableKeyRotation": {"kms:rotationperiodindays": str(limits.ROTATION_DAYS)},
    "Sign": {"kms:messagetype": "RAW"},
    "Verify": {"kms:messagetype": "RAW"},
    "PutKeyPolicy": {"kms:bypasspolicylockoutsafetycheck": "false"},
}
# Calls that a service makes for its own resource, and says so by coming as one.
_FOR_RESOURCES = frozenset({"CreateGrant", "ListGrants", "RevokeGrant"})


class Aliases:
    """The names of a key, read only where a policy asks for them (`kms:ResourceAliases`)."""

    def __init__(self, key: Key) -> None:
        self._key = key

    def knows(self, key: str) -> bool:
        """Only the names are to be read."""
        return key == _ALIASES

    async def conditions(self, ctx: Context, need: Need) -> Mapping[str, Any]:
        """All aliases of the key."""
        key = self._key
        found = await ctx.read().find(
            BY_KEY, (key.account, key.region, key.id), limit=limits.ALIASES_A_KEY_MAX
        )
        return {_ALIASES: [alias.name for alias in found]}

    async def grants(self, ctx: Context, need: Need) -> Granted | None:
        """KMS has no lists of access."""
        return None


def of_key(key: Key) -> dict[str, Any]:
    """What a key is."""
    told: dict[str, Any] = {
        "kms:keyspec": key.spec,
        "kms:keyusage": key.usage,
        "kms:keyorigin": key.origin,
        "kms:multiregion": str(bool(key.primary)).lower(),
    }
    if key.primary:
        told["kms:multiregionkeytype"] = "REPLICA" if key.is_replica else "PRIMARY"
    for name, value in key.tags.items():
        told[f"aws:resourcetag/{name.lower()}"] = value
    return told


def of_request(ctx: Context, action: str, req: Mapping[str, Any], name: str = "") -> dict[str, Any]:
    """What a request says, of a key that it calls `name`."""
    told = dict(_DEFAULTS.get(action, {}))
    for member, value in req.items():
        condition = _MEMBERS.get(member)
        if condition is not None:
            told[condition] = str(value).lower() if isinstance(value, bool) else str(value)
    if "MessageType" in req:
        told["kms:messagetype"] = req["MessageType"]
    if "ValidTo" in req:
        told["kms:validto"] = req["ValidTo"].isoformat()
    if name.startswith("alias/") or ":alias/" in name:
        told["kms:requestalias"] = name.rpartition(":")[2]
    if action in _FOR_RESOURCES:
        told["kms:grantisforawsresource"] = str("kms:viaservice" in ctx.caller.session).lower()
    told.update(of_tags(req))
    return told


def of_creation(ctx: Context, req: Mapping[str, Any]) -> dict[str, Any]:
    """What a request for a new key says of it."""
    spec = req.get("KeySpec") or req.get("CustomerMasterKeySpec") or "SYMMETRIC_DEFAULT"
    told: dict[str, Any] = {
        "kms:bypasspolicylockoutsafetycheck": "false",
        "kms:calleraccount": ctx.caller.account,
        "kms:keyorigin": req.get("Origin", "AWS_KMS"),
        "kms:keyspec": spec,
        "kms:keyusage": req.get("KeyUsage", "ENCRYPT_DECRYPT"),
        "kms:multiregion": str(bool(req.get("MultiRegion"))).lower(),
    }
    if req.get("MultiRegion"):
        told["kms:multiregionkeytype"] = "PRIMARY"
    return told | of_request(ctx, "CreateKey", req)


def of_tags(req: Mapping[str, Any]) -> dict[str, Any]:
    """Which tags a request names."""
    given = {tag["TagKey"]: tag["TagValue"] for tag in req.get("Tags") or []}
    names = list(given) or list(req.get("TagKeys") or [])
    if not names:
        return {}
    told: dict[str, Any] = {f"aws:requesttag/{name.lower()}": given[name] for name in given}
    return told | {"aws:tagkeys": names}
