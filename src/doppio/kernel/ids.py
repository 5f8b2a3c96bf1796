"""Ids and chance, from one source that a simulation can seed."""

from __future__ import annotations

import os
import random
import uuid
from collections.abc import Callable

_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_HEX = "0123456789abcdef"
# By a random digit, the one that says which variant of UUIDs it is (RFC 9562).
_VARIANTS = {digit: "89ab"[int(digit, 16) & 3] for digit in _HEX}
_SMALL = "abcdefghijklmnopqrstuvwxyz0123456789"
_URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

# kind -> (prefix, alphabet, count of characters behind the prefix); sources: AWS's documentation
# of unique identifiers (IAM) and of each service's ids.
FORMS: dict[str, tuple[str, str, int]] = {
    "iam-user": ("AIDA", _BASE32, 17),
    "iam-role": ("AROA", _BASE32, 17),
    "iam-group": ("AGPA", _BASE32, 17),
    "iam-policy": ("ANPA", _BASE32, 17),
    "instance-profile": ("AIPA", _BASE32, 17),
    "server-certificate": ("ASCA", _BASE32, 17),
    "secret-key": ("", _URL, 40),
    "hex16": ("", _HEX, 16),
    "hex32": ("", _HEX, 32),
    "base32-52": ("", _BASE32, 52),
    "url32": ("", _URL, 32),
    "multi-region-alias": ("m", "abcdefghijklmnopqrstuvwxyz234567", 12),
    "point-alias": ("", _SMALL, 34),
    "function-url": ("", _SMALL, 32),
    "host-id": ("", _URL, 56),
    "account": ("", "0123456789", 12),
    "organization": ("o-", _SMALL, 10),
    "organization-root": ("r-", _SMALL, 4),
    "organizational-unit": ("", _SMALL, 8),
    "organization-policy": ("p-", _SMALL, 8),
    "organization-resource-policy": ("rp-", _SMALL, 8),
    "create-account": ("car-", _HEX, 32),
    "handshake": ("h-", _HEX, 32),
    "responsibility-transfer": ("rt-", _SMALL, 8),
}


REQUESTS_A_PREFIX = 256
# How the ids of requests end behind a prefix.
_ENDS = [f"{number:012x}" for number in range(REQUESTS_A_PREFIX)]


class Ids:
    """Makes ids. Without a seed they come from the operating system's generator."""

    def __init__(self, seed: int | None = None) -> None:
        self._seeded = None if seed is None else random.Random(seed)
        self._bytes: Callable[[int], bytes] = (
            os.urandom if self._seeded is None else self._seeded.randbytes
        )
        self._chance = random.SystemRandom() if self._seeded is None else self._seeded
        self._pool = b""
        self._requests = REQUESTS_A_PREFIX
        self._prefix = ""
        self._used = 0

    def new(self, kind: str = "") -> str:
        """A UUID (version 4), or an id in the form of `kind`."""
        if not kind:
            return self.uuid()
        prefix, alphabet, count = FORMS[kind]
        size = len(alphabet)
        if 256 % size == 0:
            return prefix + "".join(alphabet[byte % size] for byte in self._bytes(count))
        return prefix + "".join(alphabet[self._chance.randrange(size)] for _ in range(count))

    def uuid(self) -> str:
        """A random UUID as text."""
        # One system call serves 64 ids: request ids are on every hot path.
        used = self._used
        if used >= len(self._pool):
            self._pool, used = self._bytes(1024), 0
        self._used = used + 16
        text = self._pool[used : used + 16].hex()
        variant = _VARIANTS[text[16]]
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"

    def request_id(self) -> str:
        """An id for a request: unique and in the form of a UUID, but not unguessable.

        One random beginning serves many requests, which are counted behind it.
        """
        count = self._requests
        if count == REQUESTS_A_PREFIX:
            self._prefix, count = self.uuid()[:24], 0
        self._requests = count + 1
        return self._prefix + _ENDS[count]

    def nonce(self) -> bytes:
        """Twelve random bytes that no other sealing has, from the pool of ids."""
        used = self._used
        if used >= len(self._pool):
            self._pool, used = self._bytes(1024), 0
        self._used = used + 16
        return self._pool[used : used + 12]

    def random(self) -> float:
        """Chance in [0, 1)."""
        return self._chance.random()

    def bytes(self, count: int) -> bytes:
        """`count` unguessable bytes (guessable ones in a seeded simulation)."""
        return self._bytes(count)


def is_uuid(text: str) -> bool:
    """Whether a text is a UUID in its usual form."""
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
