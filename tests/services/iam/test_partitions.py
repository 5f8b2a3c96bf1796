"""Partitions are worlds apart: accounts, principals, keys and names of one mean nothing in another."""

from __future__ import annotations

import json
from typing import Any

import pytest

from doppio.kernel.regions import HOMES
from tests.services.iam.helpers import document, trust
from tests.services.world import ACCOUNT, World, refusal, refused, run

GOV = "us-gov-west-1"


async def gov(world: World, service: str, method: str, **req: Any) -> Any:
    """Call an operation in GovCloud."""
    return await world.call(service, method, region=GOV, **req)


async def worker(world: World, region: str, name: str = "barista") -> dict[str, Any]:
    """A new user who may do everything, and the user's access key."""
    await world.call("iam", "create_user", region=region, UserName=name)
    await world.call(
        "iam", "put_user_policy", region=region, UserName=name, PolicyName="all",
        PolicyDocument=document("*"),
    )  # fmt: skip
    made = await world.call("iam", "create_access_key", region=region, UserName=name)
    return dict(made["AccessKey"])


def test_what_iam_has_in_one_partition_is_not_there_in_another() -> None:
    async def story(world: World) -> None:
        await world.call("iam", "create_user", UserName="barista")
        assert (await gov(world, "iam", "list_users"))["Users"] == []
        made = (await gov(world, "iam", "create_user", UserName="barista"))["User"]
        assert made["Arn"] == f"arn:aws-us-gov:iam::{ACCOUNT}:user/barista"
        await gov(world, "iam", "delete_user", UserName="barista")
        there = (await world.call("iam", "get_user", UserName="barista"))["User"]
        assert there["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/barista"
        # Both Regions of GovCloud are one partition.
        await gov(world, "iam", "create_group", GroupName="bar")
        groups = await world.call("iam", "list_groups", region="us-gov-east-1")
        assert [one["GroupName"] for one in groups["Groups"]] == ["bar"]

    run(story)


def test_what_was_made_in_a_partition_outlives_a_crash_there() -> None:
    async def story(world: World) -> None:
        key = await worker(world, GOV)
        again = world.again()
        await again.start()
        try:
            caller = await again.who(key, "aws-us-gov")
            assert caller.arn == f"arn:aws-us-gov:iam::{ACCOUNT}:user/barista"
            found = await gov(again, "iam", "list_attached_user_policies", UserName="barista")
            assert found["AttachedPolicies"] == []
        finally:
            await again.close()

    run(story)


def test_a_key_counts_in_its_own_partition_alone() -> None:
    async def story(world: World) -> None:
        there, here = await worker(world, GOV), await worker(world, "us-east-1")
        assert (await world.who(there, "aws-us-gov")).account == ACCOUNT
        assert (await world.who(here)).account == ACCOUNT
        for key, partition in ((there, "aws"), (here, "aws-us-gov"), (there, "aws-cn")):
            assert (await refused(world.who(key, partition))).code == "InvalidClientTokenId"

    run(story)


def test_a_session_counts_in_its_own_partition_alone() -> None:
    async def story(world: World) -> None:
        user = await world.who(await worker(world, GOV), "aws-us-gov")
        policy = trust({"AWS": f"arn:aws-us-gov:iam::{ACCOUNT}:root"})
        role = (
            await gov(
                world, "iam", "create_role", RoleName="shift", AssumeRolePolicyDocument=policy
            )
        )["Role"]
        got = await gov(
            world, "sts", "assume_role", caller=user, RoleArn=role["Arn"], RoleSessionName="late"
        )
        arn = f"arn:aws-us-gov:sts::{ACCOUNT}:assumed-role/shift/late"
        assert got["AssumedRoleUser"]["Arn"] == arn
        assert (await world.who(got["Credentials"], "aws-us-gov")).arn == arn
        assert (await refused(world.who(got["Credentials"]))).code == "InvalidClientTokenId"

    run(story)


def test_a_role_of_another_partition_cannot_be_assumed() -> None:
    async def story(world: World) -> None:
        user = await world.who(await worker(world, "us-east-1"))
        policy = trust({"AWS": "*"})
        role = await gov(
            world, "iam", "create_role", RoleName="shift", AssumeRolePolicyDocument=policy
        )
        error = await refused(
            world.call(
                "sts", "assume_role", caller=user, RoleArn=role["Role"]["Arn"],
                RoleSessionName="late",
            )
        )  # fmt: skip
        assert error.code == "AccessDenied"

    run(story)


@pytest.mark.parametrize("partition", ["aws", "aws-us-gov", "aws-cn"])
def test_trust_names_principals_of_its_own_partition_alone(partition: str) -> None:
    async def story(world: World) -> None:
        for one, home in HOMES.items():
            for what in (f"iam::{ACCOUNT}:root", f"sts::{ACCOUNT}:assumed-role/shift/late"):
                named = f"arn:{partition}:{what}"
                asked = world.call(
                    "iam", "create_role", region=home, RoleName=f"r{len(what)}",
                    AssumeRolePolicyDocument=trust({"AWS": named}),
                )  # fmt: skip
                if one == partition:
                    made = (await asked)["Role"]
                    assert made["Arn"].startswith(f"arn:{partition}:iam::{ACCOUNT}:role/")
                else:
                    assert await refusal(asked) == (
                        "MalformedPolicyDocument", f'Invalid principal in policy: "AWS":"{named}"'
                    )  # fmt: skip

    run(story)


def test_awss_own_policies_are_of_the_partition_and_speak_of_it() -> None:
    async def story(world: World) -> None:
        await gov(world, "iam", "create_user", UserName="barista")
        mine = "arn:aws-us-gov:iam::aws:policy/ReadOnlyAccess"
        await gov(world, "iam", "attach_user_policy", UserName="barista", PolicyArn=mine)
        error = await refused(
            gov(
                world, "iam", "attach_user_policy", UserName="barista",
                PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess",
            )
        )  # fmt: skip
        assert error.code == "InvalidInput"
        key = (await gov(world, "iam", "create_access_key", UserName="barista"))["AccessKey"]
        reader = await world.who(key, "aws-us-gov")
        assert (await gov(world, "iam", "list_users", caller=reader))["Users"]
        error = await refused(gov(world, "iam", "create_user", caller=reader, UserName="x"))
        assert f"on resource: arn:aws-us-gov:iam::{ACCOUNT}:user/x" in error.message
        listed = (await gov(world, "iam", "list_policies", Scope="AWS", MaxItems=1000))["Policies"]
        assert all(one["Arn"].startswith("arn:aws-us-gov:iam::aws:policy/") for one in listed)

    run(story)


def test_a_policy_names_resources_of_its_own_partition_alone() -> None:
    async def story(world: World) -> None:
        mine, other = "arn:aws-us-gov:s3:::beans", "arn:aws:s3:::beans"
        for region, good, bad in ((GOV, mine, other), ("us-east-1", other, mine)):
            await world.call(
                "iam", "create_policy", region=region, PolicyName="read",
                PolicyDocument=document("s3:Get*", resource=good),
            )  # fmt: skip
            partition = bad.split(":")[1]
            assert await refusal(
                world.call(
                    "iam", "create_policy", region=region, PolicyName="more",
                    PolicyDocument=document("s3:Get*", resource=bad),
                )
            ) == (
                "MalformedPolicyDocument",
                f'Partition "{partition}" is not valid for resource "{bad}".',
            )  # fmt: skip

    run(story)


def test_the_roots_of_two_partitions_are_two_principals() -> None:
    async def story(world: World) -> None:
        there = await gov(world, "sts", "get_caller_identity")
        assert there["Arn"] == f"arn:aws-us-gov:iam::{ACCOUNT}:root"
        queue = (await gov(world, "sqs", "create_queue", QueueName="orders"))["QueueUrl"]
        await gov(
            world, "sqs", "add_permission", QueueUrl=queue, Label="all", AWSAccountIds=["1" * 12],
            Actions=["SendMessage"],
        )  # fmt: skip
        told = await gov(
            world, "sqs", "get_queue_attributes", QueueUrl=queue, AttributeNames=["All"]
        )
        assert told["Attributes"]["QueueArn"] == f"arn:aws-us-gov:sqs:{GOV}:{ACCOUNT}:orders"
        statement = json.loads(told["Attributes"]["Policy"])["Statement"][0]
        assert statement["Principal"] == {"AWS": f"arn:aws-us-gov:iam::{'1' * 12}:root"}

    run(story)


def test_nobody_reaches_across_partitions_not_even_the_root_of_the_same_number() -> None:
    async def story(world: World) -> None:
        here = (await world.call("sns", "create_topic", Name="orders"))["TopicArn"]
        there = (await gov(world, "sns", "create_topic", Name="orders"))["TopicArn"]
        assert there == f"arn:aws-us-gov:sns:{GOV}:{ACCOUNT}:orders"
        user = await world.who(await worker(world, "us-east-1"))
        for region, foreign, caller in (
            (GOV, here, None), ("us-east-1", there, None), ("us-east-1", there, user),
        ):  # fmt: skip
            # Also where the kernel knows the topic already, from its owner's call.
            for topic, home in ((here, "us-east-1"), (there, GOV)):
                await world.call("sns", "publish", region=home, TopicArn=topic, Message="tea")
            error = await refused(
                world.call(
                    "sns", "publish", region=region, caller=caller, TopicArn=foreign, Message="tea"
                )
            )
            assert error.code == "AccessDeniedException"

    run(story)


NAMED = "222222222222"
# Where a policy hangs: how it is put, how the resource is made, and the refusal.
HANGING: tuple[tuple[str, str, str, dict[str, Any], str], ...] = (
    ("sqs", "set_queue_attributes", "Policy", {}, "InvalidAttributeValue"),
    ("sns", "set_topic_attributes", "Policy", {}, "InvalidParameter"),
    ("kms", "put_key_policy", "Policy", {}, "MalformedPolicyDocumentException"),
    ("secretsmanager", "put_resource_policy", "ResourcePolicy", {"SecretId": "s"},
     "MalformedPolicyDocumentException"),
    ("s3", "put_bucket_policy", "Policy", {"Bucket": "beans"}, "MalformedPolicy"),
    ("events", "put_permission", "Policy", {}, "ValidationException"),
    ("logs", "put_resource_policy", "policyDocument", {"policyName": "p"},
     "InvalidParameterException"),
)  # fmt: skip


async def _resource(world: World, service: str) -> tuple[dict[str, Any], str]:
    """Something on which a policy hangs, as its operation names it, and its ARN."""
    if service == "sqs":
        url = (await gov(world, "sqs", "create_queue", QueueName="orders"))["QueueUrl"]
        return {"QueueUrl": url}, "*"
    if service == "sns":
        return await gov(world, "sns", "create_topic", Name="orders"), "*"
    if service == "kms":
        made = (await gov(world, "kms", "create_key"))["KeyMetadata"]
        return {"KeyId": made["KeyId"], "BypassPolicyLockoutSafetyCheck": True}, "*"
    if service == "secretsmanager":
        await gov(world, "secretsmanager", "create_secret", Name="s", SecretString="x")
        return {}, "*"
    if service == "s3":
        where = {"LocationConstraint": GOV}
        await gov(world, "s3", "create_bucket", Bucket="beans", CreateBucketConfiguration=where)
        return {}, "arn:aws-us-gov:s3:::beans/*"
    return (
        {},
        "*" if service == "logs" else f"arn:aws-us-gov:events:{GOV}:{ACCOUNT}:event-bus/default",
    )


@pytest.mark.parametrize(
    ("service", "method", "member", "more", "code"), HANGING, ids=lambda one: str(one)[:20]
)
def test_resources_policies_name_principals_of_their_own_partition_alone(
    service: str, method: str, member: str, more: dict[str, Any], code: str
) -> None:
    async def story(world: World) -> None:
        named, arn = await _resource(world, service)
        for partition in ("aws", "aws-us-gov"):
            policy = json.dumps({
                "Version": "2012-10-17",
                "Statement": [{
                    "Sid": "them", "Effect": "Allow", "Resource": arn,
                    "Action": {"s3": "s3:GetObject", "events": "events:PutEvents"}.get(
                        service, f"{service}:*"
                    ),
                    "Principal": {"AWS": f"arn:{partition}:iam::{NAMED}:root"},
                }],
            })  # fmt: skip
            given: dict[str, Any] = {member: policy}
            if service == "sqs":
                given = {"Attributes": given}
            elif service == "sns":
                given = {"AttributeName": "Policy", "AttributeValue": policy}
            asked = gov(world, service, method, **named, **more, **given)
            if partition == "aws":
                assert (await refused(asked)).code == code
            else:
                await asked

    run(story)


def test_reports_of_one_account_number_do_not_meet() -> None:
    async def story(world: World) -> None:
        await gov(world, "iam", "create_user", UserName="barista")
        await gov(world, "iam", "generate_credential_report")
        await world.call("iam", "generate_credential_report")
        await world.settle()
        there = (await gov(world, "iam", "get_credential_report"))["Content"].decode()
        here = (await world.call("iam", "get_credential_report"))["Content"].decode()
        assert f"arn:aws-us-gov:iam::{ACCOUNT}:user/barista" in there
        assert "barista" not in here
        assert f"arn:aws:iam::{ACCOUNT}:root" in here

    run(story)


def test_names_and_aliases_are_unique_in_a_partition() -> None:
    async def story(world: World) -> None:
        for region in ("us-east-1", GOV):
            await world.call("iam", "create_account_alias", region=region, AccountAlias="coffee")
            await world.call(
                "s3", "create_bucket", region=region, Bucket="coffee-beans",
                **({} if region == "us-east-1" else {
                    "CreateBucketConfiguration": {"LocationConstraint": region}
                }),
            )  # fmt: skip
        await gov(world, "s3", "put_object", Bucket="coffee-beans", Key="there", Body=b"x")
        assert (await world.call("s3", "list_objects_v2", Bucket="coffee-beans"))["KeyCount"] == 0

    run(story)


def test_a_service_gets_its_role_in_the_partition_where_it_works() -> None:
    async def story(world: World) -> None:
        made = (
            await gov(
                world, "iam", "create_service_linked_role",
                AWSServiceName="kinesisreplication.dynamodb.amazonaws.com",
            )
        )["Role"]  # fmt: skip
        assert made["Arn"].startswith(f"arn:aws-us-gov:iam::{ACCOUNT}:role/aws-service-role/")
        found = await gov(world, "iam", "list_attached_role_policies", RoleName=made["RoleName"])
        begin = "arn:aws-us-gov:iam::aws:policy/aws-service-role/"
        assert found["AttachedPolicies"][0]["PolicyArn"].startswith(begin)
        task = await gov(world, "iam", "delete_service_linked_role", RoleName=made["RoleName"])
        await world.settle()
        told = await gov(
            world, "iam", "get_service_linked_role_deletion_status",
            DeletionTaskId=task["DeletionTaskId"],
        )  # fmt: skip
        assert told["Status"] == "SUCCEEDED"
        assert (await gov(world, "iam", "list_roles"))["Roles"] == []

    run(story)


def test_what_happens_in_iam_is_told_where_the_partition_has_it() -> None:
    async def story(world: World) -> None:
        for region, home in (("us-gov-east-1", GOV), ("eu-west-1", "us-east-1")):
            url = (await world.call("sqs", "create_queue", region=home, QueueName="n"))["QueueUrl"]
            partition = "aws-us-gov" if home == GOV else "aws"
            arn = f"arn:{partition}:sqs:{home}:{ACCOUNT}:n"
            policy = {
                "Version": "2012-10-17",
                "Statement": [{
                    "Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"},
                    "Action": "sqs:SendMessage", "Resource": arn,
                }],
            }  # fmt: skip
            await world.call(
                "sqs", "set_queue_attributes", region=home, QueueUrl=url,
                Attributes={"Policy": json.dumps(policy)},
            )  # fmt: skip
            pattern = json.dumps({
                "source": ["aws.iam"], "detail-type": ["AWS API Call via CloudTrail"]
            })  # fmt: skip
            await world.call("events", "put_rule", region=home, Name="n", EventPattern=pattern)
            await world.call(
                "events", "put_targets", region=home, Rule="n", Targets=[{"Id": "q", "Arn": arn}]
            )
            await world.call("iam", "create_user", region=region, UserName="barista")
            await world.settle()
            got = await world.call("sqs", "receive_message", region=home, QueueUrl=url)
            told = json.loads(got["Messages"][0]["Body"])
            assert (told["region"], told["detail"]["eventName"]) == (home, "CreateUser")
            assert told["detail"]["userIdentity"]["arn"] == f"arn:{partition}:iam::{ACCOUNT}:root"

    run(story)
