"""Usage: how much of what each account used, by region and hour. Prices come later.

Usage is summed in counters, which never conflict: (account, region, usage type, hour).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from doppio.kernel.keys import pack, prefix_range, unpack

if TYPE_CHECKING:
    from doppio.kernel.context import Context
    from doppio.kernel.store import View

_PREFIX = "usage"
_HOUR = timedelta(hours=1)
# The hour that each usage type was last counted in: from when, until when, and its counter.
_cache: dict[tuple[str, str, str], tuple[datetime, datetime, bytes]] = {}
_CACHE_MAX = 4096


def usage_key(context: Context, usage_type: str) -> bytes:
    """The counter of a usage type in the hour of this call."""
    now = context.now
    parts = (context.payer or context.account, context.region, usage_type)
    known = _cache.get(parts)
    # Comparing moments is cheaper than working out the hour, which lasts for many calls.
    if known is not None and known[0] <= now < known[1]:
        return known[2]
    hour = int(now.timestamp()) // 3600
    since = datetime.fromtimestamp(hour * 3600, UTC)
    if len(_cache) >= _CACHE_MAX:
        _cache.clear()
    key = pack(_PREFIX, *parts, hour)
    _cache[parts] = (since, since + _HOUR, key)
    return key


class Usage:
    """One line of the meter."""

    __slots__ = ("account", "amount", "hour", "region", "usage_type")

    def __init__(self, key: bytes, amount: float) -> None:
        _, self.account, self.region, self.usage_type, hour = unpack(key)
        self.hour = datetime.fromtimestamp(hour * 3600, UTC)
        self.amount = amount


async def usage(view: View, account: str, *, limit: int) -> list[Usage]:
    """What an account used, by region, usage type and hour."""
    lo, hi = prefix_range(_PREFIX, account)
    return [Usage(key, amount) for key, amount in await view.counters(lo, hi, limit=limit)]
