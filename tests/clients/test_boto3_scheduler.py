"""Schedules by boto3, over real HTTP: what comes due is in the queue."""

from __future__ import annotations

import json

import pytest

from tests.clients.conftest import Account


def test_a_schedule_writes_to_its_queue(account: Account) -> None:
    iam, sqs = account.client("iam"), account.client("sqs")
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "scheduler.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    role = iam.create_role(
        RoleName="clockwork",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )["Role"]["Arn"]
    allowed = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}
    iam.put_role_policy(
        RoleName="clockwork",
        PolicyName="own",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}),
    )
    url = sqs.create_queue(QueueName="orders")["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    scheduler = account.client("scheduler")
    made = scheduler.create_schedule(
        Name="morning",
        ScheduleExpression="rate(1 day)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={
            "Arn": "arn:aws:scheduler:::aws-sdk:sqs:sendMessage",
            "RoleArn": role,
            "Input": json.dumps({"QueueUrl": url, "MessageBody": "<aws.scheduler.schedule-arn>"}),
        },
    )
    found = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=10)["Messages"]
    assert [one["Body"] for one in found] == [made["ScheduleArn"]]
    assert queue["QueueArn"].endswith(":orders")
    shown = scheduler.get_schedule(Name="morning")
    assert shown["State"] == "ENABLED"
    scheduler.delete_schedule(Name="morning")
    with pytest.raises(
        scheduler.exceptions.ResourceNotFoundException, match="Schedule morning does not exist"
    ):
        scheduler.get_schedule(Name="morning")
