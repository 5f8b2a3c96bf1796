"""Auto scaling of a table and its replicas, at once."""

from __future__ import annotations

from typing import Any

from tests.services.kms.helpers import allow, user
from tests.services.world import World, refusal, told

from .helpers import caller, described, index, make

PARIS = "eu-west-3"
HALF = {"TargetTrackingScalingPolicyConfiguration": {"TargetValue": 50.0}}
UPDATE = {"MinimumUnits": 7, "MaximumUnits": 20, "ScalingPolicyUpdate": HALF}


async def bought(world: World, **more: Any) -> None:
    """A table with capacity, and an index with its own."""
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
    await make(
        world, kinds={"id": "S", "g": "S"}, BillingMode="PROVISIONED", ProvisionedThroughput=units,
        GlobalSecondaryIndexes=[{**index("by_g", "g"), "ProvisionedThroughput": units}], **more,
    )  # fmt: skip


@told
async def test_a_table_of_one_region_is_set_and_described(world: World) -> None:
    await bought(world)
    call = caller(world)
    got = await call("describe_table_replica_auto_scaling", TableName="orders")
    [here] = got["TableAutoScalingDescription"]["Replicas"]
    off = {"AutoScalingDisabled": True}
    assert here["ReplicaProvisionedWriteCapacityAutoScalingSettings"] == off
    got = await call(
        "update_table_replica_auto_scaling", TableName="orders",
        ProvisionedWriteCapacityAutoScalingUpdate=UPDATE,
        GlobalSecondaryIndexUpdates=[
            {"IndexName": "by_g", "ProvisionedWriteCapacityAutoScalingUpdate": UPDATE}
        ],
        ReplicaUpdates=[
            {"RegionName": "us-east-1", "ReplicaProvisionedReadCapacityAutoScalingUpdate": UPDATE}
        ],
    )  # fmt: skip
    [here] = got["TableAutoScalingDescription"]["Replicas"]
    writes = here["ReplicaProvisionedWriteCapacityAutoScalingSettings"]
    assert (writes["MinimumUnits"], writes["MaximumUnits"]) == (7, 20)
    assert writes["ScalingPolicies"] == [
        {"PolicyName": "DynamoDBWriteCapacityUtilization:table/orders", **HALF}
    ]
    [gsi] = here["GlobalSecondaryIndexes"]
    assert gsi["ProvisionedReadCapacityAutoScalingSettings"] == off
    assert gsi["ProvisionedWriteCapacityAutoScalingSettings"]["MinimumUnits"] == 7
    assert here["ReplicaProvisionedReadCapacityAutoScalingSettings"]["MaximumUnits"] == 20
    # It acts: each is brought up to its least.
    for _ in range(6):
        await world.advance(1)
    units = (await described(world))["ProvisionedThroughput"]
    assert (units["ReadCapacityUnits"], units["WriteCapacityUnits"]) == (7, 7)
    got = await call(
        "update_table_replica_auto_scaling", TableName="orders",
        ProvisionedWriteCapacityAutoScalingUpdate={"AutoScalingDisabled": True},
    )  # fmt: skip
    [here] = got["TableAutoScalingDescription"]["Replicas"]
    assert here["ReplicaProvisionedWriteCapacityAutoScalingSettings"] == off


@told
async def test_writes_are_set_in_all_regions_and_reads_in_one(world: World) -> None:
    view = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    await bought(world, StreamSpecification=view)
    call = caller(world)
    await call(
        "update_table", TableName="orders", ReplicaUpdates=[{"Create": {"RegionName": PARIS}}]
    )
    await world.advance(5)
    got = await call(
        "update_table_replica_auto_scaling", TableName="orders",
        ProvisionedWriteCapacityAutoScalingUpdate=UPDATE,
        ReplicaUpdates=[
            {"RegionName": PARIS, "ReplicaProvisionedReadCapacityAutoScalingUpdate": UPDATE}
        ],
    )  # fmt: skip
    shown = {
        one["RegionName"]: (
            one["ReplicaProvisionedReadCapacityAutoScalingSettings"]["AutoScalingDisabled"],
            one["ReplicaProvisionedWriteCapacityAutoScalingSettings"]["AutoScalingDisabled"],
        )
        for one in got["TableAutoScalingDescription"]["Replicas"]
    }
    assert shown == {PARIS: (False, False), "us-east-1": (True, False)}
    targets = await world.call(
        "application-autoscaling", "describe_scalable_targets", ServiceNamespace="dynamodb",
        region=PARIS,
    )  # fmt: skip
    assert len(targets["ScalableTargets"]) == 2


@told
async def test_what_cannot_be_set_is_refused(world: World) -> None:
    await bought(world)
    call = caller(world)

    async def why(**req: Any) -> tuple[str, str]:
        return await refusal(call("update_table_replica_auto_scaling", **req))

    assert (await why(TableName="nothing"))[0] == "ResourceNotFoundException"
    elsewhere = [{"RegionName": PARIS}]
    assert (await why(TableName="orders", ReplicaUpdates=elsewhere))[0] == "ValidationException"
    wrong = {"MinimumUnits": 9, "MaximumUnits": 3}
    code, text = await why(TableName="orders", ProvisionedWriteCapacityAutoScalingUpdate=wrong)
    assert (code, "Maximum capacity" in text) == ("ValidationException", True)
    nobody = await user(world, "nobody", allow("dynamodb:*"))
    asked = {"TableName": "orders", "caller": nobody}
    denied = world.call("dynamodb", "describe_table_replica_auto_scaling", **asked)
    assert (await refusal(denied))[0] == "AccessDeniedException"
