"""How fast parameters may be read and put, in a cloud that throttles as AWS does.

A cloud that was started with `--throughput realistic` counts an account's calls by the second of
cloud time; the account's setting says which of AWS's two limits counts. What is counted is in memory
alone: a restart begins anew. Source: "Systems Manager endpoints and quotas".
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from doppio.kernel.context import Context
from doppio.services.ssm import limits
from doppio.services.ssm.settings import THROUGHPUT, setting_of
from doppio.wire.errors import Throttled

# The calls that share a limit, by their names; each has its own where more is paid for.
_SHARED = frozenset({"GetParameter", "GetParameters", "GetParametersByPath"})
HELD_MAX = 10_000
_counts: WeakKeyDictionary[Any, dict[tuple[str, str, str], tuple[int, int]]] = WeakKeyDictionary()


async def draw(ctx: Context, operation: str) -> None:
    """Count a call. Raises Throttled where there have been too many in this second."""
    if not ctx.kernel.throttles:
        return
    high = await setting_of(ctx.read(), ctx.account, ctx.region, THROUGHPUT) == "true"
    most = (limits.CALLS_A_SECOND_HIGH if high else limits.CALLS_A_SECOND)[operation]
    name = operation if high or operation not in _SHARED else "GetParameter"
    counts = _counts.setdefault(ctx.kernel, {})
    if len(counts) >= HELD_MAX:
        counts.clear()
    key = (ctx.account, ctx.region, name)
    second = int(ctx.now.timestamp())
    known, count = counts.get(key, (second, 0))
    count = count if known == second else 0
    if count >= most:
        raise Throttled
    counts[key] = (second, count + 1)
