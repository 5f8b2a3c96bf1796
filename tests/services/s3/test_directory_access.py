"""Who may use directory buckets: by sessions, by actions of their own, and in which zone."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from doppio.kernel.identity import root_of
from doppio.kernel.regions import set_zone
from doppio.wire.errors import AwsError
from tests.services.kms.helpers import allow, key, user
from tests.services.world import ACCOUNT, OTHER, World, refused, told

from .directories import ARN, BUCKET, get, make, of, put, s3, session


@told
async def test_sessions_are_for_a_bucket_a_mode_and_five_minutes(world: World) -> None:
    await make(world)
    await make(world, "other--use1-az1--x-s3")
    await put(world, "k", b"milk")
    barista = await user(world, "barista", allow("s3express:CreateSession", ARN))
    wide = await session(world, barista)
    await put(world, "k", b"oat", caller=wide)
    narrow = await session(world, barista, SessionMode="ReadOnly")
    assert await get(world, "k", caller=narrow) == b"oat"
    assert await of(world, put(world, "k", b"x", caller=narrow)) == ("AccessDenied", 403)
    elsewhere = put(world, "k", b"x", Bucket="other--use1-az1--x-s3", caller=wide)
    assert await of(world, elsewhere) == ("AccessDenied", 403)
    assert await of(world, s3(world, "create_session", caller=wide)) == ("AccessDenied", 403)
    call = s3(world, "create_session", caller=barista, Bucket="other--use1-az1--x-s3")
    assert (await refused(call)).status == 403
    made = (await s3(world, "create_session", caller=barista))["Credentials"]
    assert made["Expiration"] == world.now + timedelta(minutes=5)
    await world.advance(minutes=4, seconds=59)
    assert (await world.who(made)).arn == barista.arn
    await world.advance(seconds=2)
    with pytest.raises(AwsError) as expired:
        await world.who(made)
    assert expired.value.code == "ExpiredToken"


@told
async def test_a_session_is_not_for_a_later_bucket_of_that_name(world: World) -> None:
    early = await session(world, root_of(OTHER, "111111111111"))
    await make(world)
    assert await of(world, put(world, "k", b"x", caller=early)) == ("AccessDenied", 403)
    own = await session(world, root_of(ACCOUNT, "test"))
    await put(world, "k", b"x", caller=own)
    await s3(world, "delete_object", Key="k")
    await s3(world, "delete_bucket")
    await world.advance(minutes=1)
    await make(world)
    assert await of(world, put(world, "k", b"x", caller=own)) == ("AccessDenied", 403)


@told
async def test_the_widest_session_is_given_that_is_allowed(world: World) -> None:
    await make(world)
    only_read = {"StringEquals": {"s3express:SessionMode": "ReadOnly"}}
    reader = await user(world, "reader", allow("s3express:CreateSession", ARN, Condition=only_read))
    caller = await session(world, reader)
    assert (await s3(world, "list_objects_v2", caller=caller))["KeyCount"] == 0
    assert await of(world, put(world, "k", caller=caller)) == ("AccessDenied", 403)
    call = s3(world, "create_session", caller=reader, SessionMode="ReadWrite")
    assert (await refused(call)).status == 403
    # Without a session, each request is judged as the session would be.
    assert (await s3(world, "list_objects_v2", caller=reader))["KeyCount"] == 0
    assert (await refused(put(world, "k", caller=reader))).status == 403
    nobody = await user(world, "nobody", allow("s3:*"))
    assert (await refused(s3(world, "create_session", caller=nobody))).status == 403
    assert (await refused(get(world, "k", caller=nobody))).status == 403


@told
async def test_a_session_ends_with_the_key_that_asked_for_it(world: World) -> None:
    await make(world)
    await world.call("iam", "create_user", UserName="barista")
    document = {
        "Version": "2012-10-17",
        "Statement": [allow("s3express:CreateSession", ARN)],
    }
    await world.call(
        "iam",
        "put_user_policy",
        UserName="barista",
        PolicyName="own",
        PolicyDocument=json.dumps(document),
    )
    access = (await world.call("iam", "create_access_key", UserName="barista"))["AccessKey"]
    barista = await world.who(access)
    made = (await s3(world, "create_session", caller=barista))["Credentials"]
    await world.call(
        "iam", "delete_access_key", UserName="barista", AccessKeyId=access["AccessKeyId"]
    )
    await world.settle()
    with pytest.raises(AwsError) as gone:
        await world.who(made)
    assert gone.value.code == "InvalidClientTokenId"


@told
async def test_a_role_has_sessions_too_while_its_own_lasts(world: World) -> None:
    await make(world)
    trust = allow("sts:AssumeRole", Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"})
    del trust["Resource"]
    await world.call(
        "iam",
        "create_role",
        RoleName="shop",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )
    statement = allow("s3express:CreateSession", ARN)
    await world.call(
        "iam",
        "put_role_policy",
        RoleName="shop",
        PolicyName="own",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
    asking = await user(world, "asking", allow("sts:AssumeRole"))
    assumed = await world.call(
        "sts",
        "assume_role",
        caller=asking,
        RoleArn=f"arn:aws:iam::{ACCOUNT}:role/shop",
        RoleSessionName="one",
        DurationSeconds=900,
    )
    role = await world.who(assumed["Credentials"])
    await world.advance(minutes=13)
    made = (await s3(world, "create_session", caller=role))["Credentials"]
    caller = await world.who(made)
    await put(world, "k", b"milk", caller=caller)
    assert caller.arn == role.arn
    await world.advance(minutes=3)
    with pytest.raises(AwsError) as expired:
        await world.who(made)
    assert expired.value.code == "ExpiredToken"


@told
async def test_buckets_are_managed_by_actions_of_their_own(world: World) -> None:
    await make(world)
    for action, method, req in (
        ("s3express:GetBucketPolicy", "get_bucket_policy", {}),
        ("s3express:DeleteBucketPolicy", "delete_bucket_policy", {}),
        ("s3express:GetEncryptionConfiguration", "get_bucket_encryption", {}),
        ("s3express:GetLifecycleConfiguration", "get_bucket_lifecycle_configuration", {}),
        ("s3express:PutLifecycleConfiguration", "delete_bucket_lifecycle", {}),
        ("s3express:DeleteBucket", "delete_bucket", {}),
    ):
        name = action.partition(":")[2] + method.replace("_", "")
        other = await user(world, f"not-{name}", allow("s3:*"), allow("s3express:CreateSession"))
        assert (await refused(s3(world, method, caller=other, **req))).status == 403
        own = await user(world, name, allow(action, ARN))
        if method in {"get_bucket_policy", "get_bucket_lifecycle_configuration"}:
            assert (await refused(s3(world, method, caller=own, **req))).status == 404
        else:
            await s3(world, method, caller=own, **req)
    maker = await user(world, "maker", allow("s3express:CreateBucket"))
    await make(world, caller=maker)
    assert (await refused(world.call("s3", "list_directory_buckets", caller=maker))).status == 403
    lister = await user(world, "lister", allow("s3express:ListAllMyDirectoryBuckets"))
    found = await world.call("s3", "list_directory_buckets", caller=lister)
    assert [one["Name"] for one in found["Buckets"]] == [BUCKET]


@told
async def test_a_policy_lets_other_accounts_have_sessions_and_no_more(world: World) -> None:
    await make(world)
    statement = allow("s3express:CreateSession", ARN, Principal={"AWS": OTHER})
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    await s3(world, "put_bucket_policy", Policy=policy)
    other = root_of(OTHER, "111111111111")
    guest = await session(world, other)
    await put(world, "k", b"milk", caller=guest)
    assert await get(world, "k", caller=guest) == b"milk"
    assert await of(world, s3(world, "get_bucket_policy", caller=other)) == ("AccessDenied", 403)
    wrong = json.dumps({"Version": "2012-10-17", "Statement": [{**statement, "Action": "s3:*"}]})
    error = await refused(s3(world, "put_bucket_policy", Policy=wrong))
    assert (error.code, error.message) == ("MalformedPolicy", "Policy has invalid action")


@told
async def test_a_zone_that_is_down_answers_nothing(world: World) -> None:
    await make(world)
    await put(world, "k", b"milk")
    context = world.cloud.context_for(ACCOUNT, "us-east-1")
    async with context.write() as tx:
        set_zone(tx, "us-east-1a", "down")
    for call in (get(world, "k"), put(world, "k", b"x"), s3(world, "list_objects_v2")):
        assert await of(world, call) == ("ServiceUnavailable", 503)
    root = root_of(ACCOUNT, "test")
    assert (await refused(s3(world, "create_session", caller=root))).status == 503
    assert (await world.call("s3", "list_directory_buckets"))["Buckets"]
    async with context.write() as tx:
        set_zone(tx, "us-east-1a", "up")
    assert await get(world, "k") == b"milk"


@told
async def test_a_session_may_bring_an_encryption_of_its_own(world: World) -> None:
    await make(world)
    made = await key(world)
    root = root_of(ACCOUNT, "test")
    asked = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": made["Arn"]}
    given = await s3(world, "create_session", caller=root, **asked)
    assert (given["ServerSideEncryption"], given["SSEKMSKeyId"]) == ("aws:kms", made["Arn"])
    caller = await world.who(given["Credentials"])
    told_of = await put(world, "k", b"milk", caller=caller)
    assert told_of["SSEKMSKeyId"] == made["Arn"]
    assert await get(world, "k", caller=caller) == b"milk"
    wrong = put(world, "k", caller=caller, ServerSideEncryption="AES256")
    assert (await refused(wrong)).code == "InvalidRequest"
    bare = s3(world, "create_session", caller=root, ServerSideEncryption="aws:kms")
    assert (await refused(bare)).code == "InvalidRequest"
