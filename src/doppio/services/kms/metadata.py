"""What DescribeKey tells of a key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from doppio.services.kms.records import Key, KeyStore
from doppio.services.kms.signing import algorithms

if TYPE_CHECKING:
    from doppio._stubs import kms as w


def metadata(key: Key, store: KeyStore | None = None) -> w.KeyMetadata:
    """What DescribeKey tells of a key; `store` is the custom key store that holds it."""
    state = key.busy or key.state
    if store is not None and store.state != "CONNECTED" and state in {"Enabled", "Disabled"}:
        state = "Unavailable"
    told: dict[str, Any] = {
        "AWSAccountId": key.account,
        "KeyId": key.id,
        "Arn": key.arn,
        "CreationDate": key.created_at,
        "Enabled": state == "Enabled",
        "Description": key.description,
        "KeyUsage": key.usage,
        "KeyState": state,
        "Origin": key.origin,
        "KeyManager": key.manager,
        "CustomerMasterKeySpec": key.spec,
        "KeySpec": key.spec,
        "MultiRegion": bool(key.primary),
    }
    if key.deletion_at is not None:
        told["DeletionDate"] = key.deletion_at
    if key.window_days is not None:
        told["PendingDeletionWindowInDays"] = key.window_days
    if key.primary:
        told["MultiRegionConfiguration"] = _relatives(key)
    if key.origin == "EXTERNAL" and key.materials and all(one.sealed for one in key.materials):
        told.update(expiration(*(one.expires_at for one in key.materials)))
    if key.store:
        told["CustomKeyStoreId"] = key.store
        told["XksKeyConfiguration"] = {"Id": key.xks_key}
    elif key.spec == "SYMMETRIC_DEFAULT" and key.materials:
        told["CurrentKeyMaterialId"] = key.materials[-1].id
    told.update(algorithms(key.spec, key.usage))
    return cast("w.KeyMetadata", told)


def expiration(*dates: Any) -> dict[str, Any]:
    """Whether and when imported material goes: what has the earliest of the dates."""
    known = [date for date in dates if date is not None]
    if not known:
        return {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
    return {"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": min(known)}


def _relatives(key: Key) -> dict[str, Any]:
    return {
        "MultiRegionKeyType": "REPLICA" if key.is_replica else "PRIMARY",
        "PrimaryKey": {"Arn": key.arn_in(key.primary), "Region": key.primary},
        "ReplicaKeys": [{"Arn": key.arn_in(region), "Region": region} for region in key.replicas],
    }
