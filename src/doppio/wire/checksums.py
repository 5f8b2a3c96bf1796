"""The checksums that AWS's services compute over bodies, behind one interface.

CRCs of two parts can be combined into that of both together; hashes cannot.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import importlib
from collections.abc import Callable
from typing import Any, Protocol

import anycrc

Crc = Callable[[Any, int], int]


class Checksum(Protocol):
    """A checksum under way."""

    def update(self, data: bytes | memoryview) -> None: ...

    def digest(self) -> bytes: ...

    def base64(self) -> str: ...


# Algorithm -> (function, bits, reflected polynomial).
_CRCS: dict[str, tuple[Crc, int, int]] = {
    "CRC32": (anycrc.Model("CRC32").calc, 32, 0xEDB88320),
    "CRC32C": (anycrc.Model("CRC32C").calc, 32, 0x82F63B78),
    "CRC64NVME": (anycrc.Model("CRC64-NVME").calc, 64, 0x9A6C9329AC4BC9B5),
}
_HASHES: dict[str, Callable[..., Any]] = {
    "MD5": hashlib.md5,
    "SHA1": hashlib.sha1,
    "SHA256": hashlib.sha256,
    "SHA512": hashlib.sha512,
}
# xxhash's names; it is imported when somebody first asks for one.
_XX = {"XXHASH64": "xxh64", "XXHASH3": "xxh3_64", "XXHASH128": "xxh3_128"}


class _Crc:
    __slots__ = ("_bytes", "_crc", "_value")

    def __init__(self, algorithm: str) -> None:
        self._crc, bits, _ = _CRCS[algorithm]
        self._bytes = bits // 8
        self._value = 0

    def update(self, data: bytes | memoryview) -> None:
        self._value = self._crc(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._bytes, "big")

    def base64(self) -> str:
        return base64.b64encode(self.digest()).decode()


class _Hash:
    __slots__ = ("_hash", "update")

    def __init__(self, algorithm: str) -> None:
        self._hash = _begun(algorithm, b"")
        self.update = self._hash.update

    def digest(self) -> bytes:
        value: bytes = self._hash.digest()
        return value

    def base64(self) -> str:
        return base64.b64encode(self.digest()).decode()


def _begun(algorithm: str, data: bytes) -> Any:
    """A hash of `data`, to which more may come. XXHASH digests are big-endian, as S3's are."""
    if algorithm in _XX:
        return getattr(importlib.import_module("xxhash"), _XX[algorithm])(data)
    return _HASHES[algorithm](data, usedforsecurity=False)


def new(algorithm: str) -> Checksum:
    """Begin a checksum: a CRC (CRC32, CRC32C, CRC64NVME), a hash (MD5, SHA1, SHA256, SHA512) or a
    quick hash (XXHASH64, XXHASH3, XXHASH128)."""
    return _Crc(algorithm) if algorithm in _CRCS else _Hash(algorithm)


def whole(algorithm: str, data: bytes) -> str:
    """The checksum of bytes that are all here, in Base64."""
    found = _CRCS.get(algorithm)
    if found is not None:
        crc, bits, _ = found
        digest = crc(data, 0).to_bytes(bits // 8, "big")
        return binascii.b2a_base64(digest, newline=False).decode()
    return base64.b64encode(_begun(algorithm, data).digest()).decode()


def combine(algorithm: str, first: bytes, second: bytes, second_length: int) -> bytes:
    """The CRC of two parts together, from theirs and the length of the second.

    Appending n zero bytes multiplies a CRC by x^(8n) modulo its polynomial; the exponent is built
    by squaring, so the cost grows with the logarithm of the length.
    """
    _, bits, polynomial = _CRCS[algorithm]
    shifted = _multiply(
        int.from_bytes(first, "big"), _power(8 * second_length, bits, polynomial), bits, polynomial
    )
    return (shifted ^ int.from_bytes(second, "big")).to_bytes(bits // 8, "big")


def _power(exponent: int, bits: int, polynomial: int) -> int:
    """x to the power of `exponent` modulo the polynomial, bit-reflected."""
    result, square = 1 << (bits - 1), 1 << (bits - 2)
    while exponent:
        if exponent & 1:
            result = _multiply(result, square, bits, polynomial)
        square = _multiply(square, square, bits, polynomial)
        exponent >>= 1
    return result


def _multiply(a: int, b: int, bits: int, polynomial: int) -> int:
    product, mask = 0, 1 << (bits - 1)
    while mask:
        if a & mask:
            product ^= b
        b = b >> 1 ^ polynomial if b & 1 else b >> 1
        mask >>= 1
    return product
