"""What tag policies and S3 policies do in the services of the accounts that they are for."""

from __future__ import annotations

import json
from typing import Any

from doppio.services.s3control.errors import NoSuchPublicAccessBlockConfiguration
from tests.services.organizations.helpers import (
    MASTER,
    account,
    enable,
    organization,
    orgs,
    policy,
    unit,
)
from tests.services.world import World, refusal, told

TAGS, S3 = "TAG_POLICY", "S3_POLICY"


def teams(*types: str, values: tuple[str, ...] = ("bar", "shop*")) -> str:
    """A tag policy for the key Team, enforced for some types of resource."""
    said = {
        "tag_key": {"@@assign": "Team"},
        "tag_value": {"@@assign": list(values)},
        "enforced_for": {"@@assign": list(types)},
    }
    return json.dumps({"tags": {"team": said}})


def refused_for(key: str) -> tuple[str, str]:
    return (
        "TagPolicyException",
        f"The tag policy does not allow the specified value for the following tag key: '{key}'.",
    )


async def blocking(world: World, member: str) -> bool:
    """Whether an account blocks all public access."""
    try:
        found = await world.call(
            "s3control", "get_public_access_block", account=member, AccountId=member
        )
    except NoSuchPublicAccessBlockConfiguration:
        return False
    return all(found["PublicAccessBlockConfiguration"].values())


@told
async def test_tags_follow_the_policy_on_the_types_for_which_it_is_enforced(world: World) -> None:
    _, root = await organization(world)
    await enable(world, root, TAGS)
    bar, member = await unit(world, root), await account(world)
    key = await policy(world, teams("sqs:queue", "dynamodb:table"), "teams", TAGS)
    await orgs(world, "attach_policy", PolicyId=key, TargetId=bar)

    async def queue(name: str, **tags: str) -> None:
        await world.call("sqs", "create_queue", account=member, QueueName=name, tags=tags)

    await queue("before", Team="nobody")
    await orgs(
        world, "move_account", AccountId=member, SourceParentId=root, DestinationParentId=bar
    )
    await queue("one", Team="bar")
    await queue("two", Team="shop 7", other="x")
    await queue("three")
    assert await refusal(queue("four", Team="nobody")) == refused_for("Team")
    assert await refusal(queue("five", team="bar")) == refused_for("team")
    urls = (await world.call("sqs", "list_queues", account=member))["QueueUrls"]
    assert sorted(url.rpartition("/")[2] for url in urls) == ["before", "one", "three", "two"]
    call = world.call("sqs", "tag_queue", account=member, QueueUrl=urls[0], Tags={"Team": "x"})
    assert await refusal(call) == refused_for("Team")
    # What it is not enforced for is free, and so is the management account, which stands above.
    await world.call(
        "sns", "create_topic", account=member, Name="t", Tags=[{"Key": "Team", "Value": "x"}]
    )
    await world.call("sqs", "create_queue", QueueName="master", tags={"Team": "x"})
    await orgs(world, "update_policy", PolicyId=key, Content=teams("sns:*", values=("x",)))
    await queue("six", Team="nobody")
    call = world.call(
        "sns", "create_topic", account=member, Name="u", Tags=[{"Key": "Team", "Value": "y"}]
    )
    assert await refusal(call) == refused_for("Team")
    await orgs(world, "detach_policy", PolicyId=key, TargetId=bar)
    await world.call(
        "sns", "create_topic", account=member, Name="u", Tags=[{"Key": "Team", "Value": "y"}]
    )


@told
async def test_each_service_is_known_by_its_types(world: World) -> None:
    _, root = await organization(world)
    await enable(world, root, TAGS)
    types = ("s3:bucket", "kms:key", "iam:role", "events:rule", "logs:log-group")
    await orgs(
        world, "attach_policy", PolicyId=await policy(world, teams(*types), "teams", TAGS),
        TargetId=root,
    )  # fmt: skip
    pairs = [{"Key": "Team", "Value": "nobody"}]
    trust = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": MASTER}, "Action": "sts:AssumeRole"}
    ]}  # fmt: skip
    await world.call("s3", "create_bucket", Bucket="books")
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("s3", "put_bucket_tagging", {"Bucket": "books", "Tagging": {"TagSet": pairs}}),
        ("kms", "create_key", {"Tags": [{"TagKey": "Team", "TagValue": "nobody"}]}),
        ("iam", "create_role",
         {"RoleName": "r", "AssumeRolePolicyDocument": json.dumps(trust), "Tags": pairs}),
        ("events", "put_rule",
         {"Name": "r", "EventPattern": '{"source": ["a"]}', "Tags": pairs}),
        ("logs", "create_log_group", {"logGroupName": "g", "tags": {"Team": "nobody"}}),
    ]  # fmt: skip
    for service, method, req in calls:
        assert await refusal(world.call(service, method, **req)) == refused_for("Team"), service
    # An object is no bucket, and what nobody enforces is free.
    await world.call("s3", "put_object", Bucket="books", Key="a", Body=b"", Tagging="Team=nobody")
    await world.call("dynamodb", "create_table", TableName="tea", BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}], Tags=pairs,
    )  # fmt: skip


@told
async def test_who_comes_and_goes_takes_no_rules_along(world: World) -> None:
    _, root = await organization(world)
    await enable(world, root, TAGS)
    key = await policy(world, teams("sqs:queue"), "teams", TAGS)
    await orgs(world, "attach_policy", PolicyId=key, TargetId=root)
    member = await account(world)

    async def queue(name: str) -> None:
        await world.call("sqs", "create_queue", account=member, QueueName=name, tags={"team": ""})

    assert await refusal(queue("in")) == refused_for("team")
    again = world.again()
    await world.close()
    await again.start()
    try:
        call = again.call(
            "sqs", "create_queue", account=member, QueueName="later", tags={"team": ""}
        )
        assert await refusal(call) == refused_for("team")
        await again.advance(days=5)
        await orgs(again, "remove_account_from_organization", AccountId=member)
        await again.call("sqs", "create_queue", account=member, QueueName="out", tags={"team": ""})
        await orgs(again, "disable_policy_type", RootId=root, PolicyType=TAGS)
        await again.call("sqs", "create_queue", QueueName="master", tags={"team": ""})
    finally:
        await again.close()


@told
async def test_an_s3_policy_blocks_the_public_in_all_accounts_below(world: World) -> None:
    _, root = await organization(world)
    await enable(world, root, S3)
    bar, member, other = await unit(world, root), await account(world), await account(world, "two")
    own = {
        "BlockPublicAcls": True, "IgnorePublicAcls": False,
        "BlockPublicPolicy": False, "RestrictPublicBuckets": False,
    }  # fmt: skip

    async def put() -> None:
        await world.call(
            "s3control", "put_public_access_block", account=member, AccountId=member,
            PublicAccessBlockConfiguration=own,
        )  # fmt: skip

    await put()
    await world.call("s3", "create_bucket", account=member, Bucket="books")
    await world.call("s3", "delete_public_access_block", account=member, Bucket="books")
    statement = {
        "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::books/*",
    }  # fmt: skip
    open_to_all = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    content = {"s3_attributes": {"public_access_block_configuration": {"@@assign": "all"}}}
    key = await policy(world, json.dumps(content), "shut", S3)
    await orgs(world, "attach_policy", PolicyId=key, TargetId=bar)
    assert not await blocking(world, member)
    await orgs(
        world, "move_account", AccountId=member, SourceParentId=root, DestinationParentId=bar
    )
    assert await blocking(world, member)
    assert not await blocking(world, other)
    publish = {"Bucket": "books", "Policy": open_to_all}
    call = world.call("s3", "put_bucket_policy", account=member, **publish)
    assert (await refusal(call))[0] == "AccessDenied"
    assert (await refusal(put()))[0] == "AccessDenied"
    await orgs(world, "detach_policy", PolicyId=key, TargetId=bar)
    found = await world.call(
        "s3control", "get_public_access_block", account=member, AccountId=member
    )
    assert found["PublicAccessBlockConfiguration"] == own
    await world.call("s3", "put_bucket_policy", account=member, **publish)
