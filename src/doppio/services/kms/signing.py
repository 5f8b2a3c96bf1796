"""Signatures and MACs: made and checked by keys that never leave."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any, cast

from doppio.kernel.context import Context
from doppio.services.kms import crypto
from doppio.services.kms.access import material_of, permitted, usable
from doppio.services.kms.errors import (
    DryRunOperation,
    InvalidKeyUsage,
    KmsInvalidMac,
    KmsInvalidSignature,
    UnsupportedOperation,
    Validation,
)
from doppio.services.kms.records import Key

if TYPE_CHECKING:
    from doppio._stubs import kms as w


class Signing:
    """The operations on signatures, MACs and public keys."""

    async def sign(self, ctx: Context, req: w.SignRequest) -> w.SignResponse:
        """Sign a message, or the digest of one."""
        key = await _used(ctx, req, "Sign", "SIGN_VERIFY")
        algorithm = _algorithm(key, req["SigningAlgorithm"])
        digested = req.get("MessageType", "RAW") == "DIGEST"
        private = await material_of(ctx, key)
        try:
            signature = crypto.sign(private, algorithm, req["Message"], digested=digested)
        except ValueError as error:
            raise Validation("Digest is invalid length for algorithm " + algorithm) from error
        return {"KeyId": key.arn, "Signature": signature, "SigningAlgorithm": algorithm}

    async def verify(self, ctx: Context, req: w.VerifyRequest) -> w.VerifyResponse:
        """Check a signature; a wrong one is an error."""
        key = await _used(ctx, req, "Verify", "SIGN_VERIFY")
        algorithm = _algorithm(key, req["SigningAlgorithm"])
        digested = req.get("MessageType", "RAW") == "DIGEST"
        try:
            right = crypto.verify(
                key.public, algorithm, req["Message"], req["Signature"], digested=digested
            )
        except ValueError as error:
            raise Validation("Digest is invalid length for algorithm " + algorithm) from error
        if not right:
            raise KmsInvalidSignature
        return {"KeyId": key.arn, "SignatureValid": True, "SigningAlgorithm": algorithm}

    async def generate_mac(self, ctx: Context, req: w.GenerateMacRequest) -> w.GenerateMacResponse:
        """Make a MAC."""
        key = await _used(ctx, req, "GenerateMac", "GENERATE_VERIFY_MAC")
        algorithm = _mac_algorithm(key, req["MacAlgorithm"])
        made = crypto.mac(key.spec, await material_of(ctx, key), req["Message"])
        return {"KeyId": key.arn, "Mac": made, "MacAlgorithm": algorithm}

    async def verify_mac(self, ctx: Context, req: w.VerifyMacRequest) -> w.VerifyMacResponse:
        """Check a MAC; a wrong one is an error."""
        key = await _used(ctx, req, "VerifyMac", "GENERATE_VERIFY_MAC")
        algorithm = _mac_algorithm(key, req["MacAlgorithm"])
        made = crypto.mac(key.spec, await material_of(ctx, key), req["Message"])
        if not hmac.compare_digest(made, req["Mac"]):
            raise KmsInvalidMac
        return {"KeyId": key.arn, "MacValid": True, "MacAlgorithm": algorithm}

    async def get_public_key(
        self, ctx: Context, req: w.GetPublicKeyRequest
    ) -> w.GetPublicKeyResponse:
        """The public half of a key pair, which everybody may have."""
        key = await permitted(ctx, req["KeyId"], "GetPublicKey")
        if not crypto.is_asymmetric(key.spec):
            raise UnsupportedOperation(f"{key.arn} has no public key.")
        usable(key, key.usage, "GetPublicKey")
        told: dict[str, Any] = {
            "KeyId": key.arn,
            "PublicKey": key.public,
            "CustomerMasterKeySpec": key.spec,
            "KeySpec": key.spec,
            "KeyUsage": key.usage,
        }
        if key.usage == "SIGN_VERIFY":
            told["SigningAlgorithms"] = crypto.signing_algorithms(key.spec)
        else:
            told["EncryptionAlgorithms"] = crypto.encryption_algorithms(key.spec)
        return cast("w.GetPublicKeyResponse", told)


async def _used(ctx: Context, req: Any, action: str, usage: str) -> Key:
    key = usable(await permitted(ctx, req["KeyId"], action), usage, action)
    if req.get("DryRun"):
        raise DryRunOperation
    ctx.read().meter("KMS-Requests")
    return key


def _algorithm(key: Key, algorithm: str) -> str:
    if algorithm not in crypto.signing_algorithms(key.spec):
        raise InvalidKeyUsage(f"Algorithm {algorithm} is incompatible with key spec {key.spec}.")
    return algorithm


def _mac_algorithm(key: Key, algorithm: str) -> str:
    if algorithm != crypto.mac_algorithm(key.spec):
        raise InvalidKeyUsage(f"Algorithm {algorithm} is incompatible with key spec {key.spec}.")
    return algorithm
