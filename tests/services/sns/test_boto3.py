"""SNS through a real client: encrypted topics and delivery status logs, by real HTTP."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from doppio.testing import Cloud

TRUST = {
    "Version": "2012-10-17",
    "Statement": {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sts:AssumeRole",
    },
}


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with Cloud() as running:
        yield running


def test_an_encrypted_topic_delivers_is_logged_and_refuses_by_its_keys_code(cloud: Cloud) -> None:
    from botocore.exceptions import ClientError

    account = cloud.account()
    sns, kms, iam, sqs, logs = (
        account.client(name) for name in ("sns", "kms", "iam", "sqs", "logs")
    )
    key = kms.create_key()["KeyMetadata"]["Arn"]
    role = iam.create_role(RoleName="feedback", AssumeRolePolicyDocument=json.dumps(TRUST))
    may = {"Effect": "Allow", "Action": "logs:*", "Resource": "*"}
    iam.put_role_policy(
        RoleName="feedback", PolicyName="logs",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": may}),
    )  # fmt: skip
    topic = sns.create_topic(
        Name="orders",
        Attributes={
            "KmsMasterKeyId": key,
            "SQSSuccessFeedbackRoleArn": role["Role"]["Arn"],
            "SQSSuccessFeedbackSampleRate": "100",
        },
    )["TopicArn"]
    url = sqs.create_queue(QueueName="barista")["QueueUrl"]
    arn = topic.replace(":sns:", ":sqs:").replace("orders", "barista")
    let_in = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": let_in})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    sent = sns.publish(TopicArn=topic, Message="flat white")
    (message,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"]
    assert json.loads(message["Body"])["Message"] == "flat white"
    line = _line(logs, f"sns/{':'.join(topic.split(':')[3:5]).replace(':', '/')}/orders")
    assert line["notification"]["messageId"] == sent["MessageId"]
    assert line["delivery"]["destination"] == arn

    sns.set_topic_attributes(
        TopicArn=topic, AttributeName="KmsMasterKeyId", AttributeValue="alias/nobody"
    )
    with pytest.raises(ClientError) as refused:
        sns.publish(TopicArn=topic, Message="x")
    assert refused.value.response["Error"]["Code"] == "KMSNotFound"
    assert isinstance(refused.value, sns.exceptions.KMSNotFoundException)


def _line(logs: Any, group: str) -> Any:
    """The first line of a log group, when it is there."""
    for _ in range(200):
        try:
            found = logs.filter_log_events(logGroupName=group)["events"]
        except logs.exceptions.ResourceNotFoundException:
            found = []
        if found:
            return json.loads(found[0]["message"])
        time.sleep(0.02)
    raise AssertionError(f"no line in {group}")
