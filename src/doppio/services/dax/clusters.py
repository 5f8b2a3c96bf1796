"""Clusters: made, changed, grown, shrunk, shown and deleted.

What an operation wants stands in the record; `upkeep` brings it about.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel import regions
from doppio.kernel.context import Context, Reader, Tx
from doppio.services.dax import limits, rules
from doppio.services.dax.errors import (
    ClusterAlreadyExists,
    ClusterNotFound,
    InvalidClusterState,
    InvalidParameterCombination,
    InvalidParameterValue,
    NodeNotFound,
    NodeQuotaForClusterExceeded,
    NodeQuotaForCustomerExceeded,
)
from doppio.services.dax.listing import listed
from doppio.services.dax.parameter_groups import clusters_of, existing_parameters
from doppio.services.dax.records import Cluster, ClusterChanged, Node
from doppio.services.dax.showing import shown
from doppio.services.dax.subnet_groups import existing_subnets
from doppio.services.dax.tagging import merged
from doppio.wire.errors import AccessDenied, NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import dax as w


class Clusters:
    """The operations on clusters."""

    async def create_cluster(
        self, ctx: Context, req: w.CreateClusterRequest
    ) -> w.CreateClusterResponse:
        """Make a cluster, which is available once its nodes listen."""
        name = rules.cluster_name(req["ClusterName"])
        count = _count(req["ReplicationFactor"])
        if req.get("NetworkType", "ipv4") != "ipv4":
            raise NotImplementedByDoppio("Clusters with IPv6 exist in AWS and not yet here")
        await _check_role(ctx, req["IamRoleArn"])
        async with ctx.write() as tx:
            if await tx.get(Cluster, ctx.account, ctx.region, name) is not None:
                raise ClusterAlreadyExists(f"Cluster {name} already exists")
            await _check_quota(tx, ctx, count)
            subnet_group = req.get("SubnetGroupName", rules.DEFAULT_SUBNETS)
            parameter_group = req.get("ParameterGroupName", rules.DEFAULT_PARAMETERS)
            await existing_subnets(tx, ctx, subnet_group)
            await existing_parameters(tx, ctx, parameter_group)
            topic = req.get("NotificationTopicArn")
            window = req.get("PreferredMaintenanceWindow")
            cluster = Cluster(
                account=ctx.account,
                region=ctx.region,
                name=name,
                partition=ctx.partition,
                uid=ctx.new_id(),
                created_at=ctx.now,
                node_type=rules.check_node_type(req["NodeType"]),
                role=req["IamRoleArn"],
                parameter_group=parameter_group,
                subnet_group=subnet_group,
                maintenance=(
                    rules.maintenance(window) if window else rules.window_of(ctx.random())
                ),
                description=req.get("Description"),
                security_groups=rules.security_groups(req.get("SecurityGroupIds", ())),
                topic=rules.check_topic(topic, ctx.account) if topic else None,
                encrypted=req.get("SSESpecification", {}).get("Enabled", False),
                tls=req.get("ClusterEndpointEncryptionType", "NONE") == "TLS",
                tags=merged({}, req.get("Tags", ())),
            )
            known = regions.zones(ctx.region)
            zones = rules.zones_of_first(known, count, req.get("AvailabilityZones"))
            cluster = _grown(ctx, cluster, zones)
            _put(tx, cluster)
        return {"Cluster": shown(cluster)}  # type: ignore[typeddict-item]

    async def update_cluster(
        self, ctx: Context, req: w.UpdateClusterRequest
    ) -> w.UpdateClusterResponse:
        """Change a cluster's settings, which count at once."""
        async with ctx.write() as tx:
            cluster = await _available(tx, ctx, req["ClusterName"])
            changes: dict[str, Any] = {}
            if "Description" in req:
                changes["description"] = req["Description"]
            if "PreferredMaintenanceWindow" in req:
                changes["maintenance"] = rules.maintenance(req["PreferredMaintenanceWindow"])
            if "NotificationTopicArn" in req:
                changes["topic"] = rules.check_topic(req["NotificationTopicArn"], ctx.account)
            if "NotificationTopicStatus" in req:
                if req["NotificationTopicStatus"] not in {"active", "inactive"}:
                    raise InvalidParameterValue("Invalid notification topic status.")
                changes["topic_status"] = req["NotificationTopicStatus"]
            if "ParameterGroupName" in req:
                group = await existing_parameters(tx, ctx, req["ParameterGroupName"])
                changes["parameter_group"] = group.name
            if "SecurityGroupIds" in req:
                changes["security_groups"] = rules.security_groups(req["SecurityGroupIds"])
            cluster = replace(cluster, **changes)
            _put(tx, cluster)
        return {"Cluster": shown(cluster)}  # type: ignore[typeddict-item]

    async def delete_cluster(
        self, ctx: Context, req: w.DeleteClusterRequest
    ) -> w.DeleteClusterResponse:
        """Delete a cluster with its caches; what is in DynamoDB stays."""
        async with ctx.write() as tx:
            cluster = await existing_cluster(tx, ctx, req["ClusterName"])
            if cluster.status == "deleting":
                raise InvalidClusterState(f"Cluster {cluster.name} is already being deleted.")
            at = ctx.now + limits.NODE_STOPS
            nodes = [replace(one, status="deleting", at=at) for one in cluster.nodes]
            cluster = replace(cluster, status="deleting", nodes=nodes)
            _put(tx, cluster)
        return {"Cluster": shown(cluster)}  # type: ignore[typeddict-item]

    async def describe_clusters(
        self, ctx: Context, req: w.DescribeClustersRequest
    ) -> w.DescribeClustersResponse:
        """The clusters that are named, or all of them."""
        names = req.get("ClusterNames")
        if names:
            reader = ctx.read()
            found = [await existing_cluster(reader, ctx, one) for one in names]
            return {"Clusters": [shown(one) for one in found]}  # type: ignore[misc]
        return await listed(ctx, req, Cluster, "Clusters", shown)  # type: ignore[return-value]

    async def increase_replication_factor(
        self, ctx: Context, req: w.IncreaseReplicationFactorRequest
    ) -> w.IncreaseReplicationFactorResponse:
        """Add nodes to a cluster."""
        async with ctx.write() as tx:
            cluster = await _available(tx, ctx, req["ClusterName"])
            count = _count(req["NewReplicationFactor"]) - len(cluster.nodes)
            if count <= 0:
                raise InvalidParameterValue(
                    "The new replication factor must be greater than the current one: "
                    f"{len(cluster.nodes)}."
                )
            await _check_quota(tx, ctx, count)
            known = regions.zones(ctx.region)
            among = rules.zones_among(known, req.get("AvailabilityZones"))
            cluster = _grown(ctx, cluster, rules.spread(among, cluster.nodes, count))
            cluster = replace(cluster, status="modifying")
            _put(tx, cluster)
        return {"Cluster": shown(cluster)}  # type: ignore[typeddict-item]

    async def decrease_replication_factor(
        self, ctx: Context, req: w.DecreaseReplicationFactorRequest
    ) -> w.DecreaseReplicationFactorResponse:
        """Take nodes from a cluster, which keeps one at least."""
        async with ctx.write() as tx:
            cluster = await _available(tx, ctx, req["ClusterName"])
            ids, zones = req.get("NodeIdsToRemove", ()), req.get("AvailabilityZones", ())
            if ids and zones:
                raise InvalidParameterCombination(
                    "Only one of NodeIdsToRemove and AvailabilityZones may be given."
                )
            wanted = _count(req["NewReplicationFactor"])
            if wanted >= len(cluster.nodes):
                raise InvalidParameterValue(
                    "The new replication factor must be less than the current one: "
                    f"{len(cluster.nodes)}."
                )
            gone = rules.leaving(cluster, len(cluster.nodes) - wanted, list(ids), list(zones))
            at = ctx.now + limits.NODE_STOPS
            nodes = [
                replace(one, status="deleting", at=at) if one.id in gone else one
                for one in cluster.nodes
            ]
            cluster = replace(cluster, status="modifying", nodes=nodes)
            _put(tx, cluster)
        return {"Cluster": shown(cluster)}  # type: ignore[typeddict-item]

    async def reboot_node(self, ctx: Context, req: w.RebootNodeRequest) -> w.RebootNodeResponse:
        """Stop a node and start it again; the cache stays what it is."""
        async with ctx.write() as tx:
            cluster = await _available(tx, ctx, req["ClusterName"])
            if req["NodeId"] not in {one.id for one in cluster.nodes}:
                raise NodeNotFound(f"Node not found: {req['NodeId']}")
            at = ctx.now + limits.NODE_STARTS
            nodes = [
                replace(one, status="rebooting", at=at) if one.id == req["NodeId"] else one
                for one in cluster.nodes
            ]
            cluster = replace(cluster, status="modifying", nodes=nodes)
            _put(tx, cluster)
        return {"Cluster": shown(cluster)}  # type: ignore[typeddict-item]


async def existing_cluster(reader: Reader, ctx: Context, name: str) -> Cluster:
    """A cluster by its name, however that is written. Raises ClusterNotFoundFault."""
    found = await reader.get(Cluster, ctx.account, ctx.region, name.lower())
    if found is None:
        raise ClusterNotFound(f"Cluster {name} not found.")
    return found


async def _available(tx: Tx, ctx: Context, name: str) -> Cluster:
    cluster = await existing_cluster(tx, ctx, name)
    if cluster.status != "available":
        raise InvalidClusterState(
            f"Cluster {cluster.name} is in state {cluster.status} and cannot be modified."
        )
    return cluster


async def _check_role(ctx: Context, role: str) -> None:
    """Whether the caller may give a cluster this role, and DAX may act as it."""
    rules.check_role(role)
    await ctx.authorise("iam:PassRole", role, {"iam:passedtoservice": "dax.amazonaws.com"})
    try:
        acting = await ctx.as_role(role, "dax", source="", session="dax")
    except AccessDenied as error:
        raise InvalidParameterValue(f"No permission to assume role: {role}") from error
    if acting.account != ctx.account:
        raise InvalidParameterValue(f"No permission to assume role: {role}")


async def _check_quota(reader: Reader, ctx: Context, more: int) -> None:
    there = sum(len(one.nodes) for one in await clusters_of(reader, ctx))
    if there + more > limits.NODES_AN_ACCOUNT_MAX:
        raise NodeQuotaForCustomerExceeded()


def _count(factor: int) -> int:
    if factor < 1:
        raise InvalidParameterValue("The replication factor must be at least 1.")
    if factor > limits.NODES_A_CLUSTER_MAX:
        raise NodeQuotaForClusterExceeded()
    return factor


def _grown(ctx: Context, cluster: Cluster, zones: Sequence[str]) -> Cluster:
    ids = rules.new_node_ids(cluster.name, [one.id for one in cluster.nodes], len(zones))
    at = ctx.now + limits.NODE_STARTS
    new = [
        Node(id=id_, zone=zone, created_at=ctx.now, at=at)
        for id_, zone in zip(ids, zones, strict=True)
    ]
    return replace(cluster, nodes=[*cluster.nodes, *new])


def _put(tx: Tx, cluster: Cluster) -> None:
    """Store a cluster, and have it looked at."""
    tx.put(cluster)
    tx.emit(ClusterChanged(key=(cluster.account, cluster.region, cluster.name)))
