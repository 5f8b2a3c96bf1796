"""Tokens for paged lists: opaque to the client, checked when they come back."""

from __future__ import annotations

import binascii
import hashlib

_CHECK_BYTES = 4
# Base64 as it stands in addresses, and back.
_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_", b"+/")


class BadToken(Exception):
    """A token that this list never gave; each service answers with its own error."""


def page_token(key: bytes, scope: str) -> str:
    """A token that stands for `key`, valid in lists of the same `scope` alone."""
    check = hashlib.blake2b(key + scope.encode(), digest_size=_CHECK_BYTES).digest()
    return binascii.b2a_base64(check + key, newline=False).translate(_TO_URL).decode()


def token_key(token: str, scope: str) -> bytes:
    """The key a token stands for. Raises BadToken."""
    try:
        raw = binascii.a2b_base64(token.encode("ascii").translate(_FROM_URL), strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise BadToken(token) from error
    check, key = raw[:_CHECK_BYTES], raw[_CHECK_BYTES:]
    if hashlib.blake2b(key + scope.encode(), digest_size=_CHECK_BYTES).digest() != check:
        raise BadToken(token)
    return key
