"""Key pairs, by the `cryptography` library: made, read, and all that is done with them. Pure.

Private halves are PKCS 8, public ones SubjectPublicKeyInfo, both in DER, as KMS gives and takes them.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import (
    ec,
    ed25519,
    mldsa,
    mlkem,
    padding,
    rsa,
    utils,
)

from doppio.services.kms.crypto import Unreadable

MU_BYTES = 64
_CURVES: dict[str, ec.EllipticCurve] = {
    "ECC_NIST_P256": ec.SECP256R1(),
    "ECC_NIST_P384": ec.SECP384R1(),
    "ECC_NIST_P521": ec.SECP521R1(),
    "ECC_SECG_P256K1": ec.SECP256K1(),
}
_RSA_BITS = {"RSA_2048": 2048, "RSA_3072": 3072, "RSA_4096": 4096}
_EDWARDS = "ECC_NIST_EDWARDS25519"
# How each kind is made, by its spec; and what a private half of it is.
_LATTICES: dict[str, Any] = {
    "ML_DSA_44": mldsa.MLDSA44PrivateKey,
    "ML_DSA_65": mldsa.MLDSA65PrivateKey,
    "ML_DSA_87": mldsa.MLDSA87PrivateKey,
    "ML_KEM_768": mlkem.MLKEM768PrivateKey,
    "ML_KEM_1024": mlkem.MLKEM1024PrivateKey,
}
_DSA_PRIVATE = (mldsa.MLDSA44PrivateKey, mldsa.MLDSA65PrivateKey, mldsa.MLDSA87PrivateKey)
_DSA_PUBLIC = (mldsa.MLDSA44PublicKey, mldsa.MLDSA65PublicKey, mldsa.MLDSA87PublicKey)
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "SHA_256": hashes.SHA256(),
    "SHA_384": hashes.SHA384(),
    "SHA_512": hashes.SHA512(),
}
_ECDSA = {
    "ECC_NIST_P256": "ECDSA_SHA_256",
    "ECC_NIST_P384": "ECDSA_SHA_384",
    "ECC_NIST_P521": "ECDSA_SHA_512",
    "ECC_SECG_P256K1": "ECDSA_SHA_256",
}
_OAEP: dict[str, Any] = {
    "RSAES_OAEP_SHA_1": hashes.SHA1,
    "RSAES_OAEP_SHA_256": hashes.SHA256,
}


class Pair(NamedTuple):
    """A key pair, both halves in DER."""

    private: bytes
    public: bytes


def is_pair(spec: str) -> bool:
    """Whether a spec is of a key pair that can be made here."""
    return spec in _RSA_BITS or spec in _CURVES or spec == _EDWARDS or spec in _LATTICES


def usages(spec: str) -> tuple[str, ...]:
    """What a pair can be for; it is for one of them."""
    if spec in _RSA_BITS:
        return ("ENCRYPT_DECRYPT", "SIGN_VERIFY")
    if spec.startswith("ML_KEM"):
        return ("ENCAPSULATE_DECAPSULATE",)
    if spec.startswith("ECC_NIST_P"):
        return ("SIGN_VERIFY", "KEY_AGREEMENT")
    return ("SIGN_VERIFY",)


def new_pair(spec: str) -> Pair:
    """A new key pair. An RSA pair takes up to seconds."""
    if spec in _RSA_BITS:
        return _halves(rsa.generate_private_key(65537, _RSA_BITS[spec]))
    if spec in _CURVES:
        return _halves(ec.generate_private_key(_CURVES[spec]))
    if spec == _EDWARDS:
        return _halves(ed25519.Ed25519PrivateKey.generate())
    return _halves(_LATTICES[spec].generate())


def pair_of(spec: str, private: bytes) -> Pair:
    """The pair of a private half from elsewhere. Raises Unreadable for another kind, or none."""
    try:
        key = cast("Any", serialization.load_der_private_key(private, None))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Unreadable("no private key in PKCS 8") from error
    if isinstance(key, rsa.RSAPrivateKey):
        right = _RSA_BITS.get(spec) == key.key_size
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        right = spec in _CURVES and _CURVES[spec].name == key.curve.name
    elif isinstance(key, ed25519.Ed25519PrivateKey):
        right = spec == _EDWARDS
    else:
        right = spec in _LATTICES and isinstance(key, _LATTICES[spec])
    if not right:
        raise Unreadable(f"no key of {spec}")
    return _halves(key)


def encryption_algorithms(spec: str) -> list[str]:
    """What a pair encrypts with."""
    return list(_OAEP) if spec in _RSA_BITS else []


def signing_algorithms(spec: str) -> list[str]:
    """What a pair signs with."""
    if spec in _RSA_BITS:
        return [f"RSASSA_{kind}_{name}" for kind in ("PKCS1_V1_5", "PSS") for name in _HASHES]
    if spec == _EDWARDS:
        return ["ED25519_SHA_512", "ED25519_PH_SHA_512"]
    if spec.startswith("ML_DSA"):
        return ["ML_DSA_SHAKE_256"]
    return [_ECDSA[spec]] if spec in _ECDSA else []


def encrypt(public: bytes, algorithm: str, plaintext: bytes) -> bytes:
    """Encrypt by an RSA pair's public half. Raises ValueError for what is too long."""
    key = cast("rsa.RSAPublicKey", serialization.load_der_public_key(public))
    return key.encrypt(plaintext, _oaep(algorithm))


def decrypt(private: bytes, algorithm: str, ciphertext: bytes) -> bytes:
    """Decrypt by an RSA pair's private half. Raises Unreadable."""
    key = cast("rsa.RSAPrivateKey", serialization.load_der_private_key(private, None))
    try:
        return key.decrypt(ciphertext, _oaep(algorithm))
    except ValueError as error:
        raise Unreadable("another key, or another ciphertext") from error


def sign(private: bytes, algorithm: str, message: bytes, kind: str) -> bytes:
    """A signature over a message, as `kind` says it is: RAW, DIGEST or EXTERNAL_MU.

    Raises ValueError for a digest of a wrong length.
    """
    key = cast("Any", serialization.load_der_private_key(private, None))
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(message)
    if isinstance(key, _DSA_PRIVATE):
        return key.sign_mu(_mu(message)) if kind == "EXTERNAL_MU" else key.sign(message)
    digest = _digest(algorithm, digested=kind == "DIGEST")
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(message, _padding(algorithm), digest)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key.sign(message, ec.ECDSA(digest))


def verify(public: bytes, algorithm: str, message: bytes, signature: bytes, kind: str) -> bool:
    """Whether a signature is of this key over this message. Raises as `sign` does."""
    key = cast("Any", serialization.load_der_public_key(public))
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, message)
        elif isinstance(key, _DSA_PUBLIC):
            if kind == "EXTERNAL_MU":
                key.verify_mu(signature, _mu(message))
            else:
                key.verify(signature, message)
        elif isinstance(key, rsa.RSAPublicKey):
            digest = _digest(algorithm, digested=kind == "DIGEST")
            key.verify(signature, message, _padding(algorithm), digest)
        else:
            assert isinstance(key, ec.EllipticCurvePublicKey)
            key.verify(signature, message, ec.ECDSA(_digest(algorithm, digested=kind == "DIGEST")))
    except InvalidSignature:
        return False
    return True


def agreed(private: bytes, peer: bytes) -> bytes:
    """The secret that follows from our private half and another's public one (ECDH).

    Raises ValueError for a public half that is none, or of another curve.
    """
    key = cast("ec.EllipticCurvePrivateKey", serialization.load_der_private_key(private, None))
    try:
        other = serialization.load_der_public_key(peer)
    except UnsupportedAlgorithm as error:
        raise ValueError("no public key that is known") from error
    if not isinstance(other, ec.EllipticCurvePublicKey) or other.curve.name != key.curve.name:
        raise ValueError("a public key of another curve")
    return key.exchange(ec.ECDH(), other)


def encapsulated(public: bytes) -> tuple[bytes, bytes]:
    """A new secret, and the same as only the private half can read it."""
    key = cast("mlkem.MLKEM768PublicKey", serialization.load_der_public_key(public))
    return key.encapsulate()


def decapsulated(private: bytes, sealed: bytes) -> bytes:
    """The secret again; another one, by chance, for bytes of the right length. Raises Unreadable."""
    key = cast("mlkem.MLKEM768PrivateKey", serialization.load_der_private_key(private, None))
    try:
        return key.decapsulate(sealed)
    except ValueError as error:
        raise Unreadable("not of the length of this key") from error


def _halves(key: Any) -> Pair:
    private = key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return Pair(private, public)


def _mu(message: bytes) -> bytes:
    if len(message) != MU_BYTES:
        raise ValueError("an external mu has 64 bytes")
    return message


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


def unwrap(private: bytes, algorithm: str, blob: bytes) -> bytes:
    """Material that was wrapped by a public half, directly or by an AES key. Raises Unreadable.

    An AES key comes first, under RSA, and behind it the material under the AES key (RFC 5649).
    """
    if not algorithm.startswith("RSA_AES_KEY_WRAP"):
        return decrypt(private, algorithm, blob)
    key = cast("rsa.RSAPrivateKey", serialization.load_der_private_key(private, None))
    size = key.key_size // 8
    oaep = algorithm.replace("RSA_AES_KEY_WRAP", "RSAES_OAEP")
    try:
        return keywrap.aes_key_unwrap_with_padding(decrypt(private, oaep, blob[:size]), blob[size:])
    except (keywrap.InvalidUnwrap, ValueError) as error:
        raise Unreadable("another key, or another wrapping") from error
