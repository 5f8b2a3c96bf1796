"""Clusters: made, grown, shrunk, changed and deleted, and what AWS says where it says no."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from doppio.services.dax import limits
from tests.services.dax.helpers import ARN, ROLE, begin, described, events, open_cluster, role
from tests.services.kms.helpers import allow, user
from tests.services.world import REGION, World, refusal, told


async def connects(port: int) -> bool:
    """Whether anybody listens at a port of this machine."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


@told
async def test_a_cluster_is_available_once_its_nodes_listen(world: World) -> None:
    await role(world)
    made = await begin(world, ReplicationFactor=3, ClusterName="DaxCluster")
    assert made["Status"] == "creating"
    assert made["ClusterArn"] == f"{ARN}daxcluster"
    assert (made["TotalNodes"], made["ActiveNodes"]) == (3, 0)
    assert "Nodes" not in made
    assert "ClusterDiscoveryEndpoint" not in made
    await world.advance(0.5)
    assert (await described(world, "daxcluster"))["Status"] == "creating"
    await world.advance(1)
    found = await described(world, "DAXCLUSTER")
    assert (found["Status"], found["ActiveNodes"]) == ("available", 3)
    assert [one["NodeId"] for one in found["Nodes"]] == [
        "daxcluster-a", "daxcluster-b", "daxcluster-c",
    ]  # fmt: skip
    assert len({one["AvailabilityZone"] for one in found["Nodes"]}) == 3
    ports = [one["Endpoint"]["Port"] for one in found["Nodes"]]
    ports.append(found["ClusterDiscoveryEndpoint"]["Port"])
    assert len(set(ports)) == 4
    assert found["ClusterDiscoveryEndpoint"]["URL"] == f"dax://127.0.0.1:{ports[-1]}"
    for port in ports:
        assert await connects(port)
    assert await events(world) == ["Cluster created."]


@told
async def test_a_cloud_that_starts_again_listens_where_it_did(world: World) -> None:
    await role(world)
    before = await open_cluster(world, ReplicationFactor=2)
    again = world.again()
    await world.close()
    assert not await connects(before["ClusterDiscoveryEndpoint"]["Port"])
    await again.start()
    try:
        await again.settle()
        after = await described(again)
        assert after == before
        assert await connects(after["ClusterDiscoveryEndpoint"]["Port"])
        assert await connects(after["Nodes"][1]["Endpoint"]["Port"])
    finally:
        await again.close()


@told
async def test_a_port_that_somebody_else_has_is_waited_for(world: World) -> None:
    await role(world)
    before = await open_cluster(world)
    port = before["Nodes"][0]["Endpoint"]["Port"]
    again = world.again()
    await world.close()
    other = await asyncio.start_server(lambda *_: None, "127.0.0.1", port)
    await again.start()
    try:
        await again.settle()
        other.close()
        await other.wait_closed()
        await again.advance(6)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"garbage")
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
    finally:
        await again.close()


@told
async def test_a_deleted_cluster_listens_no_more_and_its_name_is_free(world: World) -> None:
    await role(world)
    before = await open_cluster(world, ReplicationFactor=2)
    gone = (await world.call("dax", "delete_cluster", ClusterName="c"))["Cluster"]
    assert (gone["Status"], gone["ActiveNodes"]) == ("deleting", 0)
    code, _ = await refusal(world.call("dax", "delete_cluster", ClusterName="c"))
    assert code == "InvalidClusterStateFault"
    await world.advance(2)
    call = world.call("dax", "describe_clusters", ClusterNames=["c"])
    assert await refusal(call) == ("ClusterNotFoundFault", "Cluster c not found.")
    assert not await connects(before["ClusterDiscoveryEndpoint"]["Port"])
    assert not await connects(before["Nodes"][0]["Endpoint"]["Port"])
    assert await events(world) == [
        "Cluster deleted.", "Removed node c-b.", "Removed node c-a.", "Cluster created.",
    ]  # fmt: skip
    await open_cluster(world)


@told
async def test_a_cluster_grows_and_shrinks(world: World) -> None:
    await role(world)
    await open_cluster(world)
    grown = await world.call(
        "dax", "increase_replication_factor", ClusterName="c", NewReplicationFactor=3
    )
    assert grown["Cluster"]["Status"] == "modifying"
    assert grown["Cluster"]["Nodes"][1:] == [
        {"NodeId": "c-b", "NodeStatus": "creating"}, {"NodeId": "c-c", "NodeStatus": "creating"},
    ]  # fmt: skip
    code, _ = await refusal(world.call("dax", "update_cluster", ClusterName="c"))
    assert code == "InvalidClusterStateFault"
    await world.advance(2)
    found = await described(world)
    assert (found["Status"], found["ActiveNodes"]) == ("available", 3)
    going = found["Nodes"][0]["Endpoint"]["Port"]
    shrunk = await world.call(
        "dax", "decrease_replication_factor", ClusterName="c", NewReplicationFactor=2,
        NodeIdsToRemove=["c-a"],
    )  # fmt: skip
    assert shrunk["Cluster"]["NodeIdsToRemove"] == ["c-a"]
    assert shrunk["Cluster"]["Nodes"][0] == {"NodeId": "c-a", "NodeStatus": "deleting"}
    await world.advance(2)
    found = await described(world)
    assert [one["NodeId"] for one in found["Nodes"]] == ["c-b", "c-c"]
    assert not await connects(going)
    assert set(await events(world)) >= {"Added node c-b.", "Removed node c-a."}
    await world.call(
        "dax", "increase_replication_factor", ClusterName="c", NewReplicationFactor=3,
        AvailabilityZones=[f"{REGION}f"],
    )  # fmt: skip
    await world.advance(2)
    found = await described(world)
    last = found["Nodes"][-1]
    assert (last["NodeId"], last["AvailabilityZone"]) == ("c-a", f"{REGION}f")
    await world.call(
        "dax", "decrease_replication_factor", ClusterName="c", NewReplicationFactor=2,
        AvailabilityZones=[f"{REGION}f"],
    )  # fmt: skip
    await world.advance(2)
    assert [one["NodeId"] for one in (await described(world))["Nodes"]] == ["c-b", "c-c"]


@told
async def test_a_node_that_is_rebooted_is_away_for_a_while(world: World) -> None:
    await role(world)
    before = await open_cluster(world, ReplicationFactor=2)
    port = before["Nodes"][0]["Endpoint"]["Port"]
    shown = (await world.call("dax", "reboot_node", ClusterName="c", NodeId="c-a"))["Cluster"]
    assert [one["NodeStatus"] for one in shown["Nodes"]] == ["rebooting", "available"]
    await world.settle()
    assert not await connects(port)
    assert await connects(before["Nodes"][1]["Endpoint"]["Port"])
    await world.advance(2)
    assert await described(world) == before
    assert await connects(port)
    code, _ = await refusal(world.call("dax", "reboot_node", ClusterName="c", NodeId="c-z"))
    assert code == "NodeNotFoundFault"


@told
async def test_settings_are_changed_and_shown(world: World) -> None:
    await role(world)
    before = await open_cluster(
        world, Description="one", SecurityGroupIds=["sg-12345678"],
        SSESpecification={"Enabled": True}, PreferredMaintenanceWindow="Sun:23:00-Mon:01:30",
        ClusterEndpointEncryptionType="TLS",
    )  # fmt: skip
    assert before["PreferredMaintenanceWindow"] == "sun:23:00-mon:01:30"
    assert before["SSEDescription"] == {"Status": "ENABLED"}
    assert before["ClusterEndpointEncryptionType"] == "TLS"
    assert before["ClusterDiscoveryEndpoint"]["URL"].startswith("daxs://127.0.0.1:")
    await world.call("dax", "create_parameter_group", ParameterGroupName="g")
    topic = "arn:aws:sns:us-east-1:000000000000:t"
    changed = await world.call(
        "dax", "update_cluster", ClusterName="c", Description="two", ParameterGroupName="g",
        SecurityGroupIds=["sg-87654321"], NotificationTopicArn=topic,
        NotificationTopicStatus="inactive", PreferredMaintenanceWindow="mon:01:00-mon:02:00",
    )  # fmt: skip
    shown = changed["Cluster"]
    assert shown["Description"] == "two"
    assert shown["ParameterGroup"] == {
        "ParameterGroupName": "g", "ParameterApplyStatus": "in-sync", "NodeIdsToReboot": [],
    }  # fmt: skip
    assert shown["SecurityGroups"] == [
        {"SecurityGroupIdentifier": "sg-87654321", "Status": "active"}
    ]
    assert shown["NotificationConfiguration"] == {"TopicArn": topic, "TopicStatus": "inactive"}
    assert shown["PreferredMaintenanceWindow"] == "mon:01:00-mon:02:00"
    assert await described(world) == shown


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"ClusterName": "1c"}, "InvalidParameterValueException"),
    ({"ClusterName": "c-"}, "InvalidParameterValueException"),
    ({"ClusterName": "c--d"}, "InvalidParameterValueException"),
    ({"ClusterName": "c" * 21}, "InvalidParameterValueException"),
    ({"NodeType": "dax.t2.huge"}, "InvalidParameterValueException"),
    ({"ReplicationFactor": 0}, "InvalidParameterValueException"),
    ({"ReplicationFactor": 12}, "NodeQuotaForClusterExceededFault"),
    ({"AvailabilityZones": ["us-east-1a", "us-east-1b"]}, "InvalidParameterValueException"),
    ({"AvailabilityZones": ["eu-west-1a"]}, "InvalidParameterValueException"),
    ({"SubnetGroupName": "none"}, "SubnetGroupNotFoundFault"),
    ({"ParameterGroupName": "none"}, "ParameterGroupNotFoundFault"),
    ({"SecurityGroupIds": ["none"]}, "InvalidParameterValueException"),
    ({"NotificationTopicArn": "none"}, "InvalidParameterValueException"),
    (
        {"NotificationTopicArn": "arn:aws:sns:us-east-1:111111111111:t"},
        "InvalidParameterValueException",
    ),
    ({"PreferredMaintenanceWindow": "mon:01:00-mon:01:59"}, "InvalidParameterValueException"),
    ({"PreferredMaintenanceWindow": "mon:25:00-mon:26:00"}, "InvalidParameterValueException"),
    ({"IamRoleArn": "none"}, "InvalidParameterValueException"),
    ({"NetworkType": "ipv6"}, "NotImplemented"),
    ({"Tags": [{"Key": "aws:x", "Value": "y"}]}, "InvalidParameterValueException"),
    ({"Tags": [{"Key": f"{n}", "Value": ""} for n in range(51)]}, "TagQuotaPerResourceExceeded"),
]


@told
async def test_what_no_cluster_has_is_refused(world: World) -> None:
    await role(world)
    for req, code in WRONG:
        assert (await refusal(begin(world, **req)))[0] == code, req
    assert (await world.call("dax", "describe_clusters"))["Clusters"] == []
    await begin(world, ClusterName="c" * limits.CLUSTER_NAME_CHARS_MAX)
    code, text = await refusal(begin(world, ClusterName="C" * limits.CLUSTER_NAME_CHARS_MAX))
    assert (code, text) == ("ClusterAlreadyExistsFault", f"Cluster {'c' * 20} already exists")


@told
async def test_a_role_that_dax_may_not_act_as_is_refused(world: World) -> None:
    call = begin(world)
    assert await refusal(call) == (
        "InvalidParameterValueException", f"No permission to assume role: {ROLE}",
    )  # fmt: skip
    await role(world)
    one = await user(world, "one", allow("dax:*"))
    given = {"ClusterName": "c", "NodeType": "dax.t3.small", "ReplicationFactor": 1}
    code, text = await refusal(
        world.call("dax", "create_cluster", caller=one, IamRoleArn=ROLE, **given)
    )
    assert code == "AccessDeniedException"
    assert "iam:PassRole" in text


@told
async def test_factors_that_change_nothing_are_refused(world: World) -> None:
    await role(world)
    await open_cluster(world, ReplicationFactor=2)
    for method, wanted in (
        ("increase_replication_factor", 2), ("increase_replication_factor", 1),
        ("decrease_replication_factor", 2), ("decrease_replication_factor", 0),
    ):  # fmt: skip
        call = world.call("dax", method, ClusterName="c", NewReplicationFactor=wanted)
        assert (await refusal(call))[0] == "InvalidParameterValueException"
    for more, code in (
        ({"NodeIdsToRemove": ["c-z"]}, "NodeNotFoundFault"),
        ({"NodeIdsToRemove": ["c-a", "c-b"]}, "InvalidParameterValueException"),
        ({"AvailabilityZones": ["us-east-1f"]}, "InvalidParameterValueException"),
        (
            {"NodeIdsToRemove": ["c-a"], "AvailabilityZones": ["us-east-1a"]},
            "InvalidParameterCombinationException",
        ),
    ):
        call = world.call(
            "dax", "decrease_replication_factor", ClusterName="c", NewReplicationFactor=1, **more
        )
        assert (await refusal(call))[0] == code, more


@told
async def test_an_account_has_fifty_nodes_and_its_clusters_come_by_pages(world: World) -> None:
    await role(world)
    for number in range(25):
        await begin(world, ClusterName=f"c{number:02}", ReplicationFactor=2)
    call = begin(world, ClusterName="more")
    assert (await refusal(call))[0] == "NodeQuotaForCustomerExceededFault"
    first = await world.call("dax", "describe_clusters", MaxResults=20)
    assert len(first["Clusters"]) == 20
    rest = await world.call("dax", "describe_clusters", MaxResults=20, NextToken=first["NextToken"])
    assert [one["ClusterName"] for one in rest["Clusters"]] == [f"c{n}" for n in range(20, 25)]
    assert "NextToken" not in rest
    for wrong in ({"MaxResults": 19}, {"MaxResults": 101}, {"NextToken": "x"}):
        call = world.call("dax", "describe_clusters", **wrong)
        assert (await refusal(call))[0] == "InvalidParameterValueException"


@pytest.mark.parametrize("count", [1, 6, 11])
def test_nodes_are_spread_evenly(count: int) -> None:
    from doppio.services.dax import rules

    zones = [f"{REGION}{letter}" for letter in "abc"]
    spread = Counter(rules.spread(zones, [], count))
    assert max(spread.values()) - min(spread.get(one, 0) for one in zones) <= 1
