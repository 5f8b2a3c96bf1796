"""What each operation needs. Source: "Actions, resources, and condition keys for Amazon DAX"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.service import Need


def needs(ctx: Context, operation: str, req: Mapping[str, Any]) -> list[Need]:
    """The action, and the clusters that an operation touches."""
    action = f"dax:{operation}"
    if "ResourceName" in req:
        return [Need(action, req["ResourceName"])]
    base = f"arn:{ctx.partition}:dax:{ctx.region}:{ctx.account}:cache/"
    if "ClusterName" in req:
        return [Need(action, base + req["ClusterName"].lower())]
    names = req.get("ClusterNames")
    if names:
        return [Need(action, base + one.lower()) for one in names]
    return [Need(action)]
