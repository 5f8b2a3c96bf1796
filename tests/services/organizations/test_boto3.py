"""Organizations through a real client, with real sessions in the accounts that it makes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from doppio.testing import Account, Cloud

DENY = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Deny", "Action": "sqs:CreateQueue", "Resource": "*"}
]})  # fmt: skip


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with Cloud() as running:
        yield running


@pytest.fixture
def master(cloud: Cloud) -> Account:
    return cloud.account()


def made(organizations: Any, name: str) -> str:
    """The id of a new account."""
    asked = organizations.create_account(AccountName=name, Email=f"{name}@example.com")
    status = asked["CreateAccountStatus"]
    for _ in range(100):
        if status["State"] != "IN_PROGRESS":
            break
        time.sleep(0.05)
        status = organizations.describe_create_account_status(CreateAccountRequestId=status["Id"])[
            "CreateAccountStatus"
        ]
    return str(status["AccountId"])


def keys_in(master: Account, member: str) -> dict[str, str]:
    """A session in a member account, for a client."""
    sts = master.client("sts")
    got = sts.assume_role(
        RoleArn=f"arn:aws:iam::{member}:role/OrganizationAccountAccessRole", RoleSessionName="visit"
    )["Credentials"]
    return {
        "aws_access_key_id": got["AccessKeyId"],
        "aws_secret_access_key": got["SecretAccessKey"],
        "aws_session_token": got["SessionToken"],
    }


def test_a_session_in_a_member_account_is_bound_by_a_policy_on_its_unit(master: Account) -> None:
    organizations = master.client("organizations")
    organizations.create_organization()
    root = organizations.list_roots()["Roots"][0]["Id"]
    organizations.enable_policy_type(RootId=root, PolicyType="SERVICE_CONTROL_POLICY")
    bar = organizations.create_organizational_unit(ParentId=root, Name="bar")
    bar = bar["OrganizationalUnit"]["Id"]
    member = made(organizations, "till")
    organizations.move_account(AccountId=member, SourceParentId=root, DestinationParentId=bar)
    keys = keys_in(master, member)
    sqs = master.client("sqs", **keys)
    url = sqs.create_queue(QueueName="before")["QueueUrl"]
    assert f"/{member}/" in url
    policy = organizations.create_policy(
        Name="no-queues", Description="", Type="SERVICE_CONTROL_POLICY", Content=DENY
    )["Policy"]["PolicySummary"]["Id"]
    organizations.attach_policy(PolicyId=policy, TargetId=bar)
    with pytest.raises(sqs.exceptions.ClientError) as refused:
        sqs.create_queue(QueueName="under")
    error = refused.value.response["Error"]
    arn = f"arn:aws:sts::{member}:assumed-role/OrganizationAccountAccessRole/visit"
    assert error["Message"] == (
        f"User: {arn} is not authorized to perform: sqs:createqueue on resource: "
        f"arn:aws:sqs:us-east-1:{member}:under with an explicit deny in a service control policy"
    )
    sqs.send_message(QueueUrl=url, MessageBody="still")
    organizations.detach_policy(PolicyId=policy, TargetId=bar)
    sqs.create_queue(QueueName="after")
    with pytest.raises(organizations.exceptions.ConstraintViolationException) as kept:
        organizations.remove_account_from_organization(AccountId=member)
    assert kept.value.response["Reason"] == "WAIT_PERIOD_ACTIVE"
    assert kept.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_paginators_go_through_all_accounts(master: Account) -> None:
    organizations = master.client("organizations")
    organizations.create_organization()
    names = {master.account_id, *(made(organizations, f"p{number}") for number in range(3))}
    pages = organizations.get_paginator("list_accounts").paginate(PaginationConfig={"PageSize": 2})
    assert {one["Id"] for page in pages for one in page["Accounts"]} == names


def test_a_closed_account_lets_nobody_in(master: Account) -> None:
    organizations = master.client("organizations")
    organizations.create_organization()
    member = made(organizations, "closing")
    sqs = master.client("sqs", **keys_in(master, member))
    sqs.list_queues()
    organizations.close_account(AccountId=member)
    for _ in range(100):
        shown = organizations.describe_account(AccountId=member)["Account"]
        if shown["Status"] == "SUSPENDED":
            break
        time.sleep(0.05)
    with pytest.raises(sqs.exceptions.ClientError) as refused:
        sqs.list_queues()
    assert refused.value.response["Error"]["Code"] == "InvalidClientTokenId"
    with pytest.raises(sqs.exceptions.ClientError) as refused:
        keys_in(master, member)
    assert refused.value.response["Error"]["Code"] == "AccessDenied"


def test_an_account_in_govcloud_is_made_entered_and_used(cloud: Cloud) -> None:
    master, region = cloud.account(), "us-gov-west-1"
    organizations = master.client("organizations")
    organizations.create_organization()
    asked = organizations.create_gov_cloud_account(AccountName="safe", Email="safe@example.com")
    status = asked["CreateAccountStatus"]
    for _ in range(100):
        if status["State"] != "IN_PROGRESS":
            break
        time.sleep(0.05)
        status = organizations.describe_create_account_status(CreateAccountRequestId=status["Id"])[
            "CreateAccountStatus"
        ]
    gov = status["GovCloudAccountId"]
    iam = master.client("iam", region_name=region)
    iam.create_user(UserName="keeper")
    policy = "arn:aws-us-gov:iam::aws:policy/AdministratorAccess"
    iam.attach_user_policy(UserName="keeper", PolicyArn=policy)
    key = iam.create_access_key(UserName="keeper")["AccessKey"]
    sts = master.client(
        "sts", region_name=region, aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )  # fmt: skip
    role = f"arn:aws-us-gov:iam::{gov}:role/OrganizationAccountAccessRole"
    got = sts.assume_role(RoleArn=role, RoleSessionName="visit")["Credentials"]
    session = {
        "aws_access_key_id": got["AccessKeyId"],
        "aws_secret_access_key": got["SecretAccessKey"],
        "aws_session_token": got["SessionToken"],
    }
    s3 = master.client("s3", region_name=region, **session)
    s3.create_bucket(Bucket="govsafe", CreateBucketConfiguration={"LocationConstraint": region})
    topic = master.client("sns", region_name=region, **session).create_topic(Name="alarms")
    assert topic["TopicArn"] == f"arn:aws-us-gov:sns:{region}:{gov}:alarms"
    with pytest.raises(ClientError) as refused:
        master.client("sns", **session).list_topics()
    assert refused.value.response["Error"]["Code"] == "InvalidClientTokenId"
