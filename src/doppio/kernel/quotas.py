"""Quotas: AWS's default for each limit that an account can have raised, and the raised value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from doppio.kernel.records import record

if TYPE_CHECKING:
    from doppio.kernel.context import Reader


class Quota(msgspec.Struct, frozen=True):
    """One adjustable limit: Service Quotas' service code and quota code, and AWS's default."""

    service: str
    code: str
    name: str
    default: int


@record("kernel.quota", key=("account", "region", "service", "code"))
class Raised(msgspec.Struct, frozen=True, kw_only=True):
    """A limit that an account has asked to be changed."""

    account: str
    region: str
    service: str
    code: str
    value: int


async def quota(
    reader: Reader, which: Quota, *, account: str | None = None, region: str | None = None
) -> int:
    """The limit in force, for the calling account and Region unless others are named."""
    ctx = reader.context
    place = (account or ctx.account, region or ctx.region)
    raised = await reader.get(Raised, *place, which.service, which.code)
    return which.default if raised is None else raised.value
