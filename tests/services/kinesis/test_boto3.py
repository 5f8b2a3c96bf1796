"""Kinesis through HTTP, with the client that people use."""

from __future__ import annotations

from doppio.testing import Cloud


def test_records_come_back_through_iterators_and_subscriptions() -> None:
    with Cloud() as cloud:
        kinesis = cloud.client("kinesis")
        kinesis.create_stream(StreamName="orders", ShardCount=1)
        kinesis.get_waiter("stream_exists").wait(StreamName="orders")
        sent = kinesis.put_records(
            StreamName="orders",
            Records=[{"Data": b"espresso %d" % n, "PartitionKey": f"k{n}"} for n in range(3)],
        )
        assert sent["FailedRecordCount"] == 0
        shard = kinesis.list_shards(StreamName="orders")["Shards"][0]["ShardId"]
        begin = kinesis.get_shard_iterator(
            StreamName="orders", ShardId=shard, ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        page = kinesis.get_records(ShardIterator=begin)
        assert [one["Data"] for one in page["Records"]] == [b"espresso %d" % n for n in range(3)]
        arn = kinesis.describe_stream_summary(StreamName="orders")["StreamDescriptionSummary"][
            "StreamARN"
        ]
        consumer = kinesis.register_stream_consumer(StreamARN=arn, ConsumerName="barista")
        stream = kinesis.subscribe_to_shard(
            ConsumerARN=consumer["Consumer"]["ConsumerARN"], ShardId=shard,
            StartingPosition={"Type": "TRIM_HORIZON"},
        )["EventStream"]  # fmt: skip
        for event in stream:
            records = event["SubscribeToShardEvent"]["Records"]
            assert [one["Data"] for one in records] == [b"espresso %d" % n for n in range(3)]
            break
        stream.close()
        kinesis.delete_stream(StreamName="orders", EnforceConsumerDeletion=True)
        kinesis.get_waiter("stream_not_exists").wait(StreamName="orders")
