"""What IAM asks Organizations, by its public operations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doppio.kernel.context import Context
from doppio.services.iam import limits


async def listed(
    ctx: Context, method: str, req: Mapping[str, Any], member: str
) -> list[dict[str, Any]]:
    """All that an operation lists, page by page."""
    found: list[dict[str, Any]] = []
    asked = dict(req)
    while len(found) < limits.ROWS_MAX:
        shown = await ctx.call("organizations", method, asked)
        found += shown[member]
        if not shown.get("NextToken"):
            break
        asked["NextToken"] = shown["NextToken"]
    return found
