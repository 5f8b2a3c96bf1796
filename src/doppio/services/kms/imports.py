"""Imported material: keys whose material somebody brings, takes away, and brings again.

It comes wrapped under a key pair that is made for it. The private half goes out in the import
token, sealed under the cloud's root key, so nothing is kept of what may never be used.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import msgspec
from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.kernel.jobs import Job
from doppio.services.kms import crypto, limits, pairs
from doppio.services.kms.access import (
    again,
    is_symmetric,
    new_material,
    not_pending,
    owned,
    root_key,
    tell_of,
)
from doppio.services.kms.errors import (
    ExpiredImportToken,
    IncorrectKeyMaterial,
    InvalidCiphertext,
    InvalidImportToken,
    KmsInvalidState,
    NotFound,
    UnsupportedOperation,
    Validation,
)
from doppio.services.kms.records import Key, Material
from doppio.services.kms.relatives import others

if TYPE_CHECKING:
    from doppio._stubs import kms as w

EXPIRE = "kms.expire"
_TOKEN = "import token"
_SYMMETRIC_ONLY = ("ImportType", "KeyMaterialDescription", "KeyMaterialId")


class _Token(msgspec.Struct, frozen=True, array_like=True):
    """What an import token says: for which key, until when, and how its material is unwrapped."""

    key: str
    until: datetime
    algorithm: str
    private: bytes


class _Brought(NamedTuple):
    """Material in clear as it came, and of a key pair the public half."""

    secret: bytes
    public: bytes


class Imports:
    """The operations on imported material."""

    async def get_parameters_for_import(
        self, ctx: Context, req: w.GetParametersForImportRequest
    ) -> w.GetParametersForImportResponse:
        """A public key to wrap material under, and the token that knows the private one."""
        key = await owned(ctx, req["KeyId"], "GetParametersForImport", req)
        not_pending(_external(key))
        _check_wrapping(key, req["WrappingAlgorithm"], req["WrappingKeySpec"])
        loop = asyncio.get_running_loop()
        pair = await loop.run_in_executor(None, pairs.new_pair, req["WrappingKeySpec"])
        until = ctx.now + timedelta(hours=limits.IMPORT_HOURS)
        token = _Token(key.arn, until, req["WrappingAlgorithm"], pair.private)
        nonce = ctx.kernel.ids.bytes(crypto.NONCE_BYTES)
        sealed = crypto.seal(await root_key(ctx), nonce, msgspec.msgpack.encode(token), _TOKEN)
        return {
            "KeyId": key.arn,
            "ImportToken": sealed,
            "PublicKey": pair.public,
            "ParametersValidTo": until,
        }

    async def import_key_material(
        self, ctx: Context, req: w.ImportKeyMaterialRequest
    ) -> w.ImportKeyMaterialResponse:
        """Give a key its material; what it has had once, it takes again and no other."""
        seen = await owned(ctx, req["KeyId"], "ImportKeyMaterial", req)
        not_pending(_external(seen))
        expires_at = _expires_at(ctx, req)
        if not is_symmetric(seen) and any(member in req for member in _SYMMETRIC_ONLY):
            raise Validation(
                "ImportType, KeyMaterialDescription and KeyMaterialId are supported on symmetric "
                "encryption KMS keys alone."
            )
        brought = await _unwrapped(ctx, seen, req)
        made = await new_material(ctx, seen.id, brought.secret)
        made = replace(
            made, expires_at=expires_at, description=req.get("KeyMaterialDescription", "")
        )
        async with ctx.write() as tx:
            key = not_pending(await again(tx, seen))
            changed = await _imported(tx, key, made, req)
            whole = all(one.sealed for one in changed.materials)
            if whole and changed.state == "PendingImport":
                changed = replace(changed, state="Enabled")
            tx.put(replace(changed, public=brought.public))
            await _watch(tx, changed)
            tx.meter("KMS-Requests")
        told: dict[str, Any] = {"KeyId": seen.arn}
        if is_symmetric(seen):
            told["KeyMaterialId"] = made.id
        return cast("w.ImportKeyMaterialResponse", told)

    async def delete_imported_key_material(
        self, ctx: Context, req: w.DeleteImportedKeyMaterialRequest
    ) -> w.DeleteImportedKeyMaterialResponse:
        """Take material away at once; the key is of no use until the same comes back."""
        seen = _external(await owned(ctx, req["KeyId"], "DeleteImportedKeyMaterial", req))
        async with ctx.write() as tx:
            key = await again(tx, seen)
            wanted = req.get("KeyMaterialId")
            if wanted is None and key.materials:
                wanted = key.materials[-1].id
            if wanted is not None and key.pending is not None and wanted == key.pending.id:
                await _drop_pending(tx, key)
            elif wanted is None or any(one.id == wanted for one in key.materials):
                changed = _without(key, {wanted} if wanted else set())
                tx.put(changed)
                await _watch(tx, changed)
            else:
                raise NotFound(f"Key material {wanted} is not found.")
            tx.meter("KMS-Requests")
        told: dict[str, Any] = {"KeyId": seen.arn}
        if wanted is not None and is_symmetric(seen):
            told["KeyMaterialId"] = wanted
        return cast("w.DeleteImportedKeyMaterialResponse", told)


async def expire(ctx: Context, job: Job) -> None:
    """Material whose time is over goes, as if it had been deleted."""
    parts = job.key.split(":")
    async with ctx.write() as tx:
        key = await tx.get(Key, parts[4], parts[3], parts[5].removeprefix("key/"))
        if key is None:
            return
        now = ctx.clock.now()
        gone = {
            one.id
            for one in (*key.materials, *([key.pending] if key.pending else []))
            if one.sealed and one.expires_at is not None and one.expires_at <= now
        }
        if not gone:
            return
        if key.pending is not None and key.pending.id in gone:
            key = replace(key, pending=replace(key.pending, sealed=b""))
        changed = _without(key, gone)
        tx.put(changed)
        await _watch(tx, changed)
        await tell_of(tx, "KMS Imported Key Material Expiration", key)


def _external(key: Key) -> Key:
    if key.origin != "EXTERNAL":
        raise UnsupportedOperation(
            f"{key.arn} origin is {key.origin} which is not valid for this operation."
        )
    return key


def _check_wrapping(key: Key, algorithm: str, spec: str) -> None:
    if "SM2" in algorithm or "SM2" in spec or algorithm == "RSAES_PKCS1_V1_5":
        raise UnsupportedOperation(
            f"Wrapping algorithm {algorithm} with wrapping key spec {spec} is not supported."
        )
    direct = algorithm.startswith("RSAES")
    if direct and (
        key.spec.startswith("RSA") or (key.spec == "ECC_NIST_P521" and spec == "RSA_2048")
    ):
        raise UnsupportedOperation(
            f"Wrapping algorithm {algorithm} with wrapping key spec {spec} is not compatible with "
            f"key spec {key.spec}."
        )


def _expires_at(ctx: Context, req: w.ImportKeyMaterialRequest) -> datetime | None:
    expires = req.get("ExpirationModel", "KEY_MATERIAL_EXPIRES") == "KEY_MATERIAL_EXPIRES"
    at = req.get("ValidTo")
    if expires and at is None:
        raise Validation(
            "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES"
        )
    if not expires and at is not None:
        raise Validation(
            "A validTo date must not be set if the ExpirationModel is KEY_MATERIAL_DOES_NOT_EXPIRE"
        )
    if at is None:
        return None
    if not ctx.now < at <= ctx.now + timedelta(days=limits.MATERIAL_DAYS_MAX):
        raise Validation("validTo must be in the future and at most 365 days from now.")
    return at


async def _unwrapped(ctx: Context, key: Key, req: w.ImportKeyMaterialRequest) -> _Brought:
    try:
        raw = crypto.unseal(await root_key(ctx), req["ImportToken"], _TOKEN)
        token = msgspec.msgpack.decode(raw, type=_Token)
    except (crypto.Unreadable, ValueError) as error:
        raise InvalidImportToken from error
    if token.key != key.arn:
        raise InvalidImportToken
    if token.until <= ctx.now:
        raise ExpiredImportToken
    try:
        secret = pairs.unwrap(token.private, token.algorithm, req["EncryptedKeyMaterial"])
    except crypto.Unreadable as error:
        raise InvalidCiphertext from error
    length = crypto.material_bytes(key.spec)
    if length is not None:
        if len(secret) != length:
            raise IncorrectKeyMaterial
        return _Brought(secret, b"")
    try:
        pair = pairs.pair_of(key.spec, secret)
    except crypto.Unreadable as error:
        raise IncorrectKeyMaterial from error
    return _Brought(pair.private, pair.public)


async def _imported(tx: Tx, key: Key, made: Material, req: w.ImportKeyMaterialRequest) -> Key:
    """The key with new material, or with what it has had before."""
    known = [one.id for one in key.materials]
    waiting = key.pending is not None and key.pending.id == made.id
    default = "EXISTING_KEY_MATERIAL" if known else "NEW_KEY_MATERIAL"
    if req.get("ImportType", default) == "EXISTING_KEY_MATERIAL" or not is_symmetric(key):
        if not known and not key.is_replica and not is_symmetric(key):
            return replace(key, materials=[made])
        if req.get("KeyMaterialId", made.id) != made.id or not (waiting or made.id in known):
            raise IncorrectKeyMaterial
        if waiting:
            assert key.pending is not None
            return replace(key, pending=_again(key.pending, made))
        return replace(
            key,
            materials=[_again(one, made) if one.id == made.id else one for one in key.materials],
        )
    if "KeyMaterialId" in req:
        raise Validation("KeyMaterialId is not supported with ImportType NEW_KEY_MATERIAL.")
    if key.is_replica:
        raise UnsupportedOperation(
            f"{key.arn} is a multi-Region replica key. New key material is imported into its "
            f"primary key {key.arn_in(key.primary)} first."
        )
    if waiting or made.id in known:
        raise IncorrectKeyMaterial
    if key.pending is not None:
        raise KmsInvalidState(f"{key.arn} has key material that is pending rotation.")
    # What the relatives are to be given is known to them before they have it.
    empty = replace(made, sealed=b"", expires_at=None)
    for other in await others(tx, key):
        tx.put(replace(other, pending=empty) if known else replace(other, materials=[empty]))
    return replace(key, pending=made) if known else replace(key, materials=[made])


def _again(old: Material, made: Material) -> Material:
    """Material that comes back: it is as old as it was."""
    return replace(
        old, sealed=made.sealed, expires_at=made.expires_at,
        description=made.description or old.description,
    )  # fmt: skip


def _without(key: Key, gone: set[str]) -> Key:
    """The key after some of its material has gone."""
    materials = [
        replace(one, sealed=b"", expires_at=None) if one.id in gone else one
        for one in key.materials
    ]
    whole = all(one.sealed for one in materials)
    keeps = whole or key.state in {"PendingDeletion", "PendingReplicaDeletion"}
    return replace(key, materials=materials, state=key.state if keeps else "PendingImport")


async def _drop_pending(tx: Tx, key: Key) -> None:
    """Forget material that waits for a rotation: a primary's is forgotten by all."""
    assert key.pending is not None
    if key.is_replica:
        changed = replace(key, pending=replace(key.pending, sealed=b"", expires_at=None))
    else:
        changed = replace(key, pending=None)
        for other in await others(tx, key):
            tx.put(replace(other, pending=None))
    tx.put(changed)
    await _watch(tx, changed)


async def _watch(tx: Tx, key: Key) -> None:
    """See to it that material goes when its time is over."""
    all_of_it = [*key.materials, *([key.pending] if key.pending is not None else [])]
    dates = [one.expires_at for one in all_of_it if one.sealed and one.expires_at is not None]
    if dates:
        await tx.schedule(min(dates), EXPIRE, key.arn)
    else:
        await tx.unschedule(EXPIRE, key.arn)
