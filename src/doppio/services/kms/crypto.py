"""KMS's cryptography, by the `cryptography` library. Pure: keys and randomness come as arguments."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import msgspec
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12
_MAGIC = b"DK1"
_CURVES: dict[str, ec.EllipticCurve] = {
    "ECC_NIST_P256": ec.SECP256R1(),
    "ECC_NIST_P384": ec.SECP384R1(),
    "ECC_NIST_P521": ec.SECP521R1(),
    "ECC_SECG_P256K1": ec.SECP256K1(),
}
_RSA_BITS = {"RSA_2048": 2048, "RSA_3072": 3072, "RSA_4096": 4096}
_HMAC = {
    "HMAC_224": ("sha224", 28),
    "HMAC_256": ("sha256", 32),
    "HMAC_384": ("sha384", 48),
    "HMAC_512": ("sha512", 64),
}
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "SHA_256": hashes.SHA256(),
    "SHA_384": hashes.SHA384(),
    "SHA_512": hashes.SHA512(),
}
_EC_ALGORITHMS = {
    "ECC_NIST_P256": "ECDSA_SHA_256",
    "ECC_NIST_P384": "ECDSA_SHA_384",
    "ECC_NIST_P521": "ECDSA_SHA_512",
    "ECC_SECG_P256K1": "ECDSA_SHA_256",
}
_OAEP: dict[str, Any] = {
    "RSAES_OAEP_SHA_1": hashes.SHA1,
    "RSAES_OAEP_SHA_256": hashes.SHA256,
}
Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class Unreadable(Exception):
    """A ciphertext that is not one of ours, or was touched."""


class Place(NamedTuple):
    """Which generation of which key a ciphertext is under."""

    account: str
    region: str
    key: str
    material: str


def is_asymmetric(spec: str) -> bool:
    """Whether a spec is of a key pair."""
    return spec in _RSA_BITS or spec in _CURVES


def material_bytes(spec: str) -> int | None:
    """The length of a secret key; None for key pairs."""
    if spec == "SYMMETRIC_DEFAULT":
        return 32
    return _HMAC[spec][1] if spec in _HMAC else None


def new_pair(spec: str) -> tuple[bytes, bytes]:
    """A new key pair: private (PKCS 8) and public (SubjectPublicKeyInfo), both DER."""
    key: Private = (
        rsa.generate_private_key(65537, _RSA_BITS[spec])
        if spec in _RSA_BITS
        else ec.generate_private_key(_CURVES[spec])
    )
    private = key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private, public


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
    head = msgspec.msgpack.encode(list(place))
    bound = head + context_bytes(context)
    sealed = AESGCM(material).encrypt(nonce, plaintext, bound)
    return _MAGIC + len(head).to_bytes(2, "big") + head + nonce + sealed


def place_of(blob: bytes) -> Place:
    """Under which key a ciphertext is. Raises Unreadable."""
    if not blob.startswith(_MAGIC) or len(blob) < len(_MAGIC) + 2:
        raise Unreadable("not a ciphertext of this cloud")
    head = blob[5 : 5 + int.from_bytes(blob[3:5], "big")]
    try:
        return Place(*msgspec.msgpack.decode(head, type=tuple[str, str, str, str]))
    except (msgspec.DecodeError, TypeError) as error:
        raise Unreadable("not a ciphertext of this cloud") from error


def decrypt(material: bytes, blob: bytes, context: Mapping[str, str] | None) -> bytes:
    """The plaintext. Raises Unreadable for another context, or what was touched."""
    end = 5 + int.from_bytes(blob[3:5], "big")
    nonce, sealed = blob[end : end + NONCE_BYTES], blob[end + NONCE_BYTES :]
    try:
        return AESGCM(material).decrypt(nonce, sealed, blob[5:end] + context_bytes(context))
    except (InvalidTag, ValueError) as error:
        raise Unreadable("another context, or another ciphertext") from error


def encryption_algorithms(spec: str) -> list[str]:
    """What a spec encrypts with."""
    if spec == "SYMMETRIC_DEFAULT":
        return ["SYMMETRIC_DEFAULT"]
    return list(_OAEP) if spec in _RSA_BITS else []


def signing_algorithms(spec: str) -> list[str]:
    """What a spec signs with."""
    if spec in _RSA_BITS:
        return [f"RSASSA_{kind}_{name}" for kind in ("PKCS1_V1_5", "PSS") for name in _HASHES]
    return [_EC_ALGORITHMS[spec]] if spec in _EC_ALGORITHMS else []


def mac_algorithm(spec: str) -> str:
    """What a spec makes MACs with."""
    return f"HMAC_SHA_{spec.rpartition('_')[2]}"


def mac(spec: str, material: bytes, message: bytes) -> bytes:
    """A MAC."""
    return hmac.digest(material, message, _HMAC[spec][0])


def rsa_encrypt(public: bytes, algorithm: str, plaintext: bytes) -> bytes:
    """Encrypt by a public key. Raises ValueError for what is too long."""
    key = cast("rsa.RSAPublicKey", serialization.load_der_public_key(public))
    return key.encrypt(plaintext, _oaep(algorithm))


def rsa_decrypt(private: bytes, algorithm: str, ciphertext: bytes) -> bytes:
    """Decrypt by a private key. Raises Unreadable."""
    key = cast("rsa.RSAPrivateKey", serialization.load_der_private_key(private, None))
    try:
        return key.decrypt(ciphertext, _oaep(algorithm))
    except ValueError as error:
        raise Unreadable("another key, or another ciphertext") from error


def sign(private: bytes, algorithm: str, message: bytes, *, digested: bool) -> bytes:
    """A signature over a message, or over a digest of one. Raises ValueError for a wrong digest."""
    key = serialization.load_der_private_key(private, None)
    digest = _digest(algorithm, digested=digested)
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(message, _padding(algorithm), digest)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key.sign(message, ec.ECDSA(digest))


def verify(
    public: bytes, algorithm: str, message: bytes, signature: bytes, *, digested: bool
) -> bool:
    """Whether a signature is of this key over this message."""
    key = serialization.load_der_public_key(public)
    digest = _digest(algorithm, digested=digested)
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, message, _padding(algorithm), digest)
        else:
            assert isinstance(key, ec.EllipticCurvePublicKey)
            key.verify(signature, message, ec.ECDSA(digest))
    except InvalidSignature:
        return False
    return True


def _oaep(algorithm: str) -> padding.OAEP:
    digest = _OAEP[algorithm]()
    return padding.OAEP(padding.MGF1(digest), digest, None)


def _digest(algorithm: str, *, digested: bool) -> Any:
    digest = _HASHES["_".join(algorithm.split("_")[-2:])]
    return utils.Prehashed(digest) if digested else digest


def _padding(algorithm: str) -> Any:
    digest = _HASHES["_".join(algorithm.split("_")[-2:])]
    if "_PSS_" in algorithm:
        return padding.PSS(padding.MGF1(digest), digest.digest_size)
    return padding.PKCS1v15()
