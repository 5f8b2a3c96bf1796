"""The cloud's own keys, under which services seal what KMS has no say in, or no longer.

A key is made when it is first needed, kept in the store and never changed, so what is held of it in
memory is never out of date. Sealing is AES-256-GCM with a nonce by chance.
"""

from __future__ import annotations

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from doppio.kernel.context import Context, Tx
from doppio.kernel.records import record

KEY_BYTES = 32
NONCE_BYTES = 12


@record("kernel.own_key", key=("name",))
class OwnKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key of the cloud's own."""

    name: str
    key: bytes


class Damaged(Exception):
    """Bytes that are not what was sealed."""


async def own_cipher(ctx: Context, name: str) -> AESGCM:
    """What seals and opens under the key of this name."""
    held = ctx.kernel.own_ciphers
    found: AESGCM | None = held.get(name)
    if found is None:
        found = held[name] = AESGCM(await _own_key(ctx, name))
    return found


def seal(ctx: Context, cipher: AESGCM, plain: bytes, bound: bytes | None = None) -> bytes:
    """Bytes sealed; who opens them must know what they are bound to."""
    nonce = ctx.kernel.ids.nonce()
    return nonce + cipher.encrypt(nonce, plain, bound)


def unseal(cipher: AESGCM, sealed: bytes, bound: bytes | None = None) -> bytes:
    """The bytes again. Raises Damaged."""
    try:
        return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound)
    except InvalidTag as error:
        raise Damaged("what was sealed is not what is there") from error


async def _own_key(ctx: Context, name: str) -> bytes:
    found = await ctx.read().get(OwnKey, name)
    if found is not None:
        return found.key

    async def make(tx: Tx) -> bytes:
        old = await tx.get(OwnKey, name)
        return (old or tx.put(OwnKey(name=name, key=ctx.kernel.ids.bytes(KEY_BYTES)))).key

    return await ctx.transact(make)
