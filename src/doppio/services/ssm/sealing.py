"""How SecureStrings are kept: KMS encrypts small ones itself, larger ones have a data key.

KMS is asked as the caller: whoever may not use the key sees no value. Source: "How AWS Systems
Manager Parameter Store uses AWS KMS".
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec.structs import replace

from doppio.kernel.context import Context
from doppio.services.ssm.errors import InvalidKeyId
from doppio.services.ssm.records import Version, arn_of
from doppio.wire.errors import AccessDenied, AwsError

OWN_KEY = "alias/aws/ssm"
_NONCE_BYTES = 12


async def sealed(ctx: Context, version: Version, value: str) -> Version:
    """The version with its value sealed."""
    context = _context(ctx, version)
    if version.tier == "Standard":
        asked = {"KeyId": version.key, "Plaintext": value.encode(), "EncryptionContext": context}
        made = await _kms(ctx, "encrypt", asked)
        return replace(version, sealed=made["CiphertextBlob"])
    asked = {"KeyId": version.key, "KeySpec": "AES_256", "EncryptionContext": context}
    made = await _kms(ctx, "generate_data_key", asked)
    nonce = ctx.kernel.ids.bytes(_NONCE_BYTES)
    body = nonce + AESGCM(made["Plaintext"]).encrypt(nonce, value.encode(), None)
    return replace(version, sealed=body, wrapped=made["CiphertextBlob"])


async def shown(ctx: Context, version: Version, *, decrypt: bool) -> str:
    """The value of a version: in clear if asked for, else as it lies there."""
    if version.kind != "SecureString":
        return version.value
    if not decrypt:
        return base64.b64encode(version.wrapped + version.sealed).decode()
    context = _context(ctx, version)
    blob = version.wrapped or version.sealed
    answer = await _kms(ctx, "decrypt", {"CiphertextBlob": blob, "EncryptionContext": context})
    plain: bytes = answer["Plaintext"]
    if version.wrapped:
        nonce, body = version.sealed[:_NONCE_BYTES], version.sealed[_NONCE_BYTES:]
        plain = AESGCM(plain).decrypt(nonce, body, None)
    return plain.decode()


def _context(ctx: Context, version: Version) -> dict[str, str]:
    return {"PARAMETER_ARN": arn_of(ctx.partition, version.region, version.account, version.name)}


async def _kms(ctx: Context, method: str, req: Mapping[str, Any]) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = await ctx.via("ssm").call("kms", method, req)
    except AccessDenied:
        raise
    except AwsError as error:
        if error.status >= 500:
            raise
        # SSM passes on what KMS says, with its service's name.
        raise InvalidKeyId(f"{error.message} (Service: Kms; Error Code: {error.code})") from error
    return answer
