"""Streams: their lives, shapes, settings, tags and limits."""

from __future__ import annotations

from datetime import timedelta

from doppio.services.kinesis import limits
from doppio.services.kinesis.records import Head, Kept
from tests.services.world import ACCOUNT, World, refusal, refused, told

from .small import ORDERS, described, iterator, put, stream, texts


@told
async def test_a_stream_is_made_described_listed_and_deleted(world: World) -> None:
    await world.call("kinesis", "create_stream", StreamName="orders", ShardCount=2, Tags={"a": "b"})
    code, text = await refusal(world.call("kinesis", "create_stream", StreamName="orders"))
    assert code == "ResourceInUseException"
    assert text == f"Stream orders under account {ACCOUNT} already exists."
    await world.settle()
    shown = await described(world)
    assert shown["StreamARN"] == ORDERS
    assert (shown["StreamStatus"], shown["RetentionPeriodHours"]) == ("ACTIVE", 24)
    assert shown["StreamModeDetails"] == {"StreamMode": "PROVISIONED"}
    assert shown["EncryptionType"] == "NONE"
    ids = [shard["ShardId"] for shard in shown["Shards"]]
    assert ids == ["shardId-000000000000", "shardId-000000000001"]
    assert shown["Shards"][1]["HashKeyRange"] == {
        "StartingHashKey": str(2**127), "EndingHashKey": str(2**128 - 1),
    }  # fmt: skip
    await put(world, "x")
    await world.call("kinesis", "delete_stream", StreamName="orders")
    await world.settle()
    code, text = await refusal(world.call("kinesis", "describe_stream", StreamName="orders"))
    assert code == "ResourceNotFoundException"
    assert text == f"Stream orders under account {ACCOUNT} not found."
    reader = world.cloud.context_for("", "").read()
    assert await reader.list(Kept, (), limit=1) == []
    assert await reader.list(Head, (), limit=1) == []
    # Its name is free again, and nothing of the old one is there.
    await stream(world)
    assert await texts(world) == []


@told
async def test_streams_are_listed_by_page(world: World) -> None:
    for name in ("a", "b", "c"):
        await stream(world, name)
    first = await world.call("kinesis", "list_streams", Limit=2)
    assert (first["StreamNames"], first["HasMoreStreams"]) == (["a", "b"], True)
    rest = await world.call("kinesis", "list_streams", NextToken=first["NextToken"])
    assert (rest["StreamNames"], rest["HasMoreStreams"]) == (["c"], False)
    rest = await world.call("kinesis", "list_streams", ExclusiveStartStreamName="a")
    assert rest["StreamNames"] == ["b", "c"]


@told
async def test_a_shard_is_split_and_its_end_is_read_before_its_children(world: World) -> None:
    await stream(world)
    await put(world, "before", ExplicitHashKey="0")
    await world.call(
        "kinesis", "split_shard", StreamName="orders", ShardToSplit="shardId-000000000000",
        NewStartingHashKey=str(2**127),
    )  # fmt: skip
    await world.settle()
    assert await put(world, "after", ExplicitHashKey="0")
    page = await world.call("kinesis", "get_records", ShardIterator=await iterator(world))
    assert [one["Data"] for one in page["Records"]] == [b"before"]
    assert "NextShardIterator" not in page
    assert [one["ShardId"] for one in page["ChildShards"]] == [
        "shardId-000000000001", "shardId-000000000002",
    ]  # fmt: skip
    assert page["ChildShards"][0]["ParentShards"] == ["shardId-000000000000"]
    assert await texts(world, shard=1) == ["after"]
    shards = (await described(world))["Shards"]
    end = shards[0]["SequenceNumberRange"]["EndingSequenceNumber"]
    assert end == page["Records"][-1]["SequenceNumber"]
    assert shards[1]["ParentShardId"] == "shardId-000000000000"
    code, text = await refusal(
        world.call(
            "kinesis", "split_shard", StreamName="orders", ShardToSplit="shardId-000000000000",
            NewStartingHashKey="7",
        )
    )  # fmt: skip
    assert (code, "has already been merged or split" in text) == ("ResourceNotFoundException", True)


@told
async def test_neighbours_are_merged_and_nobody_else(world: World) -> None:
    await stream(world, shards=3)
    names = [f"shardId-{number:012d}" for number in range(3)]

    async def merge(one: str, other: str) -> None:
        await world.call(
            "kinesis", "merge_shards", StreamName="orders", ShardToMerge=one,
            AdjacentShardToMerge=other,
        )  # fmt: skip
        await world.settle()

    code, text = await refusal(merge(names[0], names[2]))
    assert code == "InvalidArgumentException"
    assert text.endswith("are not an adjacent pair of shards eligible for merging")
    await merge(names[1], names[0])
    merged = (await described(world))["Shards"][-1]
    assert (merged["ParentShardId"], merged["AdjacentParentShardId"]) == (names[1], names[0])
    found = await world.call(
        "kinesis", "list_shards", StreamName="orders", ShardFilter={"Type": "AT_LATEST"}
    )
    assert [one["ShardId"] for one in found["Shards"]] == [names[2], "shardId-000000000003"]


@told
async def test_a_stream_is_scaled_to_between_half_and_double(world: World) -> None:
    await stream(world, shards=2)

    async def scale(target: int) -> None:
        await world.call(
            "kinesis", "update_shard_count", StreamName="orders", TargetShardCount=target,
            ScalingType="UNIFORM_SCALING",
        )  # fmt: skip
        await world.settle()

    assert (await refused(scale(5))).code == "LimitExceededException"
    await scale(3)
    summary = await world.call("kinesis", "describe_stream_summary", StreamName="orders")
    assert summary["StreamDescriptionSummary"]["OpenShardCount"] == 3
    for target in [4, 3] * 4 + [4]:
        await scale(target)
    assert (await refused(scale(3))).code == "LimitExceededException"
    await world.advance(days=1, seconds=1)
    await scale(3)


@told
async def test_shards_are_shown_as_of_a_moment_and_by_page(world: World) -> None:
    await stream(world, shards=2)
    moment = world.now
    await world.advance(hours=1)
    await world.call(
        "kinesis", "merge_shards", StreamName="orders", ShardToMerge="shardId-000000000000",
        AdjacentShardToMerge="shardId-000000000001",
    )  # fmt: skip
    await world.settle()

    async def listed(**rule: object) -> list[int]:
        page = await world.call(
            "kinesis", "list_shards", StreamName="orders", MaxResults=1, ShardFilter=rule
        )
        found = page["Shards"]
        while "NextToken" in page:
            page = await world.call(
                "kinesis", "list_shards", NextToken=page["NextToken"], MaxResults=1
            )
            found += page["Shards"]
        return [int(one["ShardId"][-3:]) for one in found]

    assert await listed(Type="AT_TIMESTAMP", Timestamp=moment) == [0, 1]
    assert await listed(Type="AT_TIMESTAMP", Timestamp=world.now) == [2]
    assert await listed(Type="FROM_TIMESTAMP", Timestamp=moment) == [0, 1, 2]
    assert await listed(Type="FROM_TRIM_HORIZON") == [0, 1, 2]
    assert await listed(Type="AT_LATEST") == [2]
    assert await listed(Type="AFTER_SHARD_ID", ShardId="shardId-000000000001") == [2]
    # Closed shards go with their last records.
    await world.advance(hours=26)
    assert await listed(Type="FROM_TRIM_HORIZON") == [2]


@told
async def test_what_is_being_changed_is_not_changed_again(world: World) -> None:
    await world.call("kinesis", "create_stream", StreamName="orders", ShardCount=1)
    error = await refused(
        world.call("kinesis", "update_max_record_size", StreamARN=ORDERS, MaxRecordSizeInKiB=2_048)
    )
    assert error.code == "ResourceInUseException"
    await world.settle()
    await world.call(
        "kinesis", "update_max_record_size", StreamARN=ORDERS, MaxRecordSizeInKiB=2_048
    )
    await world.settle()
    await put(world, "x" * 2_000_000)


@told
async def test_a_stream_on_demand_has_four_shards_and_changes_its_mode_twice_a_day(
    world: World,
) -> None:
    await world.call(
        "kinesis", "create_stream", StreamName="orders",
        StreamModeDetails={"StreamMode": "ON_DEMAND"}, RecordDistributionStrategy="AUTO",
    )  # fmt: skip
    await world.settle()
    assert len((await described(world))["Shards"]) == 4
    shards = set()
    for _ in range(24):
        found = await world.call(
            "kinesis", "put_record", StreamName="orders", PartitionKey="same", Data=b"x"
        )
        shards.add(found["ShardId"])
    assert len(shards) > 1
    error = await refused(
        world.call(
            "kinesis", "split_shard", StreamName="orders", ShardToSplit="shardId-000000000000",
            NewStartingHashKey="7",
        )
    )  # fmt: skip
    assert error.code == "ValidationException"

    async def mode(name: str) -> None:
        await world.call(
            "kinesis",
            "update_stream_mode",
            StreamARN=ORDERS,
            StreamModeDetails={"StreamMode": name},
        )
        await world.settle()

    assert (await refused(mode("PROVISIONED"))).code == "ValidationException"
    await world.call(
        "kinesis", "update_stream_record_distribution_strategy", StreamARN=ORDERS,
        RecordDistributionStrategy="USER_PARTITION_KEY",
    )  # fmt: skip
    await world.settle()
    await mode("PROVISIONED")
    await mode("ON_DEMAND")
    assert (await refused(mode("PROVISIONED"))).code == "LimitExceededException"
    await world.advance(hours=25)
    await mode("PROVISIONED")
    assert await world.used("OnDemand-StreamHour") == 25


@told
async def test_a_stream_without_shards_said_is_on_demand_and_a_provisioned_one_says_them(
    world: World,
) -> None:
    await world.call("kinesis", "create_stream", StreamName="orders")
    await world.settle()
    assert (await described(world))["StreamModeDetails"] == {"StreamMode": "ON_DEMAND"}
    mode = {"StreamMode": "PROVISIONED"}
    error = await refused(
        world.call("kinesis", "create_stream", StreamName="more", StreamModeDetails=mode)
    )
    assert error.code == "ValidationException"


@told
async def test_retention_is_between_a_day_and_a_year(world: World) -> None:
    await stream(world)

    async def keep(how: str, hours: int) -> str:
        error = await refused(
            world.call(
                "kinesis", f"{how}_stream_retention_period", StreamName="orders",
                RetentionPeriodHours=hours,
            )
        )  # fmt: skip
        return error.code

    assert await keep("increase", 23) == "InvalidArgumentException"
    assert await keep("increase", 8_761) == "InvalidArgumentException"
    assert await keep("decrease", 25) == "InvalidArgumentException"
    assert await keep("decrease", 23) == "InvalidArgumentException"


@told
async def test_tags_are_kept_by_both_ways_of_asking(world: World) -> None:
    await stream(world)
    await world.call(
        "kinesis", "add_tags_to_stream", StreamName="orders", Tags={"a": "1", "b": "2"}
    )
    await world.call("kinesis", "tag_resource", ResourceARN=ORDERS, Tags={"c": "3"})
    found = await world.call("kinesis", "list_tags_for_stream", StreamName="orders", Limit=2)
    assert (found["Tags"][0], found["HasMoreTags"]) == ({"Key": "a", "Value": "1"}, True)
    await world.call("kinesis", "remove_tags_from_stream", StreamName="orders", TagKeys=["a"])
    await world.call("kinesis", "untag_resource", ResourceARN=ORDERS, TagKeys=["b"])
    found = await world.call("kinesis", "list_tags_for_resource", ResourceARN=ORDERS)
    assert found["Tags"] == [{"Key": "c", "Value": "3"}]


@told
async def test_an_account_has_room_for_so_many_shards(world: World) -> None:
    await stream(world, shards=3)
    found = await world.call("kinesis", "describe_limits")
    assert found["OpenShardCount"] == 3
    assert found["ShardLimit"] == limits.SHARDS_MAX.default
    many = limits.SHARDS_MAX.default
    error = await refused(
        world.call("kinesis", "create_stream", StreamName="more", ShardCount=many)
    )
    assert error.code == "LimitExceededException"


@told
async def test_shards_are_measured_one_by_one_where_it_is_asked_for(world: World) -> None:
    await stream(world)
    found = await world.call(
        "kinesis", "enable_enhanced_monitoring", StreamName="orders", ShardLevelMetrics=["ALL"]
    )
    assert found["CurrentShardLevelMetrics"] == []
    assert len(found["DesiredShardLevelMetrics"]) == 7
    await put(world, "x")
    await texts(world)
    await world.cloud.metrics.flush()

    async def total(name: str, *dimensions: tuple[str, str]) -> float:
        page = await world.call(
            "cloudwatch", "get_metric_statistics", Namespace="AWS/Kinesis", MetricName=name,
            Dimensions=[{"Name": key, "Value": value} for key, value in dimensions],
            StartTime=world.now - timedelta(minutes=5), EndTime=world.now + timedelta(minutes=5),
            Period=60, Statistics=["Sum"],
        )  # fmt: skip
        return sum(point["Sum"] for point in page["Datapoints"])

    whole = ("StreamName", "orders")
    assert await total("IncomingRecords", whole) == 1
    assert await total("GetRecords.Records", whole) == 1
    shard = ("ShardId", "shardId-000000000000")
    assert await total("IncomingRecords", whole, shard) == 1
    assert await total("OutgoingBytes", whole, shard) == 2
    await world.call(
        "kinesis", "disable_enhanced_monitoring", StreamName="orders", ShardLevelMetrics=["ALL"]
    )
    assert (await described(world))["EnhancedMonitoring"] == [{"ShardLevelMetrics": []}]
