"""Secrets that two sides share: agreed on by two key pairs (ECDH), or sent to one (ML-KEM)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from doppio.kernel.context import Context
from doppio.services.kms import crypto, pairs
from doppio.services.kms.access import material_of, permitted, usable
from doppio.services.kms.errors import DryRunOperation, InvalidCiphertext, Validation
from doppio.services.kms.last_use import used
from doppio.services.kms.records import Key
from doppio.wire.errors import NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import kms as w


class Agreement:
    """The operations on shared secrets."""

    async def derive_shared_secret(
        self, ctx: Context, req: w.DeriveSharedSecretRequest
    ) -> w.DeriveSharedSecretResponse:
        """The secret that our private half and somebody's public half have in common."""
        key = await _ready(ctx, req, "DeriveSharedSecret", "KEY_AGREEMENT")
        try:
            secret = pairs.agreed(await material_of(ctx, key), req["PublicKey"])
        except ValueError as error:
            raise Validation(
                f"The public key is not a valid {key.spec} public key in DER encoding."
            ) from error
        used(ctx, key, "DeriveSharedSecret")
        told: dict[str, Any] = {
            "KeyId": key.arn,
            "SharedSecret": secret,
            "KeyAgreementAlgorithm": req["KeyAgreementAlgorithm"],
            "KeyOrigin": key.origin,
        }
        return cast("w.DeriveSharedSecretResponse", told)

    async def encapsulate(self, ctx: Context, req: w.EncapsulateRequest) -> w.EncapsulateResponse:
        """A new secret, in clear and as only this key can read it."""
        key = await _ready(ctx, req, "Encapsulate", "ENCAPSULATE_DECAPSULATE")
        secret, sealed = pairs.encapsulated(key.public)
        used(ctx, key, "Encapsulate")
        return {
            "KeyId": key.arn,
            "SharedSecret": secret,
            "SharedSecretCiphertextBlob": sealed,
            "EncapsulationAlgorithm": req["EncapsulationAlgorithm"],
        }

    async def decapsulate(self, ctx: Context, req: w.DecapsulateRequest) -> w.DecapsulateResponse:
        """The secret again. What was made for another key, or touched, gives another secret."""
        key = await _ready(ctx, req, "Decapsulate", "ENCAPSULATE_DECAPSULATE")
        private = await material_of(ctx, key)
        try:
            secret = pairs.decapsulated(private, req["SharedSecretCiphertextBlob"])
        except crypto.Unreadable as error:
            raise InvalidCiphertext from error
        used(ctx, key, "Decapsulate")
        return {
            "KeyId": key.arn,
            "SharedSecret": secret,
            "EncapsulationAlgorithm": req["EncapsulationAlgorithm"],
        }


async def _ready(ctx: Context, req: Any, action: str, usage: str) -> Key:
    if req.get("Recipient"):
        raise NotImplementedByDoppio("kms: attested recipients exist in AWS and not here")
    key = usable(await permitted(ctx, req["KeyId"], action, req), usage, action)
    if req.get("DryRun"):
        raise DryRunOperation
    return key
