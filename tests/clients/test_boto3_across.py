"""Two accounts and real clients: what it takes of both that one's principals work with the other's."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from .conftest import Account, _accounts

EXTERNAL = "espresso"


# Of several gateways, another one hears of a changed policy a moment later, as in AWS. Here each
# change counts at the next call, so all calls are made at one.


@pytest.fixture
def account(endpoints: list[str]) -> Account:
    """The account whose principals they are."""
    return Account(endpoints[:1], f"{next(_accounts):012d}")


@pytest.fixture
def there(endpoints: list[str]) -> Account:
    """The other account, whose resources they are."""
    return Account(endpoints[:1], f"{next(_accounts):012d}")


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def trusting(principal: str, **when: Any) -> str:
    statement = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"}
    return policy({**statement, "Condition": when} if when else statement)


def barista(account: Account, **more: Any) -> tuple[str, tuple[str, ...]]:
    """A user with keys: its ARN, and the keys."""
    iam = account.client("iam")
    arn = iam.create_user(UserName="barista", **more)["User"]["Arn"]
    key = iam.create_access_key(UserName="barista")["AccessKey"]
    return str(arn), (key["AccessKeyId"], key["SecretAccessKey"])


def may(account: Account, *statements: dict[str, Any]) -> None:
    """What the user's own policy says."""
    account.client("iam").put_user_policy(
        UserName="barista", PolicyName="own", PolicyDocument=policy(*statements)
    )


def session(
    account: Account, keys: tuple[str, ...] | None, role: str, **more: Any
) -> tuple[str, ...]:
    """The keys of a role's session."""
    sts = account.client("sts", keys=keys)
    given = sts.assume_role(RoleArn=role, RoleSessionName="shift", **more)["Credentials"]
    return given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]


def refusal(call: Callable[[], Any]) -> tuple[str, str]:
    """The code and text with which a call is refused."""
    with pytest.raises(ClientError) as refused:
        call()
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_role_there_is_assumed_by_whom_it_trusts_and_whose_account_lets_it(
    account: Account, there: Account
) -> None:
    user, keys = barista(account)
    iam = there.client("iam")
    only_with = {"StringEquals": {"sts:ExternalId": EXTERNAL}}
    role = iam.create_role(
        RoleName="brewing", Path="/kitchen/",
        AssumeRolePolicyDocument=trusting(account.number, **only_with),
    )["Role"]["Arn"]  # fmt: skip
    iam.put_role_policy(
        RoleName="brewing", PolicyName="p", PolicyDocument=policy(allow("sqs:*"), allow("s3:List*"))
    )

    def assume(external: str = EXTERNAL) -> tuple[str, ...]:
        return session(account, keys, role, ExternalId=external)

    code, said = refusal(assume)
    assert code == "AccessDenied"
    assert said.startswith(f"User: {user} is not authorized to perform: sts:AssumeRole on resource")
    may(account, allow("sts:AssumeRole", role))
    assert refusal(lambda: assume("decaf"))[0] == "AccessDenied"
    worn = assume()
    who = there.client("sts", keys=worn).get_caller_identity()
    assert who["Arn"] == f"arn:aws:sts::{there.number}:assumed-role/brewing/shift"
    assert who["Account"] == there.number
    # It works there, in that account, and no more than its role may.
    url = there.client("sqs", keys=worn).create_queue(QueueName="orders")["QueueUrl"]
    assert there.number in url
    assert there.client("sqs").list_queues()["QueueUrls"] == [url]
    assert "QueueUrls" not in account.client("sqs").list_queues()
    code, said = refusal(lambda: there.client("s3", keys=worn).create_bucket(Bucket="x-cafe"))
    assert code == "AccessDenied"
    assert said.endswith("because no identity-based policy allows the s3:CreateBucket action")
    # The role trusts the account no more: sessions that are under way go on, new ones do not begin.
    iam.update_assume_role_policy(
        RoleName="brewing", PolicyDocument=trusting(f"arn:aws:iam::{there.number}:root")
    )
    assert refusal(assume)[0] == "AccessDenied"
    assert there.client("sqs", keys=worn).list_queues()["QueueUrls"] == [url]


def test_a_bucket_there_is_read_when_its_policy_and_ones_own_let_in(
    account: Account, there: Account
) -> None:
    user, keys = barista(account)
    s3, visitor = there.client("s3"), account.client("s3", keys=keys)
    bucket = f"menu-{there.number}"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="tea", Body=b"hot")

    def read() -> bytes:
        return bytes(visitor.get_object(Bucket=bucket, Key="tea")["Body"].read())

    may(account, allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*"))
    code, said = refusal(read)
    assert code == "AccessDenied"
    assert said.endswith("because no resource-based policy allows the s3:GetObject action")
    for principal in (user, account.number, f"arn:aws:iam::{account.number}:root"):
        opened = allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*", Principal={"AWS": principal})
        s3.put_bucket_policy(Bucket=bucket, Policy=policy(opened))
        assert read() == b"hot"
    assert refusal(lambda: visitor.put_object(Bucket=bucket, Key="tea"))[0] == "AccessDenied"
    may(account, allow("sqs:*"))
    assert refusal(read)[1].endswith(
        "because no identity-based policy allows the s3:GetObject action"
    )
    may(account, allow("s3:*"))
    closed = {**opened, "Effect": "Deny", "Principal": {"AWS": user}}
    s3.put_bucket_policy(Bucket=bucket, Policy=policy(opened, closed))
    assert refusal(read)[1].endswith("with an explicit deny in a resource-based policy")


def test_a_queue_there_takes_messages_and_gives_none(account: Account, there: Account) -> None:
    user, keys = barista(account)
    may(account, allow("sqs:*"))
    sqs, visitor = there.client("sqs"), account.client("sqs", keys=keys)
    url = sqs.create_queue(QueueName="orders")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]

    def send() -> Any:
        return visitor.send_message(QueueUrl=url, MessageBody="a cup")

    assert refusal(send)[1].endswith(
        "because no resource-based policy allows the sqs:sendmessage action"
    )
    opened = allow("sqs:SendMessage", arn, Principal={"AWS": user})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy(opened)})
    send()
    assert "AccessDenied" in refusal(lambda: visitor.receive_message(QueueUrl=url))[0]
    [message] = sqs.receive_message(QueueUrl=url)["Messages"]
    assert message["Body"] == "a cup"


def test_a_key_there_opens_what_both_accounts_let_it(account: Account, there: Account) -> None:
    user, keys = barista(account)
    kms, visitor = there.client("kms"), account.client("kms", keys=keys)
    owner = allow("kms:*", Principal={"AWS": f"arn:aws:iam::{there.number}:root"})
    key = kms.create_key(Policy=policy(owner))["KeyMetadata"]["Arn"]
    sealed = kms.encrypt(KeyId=key, Plaintext=b"recipe")["CiphertextBlob"]

    def opened() -> bytes:
        return bytes(visitor.decrypt(CiphertextBlob=sealed, KeyId=key)["Plaintext"])

    may(account, allow("kms:*"))
    assert refusal(opened)[0] == "AccessDeniedException"
    guests = allow("kms:Decrypt", Principal={"AWS": account.number})
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=policy(owner, guests))
    assert opened() == b"recipe"
    may(account, allow("sqs:*"))
    assert refusal(opened)[0] == "AccessDeniedException"
    # What lies there under the key takes the bucket's consent and the key's.
    s3, bucket = there.client("s3"), f"recipes-{there.number}"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(
        Bucket=bucket, Key="cake", Body=b"eggs", ServerSideEncryption="aws:kms", SSEKMSKeyId=key
    )
    read = allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*", Principal={"AWS": user})
    s3.put_bucket_policy(Bucket=bucket, Policy=policy(read))
    guest = account.client("s3", keys=keys, signature_version="s3v4")
    may(account, allow("s3:GetObject"))
    assert refusal(lambda: guest.get_object(Bucket=bucket, Key="cake"))[0] == "AccessDenied"
    may(account, allow(["s3:GetObject", "kms:Decrypt"]))
    assert guest.get_object(Bucket=bucket, Key="cake")["Body"].read() == b"eggs"


def test_within_an_account_it_counts_how_a_resources_policy_names_one(account: Account) -> None:
    """The user and the very session are let in past their bounds; a role's session is not."""
    iam, sqs = account.client("iam"), account.client("sqs")
    bound = iam.create_policy(PolicyName="bound", PolicyDocument=policy(allow("s3:*")))["Policy"]
    user, keys = barista(account, PermissionsBoundary=bound["Arn"])
    role = iam.create_role(
        RoleName="brewing", Path="/kitchen/", PermissionsBoundary=bound["Arn"],
        AssumeRolePolicyDocument=trusting(account.number),
    )["Role"]["Arn"]  # fmt: skip
    worn = session(account, None, role)
    worn_arn = account.client("sts", keys=worn).get_caller_identity()["Arn"]
    url = sqs.create_queue(QueueName="orders")["QueueUrl"]
    arn = f"arn:aws:sqs:us-east-1:{account.number}:orders"

    def named(principal: str, with_keys: tuple[str, ...]) -> str:
        """Why a message is refused where the policy names this principal; empty if it is not."""
        opened = allow("sqs:SendMessage", arn, Principal={"AWS": principal})
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy(opened)})
        client = account.client("sqs", keys=with_keys)
        try:
            client.send_message(QueueUrl=url, MessageBody="a cup")
        except ClientError as error:
            return str(error.response["Error"]["Message"]).partition(" because ")[2]
        return ""

    action = "allows the sqs:sendmessage action"
    assert named(user, keys) == ""
    assert named("*", keys) == f"no permissions boundary {action}"
    assert named(account.number, keys) == f"no identity-based policy {action}"
    assert named(worn_arn, worn) == ""
    assert named(role, worn) == f"no permissions boundary {action}"
    iam.delete_role_permissions_boundary(RoleName="brewing")
    assert named(role, worn) == ""
    assert named(user, worn) == f"no identity-based policy {action}"
