"""Lambda through HTTP, with the client that people use."""

from __future__ import annotations

import urllib.error
import urllib.request

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
