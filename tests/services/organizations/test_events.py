"""What the management account hears of its organisation through EventBridge."""

from __future__ import annotations

import json
from typing import Any

from tests.services.organizations.helpers import MASTER, account, organization, orgs
from tests.services.world import World, told


async def listener(world: World) -> str:
    """A queue to which a rule brings all that Organizations tells; its URL."""
    url = (await world.call("sqs", "create_queue", QueueName="news"))["QueueUrl"]
    arn = f"arn:aws:sqs:us-east-1:{MASTER}:news"
    statement = {
        "Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage", "Resource": arn,
    }  # fmt: skip
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    await world.call("sqs", "set_queue_attributes", QueueUrl=url, Attributes={"Policy": document})
    pattern = json.dumps({
        "source": ["aws.organizations"],
        "detail-type": ["AWS Service Event via CloudTrail"],
    })  # fmt: skip
    await world.call("events", "put_rule", Name="news", EventPattern=pattern)
    await world.call("events", "put_targets", Rule="news", Targets=[{"Id": "q", "Arn": arn}])
    return str(url)


async def heard(world: World, url: str) -> dict[str, dict[str, Any]]:
    """The events that have come, by name."""
    await world.settle()
    found: dict[str, dict[str, Any]] = {}
    while True:
        got = await world.call("sqs", "receive_message", QueueUrl=url, MaxNumberOfMessages=10)
        if not got.get("Messages"):
            return found
        for message in got["Messages"]:
            detail = json.loads(message["Body"])["detail"]
            found[detail["eventName"]] = detail
            await world.call(
                "sqs", "delete_message", QueueUrl=url, ReceiptHandle=message["ReceiptHandle"]
            )


@told
async def test_the_management_account_hears_who_comes_and_goes(world: World) -> None:
    name, _ = await organization(world)
    url = await listener(world)
    member = await account(world)
    events = await heard(world, url)
    joined = events["AccountJoinedOrganization"]
    assert joined["eventType"] == "AwsServiceEvent"
    details = joined["serviceEventDetails"]
    assert (details["accountId"], details["joinedMethod"], details["organizationId"]) == (
        member, "CREATED", name,
    )  # fmt: skip
    made = events["CreateAccountResult"]["serviceEventDetails"]["createAccountStatus"]
    assert (made["state"], made["accountId"]) == ("SUCCEEDED", member)
    await orgs(world, "create_account", AccountName="again", Email="till@example.com")
    made = (await heard(world, url))["CreateAccountResult"]["serviceEventDetails"]
    assert made["createAccountStatus"]["failureReason"] == "EMAIL_ALREADY_EXISTS"
    await orgs(world, "close_account", AccountId=member)
    closed = (await heard(world, url))["CloseAccountResult"]["serviceEventDetails"]
    assert closed["closeAccountStatus"]["state"] == "SUCCEEDED"
    await world.advance(days=90)
    gone = (await heard(world, url))["AccountDepartedOrganization"]["serviceEventDetails"]
    assert (gone["accountId"], gone["departureMethod"]) == (member, "CLEANED")
