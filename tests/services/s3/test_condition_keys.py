"""Condition keys of S3: each decides, in a policy that asks for it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from doppio.kernel.identity import Caller
from doppio.kernel.policy import PolicySet, compile_policy

from .test_policies import policy
from .world import ACCOUNT, OTHER, World, refused, run

LOCKED: dict[str, Any] = {"ObjectLockEnabledForBucket": True}


def user(*statements: dict[str, Any]) -> Caller:
    """A user who may do everything but what the statements deny."""
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    text = json.dumps({"Version": "2012-10-17", "Statement": [everything, *statements]})
    return Caller(
        account=ACCOUNT,
        arn=f"arn:aws:iam::{ACCOUNT}:user/barista",
        id="AIDABARISTA",
        kind="user",
        policies=PolicySet(identity=(compile_policy(text),)),
    )


def deny(action: str, **condition: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": action, "Resource": "*", "Condition": condition}


@pytest.mark.parametrize(
    ("condition", "method", "good", "bad"),
    [
        (
            deny("s3:PutObjectRetention", StringEquals={"s3:object-lock-mode": "COMPLIANCE"}),
            "put_object_retention",
            {"Retention": ("GOVERNANCE", 3)},
            {"Retention": ("COMPLIANCE", 3)},
        ),
        (
            deny(
                "s3:PutObjectRetention",
                NumericGreaterThan={"s3:object-lock-remaining-retention-days": "10"},
            ),
            "put_object_retention",
            {"Retention": ("GOVERNANCE", 10)},
            {"Retention": ("GOVERNANCE", 11)},
        ),
        (
            deny(
                "s3:PutObjectRetention",
                DateGreaterThan={"s3:object-lock-retain-until-date": "2999-01-01T00:00:00Z"},
            ),
            "put_object_retention",
            {"Retention": ("GOVERNANCE", 10)},
            {"Retention": ("GOVERNANCE", 400_000)},
        ),
        (
            deny("s3:PutObjectLegalHold", StringEquals={"s3:object-lock-legal-hold": "OFF"}),
            "put_object_legal_hold",
            {"LegalHold": {"Status": "ON"}},
            {"LegalHold": {"Status": "OFF"}},
        ),
    ],
)
def test_locks_are_bounded_by_what_is_asked_for(
    condition: dict[str, Any], method: str, good: dict[str, Any], bad: dict[str, Any]
) -> None:
    async def story(world: World) -> None:
        await world.s3("create_bucket", Bucket="bucket", **LOCKED)
        await world.put("key", b"x")
        caller = user(condition)
        for req, fine in ((good, True), (bad, False)):
            more = dict(req)
            if "Retention" in more:
                mode, days = more["Retention"]
                until = world.clock.now() + timedelta(days=days) - timedelta(seconds=1)
                more["Retention"] = {"Mode": mode, "RetainUntilDate": until}
            call = world.s3(method, Bucket="bucket", Key="key", caller=caller, **more)
            if fine:
                await call
            else:
                assert "explicit deny" in (await refused(call)).message

    run(story)


def test_headers_of_a_put_say_how_long_it_is_to_be_locked() -> None:
    async def story(world: World) -> None:
        await world.s3("create_bucket", Bucket="bucket", **LOCKED)
        days = {"s3:object-lock-remaining-retention-days": "10"}
        caller = user(deny("s3:PutObject", NumericGreaterThan=days))
        for most, fine in ((10, True), (12, False)):
            call = world.put(
                "key", b"x", caller=caller, ObjectLockMode="GOVERNANCE",
                ObjectLockRetainUntilDate=world.clock.now() + timedelta(days=most, seconds=-1),
            )  # fmt: skip
            assert await call if fine else (await refused(call)).status == 403

    run(story)


def test_conditional_writes_can_be_asked_of_what_makes_objects_alone() -> None:
    async def story(world: World) -> None:
        await world.bucket()
        caller = user(
            deny(
                "s3:PutObject",
                Null={"s3:if-none-match": "true"},
                Bool={"s3:ObjectCreationOperation": "true"},
            )
        )
        req: dict[str, Any] = {"Bucket": "bucket", "Key": "key", "caller": caller}
        upload = (await world.s3("create_multipart_upload", **req))["UploadId"]
        part = await world.s3("upload_part", UploadId=upload, PartNumber=1, Body=b"x", **req)
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        ending: dict[str, Any] = {"UploadId": upload, "MultipartUpload": parts}
        assert (await refused(world.s3("complete_multipart_upload", **ending, **req))).status == 403
        await world.s3("complete_multipart_upload", IfNoneMatch="*", **ending, **req)
        assert (await refused(world.put("other", b"x", caller=caller))).status == 403
        await world.put("other", b"x", caller=caller, IfNoneMatch="*")

    run(story)


@pytest.mark.parametrize("key", ["s3:ResourceAccount", "aws:ResourceAccount"])
def test_whose_a_resource_is_can_be_asked(key: str) -> None:
    async def story(world: World) -> None:
        await world.bucket()
        await world.put("key", b"x")
        theirs = Caller(account=OTHER, arn=f"arn:aws:iam::{OTHER}:root", id=OTHER, kind="root")
        await world.s3("create_bucket", Bucket="theirs", caller=theirs)
        await world.s3("put_object", Bucket="theirs", Key="key", Body=b"y", caller=theirs)
        open_ = policy(
            {
                "Effect": "Allow",
                "Principal": {"AWS": ACCOUNT},
                "Action": "s3:GetObject",
                "Resource": "arn:aws:s3:::theirs/*",
            }
        )
        await world.s3("put_bucket_policy", Bucket="theirs", Policy=open_, caller=theirs)
        assert await world.get("key", "theirs", caller=user()) == b"y"
        at_home = user(deny("s3:*", StringNotEquals={key: ACCOUNT}))
        assert await world.get("key", caller=at_home) == b"x"
        assert (await refused(world.get("key", "theirs", caller=at_home))).status == 403

    run(story)


def test_tags_of_a_new_bucket_take_a_permission_and_can_be_asked_for() -> None:
    async def story(world: World) -> None:
        tags = {"Tags": [{"Key": "team", "Value": "bar"}]}
        wrong = {"Tags": [{"Key": "team", "Value": "roast"}]}
        caller = user(deny("s3:CreateBucket", StringNotEquals={"aws:RequestTag/team": "bar"}))
        req: dict[str, Any] = {"Bucket": "bucket", "caller": caller}
        for configuration in ({}, {"CreateBucketConfiguration": wrong}):
            assert (await refused(world.s3("create_bucket", **configuration, **req))).status == 403
        await world.s3("create_bucket", CreateBucketConfiguration=tags, **req)
        bare = user(deny("s3:TagResource"))
        more = {"Bucket": "second", "caller": bare}
        call = world.s3("create_bucket", CreateBucketConfiguration=tags, **more)
        assert "s3:TagResource" in (await refused(call)).message
        await world.s3("create_bucket", **more)

    run(story)
