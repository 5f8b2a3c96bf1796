"""Who asked to hear of what happens in a bucket hears of it, in S3's words."""

from __future__ import annotations

import json
from typing import Any

from doppio.services.s3.limits import PART_BYTES_MIN
from tests.services.sns.helpers import heard, queue, topic
from tests.services.world import ACCOUNT, REGION, World, refusal, refused, told

HEARD = "s3:ObjectCreated:*"


async def open_queue(world: World, name: str = "q", source: str = "arn:aws:s3:::bucket") -> str:
    """A queue that S3 may write to for a bucket."""
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {
            "ArnLike": {"aws:SourceArn": source},
            "StringEquals": {"aws:SourceAccount": ACCOUNT},
        },
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    await world.call("sqs", "create_queue", QueueName=name, Attributes={"Policy": policy})
    return arn


async def ask(world: World, arn: str, *events: str, **more: Any) -> None:
    """Let a queue hear of events in the bucket."""
    one = {"QueueArn": arn, "Events": list(events or (HEARD,)), **more}
    await world.call(
        "s3",
        "put_bucket_notification_configuration",
        Bucket="bucket",
        NotificationConfiguration={"QueueConfigurations": [one]},
    )


async def put(world: World, key: str, body: bytes = b"x", **req: Any) -> dict[str, Any]:
    """PutObject."""
    answer: dict[str, Any] = await world.call(
        "s3", "put_object", Bucket="bucket", Key=key, Body=body, **req
    )
    return answer


async def records(world: World, arn: str) -> list[dict[str, Any]]:
    """The records in a queue; S3's test event is left out."""
    await world.settle()
    bodies = [json.loads(one["Body"]) for one in await heard(world, arn)]
    return [record for body in bodies for record in body.get("Records", [])]


@told
async def test_a_queue_hears_of_a_new_object(world: World) -> None:
    await world.call("s3", "create_bucket", Bucket="bucket")
    arn = await open_queue(world)
    await ask(world, arn, Id="mine")
    (first,) = await heard(world, arn)
    test = json.loads(first["Body"])
    assert (test["Service"], test["Event"], test["Bucket"]) == (
        "Amazon S3",
        "s3:TestEvent",
        "bucket",
    )
    await put(world, "a key/ö+.txt", b"hello")
    (record,) = await records(world, arn)
    assert record["eventName"] == "ObjectCreated:Put"
    assert (record["eventSource"], record["eventVersion"]) == ("aws:s3", "2.1")
    assert record["eventTime"] == "2030-01-01T00:00:00.000Z"
    assert record["awsRegion"] == REGION
    assert record["s3"]["configurationId"] == "mine"
    assert record["s3"]["bucket"]["arn"] == "arn:aws:s3:::bucket"
    told_object = record["s3"]["object"]
    assert told_object.pop("sequencer")
    assert told_object == {
        "key": "a+key/%C3%B6%2B.txt",
        "size": 5,
        "eTag": "5d41402abc4b2a76b9719d911017c592",
    }


@told
async def test_each_way_of_making_an_object_has_its_name(world: World) -> None:
    await world.call("s3", "create_bucket", Bucket="bucket")
    arn = await open_queue(world)
    await ask(world, arn, "s3:ObjectCreated:*", "s3:ObjectRemoved:*")
    await put(world, "k")
    await world.call("s3", "copy_object", Bucket="bucket", Key="c", CopySource="bucket/k")
    same = {"Bucket": "bucket", "Key": "m"}
    same["UploadId"] = (await world.call("s3", "create_multipart_upload", **same))["UploadId"]
    part = await world.call("s3", "upload_part", **same, PartNumber=1, Body=b"x" * PART_BYTES_MIN)
    parts = [{"PartNumber": 1, "ETag": part["ETag"]}]
    await world.call("s3", "complete_multipart_upload", **same, MultipartUpload={"Parts": parts})
    await world.call("s3", "delete_object", Bucket="bucket", Key="k")
    await world.call("s3", "delete_object", Bucket="bucket", Key="never")
    found = await records(world, arn)
    # A standard queue gives no order: the sequencer tells that of a key.
    assert sorted((one["eventName"], one["s3"]["object"]["key"]) for one in found) == [
        ("ObjectCreated:CompleteMultipartUpload", "m"),
        ("ObjectCreated:Copy", "c"),
        ("ObjectCreated:Put", "k"),
        ("ObjectRemoved:Delete", "k"),
    ]
    (removed,) = [one for one in found if one["eventName"] == "ObjectRemoved:Delete"]
    assert "size" not in removed["s3"]["object"]


@told
async def test_versions_and_markers_are_told(world: World) -> None:
    await world.call("s3", "create_bucket", Bucket="bucket")
    await world.call(
        "s3",
        "put_bucket_versioning",
        Bucket="bucket",
        VersioningConfiguration={"Status": "Enabled"},
    )
    arn = await open_queue(world)
    await ask(world, arn, "s3:ObjectCreated:Put", "s3:ObjectRemoved:DeleteMarkerCreated")
    made = await put(world, "k")
    marker = await world.call("s3", "delete_object", Bucket="bucket", Key="k")
    await world.call("s3", "delete_object", Bucket="bucket", Key="k", VersionId=made["VersionId"])
    first, second = sorted(await records(world, arn), key=lambda one: str(one["eventName"]))
    assert first["s3"]["object"]["versionId"] == made["VersionId"]
    assert second["eventName"] == "ObjectRemoved:DeleteMarkerCreated"
    assert second["s3"]["object"]["versionId"] == marker["VersionId"]
    assert first["s3"]["object"]["sequencer"] < second["s3"]["object"]["sequencer"]


@told
async def test_filters_and_events_choose(world: World) -> None:
    await world.call("s3", "create_bucket", Bucket="bucket")
    arn = await open_queue(world)
    rules = [{"Name": "prefix", "Value": "in/"}, {"Name": "suffix", "Value": ".jpg"}]
    await ask(world, arn, "s3:ObjectCreated:Put", Filter={"Key": {"FilterRules": rules}})
    for key in ("in/a.jpg", "in/a.png", "out/a.jpg"):
        await put(world, key)
    await world.call(
        "s3", "copy_object", Bucket="bucket", Key="in/b.jpg", CopySource="bucket/in/a.jpg"
    )
    assert [one["s3"]["object"]["key"] for one in await records(world, arn)] == ["in/a.jpg"]
    await world.call(
        "s3",
        "put_bucket_notification_configuration",
        Bucket="bucket",
        NotificationConfiguration={},
    )
    await put(world, "in/c.jpg")
    assert await records(world, arn) == []
    found = await world.call("s3", "get_bucket_notification_configuration", Bucket="bucket")
    assert found == {}


@told
async def test_tags_that_come_and_go_are_told(world: World) -> None:
    await world.call("s3", "create_bucket", Bucket="bucket")
    arn = await open_queue(world)
    await ask(world, arn, "s3:ObjectTagging:*")
    await put(world, "k")
    where = {"Bucket": "bucket", "Key": "k"}
    tags = {"TagSet": [{"Key": "a", "Value": "b"}]}
    await world.call("s3", "put_object_tagging", **where, Tagging=tags)
    await world.call("s3", "delete_object_tagging", **where)
    found = await records(world, arn)
    assert sorted(one["eventName"] for one in found) == [
        "ObjectTagging:Delete",
        "ObjectTagging:Put",
    ]
    assert found[0]["eventVersion"] == "2.3"
    assert "size" not in found[0]["s3"]["object"]


@told
async def test_a_topic_hears_too(world: World) -> None:
    await world.call("s3", "create_bucket", Bucket="bucket")
    news, to = await topic(world), await queue(world, "q")
    await world.call(
        "sns", "subscribe", TopicArn=news, Protocol="sqs", Endpoint=to,
        Attributes={"RawMessageDelivery": "true"},
    )  # fmt: skip
    configuration = {"TopicConfigurations": [{"TopicArn": news, "Events": [HEARD]}]}
    asked = {"Bucket": "bucket", "NotificationConfiguration": configuration}
    error = await refused(world.call("s3", "put_bucket_notification_configuration", **asked))
    assert error.fields["ArgumentValue1"] == (
        "Permissions on the destination topic do not allow S3 to publish notifications from this "
        "bucket"
    )
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": news,
    }
    await world.call(
        "sns",
        "set_topic_attributes",
        TopicArn=news,
        AttributeName="Policy",
        AttributeValue=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
    await world.call("s3", "put_bucket_notification_configuration", **asked)
    await put(world, "k")
    assert [one["s3"]["object"]["key"] for one in await records(world, to)] == ["k"]


@told
async def test_a_destination_must_be_there_and_let_s3_in(world: World) -> None:
    await world.call("s3", "create_bucket", Bucket="bucket")
    missing = f"arn:aws:sqs:{REGION}:{ACCOUNT}:none"
    closed = await open_queue(world, "closed", source="arn:aws:s3:::another")
    for arn, reason in (
        (missing, None),
        (
            closed,
            (
                "Permissions on the destination queue do not allow S3 to publish notifications "
                "from this bucket"
            ),
        ),
    ):
        error = await refused(ask(world, arn))
        assert (error.code, error.message) == (
            "InvalidArgument",
            "Unable to validate the following destination configurations",
        )
        assert error.fields["ArgumentName1"] == arn
        if reason is not None:
            assert error.fields["ArgumentValue1"] == reason
    await world.call(
        "s3",
        "put_bucket_notification_configuration",
        Bucket="bucket",
        SkipDestinationValidation=True,
        NotificationConfiguration={
            "QueueConfigurations": [{"QueueArn": closed, "Events": [HEARD]}]
        },
    )
    await put(world, "k")
    assert await records(world, closed) == []


@told
async def test_what_a_configuration_may_not_say_is_refused(world: World) -> None:
    await world.call("s3", "create_bucket", Bucket="bucket")
    arn = await open_queue(world)

    async def says(*configurations: dict[str, Any]) -> str:
        listed = [{"QueueArn": arn, "Events": [HEARD], **one} for one in configurations]
        _, text = await refusal(
            world.call(
                "s3",
                "put_bucket_notification_configuration",
                Bucket="bucket",
                NotificationConfiguration={"QueueConfigurations": listed},
            )
        )
        return text

    def keys(*rules: tuple[str, str]) -> dict[str, Any]:
        listed = [{"Name": name, "Value": value} for name, value in rules]
        return {"Filter": {"Key": {"FilterRules": listed}}}

    assert await says({"Events": ["s3:ObjectEaten"]}) == (
        "A specified event is not supported for notifications."
    )
    assert await says(keys(("prefix", "a"), ("prefix", "b"))) == (
        "Cannot specify more than one prefix rule in a filter."
    )
    assert await says({"QueueArn": "queue"}) == "The ARN could not be parsed"
    assert await says(keys(("prefix", "a")), keys(("prefix", "ab"))) == (
        "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if "
        "the prefixes are overlapping for the same event type."
    )
    assert await says(
        {"Id": "same", **keys(("prefix", "a"))}, {"Id": "same", **keys(("prefix", "b"))}
    ) == ("Same ID used for multiple configurations. IDs must be unique")
    assert (await says({"QueueArn": arn.replace(REGION, "eu-west-1")})).startswith("Unable to")
    assert (await refusal(ask(world, f"{arn}.fifo")))[1] == (
        "FIFO queues are not supported as notification destinations"
    )


@told
async def test_a_function_that_lets_nobody_in_cannot_be_told(world: World) -> None:
    await world.call("s3", "create_bucket", Bucket="bucket")
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f"
    function = {"LambdaFunctionArn": arn, "Events": [HEARD]}
    call = world.call(
        "s3",
        "put_bucket_notification_configuration",
        Bucket="bucket",
        NotificationConfiguration={"LambdaFunctionConfigurations": [function]},
    )
    error = await refused(call)
    assert error.code == "InvalidArgument"
    assert error.fields["ArgumentValue1"] == f"Not authorized to invoke function [{arn}]"


@told
async def test_eventbridge_hears_of_all_that_happens_in_a_bucket(world: World) -> None:
    await world.call("s3", "create_bucket", Bucket="bucket")
    arn = await open_queue(world)
    url = f"http://localhost:4566/{ACCOUNT}/q"
    let_in = (await world.call("sqs", "get_queue_attributes", QueueUrl=url,
        AttributeNames=["Policy"]))["Attributes"]["Policy"]  # fmt: skip
    statement = json.loads(let_in)["Statement"][0]
    statement["Principal"] = {"Service": "events.amazonaws.com"}
    del statement["Condition"]
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    await world.call("sqs", "set_queue_attributes", QueueUrl=url, Attributes={"Policy": policy})
    pattern = json.dumps({"source": ["aws.s3"], "detail": {"bucket": {"name": ["bucket"]}}})
    await world.call("events", "put_rule", Name="r", EventPattern=pattern)
    target = {"Id": "q", "Arn": arn}
    await world.call("events", "put_targets", Rule="r", Targets=[target])
    await put(world, "unheard")
    await world.call(
        "s3",
        "put_bucket_notification_configuration",
        Bucket="bucket",
        NotificationConfiguration={"EventBridgeConfiguration": {}},
    )
    await put(world, "k", b"hello")
    tags = {"TagSet": [{"Key": "a", "Value": "b"}]}
    await world.call("s3", "put_object_tagging", Bucket="bucket", Key="k", Tagging=tags)
    await world.call("s3", "delete_object", Bucket="bucket", Key="k")
    await world.settle()
    events = [json.loads(one["Body"]) for one in await heard(world, arn)]
    found = {one["detail-type"]: one for one in events}
    assert set(found) == {"Object Created", "Object Tags Added", "Object Deleted"}
    created = found["Object Created"]
    assert (created["source"], created["account"], created["region"], created["resources"]) == (
        "aws.s3",
        ACCOUNT,
        REGION,
        ["arn:aws:s3:::bucket"],
    )
    detail = created["detail"]
    assert detail["object"].pop("sequencer")
    assert detail.pop("request-id")
    assert detail == {
        "version": "0",
        "bucket": {"name": "bucket"},
        "object": {"key": "k", "size": 5, "etag": "5d41402abc4b2a76b9719d911017c592"},
        "requester": ACCOUNT,
        "source-ip-address": "127.0.0.1",
        "reason": "PutObject",
    }
    assert found["Object Deleted"]["detail"]["deletion-type"] == "Permanently Deleted"


@told
async def test_a_crash_between_object_and_message_loses_no_message(world: World) -> None:
    await world.call("s3", "create_bucket", Bucket="bucket")
    arn = await open_queue(world)
    await ask(world, arn)
    await heard(world, arn)
    await put(world, "k")
    after = world.again()
    await after.start()
    found = await records(after, arn)
    assert {one["s3"]["object"]["key"] for one in found} == {"k"}
    await after.close()
