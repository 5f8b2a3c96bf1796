"""Pipes by boto3, over real HTTP: what is in one queue comes to the other."""

from __future__ import annotations

import json
import time

from tests.clients.conftest import Account


def test_a_pipe_brings_a_message_from_queue_to_queue(account: Account) -> None:
    iam, sqs, pipes = account.client("iam"), account.client("sqs"), account.client("pipes")
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "pipes.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    role = iam.create_role(
        RoleName="plumber",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )["Role"]["Arn"]
    allowed = {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}
    iam.put_role_policy(
        RoleName="plumber",
        PolicyName="own",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}),
    )
    source = sqs.create_queue(QueueName="from")["QueueUrl"]
    target = sqs.create_queue(QueueName="to")["QueueUrl"]
    base = f"arn:aws:sqs:us-east-1:{account.number}"
    pipes.create_pipe(
        Name="line",
        RoleArn=role,
        Source=f"{base}:from",
        Target=f"{base}:to",
        TargetParameters={"InputTemplate": '{"order": <$.body.order>}'},
    )
    sqs.send_message(QueueUrl=source, MessageBody=json.dumps({"order": 7, "tip": 1}))
    (found,) = sqs.receive_message(QueueUrl=target, WaitTimeSeconds=10)["Messages"]
    assert json.loads(found["Body"]) == {"order": 7}
    assert pipes.describe_pipe(Name="line")["CurrentState"] == "RUNNING"
    pipes.stop_pipe(Name="line")
    until = time.monotonic() + 10
    while pipes.describe_pipe(Name="line")["CurrentState"] != "STOPPED":
        assert time.monotonic() < until
        time.sleep(0.02)
    pipes.delete_pipe(Name="line")
