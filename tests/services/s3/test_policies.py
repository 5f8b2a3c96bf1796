"""Bucket policies: whom they let in, and what the block of public access makes of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from doppio.kernel.identity import ANONYMOUS, Caller
from doppio.kernel.policy.public import is_public

from .world import ACCOUNT, OTHER, World, refused, told

ARN = "arn:aws:s3:::bucket"
STRANGER = Caller(account=OTHER, arn=f"arn:aws:iam::{OTHER}:root", id=OTHER, kind="root")
OPEN: dict[str, Any] = {
    "PublicAccessBlockConfiguration": {
        "BlockPublicAcls": True,
        "IgnorePublicAcls": True,
        "BlockPublicPolicy": False,
        "RestrictPublicBuckets": False,
    }
}


def statement(principal: Any, action: Any = "s3:GetObject", **more: Any) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Principal": principal,
        "Action": action,
        "Resource": f"{ARN}/*",
        **more,
    }


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


async def put_policy(world: World, text: str) -> None:
    await world.s3("put_bucket_policy", Bucket="bucket", Policy=text)


@told
async def test_strangers_get_in_by_the_policy_alone(world: World) -> None:
    await world.bucket()
    await world.put("key", b"x")
    error = await refused(world.get("key", caller=STRANGER))
    assert error.status == 403
    text = policy(statement({"AWS": OTHER}))
    await put_policy(world, text)
    assert await world.get("key", caller=STRANGER) == b"x"
    assert (await refused(world.put("key", b"y", caller=STRANGER))).status == 403
    found = await world.s3("get_bucket_policy", Bucket="bucket")
    assert found == {"Policy": text}
    status = await world.s3("get_bucket_policy_status", Bucket="bucket")
    assert status == {"PolicyStatus": {"IsPublic": False}}
    await world.s3("delete_bucket_policy", Bucket="bucket")
    await world.s3("delete_bucket_policy", Bucket="bucket")
    assert (await refused(world.get("key", caller=STRANGER))).status == 403


@told
async def test_a_denial_holds_for_the_owner_too(world: World) -> None:
    await world.bucket()
    await world.put("kept/key", b"x")
    await put_policy(
        world,
        policy(statement("*", "s3:DeleteObject", Effect="Deny", Resource=f"{ARN}/kept/*")),
    )
    error = await refused(world.s3("delete_object", Bucket="bucket", Key="kept/key"))
    assert error.status == 403
    assert await world.get("kept/key") == b"x"


@told
async def test_of_many_keys_only_those_that_are_denied_stay(world: World) -> None:
    await world.bucket()
    for key in ("kept/key", "other"):
        await world.put(key, b"x")
    await put_policy(
        world,
        policy(statement("*", "s3:DeleteObject", Effect="Deny", Resource=f"{ARN}/kept/*")),
    )
    objects = [{"Key": "kept/key"}, {"Key": "other"}]
    result = await world.s3("delete_objects", Bucket="bucket", Delete={"Objects": objects})
    assert result["Deleted"] == [{"Key": "other"}]
    ((key, code),) = [(one["Key"], one["Code"]) for one in result["Errors"]]
    assert (key, code) == ("kept/key", "AccessDenied")
    assert await world.get("kept/key") == b"x"


@told
async def test_a_stranger_deletes_nothing_of_many_keys(world: World) -> None:
    await world.bucket()
    await world.put("key", b"x")
    result = await world.s3(
        "delete_objects", Bucket="bucket", Delete={"Objects": [{"Key": "key"}]}, caller=STRANGER
    )
    assert "Deleted" not in result
    assert [one["Code"] for one in result["Errors"]] == ["AccessDenied"]
    assert await world.get("key") == b"x"


@told
async def test_public_policies_need_the_block_to_be_off(world: World) -> None:
    await world.bucket()
    await world.put("key", b"x")
    public = policy(statement("*"))
    error = await refused(put_policy(world, public))
    assert (error.code, error.status) == ("AccessDenied", 403)
    await world.s3("put_public_access_block", Bucket="bucket", **OPEN)
    await put_policy(world, public)
    assert await world.get("key", caller=ANONYMOUS) == b"x"
    status = await world.s3("get_bucket_policy_status", Bucket="bucket")
    assert status == {"PolicyStatus": {"IsPublic": True}}
    error = await refused(world.get("key", caller=ANONYMOUS, ResponseContentType="text/x"))
    assert error.code == "InvalidRequest"


@told
async def test_restricting_public_buckets_keeps_strangers_out_of_a_public_one(
    world: World,
) -> None:
    await world.bucket()
    await world.put("key", b"x")
    await world.s3("put_public_access_block", Bucket="bucket", **OPEN)
    text = policy(statement("*"))
    await put_policy(world, text)
    restricted: dict[str, Any] = {"PublicAccessBlockConfiguration": {"RestrictPublicBuckets": True}}
    await world.s3("put_public_access_block", Bucket="bucket", **restricted)
    assert (await refused(world.get("key", caller=ANONYMOUS))).status == 403
    assert (await refused(world.get("key", caller=STRANGER))).status == 403
    assert await world.get("key") == b"x"
    assert (await world.s3("get_bucket_policy", Bucket="bucket"))["Policy"] == text
    await world.s3("delete_public_access_block", Bucket="bucket")
    assert await world.get("key", caller=ANONYMOUS) == b"x"
    error = await refused(world.s3("get_public_access_block", Bucket="bucket"))
    assert error.code == "NoSuchPublicAccessBlockConfiguration"


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "[]",
        "{}",
        policy({"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"{ARN}/*"}),
        policy(statement("*", Resource="arn:aws:s3:::other/*")),
        policy(statement("*", "sqs:SendMessage")),
        policy(statement("*", Effect="Maybe")),
        policy(statement({"AWS": ACCOUNT}, Sid="x" * 21_000)),
    ],
)
def test_malformed_policies_are_refused(text: str) -> None:
    @told
    async def story(world: World) -> None:
        await world.bucket()
        error = await refused(put_policy(world, text))
        assert (error.code, error.status) == ("MalformedPolicy", 400)

    story()


@pytest.mark.parametrize(
    ("one", "public"),
    [
        (statement("*"), True),
        (statement({"AWS": "*"}), True),
        (statement({"AWS": ["*", OTHER]}), True),
        (statement({"AWS": OTHER}), False),
        (statement({"Service": "logging.s3.amazonaws.com"}), False),
        (statement("*", Effect="Deny"), False),
        (statement("*", Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}}), False),
        (statement("*", Condition={"StringLike": {"aws:PrincipalOrgID": "o-*"}}), True),
        (statement("*", Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}), False),
        (statement("*", Condition={"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}), True),
        (statement("*", Condition={"StringNotEquals": {"aws:SourceVpc": "vpc-1"}}), True),
        (statement("*", Condition={"StringEquals": {"s3:prefix": "a"}}), True),
    ],
)
def test_public_means_what_s3_says(one: dict[str, Any], public: bool) -> None:
    assert is_public(json.loads(policy(one))) is public


@told
async def test_whoever_may_not_list_does_not_learn_what_is_missing(world: World) -> None:
    await world.bucket()
    await put_policy(world, policy(statement({"AWS": OTHER})))
    error = await refused(world.get("none", caller=STRANGER))
    assert error.status == 403
    await put_policy(
        world,
        policy(
            statement({"AWS": OTHER}),
            statement({"AWS": OTHER}, "s3:ListBucket", Resource=ARN),
        ),
    )
    error = await refused(world.get("none", caller=STRANGER))
    assert error.status == 404
