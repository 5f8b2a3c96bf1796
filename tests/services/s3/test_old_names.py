"""Operations by their old names: the requests are those of the newer ones, in an older form."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from doppio.testing import Cloud

from .world import World, refused, told


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with Cloud() as running:
        yield running


@pytest.fixture
def s3(cloud: Cloud) -> Any:
    from botocore.config import Config

    return cloud.account().client("s3", config=Config(s3={"addressing_style": "path"}))


def test_rules_of_lifecycle_in_the_old_form_are_carried_out(cloud: Cloud, s3: Any) -> None:
    s3.create_bucket(Bucket="old-rules")
    s3.put_object(Bucket="old-rules", Key="log/1", Body=b"line")
    s3.put_object(Bucket="old-rules", Key="kept", Body=b"line")
    rule = {
        "ID": "logs",
        "Prefix": "log/",
        "Status": "Enabled",
        "Transition": {"Days": 1, "StorageClass": "GLACIER"},
        "Expiration": {"Days": 3},
        "NoncurrentVersionTransition": {"NoncurrentDays": 1, "StorageClass": "GLACIER"},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 4},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    }
    s3.put_bucket_lifecycle(Bucket="old-rules", LifecycleConfiguration={"Rules": [rule]})
    assert s3.get_bucket_lifecycle(Bucket="old-rules")["Rules"] == [rule]
    (newer,) = s3.get_bucket_lifecycle_configuration(Bucket="old-rules")["Rules"]
    assert newer["Transitions"] == [rule["Transition"]]
    assert newer["Prefix"] == "log/"
    cloud.advance(timedelta(days=5))
    until = time.monotonic() + 20
    while len(listed := s3.list_objects_v2(Bucket="old-rules")["Contents"]) > 1:
        assert time.monotonic() < until, "lifecycle is carried out in the background"
        time.sleep(0.05)
    assert [one["Key"] for one in listed] == ["kept"]


def test_notifications_in_the_old_form_arrive(cloud: Cloud, s3: Any) -> None:
    sqs = cloud.account().client("sqs")
    url = sqs.create_queue(QueueName="orders")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    s3.create_bucket(Bucket="old-notices")
    s3.put_bucket_notification(
        Bucket="old-notices",
        NotificationConfiguration={
            "QueueConfiguration": {"Id": "one", "Event": "s3:ObjectCreated:*", "Queue": arn}
        },
    )
    found = s3.get_bucket_notification(Bucket="old-notices")["QueueConfiguration"]
    assert (found["Id"], found["Queue"], found["Events"]) == ("one", arn, ["s3:ObjectCreated:*"])
    s3.put_object(Bucket="old-notices", Key="latte", Body=b"milk")
    told_of = set()
    for _ in range(20):
        answer = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1)
        for message in answer.get("Messages", []):
            event = json.loads(message["Body"])
            told_of |= {one["eventName"] for one in event.get("Records", [])}
        if told_of:
            break
    assert told_of == {"ObjectCreated:Put"}


@told
async def test_torrents_are_not_made_any_more(world: World) -> None:
    await world.bucket()
    missing = await refused(world.s3("get_object_torrent", Bucket="bucket", Key="latte"))
    assert missing.code == "NoSuchKey"
    await world.put("latte", b"milk")
    error = await refused(world.s3("get_object_torrent", Bucket="bucket", Key="latte"))
    assert (error.code, error.status) == ("MethodNotAllowed", 405)
    assert error.message == "The specified method is not allowed against this resource."
