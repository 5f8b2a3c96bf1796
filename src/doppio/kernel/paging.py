"""Tokens for paged lists: opaque to the client, checked when they come back."""

from __future__ import annotations

import base64
import binascii
import hashlib

_CHECK_BYTES = 4


class BadToken(Exception):
    """A token that this list never gave; each service answers with its own error."""


def page_token(key: bytes, scope: str) -> str:
    """A token that stands for `key`, valid in lists of the same `scope` alone."""
    check = hashlib.blake2b(key + scope.encode(), digest_size=_CHECK_BYTES).digest()
    return base64.urlsafe_b64encode(check + key).decode()


def token_key(token: str, scope: str) -> bytes:
    """The key a token stands for. Raises BadToken."""
    try:
        raw = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadToken(token) from error
    check, key = raw[:_CHECK_BYTES], raw[_CHECK_BYTES:]
    if hashlib.blake2b(key + scope.encode(), digest_size=_CHECK_BYTES).digest() != check:
        raise BadToken(token)
    return key
