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


def test_a_pipe_brings_what_a_table_tells(account: Account) -> None:
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
    allowed = {"Effect": "Allow", "Action": ["sqs:*", "dynamodb:*"], "Resource": "*"}
    iam.put_role_policy(
        RoleName="plumber",
        PolicyName="own",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}),
    )
    dynamodb = account.client("dynamodb")
    made = dynamodb.create_table(
        TableName="orders",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )
    dynamodb.get_waiter("table_exists").wait(TableName="orders", WaiterConfig={"Delay": 1})
    target = sqs.create_queue(QueueName="to")["QueueUrl"]
    pipes.create_pipe(
        Name="line",
        RoleArn=role,
        Source=made["TableDescription"]["LatestStreamArn"],
        SourceParameters={"DynamoDBStreamParameters": {"StartingPosition": "TRIM_HORIZON"}},
        Target=f"arn:aws:sqs:us-east-1:{account.number}:to",
    )
    dynamodb.put_item(TableName="orders", Item={"id": {"S": "a"}, "raw": {"B": b"\x00"}})
    (found,) = sqs.receive_message(QueueUrl=target, WaitTimeSeconds=10)["Messages"]
    event = json.loads(found["Body"])
    assert event["dynamodb"]["NewImage"] == {"id": {"S": "a"}, "raw": {"B": "AA=="}}
    assert event["eventSourceARN"] == made["TableDescription"]["LatestStreamArn"]
    pipes.delete_pipe(Name="line")
