"""Clusters become what their users want: nodes start, listen, stop and go, each at its time.

A node is available only once it listens; the ports are kept, so that a cloud that starts again is
found where it was. A port that somebody else has now is waited for: clients know no other.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.kernel.controller import Again, Controller, Key
from doppio.kernel.events import Event
from doppio.services.dax import limits, rules
from doppio.services.dax.happenings import happened
from doppio.services.dax.records import (
    AttributeList,
    AttributeListNumber,
    AttributeLists,
    Cluster,
    ClusterChanged,
    Node,
)
from doppio.services.dax.serving import Serving

_ROWS_A_TIME = 500
_HOUR = timedelta(hours=1)


class Upkeep(Controller[Cluster]):
    """Looks after clusters."""

    record = Cluster
    wakes_on: tuple[type[Event], ...] = (ClusterChanged,)  # type: ignore[misc]
    resync = timedelta(minutes=1)
    everywhere = True

    async def reconcile(self, ctx: Context, key: Key) -> Again | None:
        """Let those nodes of a cluster listen that should, and move on what is due."""
        serving = Serving.of(ctx)
        cluster = await ctx.read().get(Cluster, *key)
        if cluster is None:
            await serving.stop_all(ctx, key)
            return None
        now = ctx.clock.now()
        if cluster.status == "deleting" and _due(cluster.nodes, now):
            await serving.stop_all(ctx, key)
            await _delete(ctx, cluster)
            return None
        moved, all_listen = await _moved(ctx, serving, cluster, now)
        if moved != cluster:
            await _settle(ctx, cluster, moved)
        moments = [moment for one in moved.nodes for moment in (one.at, one.paid_until)]
        waits = [one for one in moments if one is not None]
        if not all_listen:
            waits.append(now + limits.PORT_PAUSE)
        return Again(at=max(min(waits), now)) if waits else None


def _due(nodes: list[Node], now: datetime) -> bool:
    return all(one.at is None or one.at <= now for one in nodes)


async def _moved(
    ctx: Context, serving: Serving, cluster: Cluster, now: datetime
) -> tuple[Cluster, bool]:
    """The cluster as it is now that its nodes listen, or do not; and whether all do that should."""
    all_listen = True
    nodes: list[Node] = []
    for node in cluster.nodes:
        due = node.at is not None and node.at <= now
        if node.status in {"creating", "rebooting"} and not due:
            await serving.quiet(ctx, cluster, node.id)
        elif node.status == "deleting":
            await serving.quiet(ctx, cluster, node.id)
            if due:
                continue
        else:
            port = await serving.listen(ctx, cluster, node.id, node.port)
            if port is None:
                all_listen = False
            else:
                node = replace(node, port=port, status="available", at=None)
                node = rules.paid(node, now)
        nodes.append(node)
    found = replace(cluster, nodes=nodes)
    if any(one.status == "available" for one in nodes):
        port = await serving.listen(ctx, cluster, "", cluster.port)
        if port is None:
            all_listen = False
        else:
            found = replace(found, port=port)
    if (
        cluster.status != "deleting"
        and found.port
        and all(one.status == "available" for one in nodes)
    ):
        found = replace(found, status="available")
    return found, all_listen


async def _settle(ctx: Context, was: Cluster, now: Cluster) -> None:
    """Store what became of a cluster, unless its user wants something else meanwhile."""

    async def settle(tx: Tx) -> None:
        there = await tx.get(Cluster, was.account, was.region, was.name)
        if there is None or replace(there, tags={}) != replace(was, tags={}):
            return
        tx.put(replace(now, tags=there.tags))
        hours = _hours(was, now)
        if hours:
            tx.meter(f"NodeUsage:{now.node_type}", hours)
        if was.status == "creating" and now.status == "available":
            await happened(tx, now, "Cluster created.")
            return
        before = {one.id: one.status for one in was.nodes}
        after = {one.id: one.status for one in now.nodes}
        words = {"creating": "Added", "rebooting": "Rebooted"}
        told = [f"Removed node {one}." for one in before if one not in after]
        if was.status == "modifying":
            told += [
                f"{words[before[one]]} node {one}."
                for one, status in after.items()
                if status == "available" and before[one] in words
            ]
        await happened(tx, now, *told)

    await ctx.transact(settle)


def _hours(was: Cluster, now: Cluster) -> float:
    """How many hours of nodes have begun."""
    before = {one.id: one.paid_until for one in was.nodes}
    hours = 0.0
    for node in now.nodes:
        if node.paid_until is not None and node.paid_until != before.get(node.id):
            since = before.get(node.id) or node.paid_until - _HOUR
            hours += (node.paid_until - since) / _HOUR
    return hours


async def _delete(ctx: Context, cluster: Cluster) -> None:
    """Let a cluster go with all that is its own; a crash leaves what the next look takes."""
    for table in (AttributeList, AttributeListNumber, AttributeLists):

        async def empty(tx: Tx, table: type[Any] = table) -> bool:
            rows: list[Any] = await tx.list(table, (cluster.uid,), limit=_ROWS_A_TIME)
            for row in rows:
                tx.delete(row)
            return len(rows) < _ROWS_A_TIME

        while not await ctx.transact(empty):
            pass

    async def delete(tx: Tx) -> None:
        there = await tx.get(Cluster, cluster.account, cluster.region, cluster.name)
        if there is None or there.uid != cluster.uid:
            return
        tx.delete(there)
        gone = [f"Removed node {node.id}." for node in cluster.nodes]
        await happened(tx, cluster, *gone, "Cluster deleted.")

    await ctx.transact(delete)
