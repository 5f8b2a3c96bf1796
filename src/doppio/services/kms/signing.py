"""Signatures and MACs: made and checked by keys that never leave."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any, cast

from doppio.kernel.context import Context
from doppio.services.kms import crypto, pairs
from doppio.services.kms.access import material_of, permitted, usable
from doppio.services.kms.errors import (
    DryRunOperation,
    InvalidKeyUsage,
    KmsInvalidMac,
    KmsInvalidSignature,
    UnsupportedOperation,
    Validation,
)
from doppio.services.kms.last_use import used
from doppio.services.kms.records import Key
from doppio.wire.errors import NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import kms as w


class Signing:
    """The operations on signatures, MACs and public keys."""

    async def sign(self, ctx: Context, req: w.SignRequest) -> w.SignResponse:
        """Sign a message, or the digest of one."""
        key = await _used(ctx, req, "Sign", "SIGN_VERIFY")
        algorithm = _algorithm(key, req["SigningAlgorithm"])
        kind = _kind(req, algorithm)
        private = await material_of(ctx, key)
        try:
            signature = pairs.sign(private, algorithm, req["Message"], kind)
        except ValueError as error:
            raise Validation("Digest is invalid length for algorithm " + algorithm) from error
        used(ctx, key, "Sign")
        return {"KeyId": key.arn, "Signature": signature, "SigningAlgorithm": algorithm}

    async def verify(self, ctx: Context, req: w.VerifyRequest) -> w.VerifyResponse:
        """Check a signature; a wrong one is an error."""
        key = await _used(ctx, req, "Verify", "SIGN_VERIFY")
        algorithm = _algorithm(key, req["SigningAlgorithm"])
        kind = _kind(req, algorithm)
        try:
            right = pairs.verify(key.public, algorithm, req["Message"], req["Signature"], kind)
        except ValueError as error:
            raise Validation("Digest is invalid length for algorithm " + algorithm) from error
        if not right:
            raise KmsInvalidSignature
        used(ctx, key, "Verify")
        return {"KeyId": key.arn, "SignatureValid": True, "SigningAlgorithm": algorithm}

    async def generate_mac(self, ctx: Context, req: w.GenerateMacRequest) -> w.GenerateMacResponse:
        """Make a MAC."""
        key = await _used(ctx, req, "GenerateMac", "GENERATE_VERIFY_MAC")
        algorithm = _mac_algorithm(key, req["MacAlgorithm"])
        made = crypto.mac(key.spec, await material_of(ctx, key), req["Message"])
        used(ctx, key, "GenerateMac")
        return {"KeyId": key.arn, "Mac": made, "MacAlgorithm": algorithm}

    async def verify_mac(self, ctx: Context, req: w.VerifyMacRequest) -> w.VerifyMacResponse:
        """Check a MAC; a wrong one is an error."""
        key = await _used(ctx, req, "VerifyMac", "GENERATE_VERIFY_MAC")
        algorithm = _mac_algorithm(key, req["MacAlgorithm"])
        made = crypto.mac(key.spec, await material_of(ctx, key), req["Message"])
        if not hmac.compare_digest(made, req["Mac"]):
            raise KmsInvalidMac
        used(ctx, key, "VerifyMac")
        return {"KeyId": key.arn, "MacValid": True, "MacAlgorithm": algorithm}

    async def get_public_key(
        self, ctx: Context, req: w.GetPublicKeyRequest
    ) -> w.GetPublicKeyResponse:
        """The public half of a key pair, which everybody may have."""
        key = await permitted(ctx, req["KeyId"], "GetPublicKey", req)
        if not pairs.is_pair(key.spec):
            raise UnsupportedOperation(f"{key.arn} has no public key.")
        usable(key, key.usage, "GetPublicKey")
        told: dict[str, Any] = {
            "KeyId": key.arn,
            "PublicKey": key.public,
            "CustomerMasterKeySpec": key.spec,
            "KeySpec": key.spec,
            "KeyUsage": key.usage,
        }
        told.update(algorithms(key.spec, key.usage))
        return cast("w.GetPublicKeyResponse", told)


async def _used(ctx: Context, req: Any, action: str, usage: str) -> Key:
    key = usable(await permitted(ctx, req["KeyId"], action, req), usage, action)
    if req.get("DryRun"):
        raise DryRunOperation
    return key


def algorithms(spec: str, usage: str) -> dict[str, Any]:
    """What a key of a spec and usage can be asked to do, by the member of a result that says it."""
    if usage == "ENCRYPT_DECRYPT":
        symmetric = ["SYMMETRIC_DEFAULT"]
        return {"EncryptionAlgorithms": pairs.encryption_algorithms(spec) or symmetric}
    if usage == "SIGN_VERIFY":
        return {"SigningAlgorithms": pairs.signing_algorithms(spec)}
    if usage == "KEY_AGREEMENT":
        return {"KeyAgreementAlgorithms": ["ECDH"]}
    if usage == "ENCAPSULATE_DECAPSULATE":
        return {"EncapsulationAlgorithms": ["ML_KEM"]}
    return {"MacAlgorithms": [crypto.mac_algorithm(spec)]}


def _kind(req: Any, algorithm: str) -> str:
    """What the message is, if the algorithm takes such."""
    kind: str = req.get("MessageType", "RAW")
    if algorithm == "ED25519_PH_SHA_512":
        raise NotImplementedByDoppio("kms: ED25519_PH_SHA_512 exists in AWS and not here")
    allowed = {"ML_DSA_SHAKE_256": ("RAW", "EXTERNAL_MU"), "ED25519_SHA_512": ("RAW",)}
    if kind not in allowed.get(algorithm, ("RAW", "DIGEST")):
        raise Validation(f"MessageType {kind} is not compatible with signing algorithm {algorithm}")
    return kind


def _algorithm(key: Key, algorithm: str) -> str:
    if algorithm not in pairs.signing_algorithms(key.spec):
        raise InvalidKeyUsage(f"Algorithm {algorithm} is incompatible with key spec {key.spec}.")
    return algorithm


def _mac_algorithm(key: Key, algorithm: str) -> str:
    if algorithm != crypto.mac_algorithm(key.spec):
        raise InvalidKeyUsage(f"Algorithm {algorithm} is incompatible with key spec {key.spec}.")
    return algorithm
