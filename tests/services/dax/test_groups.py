"""Parameter groups, subnet groups, events and tags."""

from __future__ import annotations

import json
from datetime import timedelta

from tests.services.dax.helpers import ARN, begin, described, events, open_cluster, role
from tests.services.sns.helpers import heard, queue, subscribe, topic
from tests.services.world import World, refusal, told

BOTH = ["query-ttl-millis", "record-ttl-millis"]


def given(name: str, value: str) -> list[dict[str, str]]:
    """One parameter as it is given."""
    return [{"ParameterName": name, "ParameterValue": value}]


@told
async def test_parameters_are_dax_own_until_they_are_changed(world: World) -> None:
    made = await world.call(
        "dax", "create_parameter_group", ParameterGroupName="g", Description="d"
    )
    assert made["ParameterGroup"] == {"ParameterGroupName": "g", "Description": "d"}
    default = (await world.call("dax", "describe_default_parameters"))["Parameters"]
    assert [one["ParameterName"] for one in default] == BOTH
    assert {one["ParameterValue"] for one in default} == {"300000"}
    own = await world.call("dax", "describe_parameters", ParameterGroupName="g")
    assert own["Parameters"] == default
    await world.call(
        "dax", "update_parameter_group", ParameterGroupName="g",
        ParameterNameValues=given("record-ttl-millis", "0"),
    )  # fmt: skip
    own = await world.call("dax", "describe_parameters", ParameterGroupName="g")
    assert [one["ParameterValue"] for one in own["Parameters"]] == ["300000", "0"]
    none = await world.call("dax", "describe_parameters", ParameterGroupName="g", Source="system")
    assert none["Parameters"] == []
    listed = (await world.call("dax", "describe_parameter_groups"))["ParameterGroups"]
    assert [one["ParameterGroupName"] for one in listed] == ["default.dax1.0", "g"]
    gone = await world.call("dax", "delete_parameter_group", ParameterGroupName="g")
    assert gone["DeletionMessage"] == "Parameter group g has been deleted."
    call = world.call("dax", "describe_parameter_groups", ParameterGroupNames=["g"])
    assert await refusal(call) == ("ParameterGroupNotFoundFault", "Parameter group g not found.")


@told
async def test_a_group_that_a_cluster_uses_stays_as_it_is(world: World) -> None:
    await role(world)
    await world.call("dax", "create_parameter_group", ParameterGroupName="g")
    await world.call(
        "dax", "create_subnet_group", SubnetGroupName="s", SubnetIds=["subnet-11111111"]
    )
    await begin(world, ParameterGroupName="g", SubnetGroupName="s")
    for call, code in (
        (world.call("dax", "delete_parameter_group", ParameterGroupName="g"),
         "InvalidParameterGroupStateFault"),
        (world.call("dax", "update_parameter_group", ParameterGroupName="g",
                    ParameterNameValues=given("query-ttl-millis", "1")),
         "InvalidParameterGroupStateFault"),
        (world.call("dax", "delete_subnet_group", SubnetGroupName="s"), "SubnetGroupInUseFault"),
        (world.call("dax", "update_subnet_group", SubnetGroupName="s",
                    SubnetIds=["subnet-22222222"]), "SubnetInUse"),
    ):  # fmt: skip
        assert (await refusal(call))[0] == code
    await world.call(
        "dax", "update_subnet_group", SubnetGroupName="s",
        SubnetIds=["subnet-11111111", "subnet-22222222"],
    )  # fmt: skip
    await world.advance(2)
    await world.call("dax", "delete_cluster", ClusterName="c")
    await world.advance(2)
    await world.call("dax", "delete_parameter_group", ParameterGroupName="g")
    await world.call("dax", "delete_subnet_group", SubnetGroupName="s")


@told
async def test_wrong_parameters_and_default_groups_are_refused(world: World) -> None:
    await world.call("dax", "create_parameter_group", ParameterGroupName="g")
    many = given("query-ttl-millis", "1") * 21
    call = world.call(
        "dax", "update_parameter_group", ParameterGroupName="g", ParameterNameValues=many
    )
    assert (await refusal(call))[0] == "InvalidParameterValueException"
    await world.call(
        "dax", "update_parameter_group", ParameterGroupName="g", ParameterNameValues=many[:20]
    )
    for name, value in (("other", "1"), ("query-ttl-millis", "-1"), ("query-ttl-millis", "x")):
        call = world.call(
            "dax", "update_parameter_group", ParameterGroupName="g",
            ParameterNameValues=given(name, value),
        )  # fmt: skip
        assert (await refusal(call))[0] == "InvalidParameterValueException"
    for call, code in (
        (world.call("dax", "create_parameter_group", ParameterGroupName="g"),
         "ParameterGroupAlreadyExistsFault"),
        (world.call("dax", "create_parameter_group", ParameterGroupName="default.dax1.0"),
         "ParameterGroupAlreadyExistsFault"),
        (world.call("dax", "create_parameter_group", ParameterGroupName="-g"),
         "InvalidParameterValueException"),
        (world.call("dax", "delete_parameter_group", ParameterGroupName="default.dax1.0"),
         "InvalidParameterGroupStateFault"),
        (world.call("dax", "update_parameter_group", ParameterGroupName="default.dax1.0",
                    ParameterNameValues=given("query-ttl-millis", "1")),
         "InvalidParameterGroupStateFault"),
        (world.call("dax", "delete_subnet_group", SubnetGroupName="default"),
         "SubnetGroupInUseFault"),
    ):  # fmt: skip
        assert (await refusal(call))[0] == code


@told
async def test_twenty_parameter_groups_and_no_more(world: World) -> None:
    for number in range(20):
        await world.call("dax", "create_parameter_group", ParameterGroupName=f"g{number}")
    call = world.call("dax", "create_parameter_group", ParameterGroupName="more")
    assert (await refusal(call))[0] == "ParameterGroupQuotaExceededFault"


@told
async def test_subnet_groups_hold_what_looks_like_subnets(world: World) -> None:
    ids = [f"subnet-{number:08x}" for number in range(21)]
    made = await world.call(
        "dax", "create_subnet_group", SubnetGroupName="s", SubnetIds=ids[:20], Description="d"
    )
    assert made["SubnetGroup"]["SubnetGroupName"] == "s"
    assert len(made["SubnetGroup"]["Subnets"]) == 20
    for wrong, code in (
        (ids, "SubnetQuotaExceededFault"), ([], "InvalidSubnet"), (["none"], "InvalidSubnet"),
    ):  # fmt: skip
        call = world.call("dax", "create_subnet_group", SubnetGroupName="t", SubnetIds=wrong)
        assert (await refusal(call))[0] == code
    call = world.call("dax", "create_subnet_group", SubnetGroupName="s", SubnetIds=ids[:1])
    assert (await refusal(call))[0] == "SubnetGroupAlreadyExistsFault"
    listed = (await world.call("dax", "describe_subnet_groups"))["SubnetGroups"]
    assert [one["SubnetGroupName"] for one in listed] == ["default", "s"]
    call = world.call("dax", "describe_subnet_groups", SubnetGroupNames=["t"])
    assert (await refusal(call))[0] == "SubnetGroupNotFoundFault"


@told
async def test_fifty_subnet_groups_and_no_more(world: World) -> None:
    for number in range(50):
        await world.call(
            "dax", "create_subnet_group", SubnetGroupName=f"s{number}",
            SubnetIds=["subnet-11111111"],
        )  # fmt: skip
    call = world.call(
        "dax", "create_subnet_group", SubnetGroupName="more", SubnetIds=["subnet-11111111"]
    )
    assert (await refusal(call))[0] == "SubnetGroupQuotaExceededFault"


@told
async def test_events_are_found_by_time_and_source(world: World) -> None:
    await role(world)
    await open_cluster(world)
    await open_cluster(world, ClusterName="d")
    both = {"SourceType": "CLUSTER"}
    assert await events(world, **both) == ["Cluster created."] * 2
    assert await events(world, SourceName="d", **both) == ["Cluster created."]
    assert await events(world, SourceType="SUBNET_GROUP") == []
    await world.advance(hours=23)
    assert len(await events(world)) == 2
    await world.advance(hours=2)
    assert await events(world) == []
    assert len(await events(world, Duration=60 * 26)) == 2
    start = world.now - timedelta(hours=26)
    assert len(await events(world, StartTime=start)) == 2
    assert await events(world, StartTime=start, EndTime=start + timedelta(minutes=1)) == []
    for wrong in (
        {"SourceName": "c"}, {"Duration": 5, "StartTime": start},
        {"StartTime": world.now, "EndTime": start},
    ):  # fmt: skip
        call = world.call("dax", "describe_events", **wrong)
        assert (await refusal(call))[0] == "InvalidParameterCombinationException"
    await world.advance(days=15)
    assert await events(world, Duration=60 * 24 * 30) == []


@told
async def test_a_topic_hears_what_happens(world: World) -> None:
    await role(world)
    arn = await topic(world, "t")
    to = await queue(world, "q")
    await subscribe(world, arn, to, RawMessageDelivery="true")
    await open_cluster(world, NotificationTopicArn=arn)
    (told_of,) = await heard(world, to)
    assert json.loads(told_of["Body"])["Message"] == "Cluster created."
    await world.call("dax", "update_cluster", ClusterName="c", NotificationTopicStatus="inactive")
    await world.call("dax", "delete_cluster", ClusterName="c")
    await world.advance(60)
    assert await heard(world, to) == []


@told
async def test_tags_are_put_and_taken(world: World) -> None:
    await role(world)
    await begin(world, Tags=[{"Key": "a", "Value": "1"}])
    arn = f"{ARN}c"
    tagged = await world.call(
        "dax", "tag_resource", ResourceName=arn, Tags=[{"Key": "b", "Value": "2"}]
    )
    assert tagged["Tags"] == [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    left = await world.call("dax", "untag_resource", ResourceName=arn, TagKeys=["a"])
    assert left["Tags"] == [{"Key": "b", "Value": "2"}]
    assert (await world.call("dax", "list_tags", ResourceName=arn))["Tags"] == left["Tags"]
    for call, code in (
        (world.call("dax", "untag_resource", ResourceName=arn, TagKeys=["a"]),
         "TagNotFoundFault"),
        (world.call("dax", "list_tags", ResourceName=f"{ARN}none"), "ClusterNotFoundFault"),
        (world.call("dax", "list_tags", ResourceName="none"), "InvalidARNFault"),
        (world.call("dax", "tag_resource", ResourceName=arn,
                    Tags=[{"Key": "aws:a", "Value": ""}]), "InvalidParameterValueException"),
    ):  # fmt: skip
        assert (await refusal(call))[0] == code
    await world.advance(2)
    assert (await described(world))["Status"] == "available"
