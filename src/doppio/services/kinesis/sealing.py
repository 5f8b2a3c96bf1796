"""Encrypted streams: records lie on disk under data keys that only KMS can open.

KMS is asked as whoever puts or gets, so who may not use the key can do neither.
"""

from __future__ import annotations

from collections.abc import Mapping

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from doppio.kernel import data_keys
from doppio.kernel.context import Context
from doppio.kernel.own_keys import Damaged, seal, unseal
from doppio.services.kinesis.errors import (
    KmsAccessDenied,
    KmsDisabled,
    KmsInvalidState,
    KmsNotFound,
    KmsThrottled,
)
from doppio.services.kinesis.limits import DATA_KEY_REUSE
from doppio.services.kinesis.records import Stream
from doppio.wire.errors import AwsError

_REFUSALS: Mapping[str, type[AwsError]] = {
    "AccessDeniedException": KmsAccessDenied,
    "DisabledException": KmsDisabled,
    "InvalidKeyUsageException": KmsInvalidState,
    "KMSInvalidStateException": KmsInvalidState,
    "NotFoundException": KmsNotFound,
    "ThrottlingException": KmsThrottled,
}
_KEYS = data_keys.DataKeys("kinesis", _REFUSALS, sealers_open=False)


async def sealed(ctx: Context, stream: Stream, data: bytes) -> tuple[bytes, bytes | None]:
    """A record's data as its stream keeps it, and the wrapped key that opens it."""
    if stream.kms_key is None:
        return data, None
    key = await _KEYS.for_sealing(ctx, stream.id, stream.kms_key, _context(stream), DATA_KEY_REUSE)
    return seal(ctx, AESGCM(key.plain), data), key.wrapped


async def opened(ctx: Context, stream: Stream, data: bytes, wrapped: bytes | None) -> bytes:
    """A record's data in clear."""
    if wrapped is None:
        return data
    plain = await _KEYS.for_opening(ctx, wrapped, _context(stream), DATA_KEY_REUSE)
    try:
        return unseal(AESGCM(plain), data)
    except Damaged as error:
        raise KmsInvalidState("The record cannot be decrypted.") from error


async def try_key(ctx: Context, stream: Stream, key: str) -> None:
    """Raise what KMS says where the caller cannot use a key."""
    await _KEYS.for_sealing(ctx, stream.id, key, _context(stream), DATA_KEY_REUSE)


def _context(stream: Stream) -> dict[str, str]:
    return {"aws:kinesis:arn": stream.arn}
