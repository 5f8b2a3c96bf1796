"""How values are kept: each under a data key of its own, which only KMS can open.

KMS is asked as the caller, so whoever may not use the key may not have the value.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from doppio.kernel.context import Context
from doppio.services.secretsmanager.errors import DecryptionFailure, EncryptionFailure
from doppio.services.secretsmanager.records import Secret, Version
from doppio.wire.errors import AccessDenied, AwsError

OWN_KEY = "alias/aws/secretsmanager"
_NONCE_BYTES = 12


class Value(NamedTuple):
    """A secret value in clear."""

    content: bytes
    binary: bool


def value_of(req: Mapping[str, Any]) -> Value | None:
    """The value that a request brings."""
    if req.get("SecretBinary") is not None:
        return Value(req["SecretBinary"], True)
    if req.get("SecretString") is not None:
        return Value(req["SecretString"].encode(), False)
    return None


async def sealed(ctx: Context, secret: Secret, version: str, value: Value) -> Version:
    """A new version with this value."""
    made = await _kms(
        ctx,
        "generate_data_key",
        {
            "KeyId": secret.key or OWN_KEY,
            "KeySpec": "AES_256",
            "EncryptionContext": _context(secret, version),
        },
        EncryptionFailure,
    )
    nonce = ctx.kernel.ids.bytes(_NONCE_BYTES)
    return Version(
        secret=secret.arn,
        id=version,
        created_at=ctx.now,
        binary=value.binary,
        sealed=nonce + AESGCM(made["Plaintext"]).encrypt(nonce, value.content, version.encode()),
        wrapped=made["CiphertextBlob"],
        key=made["KeyId"],
        proof=_proof(secret, version, value),
    )


async def opened(ctx: Context, secret: Secret, version: Version) -> Value:
    """The value of a version."""
    answer = await _kms(
        ctx,
        "decrypt",
        {"CiphertextBlob": version.wrapped, "EncryptionContext": _context(secret, version.id)},
        DecryptionFailure,
    )
    nonce, content = version.sealed[:_NONCE_BYTES], version.sealed[_NONCE_BYTES:]
    try:
        plain = AESGCM(answer["Plaintext"]).decrypt(nonce, content, version.id.encode())
    except InvalidTag as error:
        raise DecryptionFailure from error
    return Value(plain, version.binary)


def is_same(secret: Secret, version: Version, value: Value) -> bool:
    """Whether a version has this value, without opening it."""
    return hmac.compare_digest(version.proof, _proof(secret, version.id, value))


def _proof(secret: Secret, version: str, value: Value) -> bytes:
    # Keyed by names that are no secret: it does not hide a guessable value from who has the disk,
    # who has KMS's keys anyway.
    key = f"{secret.arn}/{version}/{value.binary}".encode()
    return hmac.digest(key, value.content, "sha256")


def _context(secret: Secret, version: str) -> dict[str, str]:
    return {"SecretARN": secret.arn, "SecretVersionId": version}


async def _kms(
    ctx: Context, method: str, req: Mapping[str, Any], failure: type[AwsError]
) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = await ctx.via("secretsmanager").call("kms", method, req)
    except AccessDenied as error:
        raise AccessDenied("Access to KMS is not allowed") from error
    except AwsError as error:
        if error.status >= 500:
            raise
        raise failure from error
    return answer
