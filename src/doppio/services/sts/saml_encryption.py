"""Assertions that are encrypted for us: XML Encryption, as far as SAML uses it. Pure.

The content is under AES in GCM or CBC, its key under RSA-OAEP. RSA with PKCS #1 v1.5 padding is not
taken: whoever may send us cipher texts could learn the plain text from our answers.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

XENC = "http://www.w3.org/2001/04/xmlenc#"
XENC11 = "http://www.w3.org/2009/xmlenc11#"
DSIG = "http://www.w3.org/2000/09/xmldsig#"
_GCM = {f"{XENC11}aes{bits}-gcm": bits // 8 for bits in (128, 192, 256)}
_CBC = {f"{XENC}aes{bits}-cbc": bits // 8 for bits in (128, 192, 256)}
_DIGESTS: dict[str, type[hashes.HashAlgorithm]] = {
    f"{DSIG}sha1": hashes.SHA1, f"{XENC}sha256": hashes.SHA256, f"{XENC}sha512": hashes.SHA512,
    "http://www.w3.org/2001/04/xmldsig-more#sha384": hashes.SHA384,
}  # fmt: skip
_MASKS: dict[str, type[hashes.HashAlgorithm]] = {
    f"{XENC11}mgf1sha1": hashes.SHA1, f"{XENC11}mgf1sha256": hashes.SHA256,
    f"{XENC11}mgf1sha384": hashes.SHA384, f"{XENC11}mgf1sha512": hashes.SHA512,
}  # fmt: skip
BLOCK_BYTES = 16


class Undecipherable(ValueError):
    """What is not encrypted for us, or not in a way that is taken."""


def decrypted(element: Any, keys: Sequence[rsa.RSAPrivateKey]) -> bytes:
    """The content of an EncryptedAssertion. Raises Undecipherable."""
    data = element.find(f"{{{XENC}}}EncryptedData")
    if data is None:
        raise Undecipherable("there is nothing in it")
    # The key stands in the data, or beside it.
    key = next(element.iter(f"{{{XENC}}}EncryptedKey"), None)
    if key is None:
        raise Undecipherable("there is no key in it")
    wrapped, content = _cipher_value(key), _cipher_value(data)
    method = _algorithm(data)
    for private in keys:
        try:
            plain_key = private.decrypt(wrapped, _padding(key))
        except (ValueError, UnsupportedAlgorithm):
            continue
        return _content(method, plain_key, content)
    raise Undecipherable("none of the keys opens it")


def _content(method: str, key: bytes, content: bytes) -> bytes:
    if len(key) != (_GCM.get(method) or _CBC.get(method)):
        raise Undecipherable(f"{method} is not taken, or the key does not fit")
    try:
        if method in _GCM:
            return AESGCM(key).decrypt(content[:12], content[12:], None)
        begin, rest = content[:BLOCK_BYTES], content[BLOCK_BYTES:]
        opened = Cipher(algorithms.AES(key), modes.CBC(begin)).decryptor()
        plain = opened.update(rest) + opened.finalize()
    except (InvalidTag, ValueError) as error:
        raise Undecipherable("it is damaged") from error
    # XML Encryption pads by chance bytes, the last of which says how many.
    if not plain or not 1 <= plain[-1] <= BLOCK_BYTES:
        raise Undecipherable("it is damaged")
    return plain[: -plain[-1]]


def _padding(key: Any) -> padding.AsymmetricPadding:
    method = _algorithm(key)
    if method not in {f"{XENC}rsa-oaep-mgf1p", f"{XENC11}rsa-oaep"}:
        raise Undecipherable(f"{method} is not taken")
    where = f"{{{XENC}}}EncryptionMethod"
    digest = key.find(f"{where}/{{{DSIG}}}DigestMethod")
    mask = key.find(f"{where}/{{{XENC11}}}MGF")
    try:
        digest_of = hashes.SHA1 if digest is None else _DIGESTS[digest.get("Algorithm")]
        mask_of = hashes.SHA1 if mask is None else _MASKS[mask.get("Algorithm")]
    except KeyError as error:
        raise Undecipherable("a digest is not taken") from error
    return padding.OAEP(padding.MGF1(mask_of()), digest_of(), None)


def _algorithm(element: Any) -> str:
    method = element.find(f"{{{XENC}}}EncryptionMethod")
    return "" if method is None else str(method.get("Algorithm"))


def _cipher_value(element: Any) -> bytes:
    value = element.find(f"{{{XENC}}}CipherData/{{{XENC}}}CipherValue")
    try:
        return base64.b64decode("".join((value.text or "").split()), validate=True)
    except (AttributeError, binascii.Error) as error:
        raise Undecipherable("there is no cipher text in it") from error
