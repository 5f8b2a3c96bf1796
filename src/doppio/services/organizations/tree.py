"""Whose organisation it is, and what stands where in it: what all operations look up first."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from doppio.kernel.context import Context, Reader
from doppio.kernel.paging import page_token, position
from doppio.services.organizations import limits
from doppio.services.organizations.errors import (
    AccountNotFound,
    NotInUse,
    ParentNotFound,
    TargetNotFound,
    invalid,
)
from doppio.services.organizations.records import Account, Organization, Unit
from doppio.wire.errors import AwsError

T = TypeVar("T")
_ACCOUNT = re.compile(r"\d{12}", re.ASCII)
# Where an account lives that nobody has given an address.
DOMAIN = "accounts.doppio.internal"


async def account_of(reader: Reader, account: str) -> Account:
    """An account; one of which nothing is known yet has a name and an address by its id."""
    found = await reader.get(Account, account)
    if found is not None:
        return found
    return Account(id=account, name=f"Account {account}", email=f"{account}@{DOMAIN}")


async def membership(reader: Reader, account: str) -> tuple[Account | None, Organization | None]:
    """An account's row and its organisation; None where there is none."""
    found = await reader.get(Account, account)
    if found is None or found.organization is None:
        return found, None
    return found, await reader.get(Organization, found.organization)


async def own(reader: Reader, ctx: Context) -> Organization:
    """The organisation of the calling account. Raises NotInUse."""
    found = (await membership(reader, ctx.account))[1]
    if found is None:
        raise NotInUse()
    return found


async def member(reader: Reader, organization: Organization, account: str) -> Account:
    """An account of an organisation. Raises AccountNotFound."""
    found = await reader.get(Account, account)
    if found is None or found.organization != organization.id:
        raise AccountNotFound()
    return found


async def parent(
    reader: Reader,
    organization: Organization,
    name: str,
    missing: type[AwsError] = ParentNotFound,
) -> Unit | None:
    """The unit of an id, None for the root. Raises ParentNotFound, or as told."""
    if name == organization.root:
        return None
    found = await reader.get(Unit, organization.id, name)
    if found is None:
        raise missing()
    return found


async def target(reader: Reader, organization: Organization, name: str) -> Unit | Account | None:
    """The unit or account of an id, None for the root. Raises TargetNotFound."""
    if _ACCOUNT.fullmatch(name):
        found = await reader.get(Account, name)
        if found is None or found.organization != organization.id:
            raise TargetNotFound()
        return found
    return await parent(reader, organization, name, TargetNotFound)


async def chain(reader: Reader, organization: Organization, name: str) -> tuple[str, ...]:
    """The ids from the root down to a unit or account, both included."""
    found = [name]
    at: str | None = name
    if _ACCOUNT.fullmatch(name):
        row = await reader.get(Account, name)
        at = None if row is None else row.parent
        found += [at] if at is not None else []
    while at is not None and at != organization.root:
        unit = await reader.get(Unit, organization.id, at)
        at = None if unit is None else unit.parent
        found += [at] if at is not None else []
    return tuple(reversed(found))


async def path(reader: Reader, organization: Organization, name: str) -> str:
    """The path of a unit or account, as it is shown: `o-…/r-…/ou-…/`."""
    return "/".join((organization.id, *await chain(reader, organization, name), ""))


def is_account(name: str) -> bool:
    """Whether an id is an account's."""
    return _ACCOUNT.fullmatch(name) is not None


def kind_of(name: str) -> str:
    """The kind of a target, by its id."""
    if name.startswith("r-"):
        return "ROOT"
    return "ORGANIZATIONAL_UNIT" if name.startswith("ou-") else "ACCOUNT"


def arn_of(organization: Organization, name: str) -> str:
    """The ARN of a root, unit or account."""
    kinds = {"ROOT": "root", "ORGANIZATIONAL_UNIT": "ou", "ACCOUNT": "account"}
    return organization.arn_of(kinds[kind_of(name)], name)


def after(req: Mapping[str, Any], scope: str) -> bytes | None:
    """Behind which row a page begins. Raises InvalidInput for a token of another list."""
    return position(
        req.get("NextToken"),
        scope,
        lambda: invalid("INVALID_NEXT_TOKEN", "You provided an invalid NextToken value."),
    )


def size(req: Mapping[str, Any]) -> int:
    """How many rows a page holds."""
    return int(req.get("MaxResults") or limits.PAGE_DEFAULT)


def next_token(token: str | None) -> dict[str, Any]:
    """The token of the next page, where there is one."""
    return {} if token is None else {"NextToken": token}


def page(
    req: Mapping[str, Any], rows: Sequence[tuple[str, T]], member: str, scope: str
) -> dict[str, Any]:
    """One page of rows that are sorted by a name each."""
    begin = after(req, scope)
    rest = [row for row in rows if begin is None or row[0].encode() > begin]
    shown = rest[: size(req)]
    more = len(rest) > len(shown)
    token = page_token(shown[-1][0].encode(), scope) if more else None
    return {member: [row for _, row in shown], **next_token(token)}
