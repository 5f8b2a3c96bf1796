"""How many schedules an account has in a Region: a counter, since it may be a million of them."""

from __future__ import annotations

from doppio.kernel.context import Reader, Tx
from doppio.kernel.keys import pack
from doppio.services.scheduler import limits
from doppio.services.scheduler.errors import QuotaExceeded

_NAME = "scheduler.schedules"


def count(tx: Tx, account: str, region: str, by: int) -> None:
    """Count schedules that come or go, in the commit in which they do."""
    tx.raw.add(pack(_NAME, account, region), by)


async def check_room(reader: Reader, account: str, region: str) -> None:
    """Raise QuotaExceeded where as many schedules are there as may be."""
    key = pack(_NAME, account, region)
    found = await reader.raw.counters(key, key + b"\x00", limit=1)
    if found and found[0][1] >= limits.SCHEDULES_MAX:
        raise QuotaExceeded(f"You have exceeded the quota of {limits.SCHEDULES_MAX} schedules.")
