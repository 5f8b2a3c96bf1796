"""Denials that are told in full, but only to who may read them.

Why a request was refused can say more than its caller should know: what policies forbid, and what the
service found out about the resource. Some of AWS's services (EC2 above all) therefore hand out a
message that only `sts:DecodeAuthorizationMessage` opens, for principals of the caller's account that
have its permission. It is sealed under a key of the cloud's own and bound to the account; nothing is
kept of it.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from doppio.kernel import own_keys

if TYPE_CHECKING:
    from doppio.kernel.context import Context
    from doppio.kernel.service import Need

KEY = "encoded-denials"
# What DecodeAuthorizationMessage takes.
MESSAGE_CHARS_MAX = 10_240
# AWS says that messages expire, and not when: this is ours.
MESSAGE_HOURS = 24


class BadMessage(ValueError):
    """What is no message of ours for this account, or no longer one."""


async def encoded_denial(ctx: Context, need: Need) -> str:
    """The message for one who was refused: `Encoded authorization failure message: …`."""
    told = await ctx.kernel.explain(ctx, need)
    cipher = await own_keys.own_cipher(ctx, KEY)
    while True:
        plain = json.dumps({"at": ctx.now.timestamp(), "told": told}, separators=(",", ":"))
        sealed = own_keys.seal(ctx, cipher, zlib.compress(plain.encode()), _bound(ctx.account))
        message = base64.urlsafe_b64encode(sealed).decode().rstrip("=")
        matched = told["matchedStatements"]["items"]
        if len(message) <= MESSAGE_CHARS_MAX or not matched:
            return message
        # One statement that forbids is enough to know where to look.
        matched.pop()


async def decoded_denial(ctx: Context, message: str) -> dict[str, Any]:
    """What a message says, for a principal of the account of whom it speaks. Raises BadMessage."""
    cipher = await own_keys.own_cipher(ctx, KEY)
    try:
        sealed = base64.b64decode(message + "=" * (-len(message) % 4), b"-_", validate=True)
        packed = own_keys.unseal(cipher, sealed, _bound(ctx.account))
    except (binascii.Error, ValueError, own_keys.Damaged) as error:
        raise BadMessage("it is not ours, or another account's") from error
    said = json.loads(zlib.decompress(packed))
    at = datetime.fromtimestamp(said["at"], UTC)
    if ctx.now - at > timedelta(hours=MESSAGE_HOURS):
        raise BadMessage("it has expired")
    told: dict[str, Any] = said["told"]
    return told


def _bound(account: str) -> bytes:
    return f"{KEY}/{account}".encode()
