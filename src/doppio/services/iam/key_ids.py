"""Access key ids: whose a key is stands in its id, so that even a key that is gone can be traced.

AWS documents only that GetAccessKeyInfo tells the account of any key; that it does so by the id alone
is known from keys: of the eighty bits behind the prefix the first is set, and the forty that follow
are the account.
"""

from __future__ import annotations

import base64
import binascii
import re

from doppio.kernel.ids import Ids

LONG_TERM, TEMPORARY = "AKIA", "ASIA"
_ACCOUNTS = 10**12
_RANDOM_BITS = 39
_FORM = re.compile(r"(AKIA|ASIA)[A-Z2-7]{16}", re.ASCII)


def new_key_id(ids: Ids, prefix: str, account: str) -> str:
    """An id for a key of an account; what is left of it is chance."""
    chance = int.from_bytes(ids.bytes(5), "big") >> 1
    value = (1 << 79) | (int(account) << _RANDOM_BITS) | chance
    return prefix + base64.b32encode(value.to_bytes(10, "big")).decode()


def account_of(key_id: str) -> str | None:
    """The account whose key this is or was; None for what no key is called."""
    if not _FORM.fullmatch(key_id):
        return None
    try:
        value = int.from_bytes(base64.b32decode(key_id[4:]), "big")
    except (binascii.Error, ValueError):
        return None
    account = value >> _RANDOM_BITS & (1 << 40) - 1
    return f"{account:012d}" if value >> 79 and account < _ACCOUNTS else None
