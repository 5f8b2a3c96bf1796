"""API calls as CloudTrail tells them: who did what, with which answer; and what stays untold."""

from __future__ import annotations

import json
from typing import Any

from doppio.kernel.trail import Pending
from doppio.services.events.records import WITH_READS
from doppio.wire.errors import AwsError
from tests.services.crashes import Told, crash_everywhere
from tests.services.events.helpers import bodies, queue, rule
from tests.services.iam.helpers import trust
from tests.services.kms.helpers import allow, user
from tests.services.world import ACCOUNT, OTHER, REGION, World, refusal, told

CALL = "AWS API Call via CloudTrail"


async def listens(world: World, *sources: str, **more: Any) -> str:
    """A queue that is told of API calls of sources (of all without); its ARN."""
    to = await queue(world, "told")
    pattern: dict[str, Any] = {"detail-type": [CALL], **more}
    if sources:
        pattern["source"] = list(sources)
    await rule(world, "calls", {"Arn": to}, pattern=json.dumps(pattern))
    await world.settle()
    await bodies(world, to)
    return to


async def calls(world: World, arn: str) -> list[dict[str, Any]]:
    """The records of calls in a queue, taken out of it, by the names of their operations."""
    await world.settle()
    found = [json.loads(body) for body in await bodies(world, arn)]
    assert all(event["detail-type"] == CALL for event in found)
    return sorted((event["detail"] for event in found), key=lambda one: str(one["eventName"]))


@told
async def test_a_call_is_told_with_who_asked_what_and_what_the_answer_was(world: World) -> None:
    to = await listens(world, "aws.sns")
    made = await world.call(
        "sns", "create_topic", Name="news", Tags=[{"Key": "Team", "Value": "bar"}]
    )
    await world.settle()
    (body,) = await bodies(world, to)
    event = json.loads(body)
    assert (event["source"], event["account"], event["region"]) == ("aws.sns", ACCOUNT, REGION)
    detail = event["detail"]
    assert detail.pop("eventID")
    assert detail.pop("requestID")
    assert detail == {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "Root", "principalId": ACCOUNT, "arn": f"arn:aws:iam::{ACCOUNT}:root",
            "accountId": ACCOUNT,
        },
        "eventTime": "2030-01-01T00:00:00Z",
        "eventSource": "sns.amazonaws.com",
        "eventName": "CreateTopic",
        "awsRegion": REGION,
        "sourceIPAddress": "127.0.0.1",
        "userAgent": "",
        "requestParameters": {"name": "news", "tags": [{"key": "Team", "value": "bar"}]},
        "responseElements": {"topicArn": made["TopicArn"]},
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
    }  # fmt: skip


@told
async def test_a_user_and_a_role_are_named_as_cloudtrail_does(world: World) -> None:
    to = await listens(world, "aws.sqs")
    ada = await user(world, "ada", allow("*"))
    await world.call("sqs", "create_queue", caller=ada, QueueName="a")
    (one,) = await calls(world, to)
    assert one["userIdentity"] == {
        "type": "IAMUser", "principalId": ada.id, "arn": ada.arn, "accountId": ACCOUNT,
        "accessKeyId": ada.access_key, "userName": "ada",
    }  # fmt: skip
    made = await world.call(
        "iam", "create_role", RoleName="barista", AssumeRolePolicyDocument=trust({"AWS": ACCOUNT})
    )
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow("*")]})
    await world.call(
        "iam", "put_role_policy", RoleName="barista", PolicyName="all", PolicyDocument=document
    )
    session = await world.call(
        "sts", "assume_role", RoleArn=made["Role"]["Arn"], RoleSessionName="shift"
    )
    barista = await world.who(session["Credentials"])
    await world.call("sqs", "create_queue", caller=barista, QueueName="b")
    (one,) = await calls(world, to)
    identity = one["userIdentity"]
    assert identity["type"] == "AssumedRole"
    assert identity["arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/barista/shift"
    assert identity["sessionContext"] == {
        "sessionIssuer": {
            "type": "Role", "principalId": made["Role"]["RoleId"], "arn": made["Role"]["Arn"],
            "accountId": ACCOUNT, "userName": "barista",
        },
        "attributes": {"mfaAuthenticated": "false", "creationDate": "2030-01-01T00:00:00Z"},
    }  # fmt: skip


@told
async def test_what_only_reads_is_data_or_is_done_by_services_is_not_told(world: World) -> None:
    to = await listens(world)
    made = await world.call("sqs", "create_queue", QueueName="q")
    await calls(world, to)
    await world.call("sqs", "get_queue_attributes", QueueUrl=made["QueueUrl"])
    await world.call("sqs", "list_queues")
    await world.call("sqs", "send_message", QueueUrl=made["QueueUrl"], MessageBody="x")
    entry = {"Source": "shop", "DetailType": "sold", "Detail": "{}"}
    await world.call("events", "put_events", Entries=[entry])
    key = (await world.call("kms", "create_key"))["KeyMetadata"]["KeyId"]
    assert [one["eventName"] for one in await calls(world, to)] == ["CreateKey"]
    await world.call("kms", "generate_data_key", KeyId=key, KeySpec="AES_256")
    await world.call("kms", "encrypt", KeyId=key, Plaintext=b"x")
    assert await calls(world, to) == []


@told
async def test_a_refused_call_is_told_with_its_error(world: World) -> None:
    to = await listens(world, detail={"errorCode": [{"exists": True}]})
    eve = await user(world, "eve")
    assert (await refusal(world.call("sns", "create_topic", caller=eve, Name="x")))[0]
    assert (await refusal(world.call("iam", "delete_user", UserName="nobody")))[0] == "NoSuchEntity"
    assert (await refusal(world.call("sqs", "list_queues", caller=eve)))[0]
    gone, denied = sorted(await calls(world, to), key=lambda one: str(one["eventSource"]))
    assert (gone["eventName"], gone["errorCode"]) == ("DeleteUser", "NoSuchEntity")
    assert gone["awsRegion"] == "us-east-1"
    assert (denied["eventName"], denied["errorCode"]) == ("CreateTopic", "AuthorizationError")
    assert "sns:CreateTopic" in denied["errorMessage"]
    assert denied["responseElements"] is None
    assert denied["requestParameters"] == {"name": "x"}


@told
async def test_secrets_are_hidden_and_large_parts_left_out(world: World) -> None:
    to = await listens(world)
    await world.call("secretsmanager", "create_secret", Name="pin", SecretString="0042")
    await world.call("iam", "create_user", UserName="ada")
    await world.call("iam", "create_access_key", UserName="ada")
    await world.call(
        "cloudwatch", "put_dashboard", DashboardName="d",
        DashboardBody=json.dumps({"widgets": [], "note": "x" * 110_000}),
    )  # fmt: skip
    found = {one["eventName"]: one for one in await calls(world, to)}
    assert "0042" not in json.dumps(found)
    assert found["CreateSecret"]["requestParameters"]["secretString"] == (
        "HIDDEN_DUE_TO_SECURITY_REASONS"
    )
    answer = found["CreateAccessKey"]["responseElements"]["accessKey"]
    assert answer["secretAccessKey"] == "HIDDEN_DUE_TO_SECURITY_REASONS"
    assert answer["accessKeyId"].startswith("AKIA")
    assert found["PutDashboard"]["requestParameters"]["omitted"] is True
    assert found["PutDashboard"]["eventSource"] == "monitoring.amazonaws.com"


@told
async def test_nothing_is_told_where_no_rule_asks_for_calls(world: World) -> None:
    to = await queue(world, "told")
    await rule(world, "all", {"Arn": to}, pattern='{"source": [{"prefix": "aws."}]}')
    await world.call("sns", "create_topic", Name="news")
    assert await bodies(world, to) == []
    # A rule that asks for them is heeded from the next call on; and not any more when it is gone.
    await rule(world, "calls", pattern=json.dumps({"detail-type": [CALL]}))
    await world.call("sns", "create_topic", Name="olds")
    assert any(one["eventName"] == "CreateTopic" for one in await calls(world, to))
    await world.call("events", "delete_rule", Name="calls")
    await calls(world, to)
    await world.call("sns", "create_topic", Name="more")
    assert await calls(world, to) == []
    await world.call("sns", "create_topic", account=OTHER, Name="theirs")
    assert await calls(world, to) == []


def test_a_call_that_wrote_is_told_whatever_crashes() -> None:
    async def prepare(world: World, told: Told) -> None:
        told["to"] = await listens(world, "aws.sns")
        told["made"] = []

    async def work(world: World, told: Told) -> None:
        for name in ("one", "two"):
            try:
                await world.call("sns", "create_topic", Name=name)
            except AwsError:
                return
            told["made"].append(name)

    async def check(world: World, told: Told) -> None:
        await world.settle()
        listed = await world.call("sns", "list_topics")
        there = {one["TopicArn"].rpartition(":")[2] for one in listed["Topics"]}
        found = await calls(world, told["to"])
        names = {one["requestParameters"]["name"] for one in found}
        # What is there was told, also where its answer never came.
        assert there == names
        assert set(told["made"]) <= names
        for one in found:
            arn = f"arn:aws:sns:{REGION}:{ACCOUNT}:{one['requestParameters']['name']}"
            assert one["responseElements"] in (None, {"topicArn": arn})
        assert await world.cloud.root_context().read().list(Pending, limit=9) == []

    assert crash_everywhere(prepare, work, check) >= 4


@told
async def test_a_rule_may_hear_of_calls_that_only_read_too(world: World) -> None:
    to = await queue(world, "told")
    pattern = json.dumps({"detail-type": [CALL], "source": ["aws.sns", "aws.kms"]})
    await rule(world, "all", {"Arn": to}, pattern=pattern, State=WITH_READS)
    other = await queue(world, "writes")
    await rule(world, "writes", {"Arn": other}, pattern=pattern)
    await world.call("sns", "create_topic", Name="news")
    await world.call("sns", "list_topics")
    key = (await world.call("kms", "create_key"))["KeyMetadata"]["KeyId"]
    await world.call("kms", "encrypt", KeyId=key, Plaintext=b"x")
    eve = await user(world, "eve")
    assert (await refusal(world.call("sns", "list_topics", caller=eve)))[0]
    found = await calls(world, to)
    named = sorted((one["eventName"], one["readOnly"], "errorCode" in one) for one in found)
    assert named == [
        ("CreateKey", False, False), ("CreateTopic", False, False), ("Encrypt", True, False),
        ("ListTopics", True, False), ("ListTopics", True, True),
    ]  # fmt: skip
    assert all(one["responseElements"] is None for one in found if one["readOnly"])
    assert [one["eventName"] for one in await calls(world, other)] == ["CreateKey", "CreateTopic"]
    assert (await world.call("events", "describe_rule", Name="all"))["State"] == WITH_READS
    await world.call("events", "enable_rule", Name="all")
    await world.call("sns", "list_topics")
    assert await calls(world, to) == []
