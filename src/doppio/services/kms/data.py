"""What keys are for: encrypt, decrypt, make data keys. Plaintext and material are never stored."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from doppio.kernel.context import Context
from doppio.services.kms import crypto, external, pairs
from doppio.services.kms.access import check, check_tokens, material_of, named, permitted, usable
from doppio.services.kms.conditions import of_request
from doppio.services.kms.errors import (
    CustomKeyStoreNotFound,
    DryRunOperation,
    IncorrectKey,
    InvalidCiphertext,
    InvalidKeyUsage,
    NotFound,
    UnsupportedOperation,
    Validation,
)
from doppio.services.kms.last_use import used
from doppio.services.kms.records import Key, KeyStore, Material
from doppio.services.kms.signing import algorithms
from doppio.wire.errors import NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import kms as w

_SYMMETRIC = "SYMMETRIC_DEFAULT"
_SPECS = {"AES_128": 16, "AES_256": 32}


class Data:
    """The operations on data and data keys."""

    async def encrypt(self, ctx: Context, req: w.EncryptRequest) -> w.EncryptResponse:
        """Encrypt up to 4 KiB."""
        context = req.get("EncryptionContext")
        algorithm = req.get("EncryptionAlgorithm", _SYMMETRIC)
        key = await _to_encrypt(ctx, req, "Encrypt", algorithm=algorithm)
        blob = await _encrypted(ctx, key, "Encrypt", algorithm, req["Plaintext"], context)
        used(ctx, key, "Encrypt")
        return {"CiphertextBlob": blob, "KeyId": key.arn, "EncryptionAlgorithm": algorithm}

    async def decrypt(self, ctx: Context, req: w.DecryptRequest) -> w.DecryptResponse:
        """Decrypt; a symmetric ciphertext says itself under which key it is."""
        _no_recipient(req)
        algorithm = req.get("EncryptionAlgorithm", _SYMMETRIC)
        context = req.get("EncryptionContext")
        source = await _source(ctx, req, "Decrypt", req.get("KeyId"), algorithm, context)
        if req.get("DryRun"):
            raise DryRunOperation
        plaintext = await _decrypted(
            ctx, source, "Decrypt", req["CiphertextBlob"], algorithm, context
        )
        used(ctx, source.key, "Decrypt")
        told: dict[str, Any] = {
            "Plaintext": plaintext, "KeyId": source.key.arn, "EncryptionAlgorithm": algorithm
        }  # fmt: skip
        if source.material is not None and not source.key.store:
            told["KeyMaterialId"] = source.material.id
        return cast("w.DecryptResponse", told)

    async def re_encrypt(self, ctx: Context, req: w.ReEncryptRequest) -> w.ReEncryptResponse:
        """From one key to another; the plaintext is seen by nobody."""
        from_algorithm = req.get("SourceEncryptionAlgorithm", _SYMMETRIC)
        from_context = req.get("SourceEncryptionContext")
        source = await _source(
            ctx, req, "ReEncryptFrom", req.get("SourceKeyId"), from_algorithm, from_context
        )
        context = req.get("DestinationEncryptionContext")
        algorithm = req.get("DestinationEncryptionAlgorithm", _SYMMETRIC)
        key = await _to_encrypt(ctx, req, "ReEncryptTo", algorithm=algorithm, context=context)
        plaintext = await _decrypted(
            ctx, source, "ReEncrypt", req["CiphertextBlob"], from_algorithm, from_context
        )
        blob = await _encrypted(ctx, key, "ReEncrypt", algorithm, plaintext, context)
        used(ctx, source.key, "ReEncrypt")
        used(ctx, key, "ReEncrypt")
        told: dict[str, Any] = {
            "CiphertextBlob": blob,
            "SourceKeyId": source.key.arn,
            "KeyId": key.arn,
            "SourceEncryptionAlgorithm": from_algorithm,
            "DestinationEncryptionAlgorithm": algorithm,
        }
        if source.material is not None and not source.key.store:
            told["SourceKeyMaterialId"] = source.material.id
        if algorithm == _SYMMETRIC and not key.store:
            told["DestinationKeyMaterialId"] = key.materials[-1].id
        return cast("w.ReEncryptResponse", told)

    async def generate_data_key(
        self, ctx: Context, req: w.GenerateDataKeyRequest
    ) -> w.GenerateDataKeyResponse:
        """A new key for data: in clear, and under a key of KMS."""
        _no_recipient(req)
        told, plaintext = await _data_key(ctx, req, "GenerateDataKey")
        return cast("w.GenerateDataKeyResponse", {**told, "Plaintext": plaintext})

    async def generate_data_key_without_plaintext(
        self, ctx: Context, req: w.GenerateDataKeyWithoutPlaintextRequest
    ) -> w.GenerateDataKeyWithoutPlaintextResponse:
        """The same, for later."""
        told, _ = await _data_key(ctx, req, "GenerateDataKeyWithoutPlaintext")
        return cast("w.GenerateDataKeyWithoutPlaintextResponse", told)

    async def generate_data_key_pair(
        self, ctx: Context, req: w.GenerateDataKeyPairRequest
    ) -> w.GenerateDataKeyPairResponse:
        """A new key pair for data, its private half in clear and under a key of KMS."""
        _no_recipient(req)
        told, private = await _data_key_pair(ctx, req, "GenerateDataKeyPair")
        return cast("w.GenerateDataKeyPairResponse", {**told, "PrivateKeyPlaintext": private})

    async def generate_data_key_pair_without_plaintext(
        self, ctx: Context, req: w.GenerateDataKeyPairWithoutPlaintextRequest
    ) -> w.GenerateDataKeyPairWithoutPlaintextResponse:
        """The same, for later."""
        told, _ = await _data_key_pair(ctx, req, "GenerateDataKeyPairWithoutPlaintext")
        return cast("w.GenerateDataKeyPairWithoutPlaintextResponse", told)

    async def generate_random(
        self, ctx: Context, req: w.GenerateRandomRequest
    ) -> w.GenerateRandomResponse:
        """Random bytes."""
        count = req.get("NumberOfBytes")
        if count is None:
            raise Validation("NumberOfBytes is required.")
        _no_recipient(req)
        if req.get("CustomKeyStoreId"):
            # Only a cluster of CloudHSM makes random bytes, and no store here has one.
            if await ctx.read().get(KeyStore, ctx.account, ctx.region, req["CustomKeyStoreId"]):
                raise UnsupportedOperation("An external key store makes no random bytes.")
            raise CustomKeyStoreNotFound
        ctx.read().meter("KMS-Requests")
        return {"Plaintext": ctx.kernel.ids.bytes(count)}


def _no_recipient(req: Any) -> None:
    if req.get("Recipient"):
        raise NotImplementedByDoppio("kms: attested recipients exist in AWS and not here")


async def _to_encrypt(
    ctx: Context, req: Any, action: str, *, algorithm: str, context: dict[str, str] | None = None
) -> Key:
    """The key to encrypt with, which the caller may use so."""
    extra: dict[str, Any] = {"kms:encryptionalgorithm": algorithm}
    name = req.get("DestinationKeyId") or req["KeyId"]
    if action == "ReEncryptTo":
        extra["kms:reencryptonsamekey"] = await _on_same_key(ctx, req)
    else:
        context = req.get("EncryptionContext")
    key = await permitted(ctx, name, action, req, extra=extra, context=context)
    usable(key, "ENCRYPT_DECRYPT", action)
    if req.get("DryRun"):
        raise DryRunOperation
    _check_algorithm(key, algorithm)
    return key


async def _on_same_key(ctx: Context, req: Any) -> str:
    """Whether a request re-encrypts under the key that it comes from."""
    try:
        target = await named(ctx.read(), req["DestinationKeyId"])
        if "SourceKeyId" in req:
            source = (await named(ctx.read(), req["SourceKeyId"])).id
        else:
            source = crypto.place_of(req["CiphertextBlob"]).key
    except (NotFound, crypto.Unreadable):
        return "false"
    return str(source == target.id).lower()


async def _encrypted(
    ctx: Context,
    key: Key,
    operation: str,
    algorithm: str,
    plaintext: bytes,
    context: dict[str, str] | None,
) -> bytes:
    if key.store:
        return await external.encrypt(ctx, key, operation, plaintext, context)
    if algorithm != _SYMMETRIC:
        try:
            return pairs.encrypt(key.public, algorithm, plaintext)
        except ValueError as error:
            raise Validation(f"The plaintext is too long for {algorithm} and {key.spec}") from error
    newest = key.materials[-1]
    place = crypto.Place(key.account, key.region, key.id, newest.id)
    nonce = ctx.kernel.ids.bytes(crypto.NONCE_BYTES)
    return crypto.encrypt(await material_of(ctx, key), nonce, place, plaintext, context)


class _Source(NamedTuple):
    """The key that a ciphertext is under; of a symmetric one, which generation."""

    key: Key
    material: Material | None


async def _source(
    ctx: Context,
    req: Any,
    action: str,
    name: str | None,
    algorithm: str,
    context: dict[str, str] | None,
) -> _Source:
    """Under which key a ciphertext is, which the caller may use so. Raises InvalidCiphertext."""
    extra: dict[str, Any] = {"kms:encryptionalgorithm": algorithm}
    if action == "ReEncryptFrom":
        extra["kms:reencryptonsamekey"] = await _on_same_key(ctx, req)
    if "IGNORE_CIPHERTEXT" in (req.get("DryRunModifiers") or ()) and req.get("DryRun"):
        if name is None:
            raise Validation("KeyId is required to ignore the ciphertext.")
        key = await permitted(ctx, name, action, req, extra=extra, context=context)
        return _Source(usable(key, "ENCRYPT_DECRYPT", action), None)
    if "CiphertextBlob" not in req:
        raise Validation("CiphertextBlob is required.")
    if algorithm != _SYMMETRIC:
        if name is None:
            raise Validation("KeyId is required to decrypt with an asymmetric key.")
        key = await permitted(ctx, name, action, req, extra=extra)
        _check_algorithm(usable(key, "ENCRYPT_DECRYPT", action), algorithm)
        return _Source(key, None)
    try:
        place = crypto.place_of(req["CiphertextBlob"])
    except crypto.Unreadable as error:
        raise InvalidCiphertext from error
    if place.region != ctx.region and not place.key.startswith("mrk-"):
        raise InvalidCiphertext
    reader = ctx.read()
    key = await named(
        reader, f"arn:{ctx.partition}:kms:{ctx.region}:{place.account}:key/{place.key}"
    )
    if name is not None and (await named(reader, name)).arn != key.arn:
        raise IncorrectKey
    await check_tokens(ctx, req)
    told = {**of_request(ctx, action, req, name or ""), **extra}
    await check(ctx, key, action, extra=told, context=context)
    usable(key, "ENCRYPT_DECRYPT", action)
    generation = next((one for one in key.materials if one.id == place.material), None)
    if generation is None:
        raise InvalidCiphertext
    return _Source(key, generation)


async def _decrypted(
    ctx: Context,
    source: _Source,
    operation: str,
    blob: bytes,
    algorithm: str,
    context: dict[str, str] | None,
) -> bytes:
    key = source.key
    if key.store and source.material is not None:
        return await external.decrypt(ctx, key, operation, source.material, blob, context)
    try:
        if source.material is None:
            return pairs.decrypt(await material_of(ctx, key), algorithm, blob)
        return crypto.decrypt(await material_of(ctx, key, source.material), blob, context)
    except crypto.Unreadable as error:
        raise InvalidCiphertext from error


async def _data_key(ctx: Context, req: Any, action: str) -> tuple[dict[str, Any], bytes]:
    count, spec = req.get("NumberOfBytes"), req.get("KeySpec")
    if (count is None) == (spec is None):
        raise Validation("Please specify either number of bytes or key spec.")
    key = await _to_encrypt(ctx, req, action, algorithm=_SYMMETRIC)
    plaintext = ctx.kernel.ids.bytes(_SPECS[spec] if spec is not None else count)
    blob = await _encrypted(ctx, key, action, _SYMMETRIC, plaintext, req.get("EncryptionContext"))
    used(ctx, key, action)
    told = {"CiphertextBlob": blob, "KeyId": key.arn}
    if not key.store:
        told["KeyMaterialId"] = key.materials[-1].id
    return told, plaintext


async def _data_key_pair(ctx: Context, req: Any, action: str) -> tuple[dict[str, Any], bytes]:
    spec = req["KeyPairSpec"]
    key = await _to_encrypt(ctx, req, action, algorithm=_SYMMETRIC)
    if key.store:
        raise UnsupportedOperation(f"{key.arn} origin is {key.origin} which makes no key pairs.")
    if not pairs.is_pair(spec):
        raise NotImplementedByDoppio(f"kms: key pairs of {spec} exist in AWS and not here")
    made = await asyncio.get_running_loop().run_in_executor(None, pairs.new_pair, spec)
    sealed = await _encrypted(
        ctx, key, action, _SYMMETRIC, made.private, req.get("EncryptionContext")
    )
    used(ctx, key, action)
    told = {
        "PrivateKeyCiphertextBlob": sealed,
        "PublicKey": made.public,
        "KeyId": key.arn,
        "KeyPairSpec": spec,
        "KeyMaterialId": key.materials[-1].id,
    }
    return told, made.private


def _check_algorithm(key: Key, algorithm: str) -> None:
    if algorithm not in algorithms(key.spec, key.usage)["EncryptionAlgorithms"]:
        raise InvalidKeyUsage(
            f"The request specified an algorithm {algorithm} that is not compatible with the KMS "
            "key"
        )
