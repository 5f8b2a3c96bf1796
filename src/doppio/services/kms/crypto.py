"""KMS's secret keys, by the `cryptography` library. Pure: keys and randomness are arguments."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from typing import NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12
_MAGIC = b"DK1"
_HMAC = {
    "HMAC_224": ("sha224", 28),
    "HMAC_256": ("sha256", 32),
    "HMAC_384": ("sha384", 48),
    "HMAC_512": ("sha512", 64),
}


class Unreadable(Exception):
    """A ciphertext that is not one of ours, or was touched."""


class Place(NamedTuple):
    """Which generation of which key a ciphertext is under."""

    account: str
    region: str
    key: str
    material: str


def material_bytes(spec: str) -> int | None:
    """The length of a secret key; None for key pairs."""
    if spec == "SYMMETRIC_DEFAULT":
        return 32
    return _HMAC[spec][1] if spec in _HMAC else None


def material_id(root: bytes, key_id: str, material: bytes) -> str:
    """What the material of a key is called: the same material of the same key always the same."""
    return hmac.digest(root, b"material " + key_id.encode() + b"/" + material, "sha256").hex()


def seal(root: bytes, nonce: bytes, material: bytes, name: str) -> bytes:
    """Key material under the root key; `name` says whose it is."""
    return nonce + AESGCM(root).encrypt(nonce, material, name.encode())


def unseal(root: bytes, sealed: bytes, name: str) -> bytes:
    """The key material again. Raises Unreadable."""
    try:
        return AESGCM(root).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], name.encode())
    except InvalidTag as error:
        raise Unreadable(name) from error


def context_bytes(context: Mapping[str, str] | None) -> bytes:
    """An encryption context as what the ciphertext is bound to: order does not matter."""
    return json.dumps(sorted((context or {}).items()), ensure_ascii=False).encode()


def encrypt(
    material: bytes, nonce: bytes, place: Place, plaintext: bytes, context: Mapping[str, str] | None
) -> bytes:
    """A ciphertext that says under which key it is."""
    head = head_of(place)
    bound = head + context_bytes(context)
    return with_head(head, nonce + AESGCM(material).encrypt(nonce, plaintext, bound))


def head_of(place: Place) -> bytes:
    """What a ciphertext says of its key."""
    return msgspec.msgpack.encode(list(place))


def with_head(head: bytes, body: bytes) -> bytes:
    """A ciphertext of what it says, and what it hides."""
    return _MAGIC + len(head).to_bytes(2, "big") + head + body


def split(blob: bytes) -> tuple[bytes, bytes]:
    """What a ciphertext says of its key, and what it hides."""
    end = 5 + int.from_bytes(blob[3:5], "big")
    return blob[5:end], blob[end:]


def place_of(blob: bytes) -> Place:
    """Under which key a ciphertext is. Raises Unreadable."""
    if not blob.startswith(_MAGIC) or len(blob) < len(_MAGIC) + 2:
        raise Unreadable("not a ciphertext of this cloud")
    head, _ = split(blob)
    try:
        return Place(*msgspec.msgpack.decode(head, type=tuple[str, str, str, str]))
    except (msgspec.DecodeError, TypeError) as error:
        raise Unreadable("not a ciphertext of this cloud") from error


def decrypt(material: bytes, blob: bytes, context: Mapping[str, str] | None) -> bytes:
    """The plaintext. Raises Unreadable for another context, or what was touched."""
    head, body = split(blob)
    nonce, sealed = body[:NONCE_BYTES], body[NONCE_BYTES:]
    try:
        return AESGCM(material).decrypt(nonce, sealed, head + context_bytes(context))
    except (InvalidTag, ValueError) as error:
        raise Unreadable("another context, or another ciphertext") from error


def mac_algorithm(spec: str) -> str:
    """What a spec makes MACs with."""
    return f"HMAC_SHA_{spec.rpartition('_')[2]}"


def mac(spec: str, material: bytes, message: bytes) -> bytes:
    """A MAC."""
    return hmac.digest(material, message, _HMAC[spec][0])
