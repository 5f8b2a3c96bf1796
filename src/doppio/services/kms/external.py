"""Keys whose material lies elsewhere: everything is encrypted twice.

KMS encrypts first, under material of its own, so that what leaves it says nothing, and then the
external key does: neither alone can read a ciphertext. Source: "How external key stores work".
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from doppio.kernel.context import Context
from doppio.services.kms import crypto, xks_proxy
from doppio.services.kms.access import material_of
from doppio.services.kms.errors import InvalidCiphertext, KmsInvalidState
from doppio.services.kms.records import Key, KeyStore, Material
from doppio.services.kms.xks_proxy import ProxyError, Wrapped


async def encrypt(
    ctx: Context, key: Key, operation: str, plaintext: bytes, context: Mapping[str, str] | None
) -> bytes:
    """A ciphertext under our material and the external key."""
    store = await _connected(ctx, key)
    newest = key.materials[-1]
    place = crypto.Place(key.account, key.region, key.id, newest.id)
    head = crypto.head_of(place)
    nonce = ctx.kernel.ids.bytes(crypto.NONCE_BYTES)
    bound = head + crypto.context_bytes(context)
    inner = nonce + AESGCM(await material_of(ctx, key)).encrypt(nonce, plaintext, bound)
    try:
        wrapped = await xks_proxy.encrypt(ctx, store, key, operation, inner, _digest(bound))
    except ProxyError as error:
        raise _refused(key, error) from error
    return crypto.with_head(head, msgspec.msgpack.encode(list(wrapped)))


async def decrypt(
    ctx: Context,
    key: Key,
    operation: str,
    material: Material,
    blob: bytes,
    context: Mapping[str, str] | None,
) -> bytes:
    """The plaintext again. Raises InvalidCiphertext."""
    store = await _connected(ctx, key)
    head, body = crypto.split(blob)
    bound = head + crypto.context_bytes(context)
    try:
        wrapped = Wrapped(*msgspec.msgpack.decode(body, type=tuple[bytes, bytes, bytes, bytes]))
        inner = await xks_proxy.decrypt(ctx, store, key, operation, wrapped, _digest(bound))
        nonce, sealed = inner[: crypto.NONCE_BYTES], inner[crypto.NONCE_BYTES :]
        return AESGCM(await material_of(ctx, key, material)).decrypt(nonce, sealed, bound)
    except ProxyError as error:
        raise _refused(key, error) from error
    except (msgspec.DecodeError, InvalidTag, ValueError) as error:
        raise InvalidCiphertext from error


async def _connected(ctx: Context, key: Key) -> KeyStore:
    store = await ctx.read().get(KeyStore, key.account, key.region, key.store)
    if store is None or store.state != "CONNECTED":
        raise KmsInvalidState(f"{key.arn} is unavailable.")
    return store


def _digest(bound: bytes) -> bytes:
    return hashlib.sha256(bound).digest()


def _refused(key: Key, error: ProxyError) -> InvalidCiphertext | KmsInvalidState:
    if error.name == "InvalidCiphertextException":
        return InvalidCiphertext(error.message)
    return KmsInvalidState(
        f"{key.arn}: the external key store proxy did not do what KMS asked: {error.name}: "
        f"{error.message}"
    )
