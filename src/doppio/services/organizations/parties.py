"""Whom an invitation is for: an account by its id, or whoever has an address."""

from __future__ import annotations

import re

from doppio.kernel.context import Tx
from doppio.services.organizations import tree
from doppio.services.organizations.errors import invalid
from doppio.services.organizations.records import BY_EMAIL, Account

_EMAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")


def checked_party(kind: str, name: str) -> tuple[str, str]:
    """The kind and name of whom a request means. Raises InvalidInput."""
    if kind == "ORGANIZATION":
        raise invalid(
            "INVALID_PARTY_TYPE_TARGET", "You specified the wrong type of entity as a target."
        )
    if kind == "ACCOUNT" and not tree.is_account(name):
        raise invalid(
            "INVALID_PATTERN_TARGET_ID",
            "You provided a value that does not match the required pattern.",
        )
    if kind == "EMAIL" and not _EMAIL.fullmatch(name):
        raise invalid("INVALID_EMAIL_ADDRESS_TARGET", "You specified an invalid email address.")
    return kind, name


async def account_named(tx: Tx, party: tuple[str, str]) -> Account | None:
    """The account that is meant, as far as anybody knows."""
    kind, name = party
    if kind == "ACCOUNT":
        return await tree.account_of(tx, name)
    found = await tx.find(BY_EMAIL, (name,), limit=1)
    if found:
        return found[0]
    account, _, domain = name.partition("@")
    if domain == tree.DOMAIN and tree.is_account(account):
        return await tree.account_of(tx, account)
    return None
