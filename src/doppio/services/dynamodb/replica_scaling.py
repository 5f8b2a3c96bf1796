"""Auto scaling of a table and its replicas at once: what each Region's Application Auto Scaling has.

Each Region is asked as the caller, who needs the permissions for it, as in AWS.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from doppio.kernel.context import Context
from doppio.services.dynamodb.access import find_table
from doppio.services.dynamodb.errors import (
    ResourceInUseException,
    ValidationException,
)
from doppio.services.dynamodb.names import table_not_found
from doppio.services.dynamodb.records import SecondaryIndex, Table
from doppio.services.dynamodb.removal import UNDER_WAY
from doppio.wire.errors import AwsError

if TYPE_CHECKING:
    from doppio._stubs import dynamodb as w

_SERVICE = "application-autoscaling"
_TRACKED = ("DisableScaleIn", "ScaleInCooldown", "ScaleOutCooldown", "TargetValue")
_BAD = "One or more parameter values were invalid: "


class ReplicaScaling:
    """The operations on auto scaling across replicas."""

    async def describe_table_replica_auto_scaling(
        self, ctx: Context, req: w.DescribeTableReplicaAutoScalingInput
    ) -> w.DescribeTableReplicaAutoScalingOutput:
        """The settings of a table in all its Regions."""
        table = await _named(ctx, req["TableName"])
        return {"TableAutoScalingDescription": await _described(ctx, table)}  # type: ignore[typeddict-item]

    async def update_table_replica_auto_scaling(
        self, ctx: Context, req: w.UpdateTableReplicaAutoScalingInput
    ) -> w.UpdateTableReplicaAutoScalingOutput:
        """Change settings: of writes in all Regions alike, of reads in each that is named."""
        table = await _named(ctx, req["TableName"])
        word = UNDER_WAY.get(table.status)
        if word is not None:
            raise ResourceInUseException(
                f"Attempt to change a resource which is still in use: Table is being {word}: "
                f"{table.name}"
            )
        for region, of, kind, settings in _wanted(table, req):
            await _set(ctx.derive(ctx.caller, region=region), table, of, kind, settings)
        return {"TableAutoScalingDescription": await _described(ctx, table)}  # type: ignore[typeddict-item]


def _wanted(
    table: Table, req: Mapping[str, Any]
) -> list[tuple[str, SecondaryIndex | None, str, Mapping[str, Any]]]:
    """What is to be set where: Region, index, direction and settings. Raises ValidationException."""
    found: list[tuple[str, SecondaryIndex | None, str, Mapping[str, Any]]] = []
    writes = req.get("ProvisionedWriteCapacityAutoScalingUpdate")
    for region in _regions(table):
        if writes is not None:
            found.append((region, None, "Write", writes))
        for one in req.get("GlobalSecondaryIndexUpdates", ()):
            given = one.get("ProvisionedWriteCapacityAutoScalingUpdate")
            if given is not None:
                found.append((region, _index(table, one["IndexName"]), "Write", given))
    for replica in req.get("ReplicaUpdates", ()):
        region = replica["RegionName"]
        if region not in _regions(table):
            raise ValidationException(f"{_BAD}The table has no replica in Region {region}")
        reads = replica.get("ReplicaProvisionedReadCapacityAutoScalingUpdate")
        if reads is not None:
            found.append((region, None, "Read", reads))
        for one in replica.get("ReplicaGlobalSecondaryIndexUpdates", ()):
            given = one.get("ProvisionedReadCapacityAutoScalingUpdate")
            if given is not None:
                found.append((region, _index(table, one["IndexName"]), "Read", given))
    return found


async def _named(ctx: Context, name: str) -> Table:
    table = await find_table(ctx.read(), ctx, name)
    if table is None:
        raise table_not_found(name)
    return table


def _regions(table: Table) -> list[str]:
    peers = () if table.replication is None else table.replication.peers
    return sorted({table.region, *peers})


def _index(table: Table, name: str) -> SecondaryIndex:
    found = table.index(name)
    if found is None or not found.is_global:
        raise ValidationException(f"{_BAD}The table does not have the specified index: {name}")
    return found


def _place(table: Table, index: SecondaryIndex | None, kind: str) -> dict[str, str]:
    """How Application Auto Scaling names a direction of a table or index."""
    resource = f"table/{table.name}" + ("" if index is None else f"/index/{index.name}")
    noun = "table" if index is None else "index"
    return {
        "ServiceNamespace": "dynamodb",
        "ResourceId": resource,
        "ScalableDimension": f"dynamodb:{noun}:{kind}CapacityUnits",
    }


async def _set(
    there: Context,
    table: Table,
    index: SecondaryIndex | None,
    kind: str,
    given: Mapping[str, Any],
) -> None:
    where = _place(table, index, kind)
    if given.get("AutoScalingDisabled"):
        try:
            await there.call(_SERVICE, "deregister_scalable_target", where)
        except AwsError as error:
            if error.code != "ObjectNotFoundException":
                raise
        return
    bounds = {
        name: given[member]
        for name, member in (("MinCapacity", "MinimumUnits"), ("MaxCapacity", "MaximumUnits"))
        if member in given
    }
    try:
        await there.call(_SERVICE, "register_scalable_target", {**where, **bounds})
        policy = given.get("ScalingPolicyUpdate")
        if policy is None:
            return
        tracked = policy["TargetTrackingScalingPolicyConfiguration"]
        metric = f"DynamoDB{kind}CapacityUtilization"
        name = policy.get("PolicyName") or f"{metric}:{where['ResourceId']}"
        config = {one: tracked[one] for one in _TRACKED if one in tracked}
        config["PredefinedMetricSpecification"] = {"PredefinedMetricType": metric}
        await there.call(
            _SERVICE,
            "put_scaling_policy",
            {
                **where,
                "PolicyName": name,
                "PolicyType": "TargetTrackingScaling",
                "TargetTrackingScalingPolicyConfiguration": config,
            },
        )
    except AwsError as error:
        if error.code != "ValidationException":
            raise
        raise ValidationException(f"{_BAD}{error.message}") from error


async def _described(ctx: Context, table: Table) -> dict[str, Any]:
    replicas = []
    for region in _regions(table):
        there = ctx.derive(ctx.caller, region=region)
        found = await find_table(there.read(), there, table.name)
        if found is not None:
            replicas.append(await _replica(there, found))
    return {"TableName": table.name, "TableStatus": table.status, "Replicas": replicas}


async def _replica(there: Context, table: Table) -> dict[str, Any]:
    indexes = [
        {
            "IndexName": index.name,
            "IndexStatus": index.status,
            "ProvisionedReadCapacityAutoScalingSettings": await _shown(there, table, index, "Read"),
            "ProvisionedWriteCapacityAutoScalingSettings": await _shown(
                there, table, index, "Write"
            ),
        }
        for index in table.indexes
        if index.is_global
    ]
    return {
        "RegionName": table.region,
        "GlobalSecondaryIndexes": indexes,
        "ReplicaProvisionedReadCapacityAutoScalingSettings": await _shown(
            there, table, None, "Read"
        ),
        "ReplicaProvisionedWriteCapacityAutoScalingSettings": await _shown(
            there, table, None, "Write"
        ),
        "ReplicaStatus": table.status,
    }


async def _shown(
    there: Context, table: Table, index: SecondaryIndex | None, kind: str
) -> dict[str, Any]:
    where = _place(table, index, kind)
    asked = {**where, "ResourceIds": [where["ResourceId"]]}
    asked.pop("ResourceId")
    got = await there.call(_SERVICE, "describe_scalable_targets", asked)
    if not got["ScalableTargets"]:
        return {"AutoScalingDisabled": True}
    [target] = got["ScalableTargets"]
    got = await there.call(_SERVICE, "describe_scaling_policies", where)
    policies = []
    for policy in got["ScalingPolicies"]:
        config = policy["TargetTrackingScalingPolicyConfiguration"]
        tracked = {name: config[name] for name in _TRACKED if name in config}
        policies.append(
            {
                "PolicyName": policy["PolicyName"],
                "TargetTrackingScalingPolicyConfiguration": tracked,
            }
        )
    return {
        "MinimumUnits": target["MinCapacity"],
        "MaximumUnits": target["MaxCapacity"],
        "AutoScalingDisabled": False,
        "AutoScalingRoleArn": target["RoleARN"],
        "ScalingPolicies": policies,
    }
