"""Contributor insights: the busiest keys are counted, and told by CloudWatch."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from doppio.services.dynamodb.contributors import Sketch
from doppio.services.dynamodb.limits import CONTRIBUTORS_MAX
from tests.services.kms.helpers import allow, user
from tests.services.world import START, World, refusal, told

from .helpers import arn, caller, get, index, make, put, queried
from .test_throttling import REALISTIC, small, spend


async def enable(world: World, **more: Any) -> list[str]:
    """Count keys; the names of the rules."""
    call = caller(world)
    await call(
        "update_contributor_insights", TableName="orders", ContributorInsightsAction="ENABLE",
        **more,
    )  # fmt: skip
    more.pop("ContributorInsightsMode", None)
    got = await call("describe_contributor_insights", TableName="orders", **more)
    assert got["ContributorInsightsStatus"] == "ENABLED"
    names: list[str] = got["ContributorInsightsRuleList"]
    return names


async def busiest(world: World, rule: str, **more: Any) -> list[tuple[tuple[str, ...], float]]:
    """The contributors of a rule in the first hour."""
    got = await world.call(
        "cloudwatch", "get_insight_rule_report", RuleName=rule, Period=60, StartTime=START,
        EndTime=START + timedelta(hours=1), **more,
    )  # fmt: skip
    return [(tuple(one["Keys"]), one["ApproximateAggregateValue"]) for one in got["Contributors"]]


@told
async def test_what_keys_consume_is_counted_by_partition_and_by_item(world: World) -> None:
    await make(world, key=("id", "n"), kinds={"id": "S", "n": "N"})
    names = await enable(world)
    stamp = int((START + timedelta(seconds=1)).timestamp() * 1_000)
    assert names == [
        f"DynamoDBContributorInsights-{kind}-orders-{stamp}"
        for kind in ("PKC", "SKC", "PKT", "SKT")
    ]
    await put(world, id="a", n=1, x="x" * 3_000)
    await put(world, id="a", n=2)
    await put(world, id="b", n=1)
    await get(world, id="a", n=2)
    by = {"KeyConditionExpression": "id = :i", "ExpressionAttributeValues": {":i": {"S": "b"}}}
    await queried(world, ProjectionExpression="x", **by)
    parts, items, refused, _ = names
    assert await busiest(world, parts) == [(("a",), 4.5), (("b",), 1.5)]
    assert await busiest(world, items) == [
        (("a", "1"), 3.0), (("a", "2"), 1.5), (("b", "1"), 1.5),
    ]  # fmt: skip
    assert await busiest(world, parts, MaxContributorCount=1) == [(("a",), 4.5)]
    assert await busiest(world, refused) == []
    # What was kept is there after a crash, and what was not switched on is not counted.
    again = world.again()
    await again.start()
    try:
        assert await busiest(again, parts) == [(("a",), 4.5), (("b",), 1.5)]
    finally:
        await again.close()


@told
async def test_throttled_keys_are_counted(world: World) -> None:
    await small(world)
    _, refused = await enable(world)
    await spend(world)
    for name in ("hot", "hot", "cold"):
        assert (await refusal(put(world, id=name)))[0] == "ProvisionedThroughputExceededException"
    assert await busiest(world, refused) == [(("hot",), 2.0), (("cold",), 1.0)]


@told
async def test_a_mode_may_look_at_throttled_keys_alone(world: World) -> None:
    await small(world, Tags=REALISTIC)
    [refused] = await enable(world, ContributorInsightsMode="THROTTLED_KEYS")
    assert "-PKT-" in refused


@told
async def test_an_index_is_counted_by_its_own_keys(world: World) -> None:
    await make(world, kinds={"id": "S", "g": "S"}, GlobalSecondaryIndexes=[index("by_g", "g")])
    parts, _ = await enable(world, IndexName="by_g")
    await put(world, id="1", g="red")
    await put(world, id="2", g="red")
    await put(world, id="3")
    assert await busiest(world, parts) == [(("red",), 2.0)]
    got = await caller(world)("list_contributor_insights")
    assert got["ContributorInsightsSummaries"] == [
        {"TableName": "orders", "IndexName": "by_g", "ContributorInsightsStatus": "ENABLED",
         "ContributorInsightsMode": "ACCESSED_AND_THROTTLED_KEYS"}
    ]  # fmt: skip


@told
async def test_rules_are_listed_and_end_when_it_is_switched_off(world: World) -> None:
    await make(world)
    names = await enable(world)
    got = await world.call("cloudwatch", "describe_insight_rules")
    assert [one["Name"] for one in got["InsightRules"]] == sorted(names)
    assert all(one["ManagedRule"] for one in got["InsightRules"])
    call = caller(world)
    off = await call(
        "update_contributor_insights", TableName="orders", ContributorInsightsAction="DISABLE"
    )
    assert off["ContributorInsightsStatus"] == "DISABLING"
    got = await call("describe_contributor_insights", TableName="orders")
    assert got["ContributorInsightsStatus"] == "DISABLED"
    assert "ContributorInsightsRuleList" not in got
    assert (await refusal(busiest(world, names[0])))[0] == "ResourceNotFoundException"
    gone = call("describe_contributor_insights", TableName="nothing")
    assert (await refusal(gone))[0] == "ResourceNotFoundException"


@told
async def test_figures_come_by_period(world: World) -> None:
    await make(world)
    parts, _ = await enable(world)
    for name in ("a", "b", "a"):
        await put(world, id=name)
    await world.advance(60)
    await put(world, id="c")
    got = await world.call(
        "cloudwatch", "get_insight_rule_report", RuleName=parts, Period=60, StartTime=START,
        EndTime=START + timedelta(hours=1),
        Metrics=["UniqueContributors", "MaxContributorValue", "Sum"],
    )  # fmt: skip
    assert got["KeyLabels"] == ["PartitionKey"]
    assert got["ApproximateUniqueCount"] == 3
    assert got["AggregateValue"] == 4.0
    assert got["MetricDatapoints"] == [
        {"Timestamp": START, "UniqueContributors": 2.0, "MaxContributorValue": 2.0, "Sum": 3.0},
        {"Timestamp": START + timedelta(seconds=60), "UniqueContributors": 1.0,
         "MaxContributorValue": 1.0, "Sum": 1.0},
    ]  # fmt: skip


@told
async def test_it_takes_permission_for_the_table_or_the_index(world: World) -> None:
    await make(world, kinds={"id": "S", "g": "S"}, GlobalSecondaryIndexes=[index("by_g", "g")])
    action = "dynamodb:DescribeContributorInsights"
    one = await user(world, "one", allow(action, arn("orders")))
    asked = {"TableName": "orders", "caller": one}
    await world.call("dynamodb", "describe_contributor_insights", **asked)
    denied = world.call("dynamodb", "describe_contributor_insights", IndexName="by_g", **asked)
    assert (await refusal(denied))[0] == "AccessDeniedException"


def test_a_sketch_keeps_the_most_frequent_in_bounded_room() -> None:
    sketch = Sketch()
    for number in range(3 * CONTRIBUTORS_MAX):
        sketch.add((f"rare-{number}",), 1.0)
        sketch.add(("often",), 1.0)
        sketch.add(("now and then",), 1.0 if number % 3 == 0 else 0.0)
    held = {name: amount for (name,), amount, _ in Sketch.keys(sketch)}
    assert len(held) == CONTRIBUTORS_MAX
    assert sketch.unique >= 3 * CONTRIBUTORS_MAX
    assert held["often"] == 3 * CONTRIBUTORS_MAX
    assert held["now and then"] == CONTRIBUTORS_MAX
