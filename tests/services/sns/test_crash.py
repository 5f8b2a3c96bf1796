"""A crash at any commit of what SNS does behind its answers: lines and reports are whole."""

from __future__ import annotations

import json

from doppio.services.sns.records import Delivery, Texted
from tests.services.crashes import Told, crash_everywhere
from tests.services.kms.helpers import key
from tests.services.sns.helpers import queue, subscribe, topic
from tests.services.sns.test_phones import NUMBER, reports, verified
from tests.services.sns.test_statuses import GROUP, feedback, lines, role
from tests.services.world import World


def test_what_was_delivered_is_logged_whatever_crashes() -> None:
    async def prepare(world: World, told: Told) -> None:
        await role(world)
        mine = await key(world)
        told["arn"] = await topic(world, KmsMasterKeyId=mine["Arn"], **feedback("SQS"))
        await subscribe(world, told["arn"], await queue(world, "a"))
        told["sent"] = []

    async def work(world: World, told: Told) -> None:
        for number in range(2):
            sent = await world.call("sns", "publish", TopicArn=told["arn"], Message=str(number))
            told["sent"].append(sent["MessageId"])
            await world.settle()

    async def check(world: World, told: Told) -> None:
        logged = [line["notification"]["messageId"] for line in await lines(world, GROUP)]
        # What was acknowledged is in the log; a line may be there twice.
        assert set(told["sent"]) <= set(logged)
        assert await world.cloud.root_context().read().list(Delivery, limit=5) == []

    assert crash_everywhere(prepare, work, check) > 6


def test_a_report_of_texts_is_whole_whatever_crashes() -> None:
    async def prepare(world: World, told: Told) -> None:
        await verified(world)
        await world.call("s3", "create_bucket", Bucket="reports")
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "s3:PutObject",
            "Resource": "arn:aws:s3:::reports/*",
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": statement})
        await world.call("s3", "put_bucket_policy", Bucket="reports", Policy=policy)
        settings = {"UsageReportS3Bucket": "reports"}
        await world.call("sns", "set_sms_attributes", attributes=settings)
        told["sent"] = set()
        for _ in range(2):
            sent = await world.call("sns", "publish", PhoneNumber=NUMBER, Message="x")
            told["sent"].add(sent["MessageId"])
            await world.advance(days=1 if len(told["sent"]) == 1 else 0)

    async def work(world: World, told: Told) -> None:
        await world.advance(days=1)

    async def check(world: World, told: Told) -> None:
        await world.advance(days=2)
        found = await reports(world)
        assert len(found) == 2
        assert {line[1] for lines in found.values() for line in lines[1:]} == told["sent"]
        assert all(len(lines) == 2 for lines in found.values())
        assert await world.cloud.root_context().read().list(Texted, limit=5) == []

    assert crash_everywhere(prepare, work, check) > 3
