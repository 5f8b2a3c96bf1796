"""Signature Version 4A: the same canonical request, signed by a key pair derived from the secret.

The private key follows from the secret by the counter-mode derivation of NIST SP 800-108, so that
we, who know the secret, know the public key. Loaded only when a request comes that needs it.
"""

from __future__ import annotations

import hmac

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_ALGORITHM = b"AWS4-ECDSA-P256-SHA256"
CACHED_KEYS_MAX = 1_000
_keys: dict[tuple[str, str], ec.EllipticCurvePublicKey] = {}


def public_key(access_key: str, secret: str) -> ec.EllipticCurvePublicKey:
    """The public key of an access key and its secret."""
    wanted = (access_key, secret)
    found = _keys.get(wanted)
    if found is None:
        found = ec.derive_private_key(_private(access_key, secret), ec.SECP256R1()).public_key()
        if len(_keys) >= CACHED_KEYS_MAX:
            _keys.clear()
        _keys[wanted] = found
    return found


def _private(access_key: str, secret: str) -> int:
    for counter in range(1, 255):
        context = access_key.encode() + bytes((counter,))
        fixed = b"\x00\x00\x00\x01" + _ALGORITHM + b"\x00" + context + b"\x00\x00\x01\x00"
        candidate = int.from_bytes(hmac.digest(b"AWS4A" + secret.encode(), fixed, "sha256"), "big")
        if candidate <= _ORDER - 2:
            return candidate + 1
    raise AssertionError("no key within 254 tries: each fails with a chance of one in 2**32")


def verify(access_key: str, secret: str, text: bytes, signature: str) -> bool:
    """Whether `signature` (DER in hex) is the key's over `text`."""
    return verify_with(public_key(access_key, secret), text, signature)


def verify_with(key: ec.EllipticCurvePublicKey, text: bytes, signature: str) -> bool:
    """Whether `signature` (DER in hex) is this key's over `text`."""
    try:
        key.verify(bytes.fromhex(signature), text, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return True
