"""What Application Auto Scaling's tests say often."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from tests.services.dynamodb.helpers import described, make
from tests.services.world import World

DIMENSION = "dynamodb:table:WriteCapacityUnits"
TABLE: dict[str, Any] = {
    "ServiceNamespace": "dynamodb", "ResourceId": "table/orders", "ScalableDimension": DIMENSION,
}  # fmt: skip
TRACKING = {
    "TargetValue": 50.0,
    "PredefinedMetricSpecification": {"PredefinedMetricType": "DynamoDBWriteCapacityUtilization"},
}


def call(world: World, method: str, **req: Any) -> Awaitable[Any]:
    """Call an operation of Application Auto Scaling."""
    return world.call("application-autoscaling", method, **req)


async def table(world: World, units: int = 5, **more: Any) -> None:
    """A table with so many units."""
    bought = {"ReadCapacityUnits": units, "WriteCapacityUnits": units}
    await make(world, BillingMode="PROVISIONED", ProvisionedThroughput=bought, **more)


async def register(world: World, least: int = 5, most: int = 100, **more: Any) -> Any:
    """Let the table's writes be scaled."""
    req = {**TABLE, "MinCapacity": least, "MaxCapacity": most, **more}
    return await call(world, "register_scalable_target", **req)


async def track(world: World, name: str = "half", **more: Any) -> Any:
    """Let the table's writes be used by half."""
    return await call(
        world, "put_scaling_policy", **TABLE, PolicyName=name, PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={**TRACKING, **more},
    )  # fmt: skip


async def writes(world: World) -> int:
    """The table's write capacity."""
    shown = await described(world)
    units: int = shown["ProvisionedThroughput"]["WriteCapacityUnits"]
    return units


async def minutes(world: World, count: int, per_minute: float = 0) -> None:
    """Let minutes pass, in each of which the table consumes so many units."""
    for _ in range(count):
        if per_minute:
            await consume(world, per_minute)
        await world.advance(60)


async def consume(world: World, units: float) -> None:
    """Units that the table has consumed, as the service itself tells CloudWatch."""
    ctx = world.cloud.root_context().as_service("dynamodb")
    datum = {
        "MetricName": "ConsumedWriteCapacityUnits", "Value": units, "Unit": "Count",
        "Dimensions": [{"Name": "TableName", "Value": "orders"}], "Timestamp": world.now,
    }  # fmt: skip
    req = {"Namespace": "AWS/DynamoDB", "MetricData": [datum]}
    await ctx.call("cloudwatch", "put_metric_data", req)


async def activities(world: World, **more: Any) -> list[dict[str, Any]]:
    """What was done, the oldest first."""
    got = await call(world, "describe_scaling_activities", ServiceNamespace="dynamodb", **more)
    found: list[dict[str, Any]] = got["ScalingActivities"]
    return found[::-1]
