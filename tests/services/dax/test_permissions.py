"""Every operation asks for its action on its cluster."""

from __future__ import annotations

from typing import Any

from doppio.services.dax.service import SERVICE
from doppio.wire import model
from tests.services.dax.helpers import ARN, ROLE, role
from tests.services.kms.helpers import allow, user
from tests.services.scheduler.test_permissions import outcome
from tests.services.world import World, refusal, told

CLUSTER = f"{ARN}c"
NAMED = {"ClusterName": "c"}
GROUP = {"ParameterGroupName": "g"}
SUBNETS = {"SubnetGroupName": "s", "SubnetIds": ["subnet-11111111"]}
WHOLE = {"NodeType": "dax.t3.small", "ReplicationFactor": 1, "IamRoleArn": ROLE, **NAMED}
VALUES = [{"ParameterName": "query-ttl-millis", "ParameterValue": "1"}]
# What each operation is asked, and the resource on which it needs its action.
ASKED: dict[str, tuple[dict[str, Any], str]] = {
    "CreateParameterGroup": (GROUP, "*"),
    "UpdateParameterGroup": ({**GROUP, "ParameterNameValues": VALUES}, "*"),
    "DescribeParameterGroups": ({}, "*"),
    "DescribeParameters": (GROUP, "*"),
    "DescribeDefaultParameters": ({}, "*"),
    "DeleteParameterGroup": (GROUP, "*"),
    "CreateSubnetGroup": (SUBNETS, "*"),
    "UpdateSubnetGroup": (SUBNETS, "*"),
    "DescribeSubnetGroups": ({}, "*"),
    "DeleteSubnetGroup": ({"SubnetGroupName": "s"}, "*"),
    "DescribeEvents": ({}, "*"),
    "CreateCluster": (WHOLE, CLUSTER),
    "DescribeClusters": ({"ClusterNames": ["c"]}, CLUSTER),
    "UpdateCluster": ({**NAMED, "Description": "d"}, CLUSTER),
    "IncreaseReplicationFactor": ({**NAMED, "NewReplicationFactor": 2}, CLUSTER),
    "DecreaseReplicationFactor": ({**NAMED, "NewReplicationFactor": 1}, CLUSTER),
    "RebootNode": ({**NAMED, "NodeId": "c-a"}, CLUSTER),
    "TagResource": ({"ResourceName": CLUSTER, "Tags": [{"Key": "a", "Value": "b"}]}, CLUSTER),
    "ListTags": ({"ResourceName": CLUSTER}, CLUSTER),
    "UntagResource": ({"ResourceName": CLUSTER, "TagKeys": ["a"]}, CLUSTER),
    "DeleteCluster": (NAMED, CLUSTER),
}


def test_the_table_names_every_operation() -> None:
    operations = model.load("dax").operations
    assert {operations[name].method for name in ASKED} == set(SERVICE.operations)
    assert len(ASKED) == len(operations) == 21


@told
async def test_an_operation_needs_its_action_on_its_cluster(world: World) -> None:
    await role(world)
    nobody = await user(world, "nobody")
    for number, (name, (req, resource)) in enumerate(ASKED.items()):
        method = model.load("dax").operations[name].method
        code, text = await refusal(world.call("dax", method, caller=nobody, **req))
        assert code == "AccessDeniedException", name
        where = "" if resource == "*" else f" on resource: {resource}"
        assert f"dax:{name}{where} because" in text, text
        passes = allow("iam:PassRole", ROLE)
        one = await user(world, f"u{number}", allow(f"dax:{name}", resource), passes)
        assert await outcome(world.call("dax", method, caller=one, **req)) == "", name
        await world.advance(2)
