"""The local mailbox and the phones' inbox, for who wants to read what was sent. See `doppio mail`."""

from __future__ import annotations

import msgspec

from doppio.kernel.context import Context
from doppio.services.sns.limits import SHOWN_MAX
from doppio.services.sns.records import Mail, PhoneMessage

MAILS = "sns/mail"
TEXTS = "sns/texts"
_JSON = "application/json"


async def mail_page(ctx: Context, account: str) -> tuple[bytes, str] | None:
    """An account's newest mails, newest first; `account` follows a slash."""
    found = await ctx.read().list(Mail, (_account(account),), limit=SHOWN_MAX, reverse=True)
    return msgspec.json.encode({"Mails": found}), _JSON


async def text_page(ctx: Context, account: str) -> tuple[bytes, str] | None:
    """An account's newest text messages, newest first."""
    found = await ctx.read().list(PhoneMessage, (_account(account),), limit=SHOWN_MAX, reverse=True)
    return msgspec.json.encode({"Texts": found}), _JSON


def _account(rest: str) -> str:
    return rest.strip("/") or "000000000000"
