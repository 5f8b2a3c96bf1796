"""Lambda through HTTP, with the client that people use."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from doppio.testing import Cloud
from tests.services.lambda_.base import TRUST, zipped


def test_a_function_is_made_changed_fetched_and_deleted() -> None:
    with Cloud() as cloud:
        role = cloud.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
        client = cloud.client("lambda")
        made = client.create_function(
            FunctionName="f", Runtime="python3.13", Handler="app.handler",
            Role=role["Role"]["Arn"], Code={"ZipFile": zipped()}, Tags={"team": "bar"},
        )  # fmt: skip
        assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
        client.get_waiter("function_active_v2").wait(FunctionName="f")
        client.update_function_code(FunctionName="f", ZipFile=zipped("x = 1\n"))
        client.get_waiter("function_updated_v2").wait(FunctionName="f")
        got = client.get_function(FunctionName=made["FunctionArn"])
        assert got["Tags"] == {"team": "bar"}
        location = got["Code"]["Location"]
        with urllib.request.urlopen(location) as answer:
            assert answer.read() == zipped("x = 1\n")
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(location[:-8] + "AAAAAAAA")
        names = [
            one["FunctionName"]
            for page in client.get_paginator("list_functions").paginate()
            for one in page["Functions"]
        ]
        assert names == ["f"]
        deleted = client.delete_function(FunctionName="f")
        assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
        with pytest.raises(ClientError) as error:
            client.get_function(FunctionName="f")
        assert error.value.response["Error"]["Code"] == "ResourceNotFoundException"
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_a_package_of_fifty_megabytes_comes_within_a_request_and_no_larger_one() -> None:
    with Cloud() as cloud:
        role = cloud.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
        client = cloud.client("lambda")
        made = {
            "Runtime": "python3.13", "Handler": "app.handler", "Role": role["Role"]["Arn"],
        }  # fmt: skip
        with pytest.raises(ClientError) as error:
            client.create_function(FunctionName="g", Code={"ZipFile": b"\0" * 52_428_801}, **made)
        assert error.value.response["Error"]["Message"] == (
            "Zipped size must be smaller than 52428800 bytes"
        )
        with pytest.raises(ClientError) as error:
            client.create_function(FunctionName="g", Code={"ZipFile": b"\0" * 52_626_000}, **made)
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413


SENDS = """
import boto3, os
def handler(event, context):
    for record in event["Records"]:
        boto3.client("sqs").send_message(QueueUrl=os.environ["TO"], MessageBody=record["body"])
"""


def test_a_queue_s_messages_go_through_a_function_also_after_a_restart(tmp_path: Path) -> None:
    with Cloud(data=tmp_path) as cloud:
        iam, sqs, client = (cloud.client(name) for name in ("iam", "sqs", "lambda"))
        role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
        iam.attach_role_policy(
            RoleName="r", PolicyArn="arn:aws:iam::aws:policy/AmazonSQSFullAccess"
        )
        arns = {}
        for name in ("orders", "served"):
            url = sqs.create_queue(QueueName=name)["QueueUrl"]
            told = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
            arns[name] = told["Attributes"]["QueueArn"]
        client.create_function(
            FunctionName="f", Runtime="python3.11", Handler="app.handler", Role=role, Timeout=20,
            Code={"ZipFile": zipped(SENDS)}, Environment={"Variables": {"TO": url}},
        )  # fmt: skip
        client.get_waiter("function_active_v2").wait(FunctionName="f")
        client.create_event_source_mapping(
            EventSourceArn=arns["orders"], FunctionName="f", BatchSize=1
        )
        sqs.send_message(QueueUrl=url.replace("served", "orders"), MessageBody="espresso")
        assert _received(sqs, url) == "espresso"
    with Cloud(data=tmp_path) as cloud:
        sqs = cloud.client("sqs")
        orders, served = (
            sqs.get_queue_url(QueueName=name)["QueueUrl"] for name in ("orders", "served")
        )
        cloud.client("lambda").update_function_configuration(
            FunctionName="f", Environment={"Variables": {"TO": served}}
        )
        cloud.client("lambda").get_waiter("function_updated_v2").wait(FunctionName="f")
        sqs.send_message(QueueUrl=orders, MessageBody="tea")
        assert _received(sqs, served) == "tea"


def _received(sqs: Any, url: str) -> str:
    for _ in range(3):
        answer = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=10)
        for one in answer.get("Messages", []):
            sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
            return str(one["Body"])
    raise AssertionError("nothing has come")
