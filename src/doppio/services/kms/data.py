"""What keys are for: encrypt, decrypt, make data keys. Plaintext and material are never stored."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from doppio.kernel.context import Context
from doppio.services.kms import crypto, limits
from doppio.services.kms.access import check, material_of, named, permitted, usable
from doppio.services.kms.errors import (
    DryRunOperation,
    IncorrectKey,
    InvalidCiphertext,
    InvalidKeyUsage,
    Validation,
)
from doppio.services.kms.records import Key
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
        key = await _to_encrypt(ctx, req, req["KeyId"], "Encrypt", context)
        algorithm = req.get("EncryptionAlgorithm", _SYMMETRIC)
        blob = await _encrypted(ctx, key, algorithm, req["Plaintext"], context)
        return {"CiphertextBlob": blob, "KeyId": key.arn, "EncryptionAlgorithm": algorithm}

    async def decrypt(self, ctx: Context, req: w.DecryptRequest) -> w.DecryptResponse:
        """Decrypt; a symmetric ciphertext says itself under which key it is."""
        if req.get("Recipient"):
            raise NotImplementedByDoppio("kms: attested recipients exist in AWS and not here")
        algorithm = req.get("EncryptionAlgorithm", _SYMMETRIC)
        key, plaintext = await _decrypted(
            ctx,
            req,
            "Decrypt",
            req["CiphertextBlob"],
            req.get("KeyId"),
            algorithm,
            req.get("EncryptionContext"),
        )
        return {"Plaintext": plaintext, "KeyId": key.arn, "EncryptionAlgorithm": algorithm}

    async def re_encrypt(self, ctx: Context, req: w.ReEncryptRequest) -> w.ReEncryptResponse:
        """From one key to another; the plaintext is seen by nobody."""
        source_algorithm = req.get("SourceEncryptionAlgorithm", _SYMMETRIC)
        source, plaintext = await _decrypted(
            ctx,
            req,
            "ReEncryptFrom",
            req["CiphertextBlob"],
            req.get("SourceKeyId"),
            source_algorithm,
            req.get("SourceEncryptionContext"),
        )
        context = req.get("DestinationEncryptionContext")
        key = await _to_encrypt(ctx, req, req["DestinationKeyId"], "ReEncryptTo", context)
        algorithm = req.get("DestinationEncryptionAlgorithm", _SYMMETRIC)
        return {
            "CiphertextBlob": await _encrypted(ctx, key, algorithm, plaintext, context),
            "SourceKeyId": source.arn,
            "KeyId": key.arn,
            "SourceEncryptionAlgorithm": source_algorithm,
            "DestinationEncryptionAlgorithm": algorithm,
        }

    async def generate_data_key(
        self, ctx: Context, req: w.GenerateDataKeyRequest
    ) -> w.GenerateDataKeyResponse:
        """A new key for data: in clear, and under a key of KMS."""
        key, plaintext, blob = await _data_key(ctx, req, "GenerateDataKey")
        return {"CiphertextBlob": blob, "Plaintext": plaintext, "KeyId": key.arn}

    async def generate_data_key_without_plaintext(
        self, ctx: Context, req: w.GenerateDataKeyWithoutPlaintextRequest
    ) -> w.GenerateDataKeyWithoutPlaintextResponse:
        """The same, for later."""
        key, _, blob = await _data_key(ctx, req, "GenerateDataKeyWithoutPlaintext")
        return {"CiphertextBlob": blob, "KeyId": key.arn}

    async def generate_data_key_pair(
        self, ctx: Context, req: w.GenerateDataKeyPairRequest
    ) -> w.GenerateDataKeyPairResponse:
        """A new key pair for data, its private half in clear and under a key of KMS."""
        told = await _data_key_pair(ctx, req, "GenerateDataKeyPair")
        return told  # type: ignore[return-value]

    async def generate_data_key_pair_without_plaintext(
        self, ctx: Context, req: w.GenerateDataKeyPairWithoutPlaintextRequest
    ) -> w.GenerateDataKeyPairWithoutPlaintextResponse:
        """The same, for later."""
        told = await _data_key_pair(ctx, req, "GenerateDataKeyPairWithoutPlaintext")
        del told["PrivateKeyPlaintext"]
        return told  # type: ignore[return-value]

    async def generate_random(
        self, ctx: Context, req: w.GenerateRandomRequest
    ) -> w.GenerateRandomResponse:
        """Random bytes."""
        count = req.get("NumberOfBytes")
        if count is None:
            raise Validation("NumberOfBytes is required.")
        ctx.read().meter("KMS-Requests")
        return {"Plaintext": ctx.kernel.ids.bytes(count)}


async def _to_encrypt(
    ctx: Context, req: Any, name: str, action: str, context: dict[str, str] | None
) -> Key:
    key = await permitted(ctx, name, action, context=context)
    usable(key, "ENCRYPT_DECRYPT", action)
    if req.get("DryRun"):
        raise DryRunOperation
    ctx.read().meter("KMS-Requests")
    return key


async def _encrypted(
    ctx: Context, key: Key, algorithm: str, plaintext: bytes, context: dict[str, str] | None
) -> bytes:
    _check_algorithm(key, algorithm)
    if len(plaintext) > limits.PLAINTEXT_BYTES_MAX:
        raise Validation(
            "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: "
            "Member must have length less than or equal to 4096"
        )
    if algorithm != _SYMMETRIC:
        try:
            return crypto.rsa_encrypt(key.public, algorithm, plaintext)
        except ValueError as error:
            raise Validation(f"The plaintext is too long for {algorithm} and {key.spec}") from error
    newest = key.materials[-1]
    place = crypto.Place(key.account, key.region, key.id, newest.id)
    nonce = ctx.kernel.ids.bytes(crypto.NONCE_BYTES)
    return crypto.encrypt(await material_of(ctx, key), nonce, place, plaintext, context)


async def _decrypted(
    ctx: Context,
    req: Any,
    action: str,
    blob: bytes,
    name: str | None,
    algorithm: str,
    context: dict[str, str] | None,
) -> tuple[Key, bytes]:
    if algorithm != _SYMMETRIC:
        if name is None:
            raise Validation("KeyId is required to decrypt with an asymmetric key.")
        key = usable(await permitted(ctx, name, action), "ENCRYPT_DECRYPT", action)
        _check_algorithm(key, algorithm)
        private = await material_of(ctx, key)
        try:
            return key, crypto.rsa_decrypt(private, algorithm, blob)
        except crypto.Unreadable as error:
            raise InvalidCiphertext from error
    try:
        place = crypto.place_of(blob)
    except crypto.Unreadable as error:
        raise InvalidCiphertext from error
    reader = ctx.read()
    if place.region != ctx.region:
        raise InvalidCiphertext
    key = await named(
        reader, f"arn:{ctx.partition}:kms:{place.region}:{place.account}:key/{place.key}"
    )
    if name is not None and (await named(reader, name)).arn != key.arn:
        raise IncorrectKey
    await check(ctx, key, action, context=context)
    usable(key, "ENCRYPT_DECRYPT", action)
    if req.get("DryRun"):
        raise DryRunOperation
    generation = next((one for one in key.materials if one.id == place.material), None)
    if generation is None:
        raise InvalidCiphertext
    try:
        plaintext = crypto.decrypt(await material_of(ctx, key, generation), blob, context)
    except crypto.Unreadable as error:
        raise InvalidCiphertext from error
    reader.meter("KMS-Requests")
    return key, plaintext


async def _data_key(ctx: Context, req: Any, action: str) -> tuple[Key, bytes, bytes]:
    count, spec = req.get("NumberOfBytes"), req.get("KeySpec")
    if (count is None) == (spec is None):
        raise Validation("Please specify either number of bytes or key spec.")
    context = req.get("EncryptionContext")
    key = await _to_encrypt(ctx, req, req["KeyId"], action, context)
    _check_symmetric(key, action)
    plaintext = ctx.kernel.ids.bytes(_SPECS[spec] if spec is not None else count)
    return key, plaintext, await _encrypted(ctx, key, _SYMMETRIC, plaintext, context)


async def _data_key_pair(ctx: Context, req: Any, action: str) -> dict[str, Any]:
    context = req.get("EncryptionContext")
    spec = req["KeyPairSpec"]
    key = await _to_encrypt(ctx, req, req["KeyId"], action, context)
    _check_symmetric(key, action)
    if not crypto.is_asymmetric(spec):
        raise NotImplementedByDoppio(f"kms: key pairs of {spec} exist in AWS and not yet here")
    private, public = await asyncio.get_running_loop().run_in_executor(None, crypto.new_pair, spec)
    newest = key.materials[-1]
    place = crypto.Place(key.account, key.region, key.id, newest.id)
    nonce = ctx.kernel.ids.bytes(crypto.NONCE_BYTES)
    sealed = crypto.encrypt(await material_of(ctx, key), nonce, place, private, context)
    return {
        "PrivateKeyCiphertextBlob": sealed,
        "PrivateKeyPlaintext": private,
        "PublicKey": public,
        "KeyId": key.arn,
        "KeyPairSpec": spec,
    }


def _check_algorithm(key: Key, algorithm: str) -> None:
    if algorithm not in crypto.encryption_algorithms(key.spec):
        raise InvalidKeyUsage(
            f"The request specified an algorithm {algorithm} that is not compatible with the KMS "
            "key"
        )


def _check_symmetric(key: Key, action: str) -> None:
    if key.spec != _SYMMETRIC:
        raise InvalidKeyUsage(
            f"{key.arn} key usage is {key.usage} which is not valid for {action}."
        )
