"""What STS stores: the keys with which it signs identity tokens. Sessions are not stored."""

from __future__ import annotations

from datetime import datetime

import msgspec

from doppio.kernel.records import record


@record("sts.token_key", key=("algorithm", "id"))
class TokenKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key pair (PEM, PKCS #8) of an algorithm; after `retired_at` it signs nothing any more."""

    algorithm: str
    id: str
    key: bytes
    made_at: datetime
    retired_at: datetime | None = None
