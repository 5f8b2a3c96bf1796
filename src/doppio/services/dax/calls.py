"""One request to a cluster: who asks, what they may, and DynamoDB as the cluster's role."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from doppio.kernel.context import Context
from doppio.services.dax import limits, measures, rules
from doppio.services.dax.records import Cluster, ParameterGroup


class Call:
    """A request. `ctx` is its sender's; the times to live are those that count now."""

    def __init__(
        self, ctx: Context, cluster: Cluster, node: str, values: Mapping[str, int]
    ) -> None:
        self.ctx = ctx
        self.cluster = cluster
        self.node = node
        self.item_ttl = _ttl(values, "record-ttl-millis")
        self.query_ttl = _ttl(values, "query-ttl-millis")
        self._acting: Context | None = None

    async def allow(self, action: str, enclosing: str | None = None) -> None:
        """Raise AccessDenied unless the sender may do this by the cluster."""
        extra = {} if enclosing is None else {"dax:enclosingoperation": enclosing}
        await self.ctx.authorise(f"dax:{action}", self.cluster.arn, extra)

    async def dynamodb(self, method: str, req: Mapping[str, Any]) -> Any:
        """Ask DynamoDB, as the cluster's role: what that may not do, nobody does by DAX."""
        if self._acting is None:
            self._acting = await self.ctx.as_role(
                self.cluster.role, "dax", source=self.cluster.arn, session=self.cluster.name
            )
        return await self._acting.call("dynamodb", method, req)

    def count(self, name: str, amount: float = 1.0) -> None:
        """Measure something of the node."""
        if amount:
            measures.count_of(self.ctx, self.cluster, self.node, name, amount)


def _ttl(values: Mapping[str, int], name: str) -> timedelta | None:
    """How long something counts; None: until it is forgotten for want of room."""
    millis = values.get(name, limits.TTL_MILLIS_DEFAULT)
    if millis == 0 or millis > limits.TTL_MILLIS_MAX:
        return None
    return timedelta(milliseconds=millis)


async def values_of(ctx: Context, cluster: Cluster) -> Mapping[str, int]:
    """The values of a cluster's parameters that somebody has given."""
    if cluster.parameter_group == rules.DEFAULT_PARAMETERS:
        return {}
    group = await ctx.read().get(
        ParameterGroup, cluster.account, cluster.region, cluster.parameter_group
    )
    return {} if group is None else group.values
