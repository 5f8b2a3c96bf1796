"""GovCloud through a real client: the same keys and account, and another world."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from doppio.testing import Cloud
from tests.services.iam.helpers import document, trust

GOV = "us-gov-west-1"


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with Cloud() as running:
        yield running


def test_keys_of_govcloud_work_there_and_nowhere_else(cloud: Cloud) -> None:
    account = cloud.account()
    number = account.account_id
    iam = account.client("iam", region_name=GOV)
    user = iam.create_user(UserName="barista")["User"]
    assert user["Arn"] == f"arn:aws-us-gov:iam::{number}:user/barista"
    policy = "arn:aws-us-gov:iam::aws:policy/AdministratorAccess"
    iam.attach_user_policy(UserName="barista", PolicyArn=policy)
    made = iam.create_access_key(UserName="barista")["AccessKey"]
    keys = {
        "aws_access_key_id": made["AccessKeyId"],
        "aws_secret_access_key": made["SecretAccessKey"],
    }
    for region in (GOV, "us-gov-east-1"):
        who = account.client("sts", region_name=region, **keys).get_caller_identity()
        assert who["Arn"] == user["Arn"]
    calls: tuple[tuple[str, str, str], ...] = (
        ("sts", "get_caller_identity", "InvalidClientTokenId"),
        ("sqs", "list_queues", "InvalidClientTokenId"),
        ("s3", "list_buckets", "InvalidAccessKeyId"),
    )
    for service, method, code in calls:
        client = account.client(service, region_name="us-east-1", **keys)
        with pytest.raises(ClientError) as refused:
            getattr(client, method)()
        assert refused.value.response["Error"]["Code"] == code
    # The commercial account of that number has no such user.
    assert account.client("iam").list_users()["Users"] == []


def test_a_role_of_govcloud_is_assumed_and_used_there(cloud: Cloud) -> None:
    account = cloud.account()
    number = account.account_id
    iam: Any = account.client("iam", region_name=GOV)
    role = iam.create_role(
        RoleName="shift",
        AssumeRolePolicyDocument=trust({"AWS": f"arn:aws-us-gov:iam::{number}:root"}),
    )["Role"]
    iam.put_role_policy(
        RoleName="shift", PolicyName="beans",
        PolicyDocument=document("s3:*", resource="arn:aws-us-gov:s3:::govbeans*"),
    )  # fmt: skip
    iam.create_user(UserName="ada")
    iam.put_user_policy(UserName="ada", PolicyName="p", PolicyDocument=document("sts:*"))
    made = iam.create_access_key(UserName="ada")["AccessKey"]
    sts = account.client(
        "sts", region_name=GOV, aws_access_key_id=made["AccessKeyId"],
        aws_secret_access_key=made["SecretAccessKey"],
    )  # fmt: skip
    got = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="late")["Credentials"]
    keys = {
        "aws_access_key_id": got["AccessKeyId"], "aws_secret_access_key": got["SecretAccessKey"],
        "aws_session_token": got["SessionToken"],
    }  # fmt: skip
    s3 = account.client("s3", region_name=GOV, **keys)
    s3.create_bucket(Bucket="govbeans", CreateBucketConfiguration={"LocationConstraint": GOV})
    s3.put_object(Bucket="govbeans", Key="arabica", Body=b"dark")
    assert s3.get_object(Bucket="govbeans", Key="arabica")["Body"].read() == b"dark"
    with pytest.raises(ClientError) as refused:
        account.client("s3", **keys).list_buckets()
    assert refused.value.response["Error"]["Code"] == "InvalidAccessKeyId"
    # The name is free elsewhere.
    account.client("s3").create_bucket(Bucket="govbeans")
