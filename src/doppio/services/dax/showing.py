"""A cluster as its users see it."""

from __future__ import annotations

from typing import Any

from doppio.services.dax.records import Cluster, Node

# Where every cloud listens. Not a name: clients of DAX ask a name server for it, not the machine.
ADDRESS = "127.0.0.1"


def shown(cluster: Cluster) -> dict[str, Any]:
    """A cluster as DescribeClusters shows it; one that is made or deleted shows no nodes."""
    result: dict[str, Any] = {
        "ClusterName": cluster.name,
        "ClusterArn": cluster.arn,
        "TotalNodes": len(cluster.nodes),
        "ActiveNodes": sum(one.status == "available" for one in cluster.nodes),
        "NodeType": cluster.node_type,
        "Status": cluster.status,
        "PreferredMaintenanceWindow": cluster.maintenance,
        "SubnetGroup": cluster.subnet_group,
        "SecurityGroups": [
            {"SecurityGroupIdentifier": one, "Status": "active"} for one in cluster.security_groups
        ],
        "IamRoleArn": cluster.role,
        "ParameterGroup": {
            "ParameterGroupName": cluster.parameter_group,
            "ParameterApplyStatus": "in-sync",
            "NodeIdsToReboot": [],
        },
        "SSEDescription": {"Status": "ENABLED" if cluster.encrypted else "DISABLED"},
        "ClusterEndpointEncryptionType": "TLS" if cluster.tls else "NONE",
        "NetworkType": "ipv4",
    }
    if cluster.description is not None:
        result["Description"] = cluster.description
    if cluster.topic is not None:
        result["NotificationConfiguration"] = {
            "TopicArn": cluster.topic, "TopicStatus": cluster.topic_status,
        }  # fmt: skip
    if cluster.port:
        result["ClusterDiscoveryEndpoint"] = {
            **_endpoint(cluster.port),
            "URL": f"{'daxs' if cluster.tls else 'dax'}://{ADDRESS}:{cluster.port}",
        }
    if cluster.status not in {"creating", "deleting"}:
        result["Nodes"] = [_node(one) for one in cluster.nodes]
        leaving = [one.id for one in cluster.nodes if one.status == "deleting"]
        if leaving:
            result["NodeIdsToRemove"] = leaving
    return result


def _endpoint(port: int) -> dict[str, Any]:
    return {"Address": ADDRESS, "Port": port}


def _node(node: Node) -> dict[str, Any]:
    if node.status in {"creating", "deleting"}:
        return {"NodeId": node.id, "NodeStatus": node.status}
    return {
        "NodeId": node.id,
        "Endpoint": _endpoint(node.port),
        "NodeCreateTime": node.created_at,
        "AvailabilityZone": node.zone,
        "NodeStatus": node.status,
        "ParameterGroupStatus": "in-sync",
    }
