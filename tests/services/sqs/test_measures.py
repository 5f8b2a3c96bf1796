"""What CloudWatch hears of queues."""

from __future__ import annotations

from datetime import timedelta

from tests.services.world import ACCOUNT, START, World, told

URL = f"http://localhost:4566/{ACCOUNT}/q"


async def summed(world: World, name: str, statistic: str = "Sum") -> list[float]:
    answer = await world.call(
        "cloudwatch", "get_metric_statistics", Namespace="AWS/SQS", MetricName=name,
        Dimensions=[{"Name": "QueueName", "Value": "q"}], Period=60, StartTime=START,
        EndTime=START + timedelta(hours=1), Statistics=[statistic],
    )  # fmt: skip
    return [point[statistic] for point in answer["Datapoints"]]


@told
async def test_messages_are_counted_where_they_really_went(world: World) -> None:
    await world.call("sqs", "create_queue", QueueName="q")
    await world.call("sqs", "send_message", QueueUrl=URL, MessageBody="12345")
    entries = [{"Id": str(n), "MessageBody": "x"} for n in range(3)]
    await world.call("sqs", "send_message_batch", QueueUrl=URL, Entries=entries)
    got = await world.call("sqs", "receive_message", QueueUrl=URL, MaxNumberOfMessages=10)
    for message in got["Messages"][:2]:
        await world.call(
            "sqs", "delete_message", QueueUrl=URL, ReceiptHandle=message["ReceiptHandle"]
        )
    await world.call("sqs", "receive_message", QueueUrl=URL)
    await world.cloud.metrics.flush()
    assert await summed(world, "NumberOfMessagesSent") == [4.0]
    assert await summed(world, "SentMessageSize", "Maximum") == [5.0]
    assert await summed(world, "NumberOfMessagesReceived") == [4.0]
    assert await summed(world, "NumberOfEmptyReceives") == [1.0]
    assert await summed(world, "NumberOfMessagesDeleted") == [2.0]


@told
async def test_what_a_queue_holds_is_told_each_minute(world: World) -> None:
    await world.call("sqs", "create_queue", QueueName="q")
    for _ in range(3):
        await world.call("sqs", "send_message", QueueUrl=URL, MessageBody="x")
    await world.call("sqs", "send_message", QueueUrl=URL, MessageBody="x", DelaySeconds=900)
    await world.call("sqs", "receive_message", QueueUrl=URL, VisibilityTimeout=900)
    await world.cloud.metrics.flush()
    await world.advance(seconds=60)
    await world.advance(seconds=60)
    visible = await summed(world, "ApproximateNumberOfMessagesVisible", "Average")
    assert visible == [2.0, 2.0]
    assert await summed(world, "ApproximateNumberOfMessagesNotVisible", "Average") == [1.0, 1.0]
    assert await summed(world, "ApproximateNumberOfMessagesDelayed", "Average") == [1.0, 1.0]
    assert await summed(world, "ApproximateAgeOfOldestMessage", "Maximum") == [60.0, 120.0]
    await world.call("sqs", "delete_queue", QueueUrl=URL)
    await world.advance(seconds=60)
    assert len(await summed(world, "ApproximateNumberOfMessagesVisible", "Average")) == 2
