"""Ciphertext on disk: AES-256-GCM by segments, so that a range costs what it holds.

Each file has a key of its own, which follows from the object's data key and the file's name. A
segment's nonce is its number in the file, so no key meets a nonce twice. Two data keys seal twice
(DSSE-KMS). Pure.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SEGMENT_BYTES = 64 * 1024
TAG_BYTES = 16
NONCE_BYTES = 12
KEY_BYTES = 32
# The name that stands for a body in a row, which is no file.
ROW = "row"

DataKeys = tuple[bytes, ...]


class Damaged(Exception):
    """Stored bytes that are not what was sealed."""


class _Cipher:
    """The ciphers of one file, inner first."""

    def __init__(self, keys: DataKeys, name: str) -> None:
        self._layers = [
            AESGCM(hmac.digest(key, b"%d/" % layer + name.encode(), "sha256"))
            for layer, key in enumerate(keys)
        ]
        self.overhead = TAG_BYTES * len(keys)

    def seal(self, number: int, segment: bytes | memoryview) -> bytes:
        nonce = number.to_bytes(NONCE_BYTES, "big")
        sealed = bytes(segment)
        for layer in self._layers:
            sealed = layer.encrypt(nonce, sealed, None)
        return sealed

    def open(self, number: int, sealed: bytes | memoryview) -> bytes:
        nonce = number.to_bytes(NONCE_BYTES, "big")
        segment = bytes(sealed)
        try:
            for layer in reversed(self._layers):
                segment = layer.decrypt(nonce, segment, None)
        except InvalidTag as error:
            raise Damaged(f"segment {number} is not what was sealed") from error
        return segment


class Sealer:
    """Seals a body on its way to a file, chunk by chunk."""

    def __init__(self, keys: DataKeys, name: str) -> None:
        self._cipher = _Cipher(keys, name)
        self._number = 0
        self._held = bytearray()

    def feed(self, chunks: Sequence[bytes | memoryview]) -> list[bytes]:
        """The segments that are full now."""
        held = self._held
        for chunk in chunks:
            held += chunk
        full = len(held) // SEGMENT_BYTES * SEGMENT_BYTES
        if not full:
            return []
        with memoryview(held) as view:
            sealed = [
                self._seal(view[at : at + SEGMENT_BYTES]) for at in range(0, full, SEGMENT_BYTES)
            ]
        del held[:full]
        return sealed

    def finish(self) -> bytes:
        """The last segment, which may be shorter; nothing where there is none."""
        return self._seal(self._held) if self._held else b""

    def _seal(self, segment: bytes | bytearray | memoryview) -> bytes:
        sealed = self._cipher.seal(self._number, memoryview(segment))
        self._number += 1
        return sealed


class Opener:
    """Opens ranges of one sealed file of `size` plain bytes."""

    def __init__(self, keys: DataKeys, name: str, size: int) -> None:
        self._cipher = _Cipher(keys, name)
        self._size = size

    def place(self, offset: int, length: int) -> tuple[int, int]:
        """Where in the file the segments lie that hold a range: offset and length there."""
        sealed_segment = SEGMENT_BYTES + self._cipher.overhead
        first = offset // SEGMENT_BYTES
        last = (offset + length - 1) // SEGMENT_BYTES
        end = min((last + 1) * SEGMENT_BYTES, self._size)
        end_sealed = end + (last + 1) * self._cipher.overhead
        return first * sealed_segment, end_sealed - first * sealed_segment

    def open(self, sealed: bytes, offset: int, length: int) -> bytes:
        """The range, from the bytes of its segments. Raises Damaged."""
        step = SEGMENT_BYTES + self._cipher.overhead
        first = offset // SEGMENT_BYTES
        view = memoryview(sealed)
        plain = b"".join(
            [
                self._cipher.open(first + at // step, view[at : at + step])
                for at in range(0, len(sealed), step)
            ]
        )
        begin = offset - first * SEGMENT_BYTES
        return plain[begin : begin + length]


def sealed_whole(keys: DataKeys, body: bytes) -> bytes:
    """A body that is kept in a row, sealed."""
    sealer = Sealer(keys, ROW)
    return b"".join([*sealer.feed([body]), sealer.finish()])


def opened_whole(keys: DataKeys, sealed: bytes, size: int) -> bytes:
    """The same body again. Raises Damaged."""
    return Opener(keys, ROW, size).open(sealed, 0, size) if size else b""


def wrap(key: bytes, nonce: bytes, data_key: bytes) -> bytes:
    """A data key under another key."""
    return nonce + AESGCM(key).encrypt(nonce, data_key, b"s3 data key")


def unwrap(key: bytes, wrapped: bytes) -> bytes:
    """The data key again. Raises Damaged."""
    try:
        return AESGCM(key).decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], b"s3 data key")
    except InvalidTag as error:
        raise Damaged("a data key is not what was wrapped") from error
