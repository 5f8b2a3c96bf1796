"""Trust through a real client: sessions that give up a part, roles of services, what is delegated."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from doppio.testing import Account, Cloud
from tests.services.iam.helpers import document, trust


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with Cloud() as running:
        yield running


def signing(account: Account, service: str, credentials: dict[str, str]) -> Any:
    """A client that signs with a session's credentials."""
    return account.client(
        service, aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )  # fmt: skip


def code(call: Any, **req: Any) -> str:
    """The code with which a call is refused."""
    with pytest.raises(ClientError) as refused:
        call(**req)
    return str(refused.value.response["Error"]["Code"])


def until(look: Any, seconds: float = 20.0) -> Any:
    """What is there at last."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come")


def test_a_session_hands_on_less_than_it_has(cloud: Cloud) -> None:
    account = cloud.account()
    iam = account.client("iam")
    role = iam.create_role(
        RoleName="brewing", AssumeRolePolicyDocument=trust({"AWS": account.account_id})
    )["Role"]
    iam.put_role_policy(RoleName="brewing", PolicyName="p", PolicyDocument=document("*"))
    wide = account.client("sts").assume_role(
        RoleArn=role["Arn"], RoleSessionName="shift", MinimumSessionTokenSize=1_024
    )
    assert len(wide["Credentials"]["SessionToken"]) == wide["SessionTokenSize"] >= 1_024
    got = signing(account, "sts", wide["Credentials"]).get_scoped_credentials(
        Policy=document("sqs:ListQueues"), DurationSeconds=600
    )
    assert got["ScopedPoliciesCount"] == 1
    narrow = signing(account, "sqs", got["Credentials"])
    narrow.list_queues()
    assert code(narrow.create_queue, QueueName="orders").startswith("AccessDenied")
    who = signing(account, "sts", got["Credentials"]).get_caller_identity()
    assert who["Arn"] == wide["AssumedRoleUser"]["Arn"] == got["SessionInfo"]["Arn"]
    info = account.client("sts").get_access_key_info(AccessKeyId=got["Credentials"]["AccessKeyId"])
    assert info["Account"] == account.account_id


def test_a_services_role_comes_and_goes(cloud: Cloud) -> None:
    iam = cloud.account().client("iam")
    role = iam.create_service_linked_role(AWSServiceName="dax.amazonaws.com")["Role"]
    assert role["Arn"].endswith(":role/aws-service-role/dax.amazonaws.com/AWSServiceRoleForDAX")
    assert role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {
        "Service": ["dax.amazonaws.com"]
    }
    assert code(iam.delete_role, RoleName=role["RoleName"]) == "UnmodifiableEntity"
    task = iam.delete_service_linked_role(RoleName=role["RoleName"])["DeletionTaskId"]
    ask = iam.get_service_linked_role_deletion_status
    until(lambda: ask(DeletionTaskId=task)["Status"] == "SUCCEEDED")
    assert code(iam.get_role, RoleName=role["RoleName"]) == "NoSuchEntity"


def test_what_is_delegated_is_done_in_the_approvers_name(cloud: Cloud) -> None:
    partner, shop = cloud.account(), cloud.account()
    sns, sqs = partner.client("sns"), partner.client("sqs")
    topic = sns.create_topic(Name="updates")["TopicArn"]
    sns.set_topic_attributes(
        TopicArn=topic, AttributeName="Policy",
        AttributeValue=document(
            "sns:Publish", resource=topic, Principal={"Service": "iam.amazonaws.com"},
            Condition={"StringEquals": {"aws:SourceAccount": shop.account_id}},
        ),
    )  # fmt: skip
    url = sqs.create_queue(QueueName="updates")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    sqs.set_queue_attributes(
        QueueUrl=url, Attributes={"Policy": document("sqs:SendMessage", Principal="*")}
    )
    sns.subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=arn["QueueArn"],
        Attributes={"RawMessageDelivery": "true"},
    )  # fmt: skip
    template = partner.client("iam").create_policy(
        PolicyName="queues", PolicyDocument=document("sqs:CreateQueue", resource="arn:aws:sqs:*:*:@{queue}")
    )["Policy"]["Arn"]  # fmt: skip
    wanted = partner.client("iam").create_delegation_request(
        OwnerAccountId=shop.account_id, Description="makes a queue", RequestorWorkflowId="flow-1",
        NotificationChannel=topic, SessionDuration=3_600,
        Permissions={
            "PolicyTemplateArn": template,
            "Parameters": [{"Name": "queue", "Values": ["orders"], "Type": "string"}],
        },
    )["DelegationRequestId"]  # fmt: skip
    iam = shop.client("iam")
    iam.associate_delegation_request(DelegationRequestId=wanted)
    iam.accept_delegation_request(DelegationRequestId=wanted)
    iam.send_delegation_token(DelegationRequestId=wanted)

    def token() -> str | None:
        got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        said = [json.loads(one["Body"]) for one in got]
        return next((one["ExchangeToken"] for one in said if "ExchangeToken" in one), None)

    got = partner.client("sts").get_delegated_access_token(TradeInToken=until(token))
    acting = signing(shop, "sqs", got["Credentials"])
    acting.create_queue(QueueName="orders")
    assert code(acting.create_queue, QueueName="others").startswith("AccessDenied")
    assert [one.rpartition("/")[2] for one in shop.client("sqs").list_queues()["QueueUrls"]] == [
        "orders"
    ]
